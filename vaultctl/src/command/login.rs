//! `login` and `logout`.
//!
//! Promise: the token is never printed unless `--print-token` asks for it, not even when it
//! cannot be stored.

mod browser;
mod device;
pub(crate) mod job;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};
use vault_sdk::{Auth, Call, Secret, SshKey, instance};

use super::raw::stdin_line;
use crate::error::{Outcome, local, plain, remote};
use crate::input::{self, Process, Source};
use crate::output::{Content, Format, Rows};
use crate::prompt;
use crate::session::{Session, TokenFile, TokenSource};

/// Where a pod finds the token of its service account.
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// How long the end of a job waits for the revocation of its token.
const GIVE_BACK: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Login method: token, approle, userpass, cert, ssh, jwt, oidc (browser), kubernetes, github,
    /// gcp, or any other that takes fields
    #[arg(short, long, default_value = "token")]
    method: String,
    /// As the CI job that this runs in, with its identity token; --role says as what. Short for
    /// --method jwt, with the token found by itself
    #[arg(long, requires = "role")]
    ci: bool,
    #[command(flatten)]
    evidence: job::Evidence,
    /// Where the method is mounted, if not under its own name
    #[arg(long, alias = "mount")]
    path: Option<String>,
    /// The role to log in to (CI, cert, ssh)
    #[arg(long)]
    role: Option<String>,
    /// A private key, or a public key or certificate whose key the agent holds (ssh)
    /// [default: what the agent has]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Log in with a browser on another machine (oidc)
    #[arg(long)]
    device: bool,
    /// Print the token (for scripts that cannot read ~/.vault-token)
    #[arg(long, alias = "token-only")]
    print_token: bool,
    /// Do not keep the token
    #[arg(long)]
    no_store: bool,
    /// Accepted for Vault's sake: the token is never printed anyway
    #[arg(long, hide = true)]
    no_print: bool,
    /// A token, or the method's fields: role_id=… secret_id=@FILE, username=…, role=… jwt=@FILE, k (asks, hidden)
    values: Vec<String>,
}

pub(crate) async fn run(session: &Session, args: Args) -> Outcome {
    let body = match args.method.as_str() {
        _ if args.ci => {
            let mount = args.path.as_deref().unwrap_or("jwt");
            let role = args.role.as_deref().unwrap_or_default();
            job::log_in(session, mount, role, &args.evidence).await?
        }
        "token" => with_token(session, &args).await?,
        "cert" | "ssh" => with_key(session, &args).await?,
        _ => with_fields(session, &args).await?,
    };
    let token = body["auth"]["client_token"]
        .as_str()
        .filter(|t| !t.is_empty());
    let token = Secret::new(token.ok_or_else(|| {
        remote(
            "the server logged nobody in",
            "check the method and its fields",
        )
    })?);
    if !args.no_store {
        TokenFile::usual()?.store(&token)?;
        warn_if_shadowed(session);
    }
    if args.print_token || session.out.field.as_deref() == Some("token") {
        return session.out.value(&json!(token.expose()), Content::Open);
    }
    tell(session, body, args.no_store)
}

/// Prints who one has become, without the token.
fn tell(session: &Session, mut body: Value, no_store: bool) -> Outcome {
    if let Some(auth) = body["auth"].as_object_mut() {
        auth.remove("client_token");
    }
    if session.out.format != Format::Table {
        return session.out.document(&body);
    }
    let rows: Rows = crate::output::auth_rows(&body["auth"]);
    if session.out.field.is_some() {
        return session.out.rows(&rows, Content::Open);
    }
    let kept = if no_store {
        "the token was not kept"
    } else {
        "the token is kept for the next commands"
    };
    session
        .out
        .done(&format!("You are now authenticated; {kept}.\n"))?;
    session.out.rows(&rows, Content::Open)
}

