//! `search`: names of secrets in all KV mounts, as far as the token may list them.

use serde_json::Value;
use vault_sdk::Call;

use crate::error::Outcome;
use crate::output::Format;
use crate::progress::Progress;
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Part of the path, whatever the case
    text: Option<String>,
    /// Only paths like this: `?` is one character, `*` any but `/`, `**` any
    #[arg(long)]
    glob: Option<String>,
    /// Only paths that begin so, mount included
    #[arg(long)]
    prefix: Option<String>,
    /// Only this mount
    #[arg(long)]
    mount: Option<String>,
    /// Version and time of the last change, where the token may read them
    #[arg(long)]
    detailed: bool,
}

/// What was found, sorted; what is known of each is in the second part, if it was asked for.
pub(crate) struct Found {
    pub(crate) names: Vec<String>,
    known: serde_json::Map<String, Value>,
}

pub(crate) async fn run(session: &Session, args: Args) -> Outcome {
    let asked = [
        ("contains", args.text.as_deref()),
        ("glob", args.glob.as_deref()),
        ("prefix", args.prefix.as_deref()),
        ("mount", args.mount.as_deref()),
        ("detailed", args.detailed.then_some("true")),
    ];
    let asked: Vec<_> = asked
        .iter()
        .filter_map(|(name, value)| Some((*name, (*value)?)))
        .collect();
    let found = search(session, &asked).await?;
    if !args.detailed {
        return session.out.names(&found.names);
    }
    match session.out.format {
        Format::Table => {
            let known = |name: &String, field: &str| match found.known.get(name) {
                Some(known) => known[field].to_string().trim_matches('"').to_owned(),
                None => "-".to_owned(),
            };
            let mut lines = vec![vec!["Path".to_owned(), "Version".into(), "Changed".into()]];
            lines.extend(found.names.iter().map(|name| {
                let version = known(name, "current_version");
                vec![name.clone(), version, known(name, "updated_time")]
            }));
            session.out.line(crate::output::columns(&lines).trim_end())
        }
        _ => {
            let shown = serde_json::json!({"keys": found.names, "key_info": found.known});
            session.out.document(&shown)
        }
    }
}

/// All pages.
pub(crate) async fn search(session: &Session, asked: &[(&str, &str)]) -> Outcome<Found> {
    let progress = Progress::spinner("searching");
    let mut found = Found {
        names: Vec::new(),
        known: serde_json::Map::new(),
    };
    let mut cursor = String::new();
    loop {
        let call = asked
            .iter()
            .fold(Call::get("sys/search"), |call, (name, value)| {
                call.query(*name, value)
            })
            .query("cursor", &cursor);
        let answer = session.send(call).await?;
        let data = answer.data();
        found.names.extend(super::raw::keys(data));
        if let Some(info) = data["key_info"].as_object() {
            found.known.extend(info.clone());
        }
        progress.say(format!("searching: {} found", found.names.len()));
        match data["cursor"].as_str() {
            Some(next) if !next.is_empty() && next != cursor => cursor = next.to_owned(),
            _ => return Ok(found),
        }
    }
}
