//! `status`: is the server initialised and unsealed?
//!
//! Exit codes: 0 unsealed, 1 error, 2 sealed. Nothing else here may end with 2.

use serde_json::{Value, json};
use vault_sdk::Call;

use crate::args::Globals;
use crate::argv::Face;
use crate::error::{Failure, Outcome, remote};
use crate::output::{Content, Rows};
use crate::session::Session;

pub(crate) async fn run(globals: &Globals, face: Face) -> Outcome {
    let shown = match Session::open(globals, face) {
        Ok(session) => show(&session).await,
        Err(failure) => Err(failure),
    };
    match shown {
        Ok(true) => Err(Failure::Silent(2)),
        Ok(false) => Ok(()),
        Err(failure) => {
            failure.report(globals.format == Some(crate::output::Format::Json));
            Err(Failure::Silent(1))
        }
    }
}

/// Prints the seal's state; true when sealed.
async fn show(session: &Session) -> Outcome<bool> {
    let answer = session
        .send(Call::get("sys/seal-status").no_token())
        .await?;
    let body = &answer.body;
    if !body["sealed"].is_boolean() {
        return Err(remote(
            "what answers there does not speak this protocol",
            "check VAULT_ADDR",
        ));
    }
    if session.out.format == crate::output::Format::Table || session.out.field.is_some() {
        session.out.rows(&rows(body), Content::Open)?;
    } else {
        session.out.document(body)?;
    }
    Ok(body["sealed"].as_bool().unwrap_or(true))
}

/// The rows of Vault's own `status`, in its order.
pub(crate) fn rows(body: &Value) -> Rows {
    let sealed = body["sealed"].as_bool().unwrap_or(true);
    let mut rows: Rows = Vec::new();
    let mut row = |name: &str, value: Value| {
        if !value.is_null() && value != json!("") {
            rows.push((name.to_owned(), value));
        }
    };
    row("Seal Type", body["type"].clone());
    row("Initialized", body["initialized"].clone());
    row("Sealed", json!(sealed));
    row("Total Shares", body["n"].clone());
    row("Threshold", body["t"].clone());
    if sealed {
        let progress = body["progress"].as_u64().unwrap_or(0);
        row(
            "Unseal Progress",
            json!(format!("{progress}/{}", body["t"])),
        );
        row("Unseal Nonce", body["nonce"].clone());
    }
    row("Version", body["version"].clone());
    row("Build Date", body["build_date"].clone());
    row("Storage Type", body["storage_type"].clone());
    row("Cluster Name", body["cluster_name"].clone());
    row("Cluster ID", body["cluster_id"].clone());
    rows
}
