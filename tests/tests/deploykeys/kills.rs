//! vaultd is killed at every step of a rotation, and goes on where it was: whoever pulls never notices,
//! and nothing is left behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;
use vault_tests::forge::{Dialect, Forge};

use crate::fleet::Puller;
use crate::site::Site;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// The new key is being made.
    Generating,
    /// The API was asked to add it, and did not; or did, and nobody heard.
    Publishing { done: bool },
    /// A login with it is under way.
    Proving,
    /// Readers have either.
    Draining,
    /// The API was asked to remove the old one, and did not; or did.
    Removing { done: bool },
    /// A login with the old one is under way.
    Refusing,
}

const POINTS: [Point; 8] = [
    Point::Generating,
    Point::Publishing { done: false },
    Point::Publishing { done: true },
    Point::Proving,
    Point::Draining,
    Point::Removing { done: false },
    Point::Removing { done: true },
    Point::Refusing,
];

/// Waits until the rotation is there.
fn reach(point: Point, site: &Site, forge: &Forge, name: &str) {
    let rotate = || site.write(&format!("keys/{name}/rotate"), json!({}));
    let stage = |stage: &str| {
        site.until(name, |s| s["rotation"]["stage"] == stage);
    };
    // Root has read the old one, and is waited for.
    let rotate_and_read = || {
        rotate();
        site.until(name, |s| s["current_version"] == 2);
        site.creds(name);
    };
    match point {
        Point::Generating => {
            site.write(&format!("keys/{name}"), json!({"key_type": "rsa-4096"}));
            rotate();
            stage("planned");
        }
        Point::Publishing { done } => {
            forge.hold("POST", done);
            rotate();
            forge.await_held();
        }
        Point::Proving => {
            forge.hold_logins();
            rotate();
            forge.await_login();
        }
        Point::Draining => {
            rotate();
            stage("draining");
        }
        Point::Removing { done } => {
            forge.hold("DELETE", done);
            rotate_and_read();
            forge.await_held();
        }
        Point::Refusing => {
            rotate_and_read();
            site.until(name, |s| {
                s["targets"]["main"]["versions"]["1"]["step"] == "refuse"
            });
        }
    }
}

#[test]
fn killed_at_every_step() {
    let mut site = Site::new();
    let names: Vec<String> = (0..POINTS.len()).map(|at| format!("k{at}")).collect();
    let repositories: Vec<String> = names.iter().map(|name| format!("a/{name}")).collect();
    let all: Vec<&str> = repositories.iter().map(String::as_str).collect();
    let forge = Forge::start(Dialect::Github, &all);
    site.know(&forge);
    for (name, repository) in names.iter().zip(&repositories) {
        site.deploy_key(name, &forge, repository);
    }
    for ((point, name), repository) in POINTS.into_iter().zip(&names).zip(&repositories) {
        site.ready(name, 1);
        let (old, _) = site.creds(name);
        let mut puller = Puller::new(&site, &forge, name, repository);
        let over = AtomicBool::new(false);
        // Logins that are held would be held for the one who pulls too.
        let pulls = point != Point::Proving;
        std::thread::scope(|scope| {
            let pulling = scope.spawn(|| {
                while pulls && !over.load(Ordering::SeqCst) {
                    puller.pull_once();
                    sleep(Duration::from_millis(50));
                }
            });
            reach(point, &site, &forge, name);
            site.vault.kill9();
            forge.release();
            forge.release_logins();
            site.vault.restart_unsealed();
            // Of the readers, root has not come back yet.
            site.until(name, |s| s["current_version"] == 2);
            site.creds(name);
            site.ready(name, 2);
            over.store(true, Ordering::SeqCst);
            pulling.join().unwrap();
        });
        puller.pull_once();
        assert_eq!(puller.failed, Vec::<String>::new(), "{point:?}");
        puller.clone.is_refused(&old);
        let left = forge.keys(repository);
        assert_eq!(left.len(), 1, "{point:?}: {left:?}");
        println!("{point:?}: {} pulls, none failed", puller.pulled);
    }
    let lines = std::fs::read_to_string(forge.sshd.authorized_keys()).unwrap();
    assert_eq!(lines.lines().count(), POINTS.len(), "{lines}");
}

/// What was under way is done again after the next unsealing.
#[test]
fn sealing_waits_for_no_login_that_hangs() {
    let (site, forge) = (Site::new(), Forge::start(Dialect::Github, &["a/one"]));
    site.know(&forge);
    site.deploy_key("k", &forge, "a/one");
    site.ready("k", 1);
    forge.hold_logins();
    site.write("keys/k/rotate", json!({}));
    forge.await_login();
    let start = std::time::Instant::now();
    site.vault.root("PUT", "sys/seal", json!({})).expect(204);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    forge.release_logins();
    site.vault.unseal();
    site.ready("k", 2);
    assert_eq!(forge.keys("a/one").len(), 1);
}
