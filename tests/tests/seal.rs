//! Shares, sealing, and the ceremonies that change keys.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rusqlite::Connection;
use serde_json::{Value, json};
use vault_tests::{Answer, Init, Options, Vault};

fn initialised(shares: u32, threshold: u32) -> (Vault, Init) {
    let mut vault = Vault::start(Options::plain());
    let init = vault.init(shares, threshold);
    (vault, init)
}

fn give(vault: &Vault, key: &str) -> Answer {
    vault.call("PUT", "sys/unseal", None, Some(&json!({ "key": key })))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn keys(answer: &Answer) -> Vec<String> {
    answer.body["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect()
}

#[test]
fn second_init_is_refused() {
    let (vault, _) = initialised(1, 1);
    let body = json!({"secret_shares": 1, "secret_threshold": 1});
    let answer = vault.call("PUT", "sys/init", None, Some(&body)).expect(400);
    assert!(answer.errors().contains("already initialized"));
    vault.unseal();
    vault.call("PUT", "sys/init", None, Some(&body)).expect(400);
}

#[test]
fn any_three_of_five_shares_unseal_and_two_do_not() {
    let (vault, init) = initialised(5, 3);
    for chosen in [[0, 1, 2], [4, 2, 0], [1, 3, 4]] {
        for (given, at) in chosen.iter().enumerate() {
            let before = vault.call("GET", "sys/seal-status", None, None).body;
            assert_eq!(
                (&before["sealed"], &before["progress"]),
                (&json!(true), &json!(given))
            );
            give(&vault, &init.keys[*at]).expect(200);
        }
        assert_eq!(
            vault.call("GET", "sys/seal-status", None, None).body["sealed"],
            json!(false)
        );
        vault.root("PUT", "sys/seal", Value::Null).expect(204);
        vault.root("GET", "sys/mounts", Value::Null).expect(503);
    }
}

#[test]
fn share_with_a_flipped_bit_is_refused_and_named() {
    let (vault, init) = initialised(5, 3);
    let share = hex::decode(&init.keys[3]).unwrap();
    for bit in 80..share.len() * 8 - 8 {
        if bit % 11 != 0 {
            continue;
        }
        let mut broken = share.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        let answer = give(&vault, &hex::encode(broken)).expect(400);
        assert!(answer.errors().contains("share 4"), "{}", answer.text);
    }
    assert_eq!(
        vault.call("GET", "sys/seal-status", None, None).body["progress"],
        json!(0)
    );
}

#[test]
fn share_of_another_server_is_refused_and_named() {
    let (vault, init) = initialised(3, 2);
    let (_other, foreign) = initialised(3, 2);
    give(&vault, &init.keys[0]).expect(200);
    let answer = give(&vault, &foreign.keys[1]).expect(400);
    assert!(
        answer.errors().contains("share 2 belongs to another set"),
        "{}",
        answer.text
    );
    assert_eq!(
        give(&vault, &init.keys[1]).expect(200).body["sealed"],
        json!(false)
    );
}

#[test]
fn share_given_twice_counts_once_and_reset_forgets_it() {
    let (vault, init) = initialised(3, 2);
    for _ in 0..3 {
        assert_eq!(
            give(&vault, &init.keys[0]).expect(200).body["progress"],
            json!(1)
        );
    }
    let nonce = vault.call("GET", "sys/seal-status", None, None).body["nonce"].clone();
    assert_ne!(nonce, json!(""));
    let reset = vault
        .call("PUT", "sys/unseal", None, Some(&json!({"reset": true})))
        .expect(200);
    assert_eq!(
        (&reset.body["progress"], &reset.body["nonce"]),
        (&json!(0), &json!(""))
    );
    give(&vault, &init.keys[1]).expect(200);
    assert_eq!(
        give(&vault, &init.keys[0]).expect(200).body["sealed"],
        json!(false)
    );
}

#[test]
fn shares_in_vaults_own_format_unseal() {
    let (vault, init) = initialised(3, 2);
    // Ours without the frame: Vault's `y | x`, 33 bytes.
    let plain = |key: &String| {
        let share = hex::decode(key).unwrap();
        let (y, index) = (&share[10..42], &share[58..]);
        hex::encode([y, index].concat())
    };
    let plain: Vec<String> = init.keys.iter().map(plain).collect();
    give(&vault, &plain[2]).expect(200);
    assert_eq!(
        give(&vault, &plain[0]).expect(200).body["sealed"],
        json!(false)
    );
    // A wrong one cannot be told from a right one, but opens nothing.
    vault.root("PUT", "sys/seal", Value::Null).expect(204);
    give(&vault, &plain[2]).expect(200);
    let mut wrong = hex::decode(&plain[0]).unwrap();
    wrong[5] ^= 1;
    give(&vault, &hex::encode(wrong)).expect(400);
    assert_eq!(
        vault.call("GET", "sys/seal-status", None, None).body["sealed"],
        json!(true)
    );
}

#[test]
fn unseal_attempts_are_limited() {
    let (vault, init) = initialised(2, 2);
    let mut limited = None;
    // More than one minute's worth, in case the minute ends meanwhile.
    for _ in 0..200 {
        let answer = give(&vault, "00");
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
        answer.expect(400);
    }
    let limited = limited.expect("no limit");
    let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    give(&vault, &init.keys[0]).expect(429);
}

#[test]
fn init_unseal_and_seal_are_audited() {
    let (vault, init) = initialised(2, 2);
    give(&vault, "00").expect(400);
    give(&vault, &init.keys[0]).expect(200);
    give(&vault, &init.keys[1]).expect(200);
    vault.root("PUT", "sys/seal", Value::Null).expect(204);
    let count = |kind: &str, path: &str| {
        let records = vault.audit();
        let matches =
            |one: &&Value| one["type"] == json!(kind) && one["request"]["path"] == json!(path);
        records.iter().filter(matches).count()
    };
    for (path, times) in [("sys/init", 1), ("sys/unseal", 3), ("sys/seal", 1)] {
        assert_eq!(
            (count("request", path), count("response", path)),
            (times, times),
            "{path}"
        );
    }
    let failed = vault
        .audit()
        .into_iter()
        .find(|one| one["response"]["status"] == json!(400))
        .unwrap();
    assert_eq!(failed["request"]["path"], json!("sys/unseal"));
    assert!(
        failed["error"]
            .as_str()
            .is_some_and(|error| error.contains("share")),
        "{failed}"
    );
    let log = std::fs::read_to_string(vault.data().join("audit.log")).unwrap();
    assert!(init.keys.iter().all(|key| !log.contains(key)));
    assert!(!log.contains(&init.root_token));
}

#[test]
fn sealing_waits_for_requests_in_flight() {
    let vault = Vault::ready_with(Options::plain());
    vault
        .root("POST", "sys/mounts/one", json!({"type": "kv"}))
        .expect(204);
    let stop = AtomicBool::new(false);
    let written: Vec<(String, u16)> = std::thread::scope(|scope| {
        let work = |worker: usize| {
            let (vault, stop) = (&vault, &stop);
            move || {
                let mut written = Vec::new();
                for number in 0.. {
                    if stop.load(Ordering::Acquire) {
                        break;
                    }
                    let path = format!("one/w{worker}/{number}");
                    let status = vault
                        .root("POST", &path, json!({"value": "v".repeat(20_000)}))
                        .status;
                    written.push((path, status));
                }
                written
            }
        };
        let workers: Vec<_> = (0..8).map(|worker| scope.spawn(work(worker))).collect();
        std::thread::sleep(std::time::Duration::from_millis(500));
        vault.root("PUT", "sys/seal", Value::Null).expect(204);
        // Nobody is let in after the answer.
        let late = vault.root("POST", "one/late", json!({"value": "v"}));
        assert_eq!(late.status, 503);
        stop.store(true, Ordering::Release);
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert!(
        written.iter().any(|(_, status)| *status == 503),
        "nothing was in flight"
    );
    let strange = written
        .iter()
        .find(|(_, status)| !matches!(status, 204 | 503));
    assert!(strange.is_none(), "{strange:?}");
    assert!(
        vault.log().contains("all keys are wiped"),
        "{}",
        vault.log()
    );
    vault.unseal();
    for (path, status) in &written {
        let found = vault.root("GET", path, Value::Null).status;
        let expected = if *status == 204 { 200 } else { 404 };
        assert_eq!(found, expected, "{path} was answered with {status}");
    }
}

/// Begins a rekey and gives the current shares.
fn rekey(vault: &Vault, current: &[String], verify: bool) -> Answer {
    let body = json!({"secret_shares": 3, "secret_threshold": 2, "require_verification": verify});
    let started = vault.root("PUT", "sys/rekey/init", body).expect(200);
    let nonce = text(&started.body["nonce"]);
    vault
        .root(
            "PUT",
            "sys/rekey/update",
            json!({"key": current[0], "nonce": "wrong"}),
        )
        .expect(400);
    let mut last = None;
    for key in current {
        last = Some(
            vault
                .root(
                    "PUT",
                    "sys/rekey/update",
                    json!({"key": key, "nonce": nonce}),
                )
                .expect(200),
        );
    }
    let last = last.unwrap();
    assert_eq!(last.body["complete"], json!(true), "{}", last.text);
    last
}

#[test]
fn old_shares_are_refused_after_a_rekey() {
    let (vault, init) = initialised(2, 2);
    vault.unseal();
    vault
        .root(
            "POST",
            "sys/policies/acl/kept",
            json!({"policy": "# nothing"}),
        )
        .expect(204);
    let new = keys(&rekey(&vault, &init.keys, false));
    assert_eq!(new.len(), 3);
    vault.root("PUT", "sys/seal", Value::Null).expect(204);
    let refused = give(&vault, &init.keys[0]).expect(400);
    assert!(refused.errors().contains("another set"), "{}", refused.text);
    give(&vault, &new[2]).expect(200);
    assert_eq!(
        give(&vault, &new[0]).expect(200).body["sealed"],
        json!(false)
    );
    vault
        .root("GET", "sys/policies/acl/kept", Value::Null)
        .expect(200);
}

/// The seal record, in the clear but for the root key.
fn seal_record(vault: &Vault) -> Vec<u8> {
    let db = Connection::open(vault.data().join("vaultd.db")).unwrap();
    db.query_row(
        "SELECT v FROM kv WHERE k = CAST('S/seal' AS BLOB)",
        [],
        |row| row.get(0),
    )
    .unwrap()
}

#[test]
fn old_shares_with_an_old_seal_record_open_nothing_after_a_rekey() {
    let (mut vault, init) = initialised(2, 2);
    vault.unseal();
    let old = seal_record(&vault);
    let new = keys(&rekey(&vault, &init.keys, false));
    let status = vault.root("GET", "sys/key-status", Value::Null).expect(200);
    assert_eq!(status.body["term"], 2);
    vault.root("PUT", "sys/rotate", Value::Null).expect(204);
    vault.kill9();
    let db = Connection::open(vault.data().join("vaultd.db")).unwrap();
    let put = |record: &[u8]| {
        let sql = "UPDATE kv SET v = ?1 WHERE k = CAST('S/seal' AS BLOB)";
        assert_eq!(db.execute(sql, [record]).unwrap(), 1);
    };
    let newest = seal_record(&vault);
    put(&old);
    vault.restart();
    give(&vault, &init.keys[0]).expect(200);
    let refused = give(&vault, &init.keys[1]).expect(500);
    assert!(
        refused.errors().contains("does not open"),
        "{}",
        refused.text
    );
    vault.kill9();
    put(&newest);
    drop(db);
    vault.restart();
    give(&vault, &new[1]).expect(200);
    let open = give(&vault, &new[2]).expect(200);
    assert_eq!(open.body["sealed"], json!(false));
    vault.root("GET", "sys/mounts", Value::Null).expect(200);
}

#[test]
fn rekey_with_verification_changes_nothing_before_the_new_shares_were_given_back() {
    let (vault, init) = initialised(2, 2);
    vault.unseal();
    let made = rekey(&vault, &init.keys, true);
    let (new, nonce) = (keys(&made), text(&made.body["verification_nonce"]));
    // Not in force yet, and not after sealing either.
    vault.root("PUT", "sys/seal", Value::Null).expect(204);
    give(&vault, &new[0]).expect(400);
    vault.unseal();
    vault
        .root(
            "PUT",
            "sys/rekey/verify",
            json!({"key": new[0], "nonce": nonce}),
        )
        .expect(400);

    let made = rekey(&vault, &init.keys, true);
    let (new, nonce) = (keys(&made), text(&made.body["verification_nonce"]));
    vault
        .root(
            "PUT",
            "sys/rekey/verify",
            json!({"key": init.keys[0], "nonce": nonce}),
        )
        .expect(400);
    vault
        .root(
            "PUT",
            "sys/rekey/verify",
            json!({"key": new[1], "nonce": nonce}),
        )
        .expect(200);
    let done = vault
        .root(
            "PUT",
            "sys/rekey/verify",
            json!({"key": new[2], "nonce": nonce}),
        )
        .expect(200);
    assert_eq!(done.body["complete"], json!(true));
    vault.root("PUT", "sys/seal", Value::Null).expect(204);
    give(&vault, &init.keys[0]).expect(400);
    give(&vault, &new[0]).expect(200);
    assert_eq!(
        give(&vault, &new[1]).expect(200).body["sealed"],
        json!(false)
    );
}

/// Key terms of the value rows of the database, by row.
fn terms(vault: &Vault) -> Vec<(Vec<u8>, u32)> {
    let db = Connection::open(vault.data().join("vaultd.db")).unwrap();
    let mut select = db
        .prepare("SELECT k, v FROM kv WHERE k >= x'56' AND k < x'57'")
        .unwrap();
    let rows = select.query_map([], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
    });
    let term = |record: &[u8]| u32::from_be_bytes(record[1..5].try_into().unwrap());
    rows.unwrap()
        .map(Result::unwrap)
        .map(|(key, record)| (key, term(&record)))
        .collect()
}

#[test]
fn after_a_rotation_old_data_is_readable_and_new_data_has_the_new_term() {
    let mut vault = Vault::ready_with(Options::plain());
    vault
        .root("POST", "sys/mounts/one", json!({"type": "kv"}))
        .expect(204);
    vault
        .root("POST", "one/old", json!({"value": "1"}))
        .expect(204);
    assert!(terms(&vault).iter().all(|(_, term)| *term == 1));
    vault.root("PUT", "sys/rotate", Value::Null).expect(204);
    assert_eq!(
        vault
            .root("GET", "sys/key-status", Value::Null)
            .expect(200)
            .data()["term"],
        json!(2)
    );
    vault
        .root("POST", "one/new", json!({"value": "2"}))
        .expect(204);
    let (old, new): (Vec<_>, Vec<_>) = terms(&vault).into_iter().partition(|(_, term)| *term == 1);
    assert!(!old.is_empty());
    assert_eq!(new.len(), 1);
    vault.restart_unsealed();
    for (path, value) in [("one/old", "1"), ("one/new", "2")] {
        assert_eq!(
            vault.root("GET", path, Value::Null).expect(200).data()["value"],
            json!(value)
        );
    }
    assert_eq!(
        vault
            .root("POST", "sys/integrity/verify", Value::Null)
            .expect(200)
            .data()["healthy"],
        json!(true)
    );
}

#[test]
fn generate_root_is_off_by_default() {
    let vault = Vault::ready_with(Options::plain());
    for (method, path) in [
        ("GET", "attempt"),
        ("PUT", "attempt"),
        ("DELETE", "attempt"),
        ("PUT", "update"),
    ] {
        let answer = vault
            .call(method, &format!("sys/generate-root/{path}"), None, None)
            .expect(403);
        assert!(
            answer.errors().contains("allow_generate_root"),
            "{}",
            answer.text
        );
    }
}

#[test]
fn generated_root_token_decodes_with_the_pad_and_works() {
    let options = Options {
        top: "allow_generate_root = true".to_owned(),
        ..Options::plain()
    };
    let mut vault = Vault::start(options);
    let init = vault.init(3, 2);
    vault.unseal();
    let call = |path: &str, body: Value| {
        vault.call(
            "PUT",
            &format!("sys/generate-root/{path}"),
            None,
            Some(&body),
        )
    };
    let started = call("attempt", json!({})).expect(200);
    let (otp, nonce) = (text(&started.body["otp"]), text(&started.body["nonce"]));
    let step = call("update", json!({"key": init.keys[0], "nonce": nonce})).expect(200);
    assert_eq!(step.body["progress"], json!(1));
    call("update", json!({"key": init.keys[1], "nonce": "other"})).expect(400);
    let done = call("update", json!({"key": init.keys[2], "nonce": nonce})).expect(200);
    let encoded = STANDARD_NO_PAD
        .decode(text(&done.body["encoded_root_token"]))
        .unwrap();
    let token: Vec<u8> = encoded
        .iter()
        .zip(otp.bytes())
        .map(|(a, b)| a ^ b)
        .collect();
    let token = String::from_utf8(token).unwrap();
    let own = vault
        .call("GET", "auth/token/lookup-self", Some(&token), None)
        .expect(200);
    assert_eq!(own.data()["policies"], json!(["root"]));
}

#[test]
fn cve_2025_4656_key_ceremonies_need_sudo() {
    let vault = Vault::ready_with(Options::plain());
    let all = json!({"policy": "path \"sys/*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\"] }"});
    vault.root("POST", "sys/policies/acl/all", all).expect(204);
    let made = vault
        .root("POST", "auth/token/create", json!({"policies": ["all"]}))
        .expect(200);
    let token = text(&made.body["auth"]["client_token"]);
    let body = json!({"secret_shares": 1, "secret_threshold": 1, "key": "00", "nonce": "x"});
    for (method, path) in [
        ("PUT", "sys/seal"),
        ("PUT", "sys/rotate"),
        ("PUT", "sys/rekey/init"),
        ("DELETE", "sys/rekey/init"),
        ("PUT", "sys/rekey/update"),
        ("PUT", "sys/rekey/verify"),
        ("PUT", "sys/integrity/verify"),
    ] {
        for token in [None, Some("hvs.wrong"), Some(token.as_str())] {
            vault.call(method, path, token, Some(&body)).expect(403);
        }
    }
    vault.call("GET", "sys/health", None, None).expect(200);
}