/// A token that the caller already has: looked up, so that a wrong one is never stored.
async fn with_token(session: &Session, args: &Args) -> Outcome<Value> {
    let token = match args.values.as_slice() {
        [] => prompt::hidden("Token", "give - and the token on stdin")?.to_string(),
        [one] if one == "-" => stdin_line()?,
        [one] => match one.strip_prefix("token=") {
            Some("-") => stdin_line()?,
            Some(path) if path.starts_with('@') => {
                let bytes = Process::default().file(path[1..].as_ref())?;
                String::from_utf8(bytes).map_err(|_| plain("the token file is not text"))?
            }
            Some(token) => token.to_owned(),
            None => one.clone(),
        },
        _ => {
            return Err(local(
                "a login by token takes one token",
                "vaultctl login, and type it when asked",
            ));
        }
    };
    let token = Secret::new(token.trim());
    session.client.set_token(Some(token.clone()));
    let answer = session.send(Call::get("auth/token/lookup-self")).await?;
    let data = answer.data();
    Ok(json!({ "auth": {
        "client_token": token.expose(),
        "accessor": data["accessor"],
        "lease_duration": data["ttl"],
        "renewable": data["renewable"],
        "token_policies": data["policies"],
        "identity_policies": data["identity_policies"],
        "policies": data["policies"],
        "metadata": data["meta"],
    }}))
}

/// Methods whose evidence is a key: nothing is typed.
async fn with_key(session: &Session, args: &Args) -> Outcome<Value> {
    let mut fields = input::object(&args.values, &mut Process::default())?;
    let mut given = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let mount = args.path.as_deref().unwrap_or(&args.method);
    let mount = mount.trim_matches('/').to_owned();
    let role = args.role.clone();
    let auth = match args.method.as_str() {
        "cert" => Auth::Cert {
            mount,
            role: role.or_else(|| given("name")),
        },
        _ => Auth::Ssh {
            mount,
            role: role.or_else(|| given("role")).ok_or_else(|| {
                local(
                    "role is missing",
                    "add --role NAME: ssh keys are taken by a role",
                )
            })?,
            key: args.key.clone().map_or(SshKey::Agent, SshKey::File),
        },
    };
    if let Some(name) = fields.keys().next() {
        return Err(local(
            format!("a login by {} takes no field {name}", args.method),
            "vaultctl login --help",
        ));
    }
    Ok(session.client.log_in_with(&auth).await?.body)
}

/// Any method whose login takes named fields.
async fn with_fields(session: &Session, args: &Args) -> Outcome<Value> {
    let mut fields = input::object(&args.values, &mut Process::default())?;
    let mount = args
        .path
        .as_deref()
        .unwrap_or(&args.method)
        .trim_matches('/');
    let path = match args.method.as_str() {
        "userpass" | "ldap" | "okta" | "radius" => {
            let user = take(&mut fields, "username")?;
            ask_missing(&mut fields, "password", "Password")?;
            format!("auth/{mount}/login/{user}")
        }
        "approle" => {
            if !fields.contains_key("role_id") {
                let role_id = take(&mut fields, "role_id")?;
                fields.insert("role_id".into(), role_id.into());
            }
            ask_missing(&mut fields, "secret_id", "Secret id")?;
            format!("auth/{mount}/login")
        }
        "oidc"
            if args.device
                || fields
                    .get("callbackmode")
                    .is_some_and(|mode| mode == "device") =>
        {
            return device::log_in(session, mount, &fields).await;
        }
        "oidc" => return browser::log_in(session, mount, &fields).await,
        "jwt" => {
            ask_missing(&mut fields, "jwt", "JWT")?;
            format!("auth/{mount}/login")
        }
        "kubernetes" => {
            if !fields.contains_key("jwt") {
                let token = std::fs::read_to_string(POD_TOKEN).map_err(|_| {
                    local(
                        "this is no pod: it has no service account token",
                        "give jwt=@FILE",
                    )
                })?;
                fields.insert("jwt".into(), token.trim().into());
            }
            format!("auth/{mount}/login")
        }
        "gcp" => {
            if !fields.contains_key("jwt") {
                let token = instance::identity(&role_audience(&fields)?).await?;
                fields.insert("jwt".into(), token.expose().into());
            }
            format!("auth/{mount}/login")
        }
        "github" => {
            if let (false, Ok(token)) = (
                fields.contains_key("token"),
                std::env::var("VAULT_AUTH_GITHUB_TOKEN"),
            ) {
                fields.insert("token".into(), token.into());
            }
            if !fields.contains_key("token") {
                let token = prompt::hidden("GitHub token", "set VAULT_AUTH_GITHUB_TOKEN")?;
                fields.insert("token".into(), token.as_str().into());
            }
            format!("auth/{mount}/login")
        }
        _ => format!("auth/{mount}/login"),
    };
    let call = Call::post(path, Value::Object(fields)).no_token();
    Ok(session.send(call).await?.body)
}

