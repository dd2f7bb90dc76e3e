//! Rows as they once were.

use super::*;

#[test]
fn older_copy_of_a_row_is_named_and_from_then_on_an_error() {
    let store = Store::new();
    let secret = &store.secrets[store.updated];
    let key = secret.value_row();
    let server = store.edited(|db| put(db, key, &store.older[key])).unwrap();
    server.finds_exactly(&secret.path, "outdated");
    server.refuses(secret);
    assert_eq!(server.sweep(), 1);
    // Nor can it be hidden by writing over it.
    let over = Request::new("POST", &secret.api)
        .token(&store.root)
        .json(&json!({"value": "new"}));
    assert_eq!(server.endpoint.send(&over).unwrap().status, 500);
}

#[test]
fn older_copy_of_a_row_is_found_in_the_background() {
    let store = Store::new();
    let secret = &store.secrets[store.updated];
    let key = secret.value_row();
    let server = store.edited(|db| put(db, key, &store.older[key])).unwrap();
    let named = until(Duration::from_secs(20), || {
        server.process.log().contains(&secret.path).then_some(())
    });
    assert!(named.is_some(), "{}", server.process.log());
    server.refuses(secret);
}

#[test]
fn deleted_row_that_was_put_back_is_foreign() {
    let store = Store::new();
    let secret = store.secret("three", 20);
    let kept = rows(&store.whole);
    let server = store.edited(|_| {}).unwrap();
    assert_eq!(server.send("DELETE", &secret.path).status, 204);
    assert_eq!(server.read(secret).status, 404);
    let mut process = server.process;
    assert!(process.terminate().success());
    let db = Connection::open(database(&store.home())).unwrap();
    let back = [secret.value_row(), secret.listing_row()];
    back.iter().for_each(|key| put(&db, key, &kept[*key]));
    drop(db);
    let server = Server::start(&store).unwrap();
    let (healthy, damaged) = server.verify();
    assert!(!healthy);
    assert!(
        damaged.contains(&(secret.path.clone(), "foreign".to_owned())),
        "{damaged:?}"
    );
    server.refuses(secret);
}

#[test]
fn sums_put_back_together_with_the_row_that_they_count_are_found() {
    let store = Store::new();
    let secret = &store.secrets[store.updated];
    let sums: Vec<&Vec<u8>> = store.older.keys().filter(|key| key[0] == b'P').collect();
    assert_eq!(sums.len(), 34);
    let header = *sums.last().unwrap();
    // Rows of sums that changed since, without the header; then with it.
    for kept in [Some(header), None] {
        let edit = |db: &Connection| {
            put(db, secret.value_row(), &store.older[secret.value_row()]);
            for key in sums.iter().filter(|key| Some(**key) != kept) {
                put(db, key, &store.older[*key]);
            }
        };
        match (store.edited(edit), kept) {
            (None, Some(_)) => {}
            (Some(_), Some(_)) => panic!("unsealed on sums of two moments"),
            // Everything of the store is as it was: that is the whole file put back.
            (server, None) => assert!(server.is_some()),
        }
    }
}
