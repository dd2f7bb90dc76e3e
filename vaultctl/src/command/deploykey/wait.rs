//! Waiting until what was begun is done at every target.

use std::collections::BTreeMap;
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
        let before = tries(&data);
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
            if has_failed(&data, &before) || Instant::now() >= end {
                break;
            }
            sleep(PAUSE).await;
            let answer = engine.session.send(Call::get(engine.key(name, "/status")));
            data = answer.await?.data().clone();
        }
        drop(progress);
        show::status(out, &data)?;
        Err(match has_failed(&data, &before) {
            true => remote(
                format!("{name} does not get on; what worked before still works"),
                format!(
                    "do what is said above; it is tried again by itself, and at once with \
                     vaultctl deploykey verify {name} --wait"
                ),
            ),
            false => remote(
                format!("{name} is not done within {} seconds", self.timeout),
                format!("it goes on by itself: vaultctl deploykey status {name} --wait"),
            ),
        })
    }
}

/// How often the present step of each version at each target was tried in vain.
fn tries(data: &Value) -> BTreeMap<(String, String), u64> {
    let mut found = BTreeMap::new();
    for (id, target) in data["targets"].as_object().into_iter().flatten() {
        for (version, held) in target["versions"].as_object().into_iter().flatten() {
            if let Some(tries) = held["failure"]["tries"].as_u64() {
                found.insert((id.clone(), version.clone()), tries);
            }
        }
    }
    found
}

/// One try may fail for a moment; what had failed before counts once it fails again.
fn has_failed(data: &Value, before: &BTreeMap<(String, String), u64>) -> bool {
    tries(data).iter().any(|(held, tries)| {
        let before = before.get(held).map_or(0, |before| before + 1);
        *tries >= TRIES.max(before)
    })
}
