//! The token's life in the background, with lives of a few seconds: short
//! enough to watch, long enough for a busy machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::{sleep, timeout};
use vault_sdk::{Auth, Client, Event, Events};

use crate::fake::{Fake, Reply, auth, data, refused};

const LOGIN: &str = "auth/approle/login";
const RENEW: &str = "auth/token/renew-self";

async fn server(ttl: u64, renew: impl Fn() -> Reply + Send + Sync + 'static) -> Fake {
    let logins = AtomicU32::new(0);
    Fake::start(move |request| match request.path.as_str() {
        LOGIN => {
            let number = logins.fetch_add(1, Ordering::SeqCst) + 1;
            auth(&format!("hvs.{number}"), ttl, true)
        }
        RENEW => renew(),
        _ => data(json!({})),
    })
    .await
}

async fn connect(fake: &Fake) -> Client {
    let login = Auth::app_role("rid", "sid");
    fake.builder()
        .auth(login)
        .max_retries(0)
        .connect()
        .await
        .unwrap()
}

async fn next(events: &mut Events) -> Event {
    let event = timeout(Duration::from_secs(20), events.next());
    event.await.unwrap().unwrap()
}

#[tokio::test]
async fn renews_before_the_end() {
    let fake = server(3, || auth("hvs.1", 3, true)).await;
    let client = connect(&fake).await;
    let mut events = client.events();
    for _ in 0..2 {
        assert_eq!(
            next(&mut events).await,
            Event::Renewed(Duration::from_secs(3))
        );
    }
    assert_eq!(fake.count(LOGIN), 1);
}

#[tokio::test]
async fn survives_an_outage_and_logs_in_when_the_token_is_gone() {
    let down = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&down);
    let fake = server(3, move || match flag.load(Ordering::SeqCst) {
        true => refused(500, "internal error"),
        false => auth("hvs.1", 3, true),
    })
    .await;
    let client = connect(&fake).await;
    let mut events = client.events();
    assert!(matches!(next(&mut events).await, Event::Degraded { .. }));
    // The token ends while renewal fails: a login replaces it.
    loop {
        match next(&mut events).await {
            Event::Degraded { .. } => {}
            event => {
                assert_eq!(event, Event::LoggedIn(Duration::from_secs(3)));
                break;
            }
        }
    }
    assert_eq!(client.token().unwrap().expose(), "hvs.2");
    down.store(false, Ordering::SeqCst);
    loop {
        if let Event::Renewed(_) = next(&mut events).await {
            break;
        }
    }
}

#[tokio::test]
async fn a_refused_renewal_logs_in_at_once() {
    let fake = server(1, || refused(400, "lease is not renewable")).await;
    let client = connect(&fake).await;
    let mut events = client.events();
    assert_eq!(
        next(&mut events).await,
        Event::LoggedIn(Duration::from_secs(1))
    );
}

#[tokio::test]
async fn logs_in_when_the_longest_life_is_near() {
    let fake = server(1, || auth("hvs.1", 0, true)).await;
    let client = connect(&fake).await;
    let mut events = client.events();
    assert_eq!(
        next(&mut events).await,
        Event::LoggedIn(Duration::from_secs(1))
    );
}

#[tokio::test]
async fn a_token_that_cannot_be_kept_expires_with_notice() {
    let fake = Fake::start(|request| match request.path.as_str() {
        "auth/token/lookup-self" => data(json!({
            "accessor": "acc", "creation_time": 0, "creation_ttl": 1, "display_name": "token",
            "expire_time": "2026-01-02T03:04:05Z", "id": "hvs.x", "path": "auth/token/create",
            "policies": ["default"], "renewable": false, "ttl": 1, "type": "service"
        })),
        _ => data(json!({})),
    })
    .await;
    let client = fake.builder().token("hvs.x").connect().await.unwrap();
    let mut events = client.events();
    assert_eq!(next(&mut events).await, Event::Expired);
    assert_eq!(fake.count(RENEW), 0);
}

#[tokio::test]
async fn ends_with_the_last_client() {
    let fake = server(1, || auth("hvs.1", 1, true)).await;
    let client = connect(&fake).await;
    let mut events = client.events();
    next(&mut events).await;
    drop(client);
    assert_eq!(
        timeout(Duration::from_secs(2), events.next()).await,
        Ok(None)
    );
    let renewals = fake.count(RENEW);
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(fake.count(RENEW), renewals);
}

#[tokio::test]
async fn revoking_ends_token_and_renewal() {
    let fake = server(1, || auth("hvs.1", 1, true)).await;
    let client = connect(&fake).await;
    client.revoke_self().await.unwrap();
    assert!(client.token().is_none());
    sleep(Duration::from_millis(1200)).await;
    assert_eq!(fake.count(RENEW), 0);
    assert_eq!(fake.count("auth/token/revoke-self"), 1);
}

#[tokio::test]
async fn shutdown_revokes_only_a_token_of_its_own() {
    let fake = server(60, || auth("hvs.1", 60, true)).await;
    fake.client().shutdown().await.unwrap();
    assert_eq!(fake.count("auth/token/revoke-self"), 0);
    connect(&fake).await.shutdown().await.unwrap();
    assert_eq!(fake.count("auth/token/revoke-self"), 1);
}
