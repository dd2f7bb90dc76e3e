//! What happens to a certificate over its time: renewal, stops at every step, revocation, failures.

use std::time::Duration;

use serde_json::{Value, json};
use vault_tests::process::until;

use crate::site::Site;

/// An authority that refuses nonces, keeps others waiting, and remembers what was proved.
#[test]
fn an_authority_in_a_bad_mood() {
    let site = Site::with(|habits| {
        habits.nonce_reject = 50;
        habits.authz_reuse = 50;
        habits.sleep = 2;
    });
    for (name, challenge) in [("a", "http-01"), ("b", "tls-alpn-01"), ("c", "http-01")] {
        let host = format!("{name}.example.test");
        site.cert(name, &[&host, "shared.example.test"], challenge);
    }
    for name in ["a", "b", "c"] {
        // What failed is tried again sooner than in a production.
        let done = until(Duration::from_secs(90), || {
            let cert = site.read(&format!("certs/{name}"));
            if !cert["failure"].is_null() {
                site.write(&format!("certs/{name}/renew"), json!({}));
            }
            std::thread::sleep(Duration::from_millis(300));
            (cert["state"] == "valid" && cert["step"].is_null()).then_some(())
        });
        assert!(
            done.is_some(),
            "{name}: {:#}",
            site.read(&format!("certs/{name}"))
        );
        site.proved(name);
    }
}

#[test]
fn renewed_before_the_end_without_being_asked() {
    let site = Site::with(|habits| habits.life = 40);
    site.cert("web", &["www.example.test"], "http-01");
    let first = site.ready("web", 1);
    let second = site.until("web", |cert| cert["current_version"] == 2);
    assert_ne!(first["serial_number"], second["serial_number"]);
    let before_its_end = |cert: &Value| {
        let time = |field: &str| {
            cert[field]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .unwrap()
        };
        time("not_before") < time("not_after")
    };
    assert!(before_its_end(&second));
    let began: jiff::Timestamp = second["not_before"].as_str().unwrap().parse().unwrap();
    let ended: jiff::Timestamp = first["not_after"].as_str().unwrap().parse().unwrap();
    assert!(began < ended, "renewed too late: {first:#}\n{second:#}");
    let history = site.read("certs/web/history");
    assert!(history["versions"].as_array().unwrap().len() >= 2);
    let old = site.read("keypair/web?version=1");
    assert_eq!(old["serial_number"], first["serial_number"]);
}

/// Neither an order nor a version is made twice, and no proof is left behind.
#[test]
fn killed_at_every_step() {
    let mut site = Site::with(|habits| habits.sleep = 1);
    site.write("dns/hook", json!({"type": "hook", "hook": "test"}));
    let body = json!({"account": "test", "names": ["k.example.test"], "challenge": "dns-01", "dns": "hook"});
    site.write("certs/k", body);
    site.ready("k", 1);
    let account = site.read("account/test")["account_url"].clone();
    let mut version = 1;
    for step in ["order", "answer", "publish", "validate", "finish", "clean"] {
        site.write("certs/k/renew", json!({}));
        // Steps that are over in between count as reached.
        until(Duration::from_secs(30), || {
            let cert = site.read("certs/k");
            let is_over = cert["current_version"] == version + 1;
            (cert["step"] == step || is_over).then_some(())
        })
        .unwrap();
        site.vault.kill9();
        site.vault.restart_unsealed();
        version += 1;
        let cert = site.ready("k", version);
        assert!(cert["failure"].is_null(), "{step}: {cert:#}");
    }
    assert_eq!(site.read("account/test")["account_url"], account);
    // A kill while an order is being made may leave one that nobody knows of; no more.
    let orders = site.pebble.orders();
    assert!(
        (7..=9).contains(&orders),
        "{orders} orders\n{}",
        site.pebble.log()
    );
    site.proved("k");
}

#[test]
fn sealed_in_between_it_goes_on_after() {
    let site = Site::with(|habits| habits.sleep = 3);
    site.cert("web", &["www.example.test"], "http-01");
    site.until("web", |cert| cert["step"] == "validate");
    site.vault.root("PUT", "sys/seal", json!({})).expect(204);
    site.vault.unseal();
    let cert = until(Duration::from_secs(60), || {
        let cert = site.read("certs/web");
        // Looked at while sealed, the name was refused: that is the authority's answer.
        if !cert["failure"].is_null() {
            site.write("certs/web/renew", json!({}));
        }
        (cert["state"] == "valid").then_some(cert)
    });
    assert!(cert.is_some(), "{:#}", site.read("certs/web"));
    site.proved("web");
}

