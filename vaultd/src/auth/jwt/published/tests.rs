//! Folders of what issuers published: they stay small, and lose what is too old.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use vault_crypto::{Key, Seeded};

use super::*;
use crate::auth::jwt::model::Place;
use crate::barrier::{Barrier, Engine, Memory, SealRecord};
use crate::outbound::Url;

const NOW: i64 = 1_700_000_000;

async fn barrier() -> Arc<Barrier> {
    let random = Seeded::new(7);
    let storage = Arc::new(Engine::Memory(Memory::new()));
    let root = Key::generate(&random);
    let record = SealRecord::new("test", 1, 1, "", &[7; 32], &root, &random);
    Barrier::initialise(&storage, &record, &root, &random, 0)
        .await
        .unwrap();
    Barrier::open(storage, &record, &root, Arc::new(Seeded::new(8)))
        .await
        .unwrap()
}

async fn keep_at(at: i64, names: std::ops::Range<usize>, view: &mut View<'_>) {
    let place = Place {
        url: Url::parse("https://issuer.example/keys").unwrap(),
        ca_pem: String::new(),
    };
    let documents = Documents {
        source: Source::Jwks(place),
        provider: None,
        key_sets: Vec::new(),
        at,
    };
    for name in names {
        let row = format!("keys/{name}");
        let documents = &documents;
        let row = Row {
            row: &row,
            documents,
        };
        row.keep(view).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_too_old_goes_from_a_folder_that_is_not_small() {
    let barrier = barrier().await;
    let random = Seeded::new(1);
    let now = Timestamp::from_second(NOW).unwrap();
    let mut tx = barrier.begin();
    let mut view = tx.view(100);
    keep_at(NOW - KEPT - 1, 0..40, &mut view).await;
    tidy("keys", now, &random, &mut view).await.unwrap();
    assert_eq!(view.list("keys").await.unwrap().len(), 40);
    keep_at(NOW - KEPT, 40..100, &mut view).await;
    for _ in 0..200 {
        tidy("keys", now, &random, &mut view).await.unwrap();
    }
    let left = view.list("keys").await.unwrap();
    assert_eq!(left.len(), 60);
    assert!(left.iter().all(|name| name.parse::<usize>().unwrap() >= 40));
}

#[tokio::test]
async fn a_full_folder_takes_no_other_name() {
    let barrier = barrier().await;
    let mut tx = barrier.begin();
    let mut view = tx.view(100);
    keep_at(NOW, 0..ROWS_MAX + 5, &mut view).await;
    assert_eq!(view.list("keys").await.unwrap().len(), ROWS_MAX);
    keep_at(NOW + 1, 0..1, &mut view).await;
    let first: Documents = view.get("keys/0").await.unwrap().unwrap();
    assert_eq!(first.at, NOW + 1);
}
