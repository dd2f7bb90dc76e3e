//! `policy read|write|list|delete|fmt|test`.

mod layout;

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vault_sdk::Call;

use super::raw::{capabilities, keys, strings};
use crate::error::{Failure, Outcome, file, local, plain};
use crate::output::{Content, Format, stdout};
use crate::prompt;
use crate::session::Session;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print a policy
    Read { name: String },
    /// Make or replace a policy
    Write {
        name: String,
        /// HCL or JSON; `-` reads stdin
        file: PathBuf,
    },
    /// Names of all policies
    List,
    /// Delete a policy
    Delete { name: String },
    /// Lay out a policy file, in place
    Fmt {
        /// HCL; `-` reads stdin and writes stdout
        file: PathBuf,
    },
    /// Whether a token may do something: exit 0 yes, 2 no
    Test {
        path: String,
        /// create, read, update, patch, delete, list or sudo
        capability: String,
        /// Ask about the token with this accessor; without it the token in use
        #[arg(long)]
        accessor: Option<String>,
    },
}

pub(crate) async fn run(session: &dyn Fn() -> Outcome<Session>, command: Command) -> Outcome {
    match command {
        Command::Read { name } => read(&session()?, &name).await,
        Command::Write { name, file } => {
            let text = input(&file)?;
            let session = session()?;
            let call = Call::put(
                format!("sys/policies/acl/{name}"),
                json!({ "policy": text }),
            );
            session.act(call, &format!("Uploaded policy: {name}")).await
        }
        Command::List => {
            let session = session()?;
            let names = keys(session.send(Call::list("sys/policies/acl/")).await?.data());
            if session.out.format == Format::Table {
                session.out.line(&names.join("\n"))
            } else {
                session.out.names(&names)
            }
        }
        Command::Delete { name } => {
            let session = session()?;
            prompt::confirm(
                session.yes || session.face.is_compat(),
                &format!("delete the policy {name}"),
                &name,
            )?;
            session
                .act(
                    Call::delete(format!("sys/policies/acl/{name}")),
                    &format!("Deleted policy: {name}"),
                )
                .await
        }
        Command::Fmt { file } => format(&file),
        Command::Test {
            path,
            capability,
            accessor,
        } => test(&session()?, &path, &capability, accessor).await,
    }
}

async fn read(session: &Session, name: &str) -> Outcome {
    let answer = session
        .send(Call::get(format!("sys/policies/acl/{name}")))
        .await?;
    let text = answer.data()["policy"].as_str().unwrap_or_default();
    match session.out.format {
        Format::Table => session.out.line(text.trim_end_matches('\n')),
        _ => session.out.answer(&answer.body, Content::Open),
    }
}

fn input(path: &Path) -> Outcome<String> {
    if path != Path::new("-") {
        return std::fs::read_to_string(path).map_err(|e| file("read", path, &e));
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|e| plain(format!("cannot read stdin: {e}")))?;
    Ok(text)
}

fn format(path: &Path) -> Outcome {
    let text = input(path)?;
    let laid_out = layout::layout(&text).map_err(|e| {
        local(
            format!("{}: {e}", path.display()),
            "close what is open, then try again",
        )
    })?;
    if path == Path::new("-") {
        return stdout(laid_out.as_bytes());
    }
    if laid_out != text {
        std::fs::write(path, laid_out).map_err(|e| file("write", path, &e))?;
        stdout(format!("{}\n", path.display()).as_bytes())?;
    }
    Ok(())
}

async fn test(
    session: &Session,
    path: &str,
    capability: &str,
    accessor: Option<String>,
) -> Outcome {
    let known = [
        "create", "read", "update", "patch", "delete", "list", "sudo",
    ];
    if !known.contains(&capability) {
        return Err(local(
            "that is not a capability",
            format!("it is one of: {}", known.join(", ")),
        ));
    }
    let path = path.trim_start_matches('/').to_owned();
    let found = match accessor {
        None => capabilities(session, std::slice::from_ref(&path))
            .await?
            .remove(&path)
            .unwrap_or_default(),
        Some(accessor) => {
            let body = json!({ "accessor": accessor, "paths": [path] });
            strings(
                &session
                    .send(Call::post("sys/capabilities-accessor", body))
                    .await?
                    .data()[path.as_str()],
            )
        }
    };
    let allowed = found.iter().any(|c| c == "root" || c == capability);
    let document: Value = json!({ "path": path, "capability": capability, "allowed": allowed, "capabilities": found });
    if session.out.format == Format::Table {
        let verdict = if allowed { "allowed" } else { "denied" };
        session.out.line(&format!(
            "{verdict}: {capability} on {path}; the token has there: {}",
            found.join(", ")
        ))?;
        if !allowed {
            session.out.line(&format!(
                "This rule would allow it:\n{}",
                rule(&path, capability)
            ))?;
        }
    } else {
        session.out.document(&document)?;
    }
    if allowed {
        Ok(())
    } else {
        Err(Failure::Silent(2))
    }
}

/// The smallest rule that allows it.
fn rule(path: &str, capability: &str) -> String {
    let path = path.replace('\\', "\\\\").replace('"', "\\\"");
    format!("path \"{path}\" {{\n  capabilities = [\"{capability}\"]\n}}")
}