/// Whom a token for a role of Google's is made for.
fn role_audience(fields: &Map<String, Value>) -> Outcome<String> {
    match fields.get("role").and_then(Value::as_str) {
        Some(role) => Ok(format!("http://vault/{role}")),
        None => Err(local("role is missing", "add role=NAME")),
    }
}

/// A field that is not secret and has to be given.
fn take(fields: &mut Map<String, Value>, key: &str) -> Outcome<String> {
    if let Some(Value::String(text)) = fields.remove(key) {
        return Ok(text);
    }
    crate::session::setting(&key.to_ascii_uppercase())
        .ok_or_else(|| local(format!("{key} is missing"), format!("add {key}=…")))
}

/// A secret field: from its file, its variable, or the terminal.
fn ask_missing(fields: &mut Map<String, Value>, key: &str, question: &str) -> Outcome {
    if fields.contains_key(key) {
        return Ok(());
    }
    let upper = key.to_ascii_uppercase();
    let text = if let Some(path) = crate::session::setting(&format!("{upper}_FILE")) {
        prompt::passphrase_file(path.as_ref())?
    } else if let Some(text) = crate::session::setting(&upper) {
        text.into()
    } else {
        prompt::hidden(
            question,
            &format!("give {key}=@FILE, or {key}=- and the value on stdin"),
        )?
    };
    fields.insert(key.to_owned(), Value::String(text.to_string()));
    Ok(())
}

fn warn_if_shadowed(session: &Session) {
    if let TokenSource::Environment(name) = session.token_source {
        eprintln!("warning: {name} is set and goes before the token just kept; unset it");
    }
}

/// Revokes the token in use and forgets it.
pub(crate) async fn logout(session: &Session) -> Outcome {
    if session.client.token().is_none() {
        return session.out.done("There is no token to give back.");
    }
    let revoked = revoke(session).await;
    TokenFile::usual()?.erase()?;
    if let TokenSource::Environment(name) = session.token_source {
        eprintln!("note: {name} still holds the revoked token; unset it");
    }
    if revoked.is_err() {
        eprintln!("warning: the token is gone from here, but the server has not revoked it");
    }
    revoked?;
    session.out.done("The token is revoked and removed.")
}

/// Revokes the token in use when its work is done. What the work came to stays as it is.
pub(crate) async fn give_back(session: &Session) {
    if session.client.token().is_none() {
        return;
    }
    if let Err(failure) = revoke(session).await {
        eprintln!("warning: the token is not revoked: {failure}");
    } else if let TokenSource::File(path) = &session.token_source {
        // Nobody can use it any more; the next command should not try.
        let _ = TokenFile::at(path.clone()).erase();
    }
}

async fn revoke(session: &Session) -> Outcome {
    let call = Call::post("auth/token/revoke-self", json!({})).timeout(GIVE_BACK);
    session.send(call).await.map(drop)
}
