//! The broker with real files, pipes and sockets.

use std::io::{BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use vault_audit::{Kind, Link, Options, Report, verify};
use vault_crypto::{Key, Prf, SigningKey};

use super::*;

fn clock() -> Clock {
    Arc::new(|| jiff::Timestamp::UNIX_EPOCH)
}

fn keys() -> Keys {
    let key = Key::from_slice(&[7; 32]).unwrap();
    Keys {
        hmac: Prf::new(&key),
        signing: SigningKey::from_seed(&key),
        cluster: "c".into(),
    }
}

fn file(path: &Path) -> DeviceConfig {
    DeviceConfig::File {
        path: path.to_owned(),
        strict: false,
    }
}

fn open(config: Vec<DeviceConfig>) -> Broker {
    Broker::open(config, clock()).unwrap()
}

fn check(path: &Path) -> Report {
    let file = BufReader::new(std::fs::File::open(path).unwrap());
    verify(file, &Options::default())
}

fn line(id: u64) -> Vec<u8> {
    format!(r#"{{"type":"request","request":{{"id":"id-{id}","path":"secret/data/{id}"}}}}"#).into()
}

fn pipe(dir: &Path) -> PathBuf {
    let path = dir.join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    path
}

async fn write(broker: &Broker, ids: std::ops::Range<u64>) {
    for id in ids {
        let ticket = broker.append(&line(id));
        broker.accepted(ticket).await.unwrap();
    }
}

/// Drops the broker and waits until its threads let go of the file.
async fn close(broker: Broker) {
    broker.lock().await;
    drop(broker);
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_records_are_all_in_the_file_and_it_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/audit.log");
    let broker = Arc::new(open(vec![file(&path)]));
    broker.unlock(keys());
    let tasks: Vec<_> = (0..32u64)
        .map(|task| {
            let broker = Arc::clone(&broker);
            tokio::spawn(async move { write(&broker, task * 100..task * 100 + 100).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    broker.lock().await;
    // Accepted means written: looked at before anything was flushed.
    assert!((0..3200).all(|id| text.contains(&format!("\"id-{id}\""))));
    let report = check(&path);
    assert_eq!(
        (report.problem, report.entries, report.unsigned_tail),
        (None, 3200, 0)
    );
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let parent = path.parent().unwrap();
    assert_eq!(
        std::fs::metadata(parent).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let status = &broker.status()[0];
    assert!(status.healthy && status.queued == 0);
    assert_eq!(status.chain, report.head.to_string());
}

#[tokio::test]
async fn a_line_is_signed_within_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let broker = open(vec![file(&path)]);
    write(&broker, 0..3).await;
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert_eq!(check(&path).checkpoints, 0, "sealed: nothing to sign with");
    broker.unlock(keys());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        check(&path).unsigned_tail,
        0,
        "unlocking signs what came before"
    );
    write(&broker, 3..4).await;
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let report = check(&path);
    assert_eq!((report.checkpoints, report.unsigned_tail), (2, 0));
    // Nothing new: nothing to sign.
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert_eq!(check(&path).checkpoints, 2);
}

#[tokio::test]
async fn a_restart_continues_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    for round in 0..3 {
        let broker = open(vec![file(&path)]);
        broker.unlock(keys());
        write(&broker, round * 10..round * 10 + 10).await;
        close(broker).await;
    }
    let report = check(&path);
    assert_eq!(
        (report.problem, report.entries, report.repairs),
        (None, 30, 0)
    );
}

#[tokio::test]
async fn a_torn_last_line_is_cut_and_the_file_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let broker = open(vec![file(&path)]);
    write(&broker, 0..5).await;
    close(broker).await;
    let whole = std::fs::read(&path).unwrap();
    // At every length that a crash could leave behind.
    for torn in [1, 20, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..torn]).unwrap();
        let broker = open(vec![file(&path)]);
        broker.unlock(keys());
        write(&broker, 100..101).await;
        close(broker).await;
        let report = check(&path);
        assert_eq!(
            (report.problem, report.repairs),
            (None, 1),
            "torn at {torn}"
        );
        assert_eq!(report.unsigned_tail, 0);
    }
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let ours = dir.path().join("ours");
    let broker = open(vec![file(&ours)]);
    write(&broker, 0..2).await;
    close(broker).await;
    let mut edited = std::fs::read(&ours).unwrap();
    let at = edited.len() - 150;
    edited[at] ^= 1;
    let foreign: [&[u8]; 4] = [
        b"hello\n",
        b"no newline",
        b"{\"a\":1}\n{\"a\":2}\n",
        &edited,
    ];
    for text in foreign {
        std::fs::write(&path, text).unwrap();
        let error = Broker::open(vec![file(&path)], clock()).err().unwrap();
        assert!(
            matches!(
                error,
                AuditError::Open {
                    error: OpenError::Foreign,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), text);
    }
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&ours, &path).unwrap();
    assert!(
        Broker::open(vec![file(&path)], clock()).is_err(),
        "symbolic link"
    );
    let _held = open(vec![file(&ours)]);
    let error = Broker::open(vec![file(&ours)], clock()).err().unwrap();
    assert!(
        matches!(
            error,
            AuditError::Open {
                error: OpenError::Busy,
                ..
            }
        ),
        "{error}"
    );
    assert!(matches!(
        Broker::open(vec![], clock()),
        Err(AuditError::NoDevice)
    ));
}

#[tokio::test]
async fn rotation_carries_the_chain_into_the_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("audit.log"), dir.path().join("audit.log.1"));
    let broker = open(vec![file(&path)]);
    broker.unlock(keys());
    write(&broker, 0..10).await;
    std::fs::rename(&path, &old).unwrap();
    broker.reopen();
    tokio::time::sleep(Duration::from_millis(100)).await;
    write(&broker, 10..20).await;
    // Without a rotation, reopening goes on in the same file.
    broker.reopen();
    write(&broker, 20..30).await;
    broker.lock().await;
    let first = check(&old);
    assert_eq!(
        (&first.problem, first.entries, first.unsigned_tail),
        (&None, 10, 0)
    );
    let second = check(&path);
    assert_eq!((&second.problem, second.entries), (&None, 20));
    assert_eq!(second.previous, first.head);
    assert_eq!(second.first_seq, first.last_seq.map(|seq| seq + 1));
}

