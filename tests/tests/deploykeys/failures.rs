//! What goes wrong: the old key works on, and the status says where, at which step, why, and what to do.

use serde_json::{Value, json};
use vault_tests::forge::{Dialect, Forge, WEAK_TOKEN};
use vault_tests::sshd::keygen;

use crate::site::{Clone, Site};

struct Scene {
    site: Site,
    forge: Forge,
    clone: Clone,
    old: String,
}

/// A key `k` that is ready at `a/one`.
fn scene() -> Scene {
    let (site, forge) = (
        Site::new(),
        Forge::start(Dialect::Gitea, &["a/one", "a/two"]),
    );
    site.know(&forge);
    site.deploy_key("k", &forge, "a/one");
    site.ready("k", 1);
    let (old, _) = site.creds("k");
    let clone = Clone::of(&forge, "a/one");
    clone.pulls(&old);
    Scene {
        site,
        forge,
        clone,
        old,
    }
}

impl Scene {
    /// Waits for a failure of version 2 and checks what is said of it.
    #[track_caller]
    fn fails(&self, target: &str, step: &str, cause: &str, hint: &str) {
        let versions = |s: &Value| s["targets"][target]["versions"]["2"].clone();
        let status = self.site.until("k", |s| {
            let said = versions(s)["failure"]["cause"].as_str().map(str::to_owned);
            said.is_some_and(|said| said.contains(cause))
        });
        let version = versions(&status);
        assert_eq!(version["step"], step, "{version}");
        let said = version["failure"]["what_to_do"].as_str().unwrap();
        assert!(said.contains(hint), "{said}");
        assert_eq!(status["state"], "failing");
        assert_eq!(status["current_version"], 1);
        let board = self.site.read("board")["keys"]["k"].clone();
        assert_eq!(board["failures"][0]["target"], target, "{board}");
    }

    /// The old key works, and is what readers get.
    #[track_caller]
    fn old_works(&self) {
        let (now, version) = self.site.creds("k");
        let public = |key: &str| vault_ssh::PrivateKey::parse(key).unwrap().public().line();
        assert_eq!((public(&now), version), (public(&self.old), 1));
        self.clone.pulls(&self.old);
    }

    #[track_caller]
    fn goes_on(&self) {
        self.site.write("keys/k/rotate", json!({"emergency": true}));
        self.site.ready("k", 2);
        self.clone.is_refused(&self.old);
        assert_eq!(self.forge.keys("a/one").len(), 1);
    }
}

#[test]
fn an_api_that_refuses() {
    let scene = scene();
    for (status, hint) in [
        (401, "write a new one"),
        (403, "may not administer"),
        (404, "no repository a/one"),
        (429, "too many requests"),
        (500, "the forge itself fails"),
        (503, "the forge itself fails"),
        (422, ""),
    ] {
        scene.forge.fail_with(Some(status));
        scene.site.write("keys/k/rotate", json!({}));
        scene.fails("main", "publish", &status.to_string(), hint);
    }
    scene.old_works();
    scene.forge.fail_with(None);
    let mut config = scene.forge.config();
    config["token"] = json!(WEAK_TOKEN);
    scene.site.write("forges/gitea", config);
    scene.site.write("keys/k/rotate", json!({}));
    scene.fails("main", "publish", "403", "may not administer");
    scene.old_works();
    scene.site.write("forges/gitea", scene.forge.config());
    scene.goes_on();
}

#[test]
fn an_api_that_is_down() {
    let scene = scene();
    scene.forge.web.set_down(true);
    scene.site.write("keys/k/rotate", json!({}));
    scene.fails("main", "publish", "not reached", "tried again");
    scene.old_works();
    scene.forge.web.set_down(false);
    scene.goes_on();
}

