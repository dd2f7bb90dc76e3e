//! `operator verify`: every stored row is read and checked by the server.

use std::time::Duration;

use serde_json::{Value, json};
use vault_sdk::Call;

use crate::error::{Outcome, remote};
use crate::output::{Format, columns, show};
use crate::progress::Progress;
use crate::session::Session;

/// A large store takes its time.
const LIMIT: Duration = Duration::from_secs(3_600);

#[derive(clap::Args)]
pub(crate) struct Verify {
    /// Go on without what this report of an earlier run shows as lost; the loss is final
    #[arg(long, value_name = "REPORT")]
    accept: Option<String>,
}

pub(crate) async fn run(session: &Session, args: Verify) -> Outcome {
    if let Some(report) = args.accept {
        return accept(session, &report).await;
    }
    let progress = Progress::spinner("checking every row");
    let answer = session
        .send(Call::post("sys/integrity/verify", json!({})).timeout(LIMIT))
        .await?;
    drop(progress);
    let data = if answer.data().is_null() {
        &answer.body
    } else {
        answer.data()
    };
    let healthy = data["healthy"] == true;
    if session.out.format == Format::Table {
        for line in report(data) {
            session.out.line(&line)?;
        }
    } else {
        session.out.document(data)?;
    }
    if healthy {
        return Ok(());
    }
    Err(remote(
        "the store is damaged",
        "restore a backup; or, if there is none, accept the loss with --accept and the report's id",
    ))
}

async fn accept(session: &Session, id: &str) -> Outcome {
    let progress = Progress::spinner("checking every row, twice");
    let body = json!({ "report": id });
    let answer = session
        .send(Call::post("sys/integrity/accept", body).timeout(LIMIT))
        .await?;
    drop(progress);
    if session.out.format != Format::Table {
        return session.out.document(answer.data());
    }
    for line in report(answer.data()) {
        session.out.line(&line)?;
    }
    session
        .out
        .line("Accepted: what is named above is lost or kept as it was found; the store is whole.")
}

fn report(data: &Value) -> Vec<String> {
    let rows = show(&data["rows"], false);
    if data["healthy"] == true {
        return vec![format!("Sound: {rows} rows checked.")];
    }
    let mut lines = vec![vec!["Path".to_owned(), "Mount".into(), "Problem".into()]];
    for kind in ["damaged", "missing"] {
        for entry in data[kind].as_array().into_iter().flatten() {
            let cell = |key: &str| entry[key].as_str().unwrap_or("n/a").to_owned();
            lines.push(match entry {
                Value::String(path) => vec![path.clone(), "n/a".into(), kind.into()],
                _ => vec![
                    cell("path"),
                    cell("mount"),
                    entry["problem"].as_str().unwrap_or(kind).to_owned(),
                ],
            });
        }
    }
    if data["rows_missing"] == true {
        lines.push(vec![
            "(some)".into(),
            "n/a".into(),
            "rows are missing or outdated".into(),
        ]);
    }
    vec![
        format!(
            "Damaged: {rows} rows checked. Report {}",
            show(&data["report"], false)
        ),
        columns(&lines).trim_end().to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_damaged_and_missing_row_is_named() {
        let data = json!({"healthy": false, "rows": 9, "damaged": [{"path": "a/b", "mount": "secret/", "problem": "tag"}], "missing": [{"path": "c"}, "d"]});
        let text = report(&data).join("\n");
        for part in ["a/b", "secret/", "tag", "c ", "d ", "missing"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
