//! Work that engines do outside: what is due is read, carried out without a transaction, and what came
//! of it is stored. Each is recorded like a request, before and after. Sealing does not wait for it: what
//! was under way is done again later.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use vault_crypto::uuid_v4;

use super::Core;
use super::dispatch::{Errand, due};
use super::errand::{Means, Room};
use super::fault::Fault;
use super::mount::Mount;
use super::record::errand_event;
use super::request::Request;
use super::retry::committed;
use super::unsealed::Unsealed;

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
        if running.tasks.len() >= RUNNING_MAX {
            continue;
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
    for mount in mounts.iter() {
        let lane = |lane: &str| format!("{}/{lane}", mount.number);
        let room = Room {
            count: RUNNING_MAX.saturating_sub(running.tasks.len()),
            is_taken: &|name| running.lanes.contains(&lane(name)),
        };
        let mut tx = vault.barrier.begin();
        let view = &mut tx.view(mount.number);
        for errand in due(mount.kind, (core.clock)(), &room, view).await? {
            let lanes: Vec<String> = errand.lanes().iter().map(|name| lane(name)).collect();
            let is_free = !lanes.iter().any(|lane| running.lanes.contains(lane));
            if is_free && running.tasks.len() < RUNNING_MAX {
                running.lanes.extend(lanes.iter().cloned());
                let (core, vault, mount) = (Arc::clone(core), Arc::clone(vault), Arc::clone(mount));
                running.tasks.spawn(async move {
                    tokio::select! {
                        outcome = one(&core, &vault, &mount, &errand) => if let Err(fault) = outcome {
                            tracing::warn!(%fault, errand = errand.path(), "will be tried again");
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
        hooks: &core.settings.hooks,
        now: (core.clock)(),
    };
    let path = format!("{}{}", mount.path, errand.path());
    let request = Request::of_the_server(&path, uuid_v4(&*core.random), means.now)?;
    let is_outside = errand.is_outside();
    if is_outside {
        errand_event(core, &request, mount, None, None).await?;
    }
    let done = errand.carry_out(&means).await?;
    if is_outside {
        let status = if done.failure().is_some() { 500 } else { 200 };
        errand_event(core, &request, mount, Some(status), done.failure()).await?;
    }
    let now = (core.clock)();
    committed!(vault, |tx| errand
        .settle(&done, now, vault.random(), &mut tx.view(mount.number))
        .await)
}