#[test]
fn a_host_with_another_key_than_the_pinned_one() {
    let scene = scene();
    let other = keygen(&scene.clone.dir.path().join("other"));
    scene.site.pin(&scene.forge.host(), &other);
    scene.site.write("keys/k/rotate", json!({}));
    scene.fails("main", "prove", "another host key", "ask its operator");
    scene.old_works();
    scene
        .site
        .pin(&scene.forge.host(), &scene.forge.sshd.site.host_key);
    scene.goes_on();
}

#[test]
fn a_host_that_is_not_reached() {
    let scene = scene();
    let mut config = scene.forge.config();
    config["ssh_port"] = json!(1);
    scene.site.write("forges/gitea", config);
    scene
        .site
        .pin("[127.0.0.1]:1", &scene.forge.sshd.site.host_key);
    scene.site.write("keys/k/rotate", json!({}));
    scene.fails("main", "prove", "refuses connections", "check its address");
    scene.old_works();
    // That a host is down is no proof that it refuses a key.
    scene.site.write("forges/gitea", scene.forge.config());
    scene.goes_on();
}

#[test]
fn a_host_without_a_pinned_key() {
    let (site, forge) = (Site::new(), Forge::start(Dialect::Gitea, &["a/one"]));
    site.write("forges/gitea", forge.config());
    site.deploy_key("k", &forge, "a/one");
    let status = site.until("k", |s| s["state"] == "failing");
    let failure = &status["targets"]["main"]["versions"]["1"]["failure"];
    assert!(
        failure["cause"]
            .as_str()
            .unwrap()
            .contains("no key is pinned"),
        "{failure}"
    );
}

#[test]
fn proved_at_one_target_and_not_at_another() {
    let scene = scene();
    let two = json!({"forge": "gitea", "repository": "a/two"});
    scene.site.write("keys/k/targets/two", two);
    scene.site.ready("k", 1);
    let second = Forge::start(Dialect::Gitlab, &["a/three"]);
    scene.site.know(&second);
    let three = json!({"forge": "gitlab", "repository": "a/three"});
    scene.site.write("keys/k/targets/three", three);
    scene.site.ready("k", 1);
    second.fail_with(Some(403));
    scene
        .site
        .write("keys/k/rotate", json!({"emergency": true}));
    scene.fails("three", "publish", "403", "a/three");
    let status = scene.site.until("k", |s| {
        s["targets"]["two"]["versions"]["2"]["step"] == "proved"
    });
    assert_eq!(status["rotation"]["stage"], "publishing", "{status}");
    assert_eq!(scene.forge.keys("a/two").len(), 2);
    scene.old_works();
    // Given up: the new version goes again, from wherever it got to.
    second.fail_with(None);
    scene.site.write("keys/k/rollback", json!({}));
    scene.site.ready("k", 1);
    for repository in ["a/one", "a/two"] {
        assert_eq!(scene.forge.keys(repository).len(), 1, "{repository}");
    }
    assert_eq!(second.keys("a/three").len(), 1);
    scene.old_works();
}

