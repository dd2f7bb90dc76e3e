//! Loss of power at any moment: every acknowledged batch is there, every other one as a whole or not
//! at all, and the store opens.
//!
//! Killing a process does not show this, since the page cache survives it. Here the writes and syncs
//! of a real process are recorded (`power/shim.c`), and the disk is rebuilt as it could be found at
//! each point of that history (`power/disk.rs`). That the harness can fail is shown first.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../power/disk.rs"]
mod disk;
#[path = "../power/workload.rs"]
mod workload;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use disk::{Disk, Loss, Record};
use tempfile::TempDir;
use vaultd::barrier::testing::{LockId, Sqlite, Storage};

/// One run of the workload under the shim.
#[derive(Default)]
struct Run<'a> {
    batches: u64,
    /// Of the workload.
    mutant: &'a str,
    /// The shim's variables.
    env: &'a [(&'a str, &'a str)],
}

fn shim() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let library = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("power-shim-{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("power/shim.c");
        let status = Command::new("cc")
            .args([
                "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o",
            ])
            .args([&library, &source])
            .status();
        assert!(status.unwrap().success(), "cc failed");
        library
    })
}

/// The history of the process, after the `earlier` one of the same directory.
fn record(dir: &Path, run: &Run<'_>, earlier: Vec<Record>) -> Vec<Record> {
    let scratch = TempDir::new().unwrap();
    let log = scratch.path().join("log");
    let output = Command::new(env!("CARGO_BIN_EXE_power_workload"))
        .args([
            dir.as_os_str(),
            run.batches.to_string().as_ref(),
            run.mutant.as_ref(),
        ])
        .env("LD_PRELOAD", shim())
        .env("POWER_DIR", dir)
        .env("POWER_LOG", &log)
        .envs(run.env.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut records = earlier;
    let later = disk::parse(&std::fs::read(log).unwrap(), records.len()).unwrap();
    records.extend(later);
    records
}

fn data_dir() -> (TempDir, PathBuf) {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().canonicalize().unwrap().join("data");
    std::fs::create_dir(&dir).unwrap();
    (parent, dir)
}

/// What the process has promised so far.
#[derive(Clone, Copy, Default)]
struct Promised {
    batch: u64,
    token: u64,
}

impl Promised {
    fn hear(&mut self, record: &Record) {
        let line = String::from_utf8_lossy(&record.payload);
        match line.trim_end().split_once(' ') {
            Some(("ack", n)) => self.batch = n.parse().unwrap(),
            Some(("token", n)) => self.token = n.parse().unwrap(),
            _ => {}
        }
    }
}

#[derive(Default, Debug)]
struct Verdict {
    images: usize,
    lost: usize,
    /// Not the content after any batch.
    mixed: usize,
    unopened: usize,
    first: Option<String>,
}

impl Verdict {
    fn count(&mut self, result: Result<(), Failure>, place: impl FnOnce() -> String) {
        self.images += 1;
        let Err(failure) = result else { return };
        self.first
            .get_or_insert_with(|| format!("{failure:?} {}", place()));
        *match failure {
            Failure::Lost { .. } => &mut self.lost,
            Failure::Mixed { .. } => &mut self.mixed,
            Failure::Unopened(_) => &mut self.unopened,
        } += 1;
    }
}

#[derive(Debug)]
#[expect(dead_code, reason = "shown by Debug")]
enum Failure {
    Lost { promised: u64, found: u64 },
    Mixed { found: u64 },
    Unopened(String),
}

/// Crashes after every sync and every promise, and every `step` records.
fn crash_everywhere(records: &[Record], step: usize, seed: u64) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut disk = Disk::default();
    let mut promised = Promised::default();
    let mut verdict = Verdict::default();
    for (at, record) in records.iter().enumerate() {
        disk.apply(record).unwrap();
        if record.op == b'A' {
            promised.hear(record);
        } else if !matches!(record.op, b'S' | b'D') && at % step != 0 {
            continue;
        }
        let seed = seed.wrapping_add(at as u64);
        for loss in [
            Loss::All,
            Loss::Some(seed),
            Loss::Some(!seed),
            Loss::Nothing,
        ] {
            let result = runtime.block_on(check(&disk, loss, promised));
            verdict.count(result, || format!("after record {at} with loss {loss:?}"));
        }
    }
    verdict
}

async fn check(disk: &Disk, loss: Loss, promised: Promised) -> Result<(), Failure> {
    let dir = match Path::new("/dev/shm").is_dir() {
        true => TempDir::new_in("/dev/shm").unwrap(),
        false => TempDir::new().unwrap(),
    };
    disk.write_image(dir.path(), loss).unwrap();
    let unopened = |error: &dyn std::fmt::Display| Failure::Unopened(error.to_string());
    let store = Sqlite::open(dir.path()).map_err(|error| unopened(&error))?;
    let mut snapshot = store.snapshot().await.map_err(|error| unopened(&error))?;
    let found = snapshot.rev();
    if found < promised.batch {
        return Err(Failure::Lost {
            promised: promised.batch,
            found,
        });
    }
    let mut rows = workload::Rows::new();
    loop {
        let page = snapshot.next().await.map_err(|error| unopened(&error))?;
        if page.is_empty() {
            break;
        }
        rows.extend(
            page.into_iter()
                .map(|item| (item.key.to_vec(), item.val.to_vec())),
        );
    }
    if rows != workload::content(found) {
        return Err(Failure::Mixed { found });
    }
    let guard = store
        .lock(LockId::from("shard"), Duration::from_secs(1))
        .await;
    let token = guard.map_err(|error| unopened(&error))?.token();
    match token > promised.token {
        true => Ok(()),
        false => Err(Failure::Lost {
            promised: promised.token,
            found: token,
        }),
    }
}

