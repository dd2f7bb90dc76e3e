use vaultrs::api::token::requests::{CreateTokenRequest, SetTokenRoleRequest};
use vaultrs::client::{Client, VaultClient};
use vaultrs::token::{self, role};

use crate::status;

pub async fn all(client: &VaultClient) {
    lookups(client).await;
    renewals(client).await;
    revocations(client).await;
    roles(client).await;
    token::tidy(client).await.unwrap();
}

async fn new_token(client: &VaultClient, ttl: &str) -> vaultrs::api::AuthInfo {
    let mut wanted = CreateTokenRequest::builder();
    let wanted = wanted
        .ttl(ttl)
        .policies(vec!["app".to_owned()])
        .display_name("compat");
    token::new(client, Some(wanted)).await.unwrap()
}

async fn lookups(client: &VaultClient) {
    let root = token::lookup_self(client).await.unwrap();
    assert_eq!(
        (root.policies.as_slice(), root.ttl),
        (["root".to_owned()].as_slice(), 0)
    );
    let new = new_token(client, "10m").await;
    assert_eq!(
        (new.lease_duration, new.orphan, new.token_type.as_str()),
        (600, false, "service")
    );
    let found = token::lookup(client, &new.client_token).await.unwrap();
    assert_eq!(
        (&found.accessor, found.creation_ttl, found.renewable),
        (&new.accessor, 600, true)
    );
    assert_eq!(
        (found.display_name.as_str(), found.path.as_str()),
        ("token-compat", "auth/token/create")
    );
    let found = token::lookup_accessor(client, &new.accessor).await.unwrap();
    assert_eq!(found.policies, ["app", "default"]);
    assert!(token::new_orphan(client, None).await.unwrap().orphan);
}

async fn renewals(client: &VaultClient) {
    let new = new_token(client, "10m").await;
    assert_eq!(
        token::renew(client, &new.client_token, Some("20m"))
            .await
            .unwrap()
            .lease_duration,
        1200
    );
    token::renew_accessor(client, &new.accessor, Some("20m"))
        .await
        .unwrap();
    let own = crate::client(&new.client_token);
    assert_eq!(own.renew(Some("5m")).await.unwrap().lease_duration, 300);
    assert_eq!(status(token::renew_self(client, Some("20m")).await), 400);
}

async fn revocations(client: &VaultClient) {
    let new = new_token(client, "10m").await;
    token::revoke(client, &new.client_token).await.unwrap();
    assert_eq!(status(token::lookup(client, &new.client_token).await), 403);
    let new = new_token(client, "10m").await;
    token::revoke_accessor(client, &new.accessor).await.unwrap();
    let new = new_token(client, "10m").await;
    token::revoke_orphan(client, &new.client_token)
        .await
        .unwrap();
    let own = crate::client(&new_token(client, "10m").await.client_token);
    own.revoke().await.unwrap();
    assert_eq!(status(own.lookup().await), 403);
}

async fn roles(client: &VaultClient) {
    let mut wanted = SetTokenRoleRequest::builder();
    let wanted = wanted.allowed_policies(vec!["app".to_owned()]).orphan(true);
    role::set(client, "ci", Some(wanted)).await.unwrap();
    assert_eq!(
        role::read(client, "ci").await.unwrap().allowed_policies,
        ["app"]
    );
    assert_eq!(role::list(client).await.unwrap().keys, ["ci"]);
    assert!(token::new_role(client, "ci", None).await.unwrap().orphan);
    role::delete(client, "ci").await.unwrap();
    assert_eq!(status(role::read(client, "ci").await), 404);
}
