//! `token create|lookup|renew|revoke|capabilities`.

use serde_json::{Map, Value, json};
use vault_sdk::Call;

use super::raw::{capabilities, stdin_line, strings};
use super::{key_value, raw};
use crate::error::{Outcome, local};
use crate::output::{Content, Format};
use crate::prompt;
use crate::session::Session;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make a token (shown once)
    Create(Box<Create>),
    /// What a token may do and how long it lives
    Lookup(Which),
    /// Make a token live longer
    Renew(Renew),
    /// Revoke a token, and the tokens made by it
    Revoke(Revoke),
    /// What a token may do at some paths
    Capabilities(Capabilities),
}

#[derive(clap::Args)]
pub(crate) struct Create {
    /// Policy; once for each. Without it: those of the token in use
    #[arg(long, value_name = "NAME")]
    policy: Vec<String>,
    /// Time to live
    #[arg(long)]
    ttl: Option<String>,
    /// Never live longer than this
    #[arg(long)]
    explicit_max_ttl: Option<String>,
    /// Renewable without end, by this much
    #[arg(long)]
    period: Option<String>,
    /// Usable this often; 0: without limit
    #[arg(long)]
    use_limit: Option<u64>,
    /// Shown name
    #[arg(long)]
    display_name: Option<String>,
    /// Use this id
    #[arg(long)]
    id: Option<String>,
    /// Make it through this role
    #[arg(long)]
    role: Option<String>,
    /// service or batch
    #[arg(long = "type", value_parser = ["service", "batch"])]
    kind: Option<String>,
    /// It outlives the token that made it
    #[arg(long)]
    orphan: bool,
    /// Without the policy `default`
    #[arg(long)]
    no_default_policy: bool,
    /// Whether it can be renewed
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    renewable: Option<bool>,
    /// Metadata, recorded in the audit log
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    metadata: Vec<(String, String)>,
    /// Bind it to this entity alias of the role
    #[arg(long)]
    entity_alias: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct Which {
    /// A token, or with --accessor its accessor; without it the token in use. `-` reads stdin
    token: Option<String>,
    /// The argument is an accessor
    #[arg(long)]
    accessor: bool,
}

#[derive(clap::Args)]
pub(crate) struct Renew {
    #[command(flatten)]
    which: Which,
    /// By this much
    #[arg(short, long)]
    increment: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    which: Which,
    /// The token in use
    #[arg(long = "self")]
    own: bool,
    /// `orphan`: spare the tokens made by it; `path`: all tokens of a login path
    #[arg(long, value_parser = ["orphan", "path"])]
    mode: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct Capabilities {
    /// [TOKEN] PATH: without TOKEN, the token in use
    #[arg(required = true, num_args = 1..=2)]
    words: Vec<String>,
    /// TOKEN is an accessor
    #[arg(long)]
    accessor: bool,
}

pub(crate) async fn run(session: &Session, command: Command) -> Outcome {
    match command {
        Command::Create(args) => create(session, *args).await,
        Command::Lookup(which) => {
            let (path, body) = which.target("lookup")?;
            let call = if body.is_null() {
                Call::get(path)
            } else {
                Call::post(path, body)
            };
            session.show(call, Content::Open).await
        }
        Command::Renew(args) => renew(session, args).await,
        Command::Revoke(args) => revoke(session, args).await,
        Command::Capabilities(args) => show_capabilities(session, args).await,
    }
}

impl Which {
    /// Endpoint and body for a verb that has a `-self` and a `-accessor` form.
    fn target(&self, verb: &str) -> Outcome<(String, Value)> {
        match (self.token.as_deref(), self.accessor) {
            (None, true) => Err(local(
                "--accessor needs an accessor",
                format!("vaultctl token {verb} --accessor ACCESSOR"),
            )),
            (None, false) => Ok((format!("auth/token/{verb}-self"), Value::Null)),
            (Some(word), accessor) => {
                let word = if word == "-" {
                    stdin_line()?
                } else {
                    word.to_owned()
                };
                Ok(if accessor {
                    (
                        format!("auth/token/{verb}-accessor"),
                        json!({ "accessor": word }),
                    )
                } else {
                    (format!("auth/token/{verb}"), json!({ "token": word }))
                })
            }
        }
    }
}

async fn create(session: &Session, args: Create) -> Outcome {
    let path = match &args.role {
        Some(role) => format!("auth/token/create/{role}"),
        None => "auth/token/create".to_owned(),
    };
    session
        .show(Call::post(path, create_body(args)), Content::Open)
        .await
}

fn create_body(args: Create) -> Value {
    let mut body = Map::new();
    let texts = [
        ("ttl", args.ttl),
        ("explicit_max_ttl", args.explicit_max_ttl),
        ("period", args.period),
        ("display_name", args.display_name),
        ("id", args.id),
        ("type", args.kind),
        ("entity_alias", args.entity_alias),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            body.insert(key.into(), value.into());
        }
    }
    if !args.policy.is_empty() {
        let split = args.policy.iter().flat_map(|p| p.split(','));
        body.insert("policies".into(), split.map(str::trim).collect());
    }
    if let Some(limit) = args.use_limit {
        body.insert("num_uses".into(), limit.into());
    }
    if let Some(renewable) = args.renewable {
        body.insert("renewable".into(), renewable.into());
    }
    for (key, is_set) in [
        ("no_parent", args.orphan),
        ("no_default_policy", args.no_default_policy),
    ] {
        if is_set {
            body.insert(key.into(), true.into());
        }
    }
    if !args.metadata.is_empty() {
        let metadata: Map<_, _> = args
            .metadata
            .into_iter()
            .map(|(k, v)| (k, Value::String(v)))
            .collect();
        body.insert("meta".into(), Value::Object(metadata));
    }
    Value::Object(body)
}

async fn renew(session: &Session, args: Renew) -> Outcome {
    let (path, mut body) = args.which.target("renew")?;
    if body.is_null() {
        body = json!({});
    }
    if let Some(increment) = args.increment {
        body["increment"] = increment.into();
    }
    let answer = session.send(Call::post(path, body)).await?;
    let mut body = answer.body;
    // Who renews a token has it; printing it again only helps whoever watches.
    if session.out.format == Format::Table
        && session.out.field.is_none()
        && !session.out.compat
        && let Some(auth) = body["auth"].as_object_mut()
    {
        auth.remove("client_token");
    }
    session.out.answer(&body, Content::Open)
}

async fn revoke(session: &Session, args: Revoke) -> Outcome {
    if args.own == args.which.token.is_some() {
        return Err(local(
            "say which token to revoke",
            "vaultctl token revoke TOKEN, --accessor ACCESSOR, or --self",
        ));
    }
    let (path, body) = match (args.mode.as_deref(), args.which.token.as_deref()) {
        (Some("orphan"), Some(token)) => (
            "auth/token/revoke-orphan".to_owned(),
            json!({ "token": token }),
        ),
        (Some("path"), Some(prefix)) => {
            prompt::confirm(
                session.yes || session.face.is_compat(),
                &format!("revoke every token of {prefix}"),
                prefix,
            )?;
            (format!("sys/leases/revoke-prefix/{prefix}"), json!({}))
        }
        _ => match args.which.target("revoke")? {
            (path, Value::Null) => (path, json!({})),
            target => target,
        },
    };
    session
        .act(Call::post(path, body), "Revoked token (if it existed)")
        .await
}

async fn show_capabilities(session: &Session, args: Capabilities) -> Outcome {
    let found = match args.words.as_slice() {
        [path] => capabilities(session, std::slice::from_ref(path))
            .await?
            .remove(path)
            .unwrap_or_default(),
        [token, path] => {
            let (endpoint, key) = if args.accessor {
                ("sys/capabilities-accessor", "accessor")
            } else {
                ("sys/capabilities", "token")
            };
            let token = if token == "-" {
                raw::stdin_line()?
            } else {
                token.clone()
            };
            let answer = session
                .send(Call::post(endpoint, json!({ key: token, "paths": [path] })))
                .await?;
            strings(&answer.data()[path.as_str()])
        }
        _ => Vec::new(),
    };
    match session.out.format {
        Format::Table => session.out.line(&found.join(", ")),
        _ => session.out.document(&json!({ "capabilities": found })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_an_accessor_and_neither_have_their_own_endpoints() {
        let which = |token: Option<&str>, accessor| Which {
            token: token.map(str::to_owned),
            accessor,
        };
        let path = |w: Which| w.target("lookup").ok().map(|t| t.0);
        assert_eq!(
            path(which(None, false)).as_deref(),
            Some("auth/token/lookup-self")
        );
        assert_eq!(
            path(which(Some("t"), false)).as_deref(),
            Some("auth/token/lookup")
        );
        assert_eq!(
            path(which(Some("a"), true)).as_deref(),
            Some("auth/token/lookup-accessor")
        );
        assert_eq!(path(which(None, true)), None);
    }
}