fn said(records: &[Record]) -> Vec<String> {
    let lines = records.iter().filter(|record| record.op == b'A');
    lines
        .map(|record| {
            String::from_utf8_lossy(&record.payload)
                .trim_end()
                .to_owned()
        })
        .collect()
}

type IsCaught = fn(&Verdict) -> bool;

#[test]
fn the_harness_catches_planted_faults() {
    let faults: [(&str, Run<'_>, IsCaught); 4] = [
        (
            "synchronous=OFF",
            Run {
                batches: 80,
                env: &[("POWER_MUTANT", "no-sync")],
                ..Run::default()
            },
            |verdict| verdict.lost > 0,
        ),
        (
            "synchronous=NORMAL",
            Run {
                batches: 80,
                env: &[("POWER_MUTANT", "no-log-sync")],
                ..Run::default()
            },
            |verdict| verdict.lost > 0,
        ),
        (
            "acknowledged before the commit",
            Run {
                batches: 20,
                mutant: "eager-ack",
                ..Run::default()
            },
            |verdict| verdict.lost > 0,
        ),
        (
            "a batch in two commits",
            Run {
                batches: 20,
                mutant: "split",
                ..Run::default()
            },
            |verdict| verdict.mixed > 0,
        ),
    ];
    for (what, run, is_caught) in faults {
        let (_parent, dir) = data_dir();
        let verdict = crash_everywhere(&record(&dir, &run, Vec::new()), 50, 1);
        println!("{what}: {verdict:?}");
        assert!(is_caught(&verdict), "{what} was not noticed: {verdict:?}");
    }
}

#[test]
fn loss_of_power_loses_nothing_acknowledged() {
    let (_parent, dir) = data_dir();
    let records = record(
        &dir,
        &Run {
            batches: 220,
            ..Run::default()
        },
        Vec::new(),
    );
    assert_eq!(said(&records).last().unwrap(), "ack 220");
    let verdict = crash_everywhere(&records, 7, 2);
    println!("{verdict:?}");
    assert!(verdict.images > 1500, "{verdict:?}");
    assert_eq!(
        verdict.lost + verdict.mixed + verdict.unopened,
        0,
        "{verdict:?}"
    );
}

/// The kernel reports a failed sync once and drops what it could not write, while the page cache still
/// shows it: the process must stop at once, and the next one must not build on what it sees there.
fn a_failed_sync_ends_the_store(which: &str, seed: u64) {
    let (_parent, dir) = data_dir();
    let env = [("POWER_FAIL", which)];
    let failing = Run {
        batches: 200,
        env: &env,
        ..Run::default()
    };
    let records = record(&dir, &failing, Vec::new());
    let said = said(&records);
    let end = said
        .iter()
        .position(|line| line.starts_with("error Io"))
        .expect("an error");
    assert!(
        said[end + 1..]
            .iter()
            .all(|line| line.starts_with("then Err(Io")),
        "{:?}",
        &said[end..]
    );
    let records = record(
        &dir,
        &Run {
            batches: 40,
            ..Run::default()
        },
        records,
    );
    let verdict = crash_everywhere(&records, 50, seed);
    println!("{which}: {verdict:?}");
    assert_eq!(
        verdict.lost + verdict.mixed + verdict.unopened,
        0,
        "{verdict:?}"
    );
}

#[test]
fn a_failed_sync_of_a_commit_ends_the_store_and_a_restart_is_sound() {
    a_failed_sync_ends_the_store("log-sync:60", 3);
}

#[test]
fn a_failed_sync_of_a_checkpoint_ends_the_store_and_a_restart_is_sound() {
    a_failed_sync_ends_the_store("db-sync:7", 4);
}

#[test]
fn a_full_disk_fails_one_batch_and_harms_no_other() {
    let (_parent, dir) = data_dir();
    let full = Run {
        batches: 200,
        env: &[("POWER_FAIL", "log-write:300")],
        ..Run::default()
    };
    let records = record(&dir, &full, Vec::new());
    let said = said(&records);
    let end = said
        .iter()
        .position(|line| line == "error Full")
        .expect("an error");
    assert_eq!(said[end + 1..], ["then Ok(true)", "then Ok(())"]);
    let records = record(
        &dir,
        &Run {
            batches: 20,
            ..Run::default()
        },
        records,
    );
    let verdict = crash_everywhere(&records, 50, 5);
    println!("{verdict:?}");
    assert_eq!(
        verdict.lost + verdict.mixed + verdict.unopened,
        0,
        "{verdict:?}"
    );
}
