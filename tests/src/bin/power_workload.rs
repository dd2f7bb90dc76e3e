//! Commits numbered batches to the data directory given, and says `ack N` once the N-th is durable.
//!
//! `power_workload DIR BATCHES [MUTANT]`; goes on after the batches that are there. Mutants, which
//! the harness must catch: `eager-ack` acknowledges before the commit, `split` commits in two
//! halves. On an error it says `error ...`, then shows what the store still answers, and ends.

#[path = "../../power/workload.rs"]
#[expect(dead_code, reason = "the harness uses the rest")]
mod workload;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use vaultd::barrier::testing::{LockId, Op, Outcome, Sqlite, Storage, StoreError, Txn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, batches, mutant @ ..] = &args[..] else {
        anyhow::bail!("usage: power_workload DIR BATCHES [MUTANT]")
    };
    let (dir, batches, mutant) = (
        Path::new(dir),
        batches.parse::<u64>()?,
        mutant.first().map_or("", |s| s),
    );
    let mut store = Sqlite::open(dir)?;
    let first = store.revision() + 1;
    for n in first..first + batches {
        if mutant == "eager-ack" {
            say(&format!("ack {n}"))?;
        }
        if let Err(error) = commit(&store, n, mutant == "split").await {
            say(&format!("error {error:?}"))?;
            say(&format!(
                "then {:?}",
                store.get(b"newest").await.map(|item| item.is_some())
            ))?;
            say(&format!("then {:?}", commit(&store, n, false).await))?;
            // Not an orderly end, which would tidy up the log.
            std::process::exit(0);
        }
        say(&format!("ack {n}"))?;
        match n % 100 {
            // Long enough for a checkpoint, after which the log starts over.
            30 | 70 => tokio::time::sleep(Duration::from_millis(1100)).await,
            40 => {
                let guard = store
                    .lock(LockId::from("shard"), Duration::from_secs(1))
                    .await?;
                say(&format!("token {}", guard.token()))?;
            }
            90 => {
                drop(store);
                // The sync that is made to fail may be one of the opening.
                store = match Sqlite::open(dir) {
                    Ok(store) => store,
                    Err(error) => {
                        say(&format!("error {error:?}"))?;
                        std::process::exit(0);
                    }
                };
            }
            _ => {}
        }
    }
    Ok(())
}

async fn commit(store: &Sqlite, n: u64, is_split: bool) -> Result<(), StoreError> {
    let mut ops: Vec<Op> = workload::batch(n)
        .into_iter()
        .map(|(key, val)| match val {
            Some(val) => Op::Put(key.into(), val.into()),
            None => Op::Del(key.into()),
        })
        .collect();
    if is_split {
        let half = ops.split_off(ops.len() / 2);
        put(store, half).await?;
    }
    put(store, ops).await
}

async fn put(store: &Sqlite, ops: Vec<Op>) -> Result<(), StoreError> {
    match store
        .commit(vec![Txn { conds: vec![], ops }], Box::new(|_| Vec::new()))
        .await?[..]
    {
        [Outcome::Done(_)] => Ok(()),
        _ => Err(StoreError::Limit("an unconditional commit conflicted")),
    }
}

/// In one write, so that the record shows when it was said.
fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}