#[test]
fn what_was_revoked_is_replaced() {
    let site = Site::new();
    site.cert("web", &["www.example.test"], "http-01");
    let first = site.ready("web", 1);
    let serial = first["serial_number"].as_str().unwrap();
    assert_eq!(site.pebble.status(serial), "Valid");
    let refused = site.refused("certs/web/revoke", json!({"reason": "because"}));
    assert!(refused.contains("keyCompromise"));
    site.write("certs/web/revoke", json!({"reason": "keyCompromise"}));
    assert_eq!(site.pebble.status(serial), "Revoked");
    let second = site.ready("web", 2);
    assert_ne!(second["serial_number"], first["serial_number"]);
    let history = site.read("certs/web/history");
    assert!(
        history["versions"][1]["revoked_time"].is_string(),
        "{history:#}"
    );
    let (one, two) = (site.read("keypair/web?version=1"), site.read("keypair/web"));
    assert_ne!(one["private_key"], two["private_key"]);
}

#[test]
fn an_accounts_key_is_replaced() {
    let site = Site::new();
    let refused = site.refused("account/test/rotate", json!({}));
    assert!(refused.contains("not registered yet"), "{refused}");
    site.cert("web", &["www.example.test"], "http-01");
    site.ready("web", 1);
    let before = site.read("account/test")["account_url"].clone();
    site.write("account/test/rotate", json!({}));
    site.write("certs/web/renew", json!({}));
    site.ready("web", 2);
    assert_eq!(site.read("account/test")["account_url"], before);
}

#[test]
fn accounts_that_are_bound_to_others() {
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let site = Site::with(|habits| habits.external = Some(("kid-1".to_owned(), key.to_owned())));
    site.cert("web", &["www.example.test"], "http-01");
    let failed = site.until("web", |cert| !cert["failure"].is_null());
    let what = failed["failure"]["what_to_do"].as_str().unwrap();
    assert!(what.contains("eab_kid"), "{failed:#}");
    let refused = site.refused("account/test", json!({"eab_kid": "kid-1"}));
    assert!(refused.contains("belong together"));
    site.write(
        "account/test",
        json!({"eab_kid": "kid-1", "eab_hmac_key": key}),
    );
    assert!(!site.read("account/test").to_string().contains(key));
    site.write("certs/web/renew", json!({}));
    site.ready("web", 1);
    site.proved("web");
}

/// The version from before stays, and it is said which name, why, and what to do.
#[test]
fn a_failed_renewal_leaves_what_is_there() {
    let site = Site::new();
    site.cert("web", &["good.example.test", "bad.example.test"], "http-01");
    site.ready("web", 1);
    // Nothing listens there.
    let elsewhere = json!({"host": "bad.example.test", "addresses": ["127.0.0.9"]});
    site.pebble.dns("add-a", &elsewhere);
    site.write("certs/web/renew", json!({}));
    let failed = site.until("web", |cert| !cert["failure"].is_null());
    let failure = &failed["failure"];
    let cause = failure["cause"].as_str().unwrap();
    assert!(
        cause.starts_with("bad.example.test: ") && cause.contains("connection"),
        "{failed:#}"
    );
    assert!(failure["what_to_do"].as_str().unwrap().contains("port 80"));
    assert_eq!(
        (&failed["state"], &failed["current_version"]),
        (&json!("failing"), &json!(1))
    );
    // Not again at once: authorities count.
    let next: jiff::Timestamp = failed["next_attempt"].as_str().unwrap().parse().unwrap();
    let at: jiff::Timestamp = failure["time"].as_str().unwrap().parse().unwrap();
    assert!(next.duration_since(at).as_secs() >= 200, "{failed:#}");
    site.proved("web");
    site.pebble
        .dns("clear-a", &json!({"host": "bad.example.test"}));
    site.write("certs/web/renew", json!({}));
    assert!(site.ready("web", 2)["failure"].is_null());
}

#[test]
fn an_authority_that_is_not_there_is_asked_again_soon() {
    let site = Site::new();
    let nowhere = json!({"directory": "https://127.0.0.1:9/dir", "terms_agreed": true});
    site.write("account/gone", nowhere);
    let body = json!({"account": "gone", "names": ["a.example.test"], "challenge": "http-01"});
    site.write("certs/a", body);
    let failed = site.until("a", |cert| cert["failure"]["tries"].as_u64() >= Some(2));
    let cause = failed["failure"]["cause"].as_str().unwrap();
    assert!(cause.contains("cannot connect"), "{cause}");
    // One whose certificate nobody vouches for.
    site.write("account/test", json!({"ca_cert": ""}));
    site.cert("b", &["b.example.test"], "http-01");
    let failed = site.until("b", |cert| !cert["failure"].is_null());
    let what = failed["failure"]["what_to_do"].as_str().unwrap();
    assert!(what.contains("ca_cert"), "{failed:#}");
    // Put right, it goes on by itself.
    site.write("account/test", site.account());
    site.ready("b", 1);
}
