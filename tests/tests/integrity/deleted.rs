//! Rows that are gone, and the acceptance of their loss.

use super::*;

#[test]
fn deleted_value_is_an_error_and_not_a_404() {
    let store = Store::new();
    for at in [0, 11, 30] {
        let secret = store.secret("three", at);
        let server = store.edited(|db| delete(db, secret.value_row())).unwrap();
        server.refuses(secret);
        server.finds_exactly(&secret.path, "missing");
        server.refuses(secret);
        assert_eq!(server.sweep(), 1);
    }
}

#[test]
fn deleted_listing_is_named_and_its_directory_does_not_list() {
    let store = Store::new();
    let secret = store.secret("one", 9);
    let server = store.edited(|db| delete(db, secret.listing_row())).unwrap();
    assert_eq!(server.read(secret).status, 200);
    server.finds_exactly(&secret.path, "unlisted");
    assert_eq!(server.lists(), 1);
}

#[test]
fn value_and_listing_deleted_together_are_not_a_404() {
    let store = Store::new();
    for at in [4, 21] {
        let secret = store.secret("one", at);
        let edit = |db: &Connection| secret.rows.iter().for_each(|key| delete(db, key));
        let server = store.edited(edit).unwrap();
        // Before anybody has asked for a verification.
        server.refuses(secret);
        assert!(!server.verify().0);
        server.refuses(secret);
    }
}

#[test]
fn all_rows_of_a_versioned_secret_deleted_are_not_a_404() {
    let store = Store::new();
    let secret = store.secret("two", 12);
    assert!(secret.rows.len() >= 2, "{}", secret.rows.len());
    let edit = |db: &Connection| secret.rows.iter().for_each(|key| delete(db, key));
    let server = store.edited(edit).unwrap();
    server.refuses(secret);
    assert!(!server.verify().0);
}

#[test]
fn deleted_policy_is_not_taken_for_an_absent_one() {
    let mut vault = Vault::ready_with(Options::plain());
    vault
        .root("POST", "sys/mounts/one", json!({"type": "kv"}))
        .expect(204);
    vault
        .root("POST", "one/a", json!({"value": "1"}))
        .expect(204);
    let allow = json!({"policy": "path \"one/*\" { capabilities = [\"read\"] }"});
    vault
        .root("POST", "sys/policies/acl/allow", allow)
        .expect(204);
    let before = rows(&database(vault.dir.path()));
    let deny = json!({"policy": "path \"one/a\" { capabilities = [\"deny\"] }"});
    vault
        .root("POST", "sys/policies/acl/deny-a", deny)
        .expect(204);
    let after = rows(&database(vault.dir.path()));
    let token = vault
        .root(
            "POST",
            "auth/token/create",
            json!({"policies": ["allow", "deny-a"]}),
        )
        .expect(200);
    let token = token.body["auth"]["client_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(vault.call("GET", "one/a", Some(&token), None).status, 403);
    vault.terminate();
    let db = Connection::open(database(vault.dir.path())).unwrap();
    let new = after
        .keys()
        .filter(|key| matches!(key[0], b'V' | b'L') && !before.contains_key(*key));
    new.for_each(|key| delete(&db, key));
    drop(db);
    vault.restart_unsealed();
    let answer = vault.call("GET", "one/a", Some(&token), None);
    assert_ne!(answer.status, 200, "a deleted policy no longer denies");
}

/// Nothing names what was lost: only an operator's word makes absence an answer again.
#[test]
fn unnamed_loss_is_accepted_knowingly_and_then_absent_is_absent() {
    let store = Store::new();
    let secret = store.secret("one", 5);
    let server = store
        .edited(|db| {
            for key in &secret.rows {
                delete(db, key);
            }
        })
        .unwrap();
    server.refuses(secret);
    let verified = server.send("POST", "sys/integrity/verify").expect(200);
    let report = verified.data()["report"].as_str().unwrap().to_owned();
    let accept = |report: &str| {
        let body = json!({"report": report});
        let request = Request::new("POST", "sys/integrity/accept").json(&body);
        server.endpoint.send(&request.token(&store.root)).unwrap()
    };
    let refused = accept("0123").expect(400);
    assert!(
        refused.errors().contains("verify again"),
        "{}",
        refused.text
    );
    server.refuses(secret);
    let lost = accept(&report).expect(200);
    assert_eq!(lost.data()["rows_missing"], json!(true));
    assert_eq!(server.verify(), (true, Vec::new()));
    assert_eq!(server.read(secret).status, 404);
    let listed = server.send("LIST", "one/dir0/");
    assert!(matches!(listed.status, 200 | 404), "{}", listed.text);
    let whole = store
        .secrets
        .iter()
        .filter(|other| other.path != secret.path);
    assert!(
        whole
            .into_iter()
            .all(|other| server.read(other).status == 200)
    );
    let audit = std::fs::read_to_string(store.home().join("data/audit.log")).unwrap();
    assert!(audit.contains("sys/integrity/accept"));
}
