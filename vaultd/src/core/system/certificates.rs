//! When certificates end, for monitoring. What has a name has numbers of its own; of others there are
//! counts, so that there are no more numbers than mounts and names that operators gave.

use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::metrics::{Kind, Metric, Sample};
use crate::barrier::Tx;
use crate::core::Core;
use crate::core::dispatch;
use crate::core::fault::Fault;
use crate::core::unsealed::Unsealed;
use crate::engine::ending::Ending;

/// Counting reads an index: it is done so often at most.
const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// What was counted last, of every mount.
pub struct Counted {
    at: Timestamp,
    mounts: Vec<Standing>,
}

struct Standing {
    mount: String,
    named: Vec<Ending>,
    /// Days, and how many end within them.
    others: Vec<(u64, u64)>,
}

pub(super) async fn gather(
    core: &Core,
    vault: &Unsealed,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<Vec<Metric>, Fault> {
    let last = vault.certificates.load_full();
    let counted = match last.as_ref() {
        Some(last) if now.duration_since(last.at).abs() < FRESH => Arc::clone(last),
        _ => {
            let counted = Arc::new(count(vault, now, tx).await?);
            vault.certificates.store(Some(Arc::clone(&counted)));
            counted
        }
    };
    // Those of the listeners are at hand.
    let served = core.served.lock().unwrap_or_else(PoisonError::into_inner);
    let listeners = Standing {
        mount: "listener".to_owned(),
        named: served.values().cloned().collect(),
        others: Vec::new(),
    };
    Ok(metrics(counted.mounts.iter().chain([&listeners])))
}

async fn count(vault: &Unsealed, now: Timestamp, tx: &mut Tx) -> Result<Counted, Fault> {
    let mut mounts = Vec::new();
    let table = vault.mounts.load_full();
    for mount in table.iter() {
        let (named, others) = dispatch::endings(mount, now, tx).await?;
        if !named.is_empty() || !others.is_empty() {
            mounts.push(Standing {
                mount: mount.path.clone(),
                named,
                others,
            });
        }
    }
    Ok(Counted { at: now, mounts })
}

fn metrics<'s>(standings: impl Iterator<Item = &'s Standing>) -> Vec<Metric> {
    let mut all = [
        (
            "vaultd_certificate_not_after_seconds",
            "When a certificate ends, in seconds since 1970",
        ),
        (
            "vaultd_certificate_last_error",
            "1 if the last try to renew a certificate failed",
        ),
        (
            "vaultd_certificates_ending",
            "Stored certificates that end within so many days, by whole days of UTC",
        ),
    ]
    .map(|(name, help)| Metric {
        name,
        kind: Kind::Gauge,
        help,
        samples: Vec::new(),
    });
    for standing in standings {
        let sample = |label: &'static str, is: String, value: f64| Sample {
            suffix: "",
            labels: vec![("mount", standing.mount.clone()), (label, is)],
            value,
        };
        for ending in &standing.named {
            let name = || ending.name.clone();
            if let Some(not_after) = ending.not_after {
                let seconds = not_after.as_second() as f64;
                all[0].samples.push(sample("name", name(), seconds));
            }
            let failing = f64::from(u8::from(ending.is_failing));
            all[1].samples.push(sample("name", name(), failing));
        }
        for (days, number) in &standing.others {
            let sample = sample("days", days.to_string(), *number as f64);
            all[2].samples.push(sample);
        }
    }
    all.into_iter()
        .filter(|metric| !metric.samples.is_empty())
        .collect()
}
