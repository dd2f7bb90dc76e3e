//! `leaked`: hands in a token that was found where it should not be.

use std::io::IsTerminal;

use serde_json::json;
use vault_crypto::checksum_ok;
use vault_sdk::Call;

use super::raw::stdin_line;
use crate::error::{Outcome, local};
use crate::prompt;
use crate::session::Session;

/// A token of vaultd: a prefix, and 46 characters with the checksum.
const SERVICE: usize = 50;

pub(crate) async fn run(session: &Session) -> Outcome {
    // Never an argument: it would be in the process list and the history, and still work there.
    let token = match std::io::stdin().is_terminal() {
        true => prompt::hidden("Token that was found: ", "give it on stdin")?,
        false => stdin_line()?.into(),
    };
    let token = token.trim();
    if token.is_empty() {
        return Err(local("there is no token", "give it on stdin"));
    }
    let is_ours =
        (token.starts_with("hvs.") && token.len() == SERVICE) || token.starts_with("hvb.");
    if is_ours && !checksum_ok(token) {
        return Err(local(
            "this is no token of vaultd: its checksum is wrong",
            "look whether it was cut off or mistyped; nothing was sent",
        ));
    }
    session
        .act(
            Call::post("sys/leaked", json!({ "token": token })),
            "Handed in. If it was a token of this server, it is revoked with all its children.",
        )
        .await
}
