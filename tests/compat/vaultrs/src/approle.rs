use vaultrs::api::auth::approle::requests::{
    CreateCustomSecretIDRequest, GenerateNewSecretIDRequest, SetAppRoleRequest,
};
use vaultrs::auth::approle::{login, role, role::secret, tidy};
use vaultrs::client::VaultClient;
use vaultrs::kv2;

use crate::status;

pub async fn all(client: &VaultClient) {
    roles(client).await;
    logins(client).await;
    secret_ids(client).await;
    tidy(client, "approle").await.unwrap();
    role::delete(client, "approle", "app").await.unwrap();
    assert_eq!(status(role::read(client, "approle", "app").await), 404);
}

async fn roles(client: &VaultClient) {
    let mut wanted = SetAppRoleRequest::builder();
    let wanted = wanted
        .token_policies(vec!["app".to_owned()])
        .token_ttl("10m")
        .secret_id_ttl("1h")
        .secret_id_num_uses(5_u64)
        .token_bound_cidrs(vec!["127.0.0.0/8".to_owned()]);
    role::set(client, "approle", "app", Some(wanted))
        .await
        .unwrap();
    let read = role::read(client, "approle", "app").await.unwrap();
    assert_eq!(
        (read.token_ttl, read.secret_id_ttl, read.secret_id_num_uses),
        (600, 3600, 5)
    );
    assert_eq!(
        (read.token_policies, read.token_type),
        (vec!["app".to_owned()], "default".to_owned())
    );
    assert!(read.bind_secret_id);
    assert_eq!(role::list(client, "approle").await.unwrap().keys, ["app"]);
    role::update_id(client, "approle", "app", "my-app")
        .await
        .unwrap();
    assert_eq!(
        role::read_id(client, "approle", "app")
            .await
            .unwrap()
            .role_id,
        "my-app"
    );
}

async fn logins(client: &VaultClient) {
    kv2::set(
        client,
        "two",
        "app/web",
        &std::collections::HashMap::from([("k", "v")]),
    )
    .await
    .unwrap();
    let mut wanted = GenerateNewSecretIDRequest::builder();
    let issued = secret::generate(
        client,
        "approle",
        "app",
        Some(wanted.metadata(r#"{"team":"a"}"#)),
    );
    let issued = issued.await.unwrap();
    let auth = login(client, "approle", "my-app", &issued.secret_id)
        .await
        .unwrap();
    assert_eq!(
        (auth.lease_duration, auth.renewable, auth.orphan),
        (600, true, true)
    );
    assert_eq!(auth.token_policies, ["app", "default"]);
    assert_eq!(auth.metadata.as_ref().unwrap()["team"], "a");
    let app = crate::client(&auth.client_token);
    let read: std::collections::HashMap<String, String> =
        kv2::read(&app, "two", "app/web").await.unwrap();
    assert_eq!(read["k"], "v");
    assert_eq!(status(kv2::list(&app, "two", "").await), 403);
    assert_eq!(
        status(login(client, "approle", "my-app", "wrong").await),
        400
    );
    assert_eq!(
        status(login(client, "approle", "unknown", &issued.secret_id).await),
        400
    );
}

async fn secret_ids(client: &VaultClient) {
    let issued = secret::generate(client, "approle", "app", None)
        .await
        .unwrap();
    let read = secret::read(client, "approle", "app", &issued.secret_id)
        .await
        .unwrap();
    assert_eq!(
        (&read.secret_id_accessor, read.secret_id_num_uses),
        (&issued.secret_id_accessor, 5)
    );
    secret::read_accessor(client, "approle", "app", &issued.secret_id_accessor)
        .await
        .unwrap();
    let listed = secret::list(client, "approle", "app").await.unwrap().keys;
    assert!(listed.contains(&issued.secret_id_accessor));
    secret::delete_accessor(client, "approle", "app", &issued.secret_id_accessor)
        .await
        .unwrap();
    assert_eq!(
        status(login(client, "approle", "my-app", &issued.secret_id).await),
        400
    );

    let mut wanted = CreateCustomSecretIDRequest::builder();
    let wanted = wanted.cidr_list(vec!["127.0.0.1/32".to_owned()]);
    let given = secret::custom(client, "approle", "app", "my-own-secret-id", Some(wanted))
        .await
        .unwrap();
    assert_eq!(given.secret_id, "my-own-secret-id");
    login(client, "approle", "my-app", "my-own-secret-id")
        .await
        .unwrap();
    secret::delete(client, "approle", "app", "my-own-secret-id")
        .await
        .unwrap();
    assert_eq!(
        status(login(client, "approle", "my-app", "my-own-secret-id").await),
        400
    );
}