#[test]
fn a_rollback_while_readers_have_both() {
    let scene = scene();
    scene.site.write("keys/k/rotate", json!({}));
    scene
        .site
        .until("k", |s| s["rotation"]["stage"] == "draining");
    let token = scene
        .site
        .vault
        .root("POST", "auth/token/create", json!({"policies": ["root"]}));
    let token = token.expect(200).body["auth"]["client_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let read = scene
        .site
        .vault
        .call("GET", "sshkeys/creds/k", Some(&token), None);
    let new = read.expect(200).data()["private_key"]
        .as_str()
        .unwrap()
        .to_owned();
    scene.clone.pulls(&new);
    scene.site.write("keys/k/rollback", json!({}));
    let (again, version) = scene.site.creds("k");
    assert_eq!(version, 1);
    // Whoever has the new one may go on with it until they have read again.
    scene.clone.pulls(&new);
    scene.clone.pulls(&again);
    scene
        .site
        .vault
        .call("GET", "sshkeys/creds/k", Some(&token), None)
        .expect(200);
    scene.site.ready("k", 1);
    scene.clone.is_refused(&new);
    scene.clone.pulls(&again);
    let late = scene
        .site
        .vault
        .root("POST", "sshkeys/keys/k/rollback", json!({}));
    assert!(late.expect(400).errors().contains("nothing to go back to"));
}

#[test]
fn readers_that_never_come_are_waited_for_until_the_grace_ends() {
    let scene = scene();
    scene.site.write("keys/k", json!({"grace": 3}));
    scene.site.write("keys/k/rotate", json!({}));
    let status = scene
        .site
        .until("k", |s| s["rotation"]["stage"] == "draining");
    assert_eq!(status["rotation"]["waits_for"], json!(["root"]), "{status}");
    scene.clone.pulls(&scene.old);
    scene.site.ready("k", 2);
    scene.clone.is_refused(&scene.old);
}

/// Nobody knows who has a key that was made by hand.
#[test]
fn a_key_that_was_taken_over_is_good_until_the_grace_ends() {
    let (site, forge) = (Site::new(), Forge::start(Dialect::Gitea, &["a/one"]));
    site.know(&forge);
    let clone = Clone::of(&forge, "a/one");
    let file = clone.dir.path().join("by_hand");
    let public = keygen(&file);
    forge.add_by_hand("a/one", &public, true);
    let private = std::fs::read_to_string(&file).unwrap();
    site.write("keys/k", json!({"private_key": private, "grace": 4}));
    let target = json!({"forge": "gitea", "repository": "a/one"});
    site.write("keys/k/targets/main", target);
    site.ready("k", 1);
    site.write("keys/k/rotate", json!({}));
    let status = site.until("k", |s| s["rotation"]["stage"] == "draining");
    let waits = status["rotation"]["waits_for"][0].as_str().unwrap();
    assert!(waits.contains("before vaultd"), "{status}");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    clone.pulls(&private);
    site.ready("k", 2);
    clone.is_refused(&private);
}

#[test]
fn a_key_rotates_when_its_time_has_come() {
    let scene = scene();
    let odd = scene
        .site
        .vault
        .root("POST", "sshkeys/keys/k", json!({"rotation_period": "5s"}));
    assert!(odd.expect(400).errors().contains("60 seconds"));
    scene
        .site
        .write("keys/k", json!({"rotation_period": "30d"}));
    let board = scene.site.read("board")["keys"]["k"].clone();
    assert!(board["next_rotation"].is_string(), "{board}");
    assert_eq!(board["used_at"], json!(["a/one at gitea"]));
    assert_eq!(board["last_reader"]["name"], "root");
}

#[test]
fn verifying_finds_a_key_that_somebody_removed() {
    let scene = scene();
    scene.site.write("keys/k/verify", json!({}));
    scene.site.ready("k", 1);
    scene.forge.sshd.authorize("");
    scene.site.write("keys/k/verify", json!({}));
    let status = scene.site.until("k", |s| s["state"] == "failing");
    let version = &status["targets"]["main"]["versions"]["1"];
    assert_eq!(version["step"], "prove");
    let cause = version["failure"]["cause"].as_str().unwrap();
    assert!(cause.contains("refuses the key"), "{cause}");
}

#[test]
fn a_target_is_left_only_once_the_key_is_refused_there() {
    let scene = scene();
    let refused = scene
        .site
        .vault
        .root("DELETE", "sshkeys/keys/k", Value::Null);
    assert!(refused.expect(400).errors().contains("retire it first"));
    scene.forge.fail_with(Some(500));
    scene.site.delete("keys/k/targets/main");
    scene.site.until("k", |s| s["state"] == "failing");
    scene.forge.fail_with(None);
    scene.site.write("keys/k/rotate", json!({}));
    scene.site.until("k", |s| s["targets"] == json!({}));
    scene.clone.is_refused(&scene.old);
    scene.site.delete("keys/k");
}
