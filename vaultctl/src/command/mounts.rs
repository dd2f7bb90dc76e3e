//! What `secrets` and `auth` share: a table of mounts.

use serde_json::{Map, Value, json};
use vault_sdk::Call;

use super::key_value;
use crate::error::{Outcome, local};
use crate::output::{Format, columns, show};
use crate::prompt;
use crate::session::Session;

/// Which table.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Secrets,
    Auth,
}

impl Kind {
    fn table(self) -> &'static str {
        match self {
            Self::Secrets => "sys/mounts",
            Self::Auth => "sys/auth",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Secrets => "secrets engine",
            Self::Auth => "auth method",
        }
    }

    /// The path as `sys/remount` names it.
    fn whole(self, path: &str) -> String {
        let path = path.trim_matches('/');
        match self {
            Self::Auth if !path.starts_with("auth/") => format!("auth/{path}/"),
            _ => format!("{path}/"),
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Enable {
    /// The type, like kv-v2, kv or approle
    kind: String,
    /// Mount it here instead of under its type's name
    #[arg(long)]
    path: Option<String>,
    /// The version of a kv engine
    #[arg(long)]
    version: Option<u8>,
    #[command(flatten)]
    settings: Settings,
    /// Only on this node
    #[arg(long)]
    local: bool,
    /// Accepted for Vault's sake
    #[arg(long, hide = true)]
    seal_wrap: bool,
    #[arg(long, hide = true)]
    external_entropy_access: bool,
}

/// What can be set at `enable` and changed by `tune`.
#[derive(clap::Args)]
pub(crate) struct Settings {
    /// For people
    #[arg(long)]
    description: Option<String>,
    /// Time to live of what does not ask for one
    #[arg(long, value_name = "TTL")]
    default_lease_ttl: Option<String>,
    /// Longest time to live
    #[arg(long, value_name = "TTL")]
    max_lease_ttl: Option<String>,
    /// Whether the UI lists it to everybody: unauth or hidden
    #[arg(long)]
    listing_visibility: Option<String>,
    /// service, batch, default-service or default-batch
    #[arg(long)]
    token_type: Option<String>,
    /// The engine's own option; once for each
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    options: Vec<(String, String)>,
    /// Not hashed in the audit log
    #[arg(long, value_name = "KEY")]
    audit_non_hmac_request_keys: Vec<String>,
    /// Not hashed in the audit log
    #[arg(long, value_name = "KEY")]
    audit_non_hmac_response_keys: Vec<String>,
    /// Request headers that the engine sees
    #[arg(long, value_name = "NAME")]
    passthrough_request_headers: Vec<String>,
    /// Response headers that the engine may set
    #[arg(long, value_name = "NAME")]
    allowed_response_headers: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct List {
    /// With accessors, options and times
    #[arg(long)]
    detailed: bool,
}

#[derive(clap::Args)]
pub(crate) struct Tune {
    path: String,
    #[command(flatten)]
    settings: Settings,
}

impl Settings {
    /// The `config` object.
    fn config(&self) -> Map<String, Value> {
        let texts = [
            ("default_lease_ttl", &self.default_lease_ttl),
            ("max_lease_ttl", &self.max_lease_ttl),
            ("listing_visibility", &self.listing_visibility),
            ("token_type", &self.token_type),
        ];
        let lists = [
            (
                "audit_non_hmac_request_keys",
                &self.audit_non_hmac_request_keys,
            ),
            (
                "audit_non_hmac_response_keys",
                &self.audit_non_hmac_response_keys,
            ),
            (
                "passthrough_request_headers",
                &self.passthrough_request_headers,
            ),
            ("allowed_response_headers", &self.allowed_response_headers),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(key, value)| value.as_ref().map(|v| (key.to_owned(), json!(v))));
        let lists = lists
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(key, list)| (key.to_owned(), json!(list)));
        texts.chain(lists).collect()
    }

    fn options(&self) -> Map<String, Value> {
        self.options
            .iter()
            .map(|(k, v)| (k.clone(), json!(v)))
            .collect()
    }
}

pub(crate) async fn enable(session: &Session, kind: Kind, args: Enable) -> Outcome {
    let path = args
        .path
        .as_deref()
        .unwrap_or(&args.kind)
        .trim_matches('/')
        .to_owned();
    let mut options = args.settings.options();
    if let Some(version) = args.version {
        options.insert("version".into(), version.to_string().into());
    }
    let mut body = json!({
        "type": args.kind,
        "description": args.settings.description.clone().unwrap_or_default(),
        "config": args.settings.config(),
        "local": args.local,
        "seal_wrap": args.seal_wrap,
        "external_entropy_access": args.external_entropy_access,
    });
    if !options.is_empty() {
        body["options"] = Value::Object(options);
    }
    let done = format!("Enabled the {} {} at: {path}/", args.kind, kind.noun());
    session
        .act(Call::post(format!("{}/{path}", kind.table()), body), &done)
        .await
}

pub(crate) async fn disable(session: &Session, kind: Kind, path: &str) -> Outcome {
    let path = path.trim_matches('/');
    let deed = format!("disable {path}/ and erase everything in it");
    prompt::confirm(session.yes || session.face.is_compat(), &deed, path)?;
    let done = format!("Disabled the {} (if it existed) at: {path}/", kind.noun());
    session
        .act(Call::delete(format!("{}/{path}", kind.table())), &done)
        .await
}

pub(crate) async fn list(session: &Session, kind: Kind, args: &List) -> Outcome {
    let answer = session.send(Call::get(kind.table())).await?;
    if session.out.format != Format::Table {
        return session.out.document(answer.data());
    }
    let columns_of: &[&str] = if args.detailed {
        &[
            "type",
            "accessor",
            "config.default_lease_ttl",
            "config.max_lease_ttl",
            "options",
            "local",
            "uuid",
            "description",
        ]
    } else {
        &["type", "accessor", "description"]
    };
    let mut lines = vec![
        std::iter::once("Path")
            .chain(columns_of.iter().copied())
            .map(title)
            .collect::<Vec<_>>(),
    ];
    lines.push(lines[0].iter().map(|name| "-".repeat(name.len())).collect());
    for (path, mount) in answer
        .data()
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, m)| m.is_object())
    {
        let cell = |name: &&str| {
            let value = name.split('.').fold(mount, |value, part| &value[part]);
            let text = show(value, session.out.compat);
            if text.is_empty() {
                "n/a".to_owned()
            } else {
                text
            }
        };
        lines.push(
            std::iter::once(path.clone())
                .chain(columns_of.iter().map(cell))
                .collect(),
        );
    }
    session.out.line(columns(&lines).trim_end())
}

