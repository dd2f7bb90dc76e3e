//! `bundle`: what hosts keep for an outage (`run --cache`), seen from the server and from a host.

use serde_json::json;
use vault_sdk::Call;

use super::run::kept::Place;
use crate::error::Outcome;
use crate::prompt;
use crate::session::Session;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Ask the server whether what this host keeps was revoked; needs no token (run it from a timer)
    Learn(Place),
    /// Revoke what all hosts keep: each drops it when it hears of it
    Revoke,
}

pub(crate) async fn run(session: &Session, command: Command) -> Outcome {
    match command {
        Command::Learn(place) => {
            let cache = place.open(session, None)?;
            let signed = session.client.bundle_epoch().await?;
            let statement = cache.learn(&signed)?;
            session.out.done(&format!("Epoch {}", statement.epoch))
        }
        Command::Revoke => {
            prompt::confirm(session.yes, "make all hosts drop what they keep", "revoke")?;
            let answer = session
                .send(Call::post("sys/bundle/revoke", json!({})))
                .await?;
            session.out.done(&format!(
                "Epoch {}: what hosts keep from before is dropped when they hear of it",
                answer.data()["epoch"]
            ))
        }
    }
}
