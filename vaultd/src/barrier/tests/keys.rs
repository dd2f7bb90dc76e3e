//! Keys: terms, the root key, and what a thief of the file sees.

use vault_crypto::{Key, Seeded};

use super::{BarrierError, Bed};
use crate::barrier::{SealRecord, names};

/// The term in a record's header.
async fn term_of(bed: &Bed, path: &str) -> u32 {
    let key = names::value_key(&bed.barrier.keyring(), super::MOUNT, path);
    let record = bed.rows().await[&key].clone();
    u32::from_be_bytes(record[1..5].try_into().unwrap())
}

#[tokio::test]
async fn a_rotation_serves_new_records_and_old_ones_stay_readable() {
    let mut bed = Bed::new().await;
    bed.put("old", "1").await;
    assert_eq!(bed.barrier.rotate(77).await.unwrap(), 2);
    assert_eq!(bed.barrier.keyring().current_since_ms(), 77);
    bed.put("new", "2").await;
    for _ in 0..2 {
        assert_eq!(bed.get("old").await.unwrap().unwrap(), "1");
        assert_eq!(bed.get("new").await.unwrap().unwrap(), "2");
        assert_eq!(term_of(&bed, "old").await, 1);
        assert_eq!(term_of(&bed, "new").await, 2);
        assert!(bed.barrier.verify().await.unwrap().healthy());
        bed.reopen().await;
    }
    bed.put("old", "3").await;
    assert_eq!(term_of(&bed, "old").await, 2);
}

#[tokio::test]
async fn what_was_stored_is_there_after_unsealing_again() {
    let mut bed = Bed::new().await;
    bed.put("a/b", "1").await;
    bed.delete("none").await.unwrap();
    bed.reopen().await;
    assert_eq!(bed.get("a/b").await.unwrap().unwrap(), "1");
    assert_eq!(bed.list("a").await.unwrap(), ["b"]);
    assert_eq!(bed.get("none").await.unwrap(), None);
}

#[tokio::test]
async fn after_a_rekey_the_old_root_key_opens_nothing_and_new_records_have_a_new_term() {
    let mut bed = Bed::new().await;
    bed.put("old", "1").await;
    let (random, root) = (Seeded::new(5), || Key::generate(&Seeded::new(6)));
    let record = SealRecord::new("test", 1, 1, "", &[9; 32], &root(), &random);
    bed.barrier.rekey(&record, root(), 77).await.unwrap();
    bed.put("new", "2").await;
    assert_eq!(term_of(&bed, "new").await, 2);
    let refused = bed.open(&bed.root).await.err();
    assert!(matches!(refused, Some(BarrierError::Key(_))));
    let stored = SealRecord::load(&bed.storage).await.unwrap().unwrap();
    assert!(stored.open(&[7; 32]).is_err());
    // A rotation goes on with the root key that is in force.
    bed.barrier.rotate(78).await.unwrap();
    bed.root = stored.open(&[9; 32]).unwrap();
    bed.reopen().await;
    assert_eq!(bed.get("old").await.unwrap().unwrap(), "1");
    assert_eq!(bed.get("new").await.unwrap().unwrap(), "2");
    assert!(bed.barrier.verify().await.unwrap().healthy());
}

#[tokio::test]
async fn another_root_key_opens_nothing() {
    let bed = Bed::new().await;
    let wrong = Key::generate(&Seeded::new(99));
    let refused = bed.open(&wrong).await.err();
    assert!(matches!(refused, Some(BarrierError::Key(_))));
    let unseal = bed.record.open(&[8; 32]).err();
    assert!(matches!(unseal, Some(BarrierError::Key(_))));
    assert_eq!(
        bed.record.open(&[7; 32]).unwrap().expose(),
        bed.root.expose()
    );
}

#[tokio::test]
async fn a_changed_seal_record_does_not_open() {
    let bed = Bed::new().await;
    let mut weaker = bed.record.clone();
    weaker.threshold = 2;
    assert!(weaker.open(&[7; 32]).is_err());
    let mut elsewhere = bed.record.clone();
    elsewhere.cluster = "other".to_owned();
    assert!(elsewhere.open(&[7; 32]).is_err());
}

#[tokio::test]
async fn a_store_is_initialised_once() {
    let bed = Bed::new().await;
    let random = Seeded::new(50);
    let again =
        crate::barrier::Barrier::initialise(&bed.storage, &bed.record, &bed.root, &random, 0).await;
    assert!(matches!(again, Err(BarrierError::Conflict)));
}

#[tokio::test]
async fn neither_names_nor_values_are_on_disk() {
    let bed = Bed::new().await;
    bed.put("customers/acme-password", "hunter2-hunter2").await;
    for (key, val) in bed.rows().await {
        for secret in ["customers", "acme-password", "hunter2"] {
            let found = |bytes: &[u8]| {
                bytes
                    .windows(secret.len())
                    .any(|window| window == secret.as_bytes())
            };
            assert!(!found(&key) && !found(&val), "{secret}");
        }
    }
}

#[tokio::test]
async fn the_committer_ends_and_with_it_the_keys() {
    let bed = Bed::new().await;
    bed.put("a", "1").await;
    let committer = bed.barrier.take_committer().unwrap();
    let keyring = std::sync::Arc::downgrade(&bed.barrier.keyring());
    drop(bed);
    committer.await.unwrap();
    assert!(keyring.upgrade().is_none());
}
