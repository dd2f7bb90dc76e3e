//! Work that engines do outside: what is due is read, carried out without a transaction, and what came
//! of it is stored. Sealing does not wait for it: what was under way is done again later.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Core;
use super::fault::Fault;
use super::mount::{Kind, Mount};
use super::retry::committed;
use super::unsealed::Unsealed;
use crate::engine::sshkeys::{self, Errand, Means};

const TICK: Duration = Duration::from_millis(500);
/// At the same time: each may be a process of its own.
const RUNNING_MAX: usize = 12;

/// What is under way, and what it keeps others from.
#[derive(Default)]
struct Running {
    tasks: JoinSet<Vec<String>>,
    lanes: HashSet<String>,
}

/// Runs with the server.
pub async fn run(core: Arc<Core>) {
    let mut running = Running::default();
    loop {
        tokio::select! {
            Some(ended) = running.tasks.join_next() => match ended {
                Ok(lanes) => running.lanes.retain(|lane| !lanes.contains(lane)),
                // Which one is not known: let all end, and begin anew.
                Err(_) => {
                    while running.tasks.join_next().await.is_some() {}
                    running.lanes.clear();
                }
            },
            () = tokio::time::sleep(TICK) => {}
        }
        let Ok(vault) = core.gate.enter() else {
            continue;
        };
        if let Err(fault) = begin(&core, &vault, &mut running).await {
            tracing::warn!(%fault, "errands: will be tried again");
        }
    }
}

/// Begins what is due and in nobody's way.
async fn begin(
    core: &Arc<Core>,
    vault: &Arc<Unsealed>,
    running: &mut Running,
) -> Result<(), Fault> {
    let mounts = vault.mounts.load_full();
    for mount in mounts.iter().filter(|mount| mount.kind == Kind::SshKeys) {
        let mut tx = vault.barrier.begin();
        let due = sshkeys::due((core.clock)(), &mut tx.view(mount.number)).await?;
        for errand in due {
            let lane = |lane: &String| format!("{}/{lane}", mount.number);
            let lanes: Vec<String> = errand.lanes.iter().map(lane).collect();
            let is_free = !lanes.iter().any(|lane| running.lanes.contains(lane));
            if is_free && running.tasks.len() < RUNNING_MAX {
                running.lanes.extend(lanes.iter().cloned());
                let (core, vault, mount) = (Arc::clone(core), Arc::clone(vault), Arc::clone(mount));
                running.tasks.spawn(async move {
                    tokio::select! {
                        outcome = one(&core, &vault, &mount, &errand) => if let Err(fault) = outcome {
                            tracing::warn!(%fault, errand = errand.about(), "will be tried again");
                        },
                        () = core.gate.leaving() => {}
                    }
                    lanes
                });
            }
        }
    }
    Ok(())
}

async fn one(core: &Core, vault: &Unsealed, mount: &Mount, errand: &Errand) -> Result<(), Fault> {
    let means = Means {
        outbound: &core.outbound,
        random: &core.random,
        now: (core.clock)(),
    };
    let done = errand.carry_out(&means).await?;
    let now = (core.clock)();
    committed!(vault, |tx| sshkeys::settle(
        errand,
        &done,
        now,
        vault.random(),
        &mut tx.view(mount.number)
    )
    .await)
}
