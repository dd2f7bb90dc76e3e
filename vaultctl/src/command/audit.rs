//! `audit verify|tail|list|enable|disable`.

mod tail;
pub(crate) mod verify;

use serde_json::{Map, Value, json};
use vault_sdk::Call;

use super::key_value;
use crate::error::Outcome;
use crate::output::{Format, Output, columns, show};
use crate::prompt;
use crate::session::Session;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Find every edit, deletion, reordering and truncation in an audit file [exit 1 if any]
    Verify(verify::Verify),
    /// Print the end of an audit file, one line for each request
    Tail(tail::Tail),
    /// Where the server writes its audit log
    List {
        #[arg(long)]
        detailed: bool,
    },
    /// Have the server write to one more place
    Enable {
        /// Like file
        kind: String,
        /// Options like file_path=/var/log/vaultd/audit.log
        #[arg(value_parser = key_value)]
        options: Vec<(String, String)>,
        /// Name it like this instead of by its type
        #[arg(long)]
        path: Option<String>,
        /// For people
        #[arg(long)]
        description: Option<String>,
    },
    /// Have the server stop writing to one place
    Disable { path: String },
}

pub(crate) async fn run(
    session: &dyn Fn() -> Outcome<Session>,
    out: &Output,
    command: Command,
) -> Outcome {
    match command {
        Command::Verify(args) => verify::verify(out, &args),
        Command::Tail(args) => tail::tail(out, &args),
        Command::List { detailed } => list(&session()?, detailed).await,
        Command::Enable {
            kind,
            options,
            path,
            description,
        } => {
            let path = path
                .as_deref()
                .unwrap_or(&kind)
                .trim_matches('/')
                .to_owned();
            let options: Map<_, _> = options
                .into_iter()
                .map(|(k, v)| (k, Value::String(v)))
                .collect();
            let body = json!({ "type": kind, "description": description.unwrap_or_default(), "options": options });
            let done = format!("Enabled the {kind} audit device at: {path}/");
            session()?
                .act(Call::put(format!("sys/audit/{path}"), body), &done)
                .await
        }
        Command::Disable { path } => {
            let session = session()?;
            let path = path.trim_matches('/');
            prompt::confirm(
                session.yes || session.face.is_compat(),
                &format!("stop auditing to {path}/"),
                path,
            )?;
            session
                .act(
                    Call::delete(format!("sys/audit/{path}")),
                    &format!("Disabled audit device (if it was enabled) at: {path}/"),
                )
                .await
        }
    }
}

async fn list(session: &Session, detailed: bool) -> Outcome {
    let answer = session.send(Call::get("sys/audit")).await?;
    if session.out.format != Format::Table {
        return session.out.document(answer.data());
    }
    let mut lines = vec![
        vec!["Path".to_owned(), "Type".into(), "Description".into()],
        vec!["----".into(), "----".into(), "-----------".into()],
    ];
    for (path, device) in answer
        .data()
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, d)| d.is_object())
    {
        let text = |key: &str| show(&device[key], session.out.compat);
        let mut line = vec![path.clone(), text("type"), text("description")];
        if detailed {
            line.push(text("options"));
        }
        lines.push(line);
    }
    session.out.line(columns(&lines).trim_end())
}