#[tokio::test]
async fn a_device_that_hangs_does_not_hold_up_another() {
    let dir = tempfile::tempdir().unwrap();
    let (path, pipe) = (dir.path().join("audit.log"), pipe(dir.path()));
    // Nobody reads the pipe: opening it blocks.
    let broker = open(vec![file(&pipe), file(&path)]);
    broker.unlock(keys());
    let begun = Instant::now();
    write(&broker, 0..100).await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    // Now it opens, and blocks once its buffer is full.
    let mut reader = std::fs::File::open(&pipe).unwrap();
    write(&broker, 100..2000).await;
    assert!(begun.elapsed() < Duration::from_secs(3));
    let mut first = vec![0; 16];
    reader.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"{\"type\":\"start\",");
    broker.lock().await;
    assert_eq!(check(&path).entries, 2000);
}

#[tokio::test]
async fn without_any_device_that_accepts_the_caller_gets_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = open(vec![file(&pipe(dir.path()))]);
    broker.deadline = Duration::from_millis(50);
    let ticket = broker.append(&line(1));
    assert!(matches!(
        broker.accepted(ticket).await,
        Err(AuditError::TimedOut(_))
    ));

    let mut full = open(vec![file(Path::new("/dev/full"))]);
    full.deadline = Duration::from_secs(5);
    let begun = Instant::now();
    let ticket = full.append(&line(1));
    let error = full.accepted(ticket).await.unwrap_err();
    assert!(matches!(error, AuditError::Refused(_)), "{error}");
    assert!(
        error.to_string().contains("/dev/full: No space left"),
        "{error}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "a device that fails is not waited for"
    );
    assert!(!full.status()[0].healthy);
}

#[tokio::test]
async fn one_device_that_works_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let broker = open(vec![file(Path::new("/dev/full")), file(&path)]);
    write(&broker, 0..10).await;
    let status = broker.status();
    assert_eq!((status[0].healthy, status[1].healthy), (false, true));
    broker.lock().await;
    assert_eq!(check(&path).entries, 10);
}

#[tokio::test]
async fn durable_and_strict_wait_for_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let config = DeviceConfig::File {
        path: dir.path().join("strict.log"),
        strict: true,
    };
    let broker = open(vec![config]);
    write(&broker, 0..20).await;
    let relaxed = open(vec![file(&dir.path().join("audit.log"))]);
    for id in 0..3 {
        let ticket = relaxed.append(&line(id));
        relaxed.durable(ticket).await.unwrap();
    }
}

#[tokio::test]
async fn a_socket_gets_a_chain_of_its_own_with_each_connection() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    // The collector is not there yet; the start does not depend on it.
    let broker = open(vec![DeviceConfig::Unix { path: path.clone() }]);
    broker.unlock(keys());
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    for round in 0..2 {
        let ticket = broker.append(&line(round));
        let (stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        let mut text = vec![0; 1 << 16];
        let mut read = 0;
        while !String::from_utf8_lossy(&text[..read]).contains(&format!("\"id-{round}\"")) {
            read += (&stream).read(&mut text[read..]).unwrap();
        }
        let report = verify(&text[..read], &Options::default());
        assert_eq!((report.problem, report.previous), (None, Link::GENESIS));
        if round == 0 {
            // It counts as failing until the first batch is through.
            while broker.accepted(ticket).await.is_err() {}
            drop(stream);
            // The first write after the peer went away is what finds out.
            tokio::time::sleep(Duration::from_millis(1000)).await;
        }
    }
}