fn title(name: &str) -> String {
    let name = name.rsplit('.').next().unwrap_or(name).replace('_', " ");
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

pub(crate) async fn tune(session: &Session, kind: Kind, args: Tune) -> Outcome {
    let path = args.path.trim_matches('/');
    let mut body = args.settings.config();
    if let Some(description) = &args.settings.description {
        body.insert("description".into(), json!(description));
    }
    let options = args.settings.options();
    if !options.is_empty() {
        body.insert("options".into(), Value::Object(options));
    }
    if body.is_empty() {
        return Err(local(
            "there is nothing to tune",
            "--help lists what can be set",
        ));
    }
    let done = format!("Tuned the {} at: {path}/", kind.noun());
    session
        .act(
            Call::post(format!("{}/{path}/tune", kind.table()), Value::Object(body)),
            &done,
        )
        .await
}

pub(crate) async fn move_mount(session: &Session, kind: Kind, from: &str, to: &str) -> Outcome {
    let (from, to) = (kind.whole(from), kind.whole(to));
    let answer = session
        .send(Call::post("sys/remount", json!({ "from": from, "to": to })))
        .await?;
    session.out.warnings(&answer.body);
    let Some(id) = answer.data()["migration_id"].as_str().map(str::to_owned) else {
        return session.out.done(&format!("Moved {from} to {to}"));
    };
    let progress = crate::progress::Progress::spinner(&format!("moving {from} to {to}"));
    loop {
        let answer = session
            .send(Call::get(format!("sys/remount/status/{id}")))
            .await?;
        match answer.data()["migration_info"]["status"].as_str() {
            Some("success") => break,
            Some("in-progress") => tokio::time::sleep(std::time::Duration::from_millis(300)).await,
            _ => {
                return Err(crate::error::remote(
                    format!("moving {from} to {to} failed"),
                    "see the server's log",
                ));
            }
        }
    }
    drop(progress);
    session
        .out
        .done(&format!("Finished moving {} {from} to {to}", kind.noun()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_methods_are_moved_below_auth() {
        assert_eq!(Kind::Auth.whole("approle/"), "auth/approle/");
        assert_eq!(Kind::Auth.whole("auth/approle"), "auth/approle/");
        assert_eq!(Kind::Secrets.whole("/kv"), "kv/");
    }

    #[test]
    fn titles_are_words() {
        assert_eq!(title("config.default_lease_ttl"), "Default lease ttl");
    }
}
