//! Bytes changed in place, and rows in the place of others.

use super::*;

#[test]
fn flipped_bit_in_a_value_is_named_and_nothing_else_is() {
    let store = Store::new();
    let mut numbers = Numbers(1);
    for case in 0..40 {
        let secret = store.secret(["one", "three"][case % 2], numbers.below(EACH));
        // The first cases flip the header: term, generation.
        let bit = if case < 13 {
            case * 8 + 3
        } else {
            numbers.below(1 << 20)
        };
        let server = store
            .edited(|db| flip(db, secret.value_row(), bit))
            .unwrap();
        server.refuses(secret);
        server.finds_exactly(&secret.path, "altered");
        if case % 10 == 0 {
            assert_eq!(server.sweep(), 1);
        }
    }
}

#[test]
fn flipped_bits_in_any_rows_never_give_wrong_data() {
    let store = Store::new();
    let keys: Vec<Vec<u8>> = rows(&store.whole)
        .into_keys()
        .filter(|key| matches!(key[0], b'V' | b'L' | b'E'))
        .collect();
    let mut numbers = Numbers(2);
    let mut found = 0;
    for round in 0..20 {
        let edit = |db: &Connection| {
            for _ in 0..[1, 4, 10][round % 3] {
                let key = &keys[numbers.below(keys.len())];
                flip(db, key, numbers.below(1 << 20));
            }
        };
        if let Some(server) = store.edited(edit) {
            found += server.sweep();
            assert!(server.is_found());
        }
    }
    assert!(found > 0, "the flips did not reach anything that is read");
}

#[test]
fn flipped_bits_in_row_keys_never_hide_a_secret() {
    let store = Store::new();
    let keys: Vec<Vec<u8>> = rows(&store.whole)
        .into_keys()
        .filter(|key| matches!(key[0], b'V' | b'L'))
        .collect();
    let mut numbers = Numbers(3);
    for _ in 0..20 {
        let key = &keys[numbers.below(keys.len())];
        let mut other = key.clone();
        // Not the keyspace itself.
        let bit = 8 + numbers.below((key.len() - 1) * 8);
        other[bit / 8] ^= 1 << (bit % 8);
        let edit = |db: &Connection| {
            db.execute("UPDATE kv SET k = ?2 WHERE k = ?1", (key, other))
                .unwrap();
        };
        if let Some(server) = store.edited(edit) {
            assert!(server.is_found());
            server.sweep();
        }
    }
}

#[test]
fn flipped_bits_anywhere_in_the_file_never_give_wrong_data() {
    let store = Store::new();
    let size = std::fs::metadata(&store.whole).unwrap().len() as usize;
    let mut numbers = Numbers(4);
    let mut served = 0;
    for round in 0..40 {
        store.restore();
        let file = database(&store.home());
        let mut bytes = std::fs::read(&file).unwrap();
        for _ in 0..[1, 3, 9][round % 3] {
            let bit = numbers.below(size * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        std::fs::write(&file, bytes).unwrap();
        if let Some(server) = Server::start(&store) {
            server.sweep();
            served += 1;
        }
    }
    assert!(
        served > 5,
        "only {served} servers came up: nothing was tried"
    );
}

#[test]
fn swapped_values_do_not_open() {
    let store = Store::new();
    // Within a mount and between mounts of the same kind.
    for (a, b) in [
        (store.secret("one", 3), store.secret("one", 8)),
        (store.secret("one", 5), store.secret("three", 5)),
    ] {
        let edit = |db: &Connection| {
            let (x, y) = (value_of(db, a.value_row()), value_of(db, b.value_row()));
            put(db, a.value_row(), &(1, y));
            put(db, b.value_row(), &(1, x));
        };
        let server = store.edited(edit).unwrap();
        server.refuses(a);
        server.refuses(b);
        let mut expected = [a, b].map(|secret| (secret.path.clone(), "altered".to_owned()));
        expected.sort();
        let (_, mut damaged) = server.verify();
        damaged.sort();
        assert_eq!(damaged, expected);
        assert_eq!(server.sweep(), 2);
    }
}

#[test]
fn row_moved_to_another_key_does_not_open_there() {
    let store = Store::new();
    let (from, to) = (store.secret("one", 2), store.secret("three", 2));
    let edit = |db: &Connection| {
        delete(db, to.value_row());
        db.execute(
            "UPDATE kv SET k = ?2 WHERE k = ?1",
            (from.value_row(), to.value_row()),
        )
        .unwrap();
    };
    let server = store.edited(edit).unwrap();
    server.refuses(from);
    server.refuses(to);
    let (_, damaged) = server.verify();
    assert!(
        damaged.contains(&(from.path.clone(), "missing".to_owned())),
        "{damaged:?}"
    );
    assert!(
        damaged.contains(&(to.path.clone(), "altered".to_owned())),
        "{damaged:?}"
    );
    assert_eq!(damaged.len(), 2, "{damaged:?}");
}

#[test]
fn whole_rows_swapped_between_mounts_do_not_open() {
    let store = Store::new();
    let (a, b) = (store.secret("one", 7), store.secret("three", 7));
    let remount = |key: &[u8], mount: &[u8]| [&key[..1], mount, &key[9..]].concat();
    let edit = |db: &Connection| {
        for (a, b) in [
            (a.value_row(), b.value_row()),
            (a.listing_row(), b.listing_row()),
        ] {
            let (x, y) = (value_of(db, a), value_of(db, b));
            delete(db, a);
            delete(db, b);
            put(db, &remount(a, &b[1..9]), &(1, x));
            put(db, &remount(b, &a[1..9]), &(1, y));
        }
    };
    let server = store.edited(edit).unwrap();
    server.refuses(a);
    server.refuses(b);
    assert!(!server.verify().0);
    server.sweep();
}
