use std::collections::HashMap;

use rustify_derive::Endpoint;
use serde::{Deserialize, Serialize};
use vaultrs::api::{self, sys::requests::EnableEngineRequest};
use vaultrs::client::{Client, VaultClient};
use vaultrs::sys::{self, ServerStatus, auth, mount, policy};

/// vaultrs has no call for it.
#[derive(Debug, Endpoint, Serialize)]
#[endpoint(path = "sys/init", method = "PUT", response = "InitResponse")]
struct InitRequest {
    secret_shares: u8,
    secret_threshold: u8,
}

#[derive(Debug, Deserialize)]
struct InitResponse {
    keys_base64: Vec<String>,
    root_token: String,
}

fn named(found: ServerStatus) -> String {
    format!("{found:?}")
}

pub async fn from_new_to_unsealed() -> String {
    let client = crate::client("");
    assert_eq!(named(client.status().await.unwrap()), "UNINITIALIZED");
    let endpoint = InitRequest {
        secret_shares: 3,
        secret_threshold: 2,
    };
    let init = api::exec_with_no_result(&client, endpoint).await.unwrap();
    assert_eq!(init.keys_base64.len(), 3);
    assert_eq!(named(client.status().await.unwrap()), "SEALED");
    let first = sys::unseal(&client, Some(init.keys_base64[2].clone()), None, None)
        .await
        .unwrap();
    assert_eq!(
        (
            first.sealed,
            first.threshold,
            first.n_shares,
            first.progress
        ),
        (true, 2, 3, 1)
    );
    let reset = sys::unseal(&client, None, Some(true), None).await.unwrap();
    assert_eq!(reset.progress, 0);
    for key in &init.keys_base64[..2] {
        sys::unseal(&client, Some(key.clone()), None, None)
            .await
            .unwrap();
    }
    let health = sys::health(&client).await.unwrap();
    assert!(health.initialized && !health.sealed && !health.standby);
    assert_eq!(health.version.split('.').count(), 3);
    assert_eq!(named(client.status().await.unwrap()), "OK");
    init.root_token
}

pub async fn mounts(client: &VaultClient) {
    mount::enable(client, "one", "kv", None).await.unwrap();
    let options = HashMap::from([("version".to_owned(), "2".to_owned())]);
    let mut two = EnableEngineRequest::builder();
    mount::enable(
        client,
        "two",
        "kv",
        Some(two.options(options).description("second")),
    )
    .await
    .unwrap();
    mount::enable(client, "path/to/three", "kv-v2", None)
        .await
        .unwrap();
    assert_eq!(
        crate::status(mount::enable(client, "one", "kv", None).await),
        400
    );
    let listed = mount::list(client).await.unwrap();
    assert_eq!(
        (
            listed["one/"].mount_type.as_str(),
            listed["two/"].description.as_str()
        ),
        ("kv", "second")
    );
    assert_eq!(listed["two/"].options.as_ref().unwrap()["version"], "2");
    assert!(listed.contains_key("path/to/three/") && listed.contains_key("cubbyhole/"));

    auth::enable(client, "approle", "approle", None)
        .await
        .unwrap();
    let listed = auth::list(client).await.unwrap();
    assert_eq!(listed["approle/"].mount_type, "approle");
    assert_eq!(listed["token/"].mount_type, "token");
}

pub async fn policies(client: &VaultClient) {
    let text = "path \"two/data/app/*\" { capabilities = [\"read\"] }\n";
    policy::set(client, "App", text).await.unwrap();
    let read = policy::read(client, "app").await.unwrap();
    assert_eq!((read.name.as_str(), read.rules.as_str()), ("app", text));
    let listed = policy::list(client).await.unwrap().policies;
    for name in ["app", "default", "root"] {
        assert!(listed.iter().any(|found| found == name), "{name}");
    }
    assert_eq!(
        crate::status(policy::set(client, "broken", "path {").await),
        400
    );
    policy::set(client, "gone", text).await.unwrap();
    policy::delete(client, "gone").await.unwrap();
    assert_eq!(crate::status(policy::read(client, "gone").await), 404);
}

pub async fn seals(client: &VaultClient) {
    sys::seal(client).await.unwrap();
    assert_eq!(named(client.status().await.unwrap()), "SEALED");
    assert_eq!(crate::status(mount::list(client).await), 503);
}
