//! Apps that start before the server is unsealed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use vault_sdk::{Auth, Client, Error, Startup};

use crate::fake::{Fake, auth, bare, data, refused, sealed, unknown_token};

const WAIT: Startup = Startup::WaitForUnseal(Duration::from_secs(20));

fn role() -> Auth {
    Auth::app_role("rid", "sid")
}

#[tokio::test]
async fn fail_fast_says_sealed() {
    let fake = Fake::start(|_| sealed()).await;
    let failure = fake.builder().auth(role()).connect().await.err().unwrap();
    assert!(matches!(failure, Error::Sealed));
}

#[tokio::test]
async fn waits_until_the_server_is_unsealed() {
    let asked = AtomicU32::new(0);
    let fake = Fake::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0..5 => sealed(),
        _ => auth("hvs.1", 3600, true),
    })
    .await;
    let client = fake
        .builder()
        .auth(role())
        .startup(WAIT)
        .connect()
        .await
        .unwrap();
    assert_eq!(client.token().unwrap().expose(), "hvs.1");
}

#[tokio::test]
async fn waits_for_a_server_that_is_not_there_yet() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let limit = Duration::from_millis(1200);
    let start = Instant::now();
    let failure = Client::builder()
        .addr(addr)
        .auth(role())
        .startup(Startup::WaitForUnseal(limit))
        .connect()
        .await
        .err()
        .unwrap();
    assert!(matches!(failure, Error::Connect { .. }));
    assert!(start.elapsed() < limit + Duration::from_secs(2));
}

#[tokio::test]
async fn a_wrong_login_fails_at_once_though_waiting_is_allowed() {
    let fake = Fake::start(|_| refused(400, "invalid role or secret ID")).await;
    let start = Instant::now();
    let failure = fake.builder().auth(role()).startup(WAIT).connect().await;
    assert!(matches!(failure, Err(Error::Api { status: 400, .. })));
    let fake = Fake::start(|_| unknown_token()).await;
    let failure = fake.builder().token("hvs.x").startup(WAIT).connect().await;
    assert!(matches!(failure, Err(Error::InvalidToken { .. })));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn without_a_login_the_health_decides() {
    let health = |initialized, sealed| {
        json!({
            "initialized": initialized, "sealed": sealed, "standby": false,
            "server_time_utc": 0, "version": "1.16.3"
        })
    };
    let fake = Fake::start(move |_| bare(501, health(false, true))).await;
    let failure = fake.builder().connect().await.err().unwrap();
    assert!(matches!(failure, Error::Uninitialized));
    let fake = Fake::start(move |_| bare(503, health(true, true))).await;
    let failure = fake.builder().connect().await.err().unwrap();
    assert!(matches!(failure, Error::Sealed));
    let fake = Fake::start(move |_| bare(200, health(true, false))).await;
    fake.builder().connect().await.unwrap();
}

#[tokio::test]
async fn a_token_that_may_not_look_at_itself_is_used() {
    let fake = Fake::start(|request| match request.path.as_str() {
        "auth/token/lookup-self" => crate::fake::denied(),
        _ => data(json!({})),
    })
    .await;
    fake.builder().token("hvs.x").connect().await.unwrap();
}
