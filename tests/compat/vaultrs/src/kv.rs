use std::collections::HashMap;

use vaultrs::api::kv2::requests::{
    SetConfigurationRequest, SetSecretMetadataRequest, SetSecretRequestOptions,
};
use vaultrs::client::VaultClient;
use vaultrs::{kv1, kv2};

use crate::status;

type Secret = HashMap<String, String>;

fn secret(value: &str) -> HashMap<&str, &str> {
    HashMap::from([("user", "app"), ("password", value)])
}

pub async fn version_1(client: &VaultClient) {
    kv1::set(client, "one", "app/db", &secret("first"))
        .await
        .unwrap();
    let read: Secret = kv1::get(client, "one", "app/db").await.unwrap();
    assert_eq!(read["password"], "first");
    let raw = kv1::get_raw(client, "one", "app/db").await.unwrap();
    assert_eq!(
        (raw.data["user"].as_str(), raw.lease_duration),
        (Some("app"), 2_764_800)
    );
    assert_eq!(
        kv1::list(client, "one", "app").await.unwrap().data.keys,
        ["db"]
    );
    assert_eq!(
        kv1::list(client, "one", "").await.unwrap().data.keys,
        ["app/"]
    );
    kv1::delete(client, "one", "app/db").await.unwrap();
    assert_eq!(status(kv1::get_raw(client, "one", "app/db").await), 404);
}

pub async fn version_2(client: &VaultClient) {
    versions(client).await;
    check_and_set(client).await;
    metadata(client).await;
    configuration(client).await;
    kv2::set(client, "path/to/three", "with a space", &secret("x"))
        .await
        .unwrap();
    let read: Secret = kv2::read(client, "path/to/three", "with a space")
        .await
        .unwrap();
    assert_eq!(read["password"], "x");
}

async fn versions(client: &VaultClient) {
    for (value, version) in [("first", 1), ("second", 2), ("third", 3)] {
        let written = kv2::set(client, "two", "app/db", &secret(value))
            .await
            .unwrap();
        assert_eq!((written.version, written.destroyed), (version, false));
    }
    let read: Secret = kv2::read(client, "two", "app/db").await.unwrap();
    assert_eq!(read["password"], "third");
    let read: Secret = kv2::read_version(client, "two", "app/db", 1).await.unwrap();
    assert_eq!(read["password"], "first");
    assert_eq!(kv2::list(client, "two", "").await.unwrap(), ["app/"]);
    assert_eq!(kv2::list(client, "two", "app").await.unwrap(), ["db"]);

    kv2::delete_latest(client, "two", "app/db").await.unwrap();
    assert_eq!(
        status(kv2::read::<Secret>(client, "two", "app/db").await),
        404
    );
    kv2::undelete_versions(client, "two", "app/db", vec![3])
        .await
        .unwrap();
    kv2::delete_versions(client, "two", "app/db", vec![1, 2])
        .await
        .unwrap();
    kv2::destroy_versions(client, "two", "app/db", vec![1])
        .await
        .unwrap();
    let read: Secret = kv2::read(client, "two", "app/db").await.unwrap();
    assert_eq!(read["password"], "third");
    let known = kv2::read_metadata(client, "two", "app/db").await.unwrap();
    assert_eq!((known.current_version, known.versions.len()), (3, 3));
    assert!(known.versions["1"].destroyed && !known.versions["2"].destroyed);
    assert!(
        !known.versions["2"].deletion_time.is_empty()
            && known.versions["3"].deletion_time.is_empty()
    );
    kv2::delete_metadata(client, "two", "app/db").await.unwrap();
    assert_eq!(
        status(kv2::read_metadata(client, "two", "app/db").await),
        404
    );
}

async fn check_and_set(client: &VaultClient) {
    let cas = |cas| SetSecretRequestOptions { cas };
    kv2::set_with_options(client, "two", "cas", &secret("a"), cas(0))
        .await
        .unwrap();
    let again = kv2::set_with_options(client, "two", "cas", &secret("b"), cas(0)).await;
    assert_eq!(status(again), 400);
    kv2::set_with_options(client, "two", "cas", &secret("b"), cas(1))
        .await
        .unwrap();
}

async fn metadata(client: &VaultClient) {
    let mut wanted = SetSecretMetadataRequest::builder();
    let wanted = wanted.delete_version_after("1h").max_versions(2_u64);
    kv2::set_metadata(client, "two", "cas", Some(wanted))
        .await
        .unwrap();
    let known = kv2::read_metadata(client, "two", "cas").await.unwrap();
    assert_eq!(
        (known.delete_version_after.as_str(), known.max_versions),
        ("1h0m0s", 2)
    );
}

async fn configuration(client: &VaultClient) {
    let mut wanted = SetConfigurationRequest::builder();
    let wanted = wanted.max_versions(100_u64).delete_version_after("768h");
    kv2::config::set(client, "two", Some(wanted)).await.unwrap();
    let read = kv2::config::read(client, "two").await.unwrap();
    assert_eq!((read.max_versions, read.cas_required), (100, false));
    assert_eq!(read.delete_version_after, "768h0m0s");
}
