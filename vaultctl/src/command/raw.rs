//! `read`, `write`, `patch`, `delete`, `list`, `unwrap`: any API path, nothing added.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vault_sdk::{Call, Secret};

use crate::error::{Outcome, local};
use crate::input::{self, Process};
use crate::output::Content;
use crate::prompt;
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Read {
    /// API path, without /v1/
    path: String,
    /// Query parameters, KEY=VALUE
    #[arg(value_parser = super::key_value)]
    query: Vec<(String, String)>,
}

#[derive(clap::Args)]
pub(crate) struct Write {
    /// API path, without /v1/
    path: String,
    /// k=v, k=@file, k=- (stdin), k (asks, hidden), - or @file.json
    values: Vec<String>,
    /// Send even without any value
    #[arg(short, long)]
    force: bool,
}

#[derive(clap::Args)]
pub(crate) struct Delete {
    /// API path, without /v1/
    path: String,
    /// Query parameters, KEY=VALUE
    #[arg(value_parser = super::key_value)]
    query: Vec<(String, String)>,
}

#[derive(clap::Args)]
pub(crate) struct List {
    /// API path, without /v1/
    path: String,
}

#[derive(clap::Args)]
pub(crate) struct Unwrap {
    /// The wrapping token; without it the token in use. `-` reads stdin
    token: Option<String>,
}

pub(crate) async fn read(session: &Session, args: Read) -> Outcome {
    let content = content(&args.path);
    let call = args
        .query
        .into_iter()
        .fold(Call::get(api(&args.path)), |call, (k, v)| call.query(k, v));
    session.show(call, content).await
}

pub(crate) async fn write(session: &Session, args: Write) -> Outcome {
    let call = Call::put(api(&args.path), body(&args)?);
    finish(session, call, &format!("Data written to: {}", args.path)).await
}

pub(crate) async fn patch(session: &Session, args: Write) -> Outcome {
    let call = Call::patch(api(&args.path), body(&args)?);
    finish(session, call, &format!("Data written to: {}", args.path)).await
}

pub(crate) async fn delete(session: &Session, args: Delete) -> Outcome {
    if !session.face.is_compat() {
        prompt::confirm(session.yes, &format!("delete {}", args.path), &args.path)?;
    }
    let call = args
        .query
        .into_iter()
        .fold(Call::delete(api(&args.path)), |call, (k, v)| {
            call.query(k, v)
        });
    finish(
        session,
        call,
        &format!("Data deleted (if it existed) at: {}", args.path),
    )
    .await
}

pub(crate) async fn list(session: &Session, args: List) -> Outcome {
    let path = format!("{}/", api(&args.path).trim_end_matches('/'));
    let answer = session.send_wrapping(Call::list(path)).await?;
    session.out.warnings(&answer.body);
    session.out.names(&keys(answer.data()))
}

pub(crate) async fn unwrap(session: &Session, args: Unwrap) -> Outcome {
    let call = match args.token.as_deref() {
        None => Call::put("sys/wrapping/unwrap", json!({})),
        Some(word) => {
            let token = if word == "-" {
                Secret::new(stdin_line()?)
            } else {
                Secret::new(word)
            };
            // A wrapping token authorises its own opening, so no other token is needed.
            let body = json!({ "token": token.expose() });
            let call = Call::put("sys/wrapping/unwrap", body);
            if session.client.token().is_some() {
                call
            } else {
                call.no_token().header("X-Vault-Token", token.expose())
            }
        }
    };
    let answer = session.send(call).await?;
    session.out.answer(&answer.body, Content::Open)
}

/// The names in the answer to a list.
pub(crate) fn keys(data: &Value) -> Vec<String> {
    let keys = data
        .get("keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    keys.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// One line of stdin, without its end.
pub(crate) fn stdin_line() -> Outcome<String> {
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|e| crate::error::plain(format!("cannot read stdin: {e}")))?;
    Ok(line.trim().to_owned())
}

async fn finish(session: &Session, call: Call, done: &str) -> Outcome {
    let answer = session.send_wrapping(call).await?;
    if answer.body.is_null() {
        return session.out.done(done);
    }
    session.out.answer(&answer.body, Content::Open)
}

fn body(args: &Write) -> Outcome<Value> {
    if args.values.is_empty() && !args.force {
        return Err(local(
            "there is nothing to write",
            "give values as k=v, or --force to send none",
        ));
    }
    input::warn_about_argv(&args.values);
    input::object(&args.values, &mut Process::default()).map(Value::Object)
}

/// People paste paths with the API's prefix.
fn api(path: &str) -> &str {
    let path = path.trim_start_matches('/');
    path.strip_prefix("v1/").unwrap_or(path)
}

/// Configuration of the server is open; what engines hold is not.
fn content(path: &str) -> Content {
    let first = api(path).split('/').next().unwrap_or_default();
    if ["sys", "auth", "identity"].contains(&first) {
        Content::Open
    } else {
        Content::Stored
    }
}

/// The capabilities of the token in use, by path.
pub(crate) async fn capabilities(
    session: &Session,
    paths: &[String],
) -> Outcome<BTreeMap<String, Vec<String>>> {
    let answer = session
        .send(Call::post(
            "sys/capabilities-self",
            json!({ "paths": paths }),
        ))
        .await?;
    Ok(paths
        .iter()
        .map(|path| (path.clone(), strings(&answer.data()[path.as_str()])))
        .collect())
}

/// A JSON list of texts.
pub(crate) fn strings(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_engines_hold_is_hidden() {
        assert!(content("secret/data/app") == Content::Stored);
        assert!(content("/v1/sys/mounts") == Content::Open);
        assert!(content("auth/approle/role/x") == Content::Open);
        assert!(content("system/x") == Content::Stored);
    }
}
