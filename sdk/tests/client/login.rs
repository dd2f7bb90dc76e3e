//! Logging in, and logging in again.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use vault_sdk::{Auth, Call, Error};

use crate::fake::{Fake, auth, data, denied, refused, unknown_token};

/// Knows only the newest of the tokens it gave out.
async fn role_server() -> Fake {
    let logins = AtomicU32::new(0);
    Fake::start(move |request| match request.path.as_str() {
        "auth/approle/login" if request.body["secret_id"] == "sid" => {
            let number = logins.fetch_add(1, Ordering::SeqCst) + 1;
            auth(&format!("hvs.{number}"), 3600, true)
        }
        "auth/approle/login" => refused(400, "invalid role or secret ID"),
        "denied" => denied(),
        _ => {
            let newest = format!("hvs.{}", logins.load(Ordering::SeqCst));
            match request.token.as_deref() {
                Some(token) if token == newest => data(json!({})),
                _ => unknown_token(),
            }
        }
    })
    .await
}

#[tokio::test]
async fn app_role_logs_in_when_connecting() {
    let fake = role_server().await;
    let client = fake
        .builder()
        .auth(Auth::app_role("rid", "sid"))
        .connect()
        .await
        .unwrap();
    client.send(Call::get("a")).await.unwrap();
    let seen = fake.seen();
    assert_eq!(
        seen[0].body,
        json!({ "role_id": "rid", "secret_id": "sid" })
    );
    assert_eq!(seen[0].token, None);
    assert_eq!(seen[1].token.as_deref(), Some("hvs.1"));
}

#[tokio::test]
async fn the_secret_id_file_is_read_at_every_login() {
    let fake = role_server().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret-id");
    std::fs::write(&path, "wrong\n").unwrap();
    let builder = || fake.builder().auth(Auth::app_role_file("rid", &path));
    let failure = builder().connect().await.err().unwrap();
    assert!(matches!(failure, Error::Api { status: 400, .. }));
    std::fs::write(&path, "sid\n").unwrap();
    builder().connect().await.unwrap();
}

#[tokio::test]
async fn many_calls_with_a_dead_token_log_in_once() {
    let fake = role_server().await;
    let client = fake
        .builder()
        .token("hvs.dead")
        .auth(Auth::app_role("rid", "sid"))
        .build()
        .unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.send(Call::put("a", json!({}))).await.map(drop) })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(fake.count("auth/approle/login"), 1);
}

#[tokio::test]
async fn a_denial_by_policy_does_not_log_in() {
    let fake = role_server().await;
    let client = fake
        .builder()
        .auth(Auth::app_role("rid", "sid"))
        .connect()
        .await
        .unwrap();
    let failure = client.send(Call::get("denied")).await;
    assert!(matches!(failure, Err(Error::Denied { .. })));
    assert_eq!(fake.count("auth/approle/login"), 1);
}

#[tokio::test]
async fn a_call_is_replayed_once_only() {
    let fake = Fake::start(|request| match request.path.as_str() {
        "auth/approle/login" => auth("hvs.useless", 3600, true),
        _ => unknown_token(),
    })
    .await;
    let client = fake
        .builder()
        .auth(Auth::app_role("rid", "sid"))
        .build()
        .unwrap();
    let failure = client.send(Call::get("a")).await;
    assert!(matches!(failure, Err(Error::InvalidToken { .. })));
    assert_eq!(fake.count("a"), 2);
    assert_eq!(fake.count("auth/approle/login"), 1);
}

#[tokio::test]
async fn a_given_token_is_not_replaced() {
    let fake = role_server().await;
    let failure = fake.client().send(Call::get("a")).await;
    assert!(matches!(failure, Err(Error::InvalidToken { .. })));
    assert_eq!(fake.seen().len(), 1);
}
