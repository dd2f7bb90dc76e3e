//! What is told and recorded of a rotation.

use serde_json::{Value, json};
use vault_tests::forge::{Dialect, Forge};
use vault_tests::sshd::keygen;

use crate::site::{Clone, Site};

fn events(site: &Site, token: &str, cursor: &str) -> Vec<(String, String)> {
    let path = format!("sys/events/subscribe/sshkeys?cursor={cursor}&wait=1");
    let answer = site.vault.call("GET", &path, Some(token), None).expect(200);
    let told = answer.data()["events"].as_array().unwrap().clone();
    let word = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    let both = |event: &Value| (word(event, "path"), word(event, "operation"));
    told.iter().map(both).collect()
}

#[test]
fn every_step_is_an_event_and_in_the_audit_log() {
    let (site, forge) = (Site::new(), Forge::start(Dialect::Gitlab, &["a/one"]));
    site.know(&forge);
    site.deploy_key("k", &forge, "a/one");
    site.ready("k", 1);
    let root = site.vault.root.clone();
    let start = site
        .vault
        .root("GET", "sys/events/subscribe/sshkeys", Value::Null);
    let start = start.expect(200).data()["cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    site.write("keys/k/rotate", json!({}));
    site.ready("k", 2);
    let (key, target) = ("keys/k", "keys/k/targets/main");
    let told = events(&site, &root, &start);
    let expected = [
        (key, "rotating"),
        (target, "published"),
        (target, "proved"),
        (key, "switched"),
        (target, "removed"),
        (target, "refused"),
        (key, "rotated"),
    ];
    let expected = expected.map(|(path, word)| (path.to_owned(), word.to_owned()));
    assert_eq!(told, expected);
    // Not among the changes of secrets, and not for those who may not read the key.
    let kv = site
        .vault
        .root("GET", "sys/events/subscribe/kv", Value::Null);
    let cursor = kv.expect(200).data()["cursor"].as_str().unwrap().to_owned();
    let policy = json!({"policy": "path \"sshkeys/keys/other\" { capabilities = [\"read\"] }"});
    site.vault
        .root("POST", "sys/policies/acl/other", policy)
        .expect(204);
    let body = json!({"policies": ["other"]});
    let other = site
        .vault
        .root("POST", "auth/token/create", body)
        .expect(200);
    let other = other.body["auth"]["client_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(events(&site, &other, &start).is_empty());

    let host = forge.host();
    let dir = Clone::of(&forge, "a/one").dir;
    site.pin(&host, &keygen(&dir.path().join("another")));
    site.write("keys/k/verify", json!({}));
    site.until("k", |s| s["state"] == "failing");
    let told = events(&site, &root, &cursor);
    let changed = (format!("known-hosts/{host}"), "host-key-changed".to_owned());
    assert!(told.contains(&changed), "{told:?}");
    assert!(
        told.contains(&(target.to_owned(), "failed".to_owned())),
        "{told:?}"
    );

    let audit = site.vault.audit();
    let recorded = |kind: &str, path: &str| {
        let path = format!("sshkeys/{target}/{path}");
        let is_one =
            |line: &&Value| line["type"] == kind && line["request"]["path"] == path.as_str();
        audit.iter().filter(is_one).count()
    };
    for path in ["publish/2", "prove/2", "remove/1", "refuse/1"] {
        for kind in ["request", "response"] {
            assert!(recorded(kind, path) > 0, "{kind} {path}");
        }
    }
    let whole = Value::from(audit.clone()).to_string();
    assert!(!whole.contains("PRIVATE KEY") && !whole.contains("forge-token"));
}
