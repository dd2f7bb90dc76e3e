//! `why REQUEST-ID`: which rule refused a request, and what would allow it.

use serde_json::Value;
use vault_sdk::Call;

use crate::error::Outcome;
use crate::explanation;
use crate::output::Format;
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// As the refusal told it, or the audit log
    request_id: String,
}

pub(crate) async fn run(session: &Session, args: Args) -> Outcome {
    let call = Call::get(format!("sys/why/{}", args.request_id.trim()));
    let answer = session.send(call).await?;
    if session.out.format != Format::Table || session.out.field.is_some() {
        return session
            .out
            .answer(&answer.body, crate::output::Content::Open);
    }
    let told = answer.data();
    let mut lines = vec![format!(
        "refused at {}",
        told["time"].as_str().unwrap_or_default()
    )];
    if told["path_hidden"] == true {
        lines.push("You may not see its path; ask who may.".to_owned());
    }
    let text = |name: &str| told[name].as_str().unwrap_or_default();
    if told["policies_changed"] == true {
        let changed: Vec<&str> = told["changed"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        lines.push(format!(
            "Its policies changed since ({}); then: {}. Now:",
            changed.join(", "),
            text("reason_then")
        ));
    }
    match told["capability"].is_null() {
        true => lines.push(format!("denied: {}: {}", text("path"), text("reason"))),
        false => lines.extend(explanation::lines(told)),
    }
    if !text("note").is_empty() {
        lines.push(format!("Note: {}.", text("note")));
    }
    session.out.line(&lines.join("\n"))
}
