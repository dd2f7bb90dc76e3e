//! Challenges that were used.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use jiff::Timestamp;
use vault_crypto::Seeded;

use super::tidy;
use crate::barrier::{Barrier, Engine, Memory, SealRecord};

async fn barrier() -> Arc<Barrier> {
    let random = Seeded::new(7);
    let storage = Arc::new(Engine::Memory(Memory::new()));
    let root = vault_crypto::Key::generate(&random);
    let record = SealRecord::new("test", 1, 1, "", &[7; 32], &root, &random);
    Barrier::initialise(&storage, &record, &root, &random, 0)
        .await
        .unwrap();
    Barrier::open(storage, &record, &root, Arc::new(Seeded::new(8)))
        .await
        .unwrap()
}

#[tokio::test]
async fn used_challenges_are_forgotten_once_they_have_expired() {
    let barrier = barrier().await;
    let slots = [
        ("000000000010", 25),
        ("000000000011", 1),
        ("000000000012", 1),
    ];
    for (slot, count) in slots {
        for number in 0..count {
            let mut tx = barrier.begin();
            let row = format!("used/{slot}/{number}");
            tx.view(100).put(&row, &()).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
    // In minute 12 that of minute 12 still counts, and that of minute 11 may.
    let now = Timestamp::from_second(12 * 60 + 30).unwrap();
    let mut rounds = 0;
    loop {
        let mut tx = barrier.begin();
        let more = tidy(now, &mut tx.view(100)).await.unwrap();
        tx.commit().await.unwrap();
        rounds += 1;
        if !more {
            break;
        }
    }
    assert!(rounds > 2, "too much in one transaction");
    let mut tx = barrier.begin();
    let left = tx.view(100).list("used").await.unwrap();
    assert_eq!(left, ["000000000011/", "000000000012/"]);
}