#[tokio::test]
async fn an_overrun_is_counted_and_its_records_are_not_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = pipe(dir.path());
    let mut broker = open(vec![file(&pipe)]);
    broker.deadline = Duration::from_secs(5);
    let big = format!(r#"{{"type":"request","x":"{}"}}"#, "x".repeat(1 << 20)).into_bytes();
    let tickets: Vec<Ticket> = (0..70).map(|_| broker.append(&big)).collect();
    // Refused at once: the device cannot take it any more.
    let error = broker.accepted(tickets[69]).await.unwrap_err();
    assert!(matches!(error, AuditError::Refused(_)));
    let mut reader = std::fs::File::open(&pipe).unwrap();
    let drain = std::thread::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        text
    });
    let ticket = broker.append(&line(1));
    // The queue is still full, or it is through: never a false yes for a lost one.
    let _ = broker.accepted(ticket).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(broker.accepted(tickets[69]).await.is_err());
    let ticket = broker.append(&line(2));
    broker.accepted(ticket).await.unwrap();
    drop(broker);
    let text = drain.join().unwrap();
    let report = verify(&text[..], &Options::default());
    assert_eq!(report.problem, None);
    assert!(report.lost >= 6, "lost {}", report.lost);
}

#[tokio::test]
async fn recovery_names_the_requests_that_are_not_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let broker = open(vec![file(&dir.path().join("audit.log"))]);
    write(&broker, 0..5).await;
    let ids = ["id-1".to_owned(), "id-9".to_owned()];
    assert_eq!(broker.missing(&ids), ["id-9"]);
    assert_eq!(Broker::discard(clock()).missing(&ids), ids);
}

#[tokio::test]
async fn hmac_needs_the_keys_and_dev_mode_accepts_everything() {
    let broker = Broker::discard(clock());
    assert_eq!(broker.hmac(b"x"), None);
    broker.unlock(keys());
    assert!(broker.hmac(b"x").unwrap().starts_with("hmac-sha256:"));
    let ticket = broker.append(&line(1));
    broker.accepted(ticket).await.unwrap();
    broker.durable(ticket).await.unwrap();
    broker.lock().await;
    assert_eq!(broker.hmac(b"x"), None);
}

#[tokio::test]
async fn a_file_changed_by_someone_else_is_not_continued() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let broker = open(vec![file(&path)]);
    write(&broker, 0..5).await;
    broker.lock().await;
    let text = std::fs::read_to_string(&path).unwrap();
    let shorter: String = text.split_inclusive('\n').take(3).collect();
    std::fs::File::create(&path)
        .unwrap()
        .write_all(shorter.as_bytes())
        .unwrap();
    broker.reopen();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let ticket = broker.append(&line(9));
    let error = broker.accepted(ticket).await.unwrap_err();
    assert!(
        error.to_string().contains("changed by someone else"),
        "{error}"
    );
    assert_ne!(check(&path).problem.map(|p| p.kind), Some(Kind::Torn));
}

fn confined(path: &Path) -> DeviceConfig {
    DeviceConfig::Confined {
        path: path.to_owned(),
    }
}

#[tokio::test]
async fn a_device_that_comes_later_has_what_comes_after_it_and_signs_when_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let broker = Broker::discard(clock());
    broker.unlock(keys());
    // Begun before there was any device, ended after.
    let begun = broker.append(&line(1));
    broker.add("first/", confined(&first)).await.unwrap();
    let ended = broker.append(&line(2));
    broker.accepted_both(begun, ended).await.unwrap();
    broker.add("second/", confined(&second)).await.unwrap();
    write(&broker, 3..6).await;
    assert!(broker.remove("first/"));
    assert!(!broker.remove("first/"));
    write(&broker, 6..9).await;
    let ids = |path: &Path| -> Vec<u64> {
        let text = std::fs::read_to_string(path).unwrap();
        (0..10)
            .filter(|id| text.contains(&format!("\"id-{id}\"")))
            .collect()
    };
    // Nobody waits for a device that goes but this test; for the others sealing does.
    let settled = || ids(&first).contains(&5) && check(&first).unsigned_tail == 0;
    let until = Instant::now() + Duration::from_secs(20);
    while !settled() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    broker.lock().await;
    assert_eq!(ids(&first), [2, 3, 4, 5]);
    assert_eq!(ids(&second), [3, 4, 5, 6, 7, 8]);
    for path in [&first, &second] {
        let report = check(path);
        assert_eq!((report.problem, report.unsigned_tail), (None, 0));
    }
}

#[tokio::test]
async fn only_a_plain_file_of_ours_can_be_added() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::discard(clock());
    let foreign = dir.path().join("foreign");
    std::fs::write(&foreign, "somebody's notes\n").unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&foreign, &link).unwrap();
    for path in [
        pipe(dir.path()),
        foreign.clone(),
        link,
        dir.path().to_owned(),
    ] {
        assert!(broker.add("x/", confined(&path)).await.is_err(), "{path:?}");
    }
    assert!(broker.status().is_empty());
    assert_eq!(
        std::fs::read_to_string(&foreign).unwrap(),
        "somebody's notes\n"
    );
    // Nothing is left that could refuse a record.
    let ticket = broker.append(&line(1));
    broker.accepted(ticket).await.unwrap();
}
