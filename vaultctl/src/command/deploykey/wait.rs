//! Waiting until what was begun is done at every target.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};
use vault_sdk::Call;

use super::{Engine, show};
use crate::error::{Outcome, remote};
use crate::progress::Progress;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// So often a step is tried before a failure is taken for one.
const TRIES: u64 = 3;

#[derive(clap::Args)]
pub(super) struct Wait {
    /// Stay until it is done everywhere, and say what goes on [exit 2: it failed, or takes longer]
    #[arg(long)]
    wait: bool,
    /// But not longer than so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "wait")]
    timeout: u64,
}

impl Wait {
    /// Shows how a key stands: now, or once nothing is left to be done.
    pub(super) async fn show(&self, engine: &Engine<'_>, name: &str, status: Value) -> Outcome {
        let out = &engine.session.out;
        let mut data = status["data"].clone();
        if !self.wait {
            return show::status(out, &data);
        }
        let end = Instant::now() + Duration::from_secs(self.timeout);
        let progress = Progress::spinner(&show::summary(&data));
        let mut said = String::new();
        loop {
            let now = show::summary(&data);
            if now != said {
                progress.say(now.clone());
                eprintln!("{name}: {now}");
                said = now;
            }
            if matches!(data["state"].as_str(), Some("ready" | "retired")) {
                drop(progress);
                return show::status(out, &data);
            }
            if has_failed(&data) || Instant::now() >= end {
                break;
            }
            sleep(PAUSE).await;
            let answer = engine.session.send(Call::get(engine.key(name, "/status")));
            data = answer.await?.data().clone();
        }
        drop(progress);
        show::status(out, &data)?;
        Err(match has_failed(&data) {
            true => remote(
                format!("{name} does not get on; what worked before still works"),
                "do what is said above; it is tried again by itself, and at once with the same command",
            ),
            false => remote(
                format!("{name} is not done within {} seconds", self.timeout),
                format!("it goes on by itself: vaultctl deploykey status {name} --wait"),
            ),
        })
    }
}

/// One try may fail for a moment.
fn has_failed(data: &Value) -> bool {
    let targets = data["targets"].as_object();
    let held = targets.into_iter().flat_map(|targets| targets.values());
    let held = held.filter_map(|target| target["versions"].as_object());
    let mut tries = held
        .flat_map(|versions| versions.values())
        .filter_map(|held| held["failure"]["tries"].as_u64());
    tries.any(|tries| tries >= TRIES)
}
