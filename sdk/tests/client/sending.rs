//! Encoding, retries, deadlines and the meaning of refusals.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use vault_sdk::{Call, Client, Error};

use crate::fake::{Fake, Reply, bare, data, denied, not_found, refused, sealed, unknown_token};

/// Refuses the first `count` requests, then answers.
async fn fails_first(count: u32, refuse: impl Fn() -> Reply + Send + Sync + 'static) -> Fake {
    let asked = AtomicU32::new(0);
    Fake::start(move |_| {
        if asked.fetch_add(1, Ordering::SeqCst) < count {
            refuse()
        } else {
            data(json!({ "ok": true }))
        }
    })
    .await
}

#[tokio::test]
async fn a_call_arrives_as_it_was_written() {
    let fake = Fake::start(|_| data(json!({}))).await;
    let client = fake
        .builder()
        .token("hvs.first")
        .namespace("team")
        .build()
        .unwrap();
    let call = Call::patch("kv/data/a b@:%\"ü", json!({ "x": 1 }))
        .query("a b", "c/d&e")
        .wrap_ttl(Duration::from_secs(300));
    client.send(call).await.unwrap();
    let seen = fake.seen().remove(0);
    assert_eq!(seen.verb, "PATCH");
    assert_eq!(seen.path, "kv/data/a%20b%40%3A%25%22%C3%BC?a%20b=c%2Fd%26e");
    assert_eq!(seen.token.as_deref(), Some("hvs.first"));
    assert_eq!(seen.body, json!({ "x": 1 }));
    assert_eq!(seen.headers["content-type"], "application/merge-patch+json");
    assert_eq!(seen.headers["x-vault-request"], "true");
    assert_eq!(seen.headers["x-vault-namespace"], "team");
    assert_eq!(seen.headers["x-vault-wrap-ttl"], "300");
}

#[tokio::test]
async fn list_is_a_get_and_anonymous_calls_carry_no_token() {
    let fake = Fake::start(|_| data(json!({ "keys": [] }))).await;
    let client = fake.client();
    client
        .send(Call::list("kv/metadata/a/").no_token())
        .await
        .unwrap();
    let seen = fake.seen().remove(0);
    assert_eq!(
        (seen.verb.as_str(), seen.path.as_str()),
        ("GET", "kv/metadata/a/?list=true")
    );
    assert_eq!(seen.token, None);
}

#[tokio::test]
async fn a_path_that_means_two_things_is_not_sent() {
    let fake = Fake::start(|_| data(json!({}))).await;
    for path in ["a/../b", "a//b", "", "a\nb"] {
        let sent = fake.client().send(Call::get(path)).await;
        assert!(matches!(sent, Err(Error::Path(_))), "{path}");
    }
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_read_is_repeated_after_a_server_error() {
    let fake = fails_first(2, || refused(500, "internal error")).await;
    fake.client().send(Call::get("a")).await.unwrap();
    assert_eq!(fake.count("a"), 3);
}

#[tokio::test]
async fn retries_end() {
    let fake = fails_first(99, || refused(500, "internal error")).await;
    let failure = fake.client().send(Call::get("a")).await;
    assert!(matches!(failure, Err(Error::Api { status: 500, .. })));
    assert_eq!(fake.count("a"), 3);
    let client = fake.builder().max_retries(0).build().unwrap();
    client.send(Call::get("b")).await.err().unwrap();
    assert_eq!(fake.count("b"), 1);
}

#[tokio::test]
async fn a_write_is_not_repeated_after_a_server_error() {
    let fake = fails_first(1, || refused(500, "internal error")).await;
    let failure = fake.client().send(Call::put("a", json!({}))).await;
    assert!(matches!(failure, Err(Error::Api { status: 500, .. })));
    assert_eq!(fake.count("a"), 1);
}

#[tokio::test]
async fn a_write_is_repeated_where_it_was_surely_not_done() {
    for status in [412, 429, 503] {
        let fake = fails_first(1, move || refused(status, "later")).await;
        fake.client().send(Call::put("a", json!({}))).await.unwrap();
        assert_eq!(fake.count("a"), 2, "{status}");
    }
}

#[tokio::test]
async fn the_server_says_how_long_to_wait() {
    let fake = fails_first(1, || refused(429, "quota").header("retry-after", 1)).await;
    let start = Instant::now();
    fake.client().send(Call::get("a")).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    // Longer than the deadline: the refusal is the answer.
    let fake = fails_first(1, || refused(429, "quota").header("retry-after", 100)).await;
    let failure = fake.client().send(Call::get("a")).await;
    let after = Some(Duration::from_secs(100));
    assert!(matches!(failure, Err(Error::RateLimited { after: a }) if a == after));
}

#[tokio::test]
async fn an_accepted_status_is_an_answer_and_not_repeated() {
    let fake = Fake::start(|_| bare(503, json!({ "sealed": true }))).await;
    let answer = fake
        .client()
        .send(Call::get("sys/health").accept(&[503]))
        .await
        .unwrap();
    assert_eq!((answer.status, &answer.body["sealed"]), (503, &json!(true)));
    assert_eq!(fake.count("sys/health"), 1);
}

#[tokio::test]
async fn refusals_have_names() {
    type Is = fn(&Error) -> bool;
    let table: Vec<(fn() -> Reply, Is)> = vec![
        (sealed, |e| matches!(e, Error::Sealed)),
        (denied, |e| matches!(e, Error::Denied { .. })),
        (unknown_token, |e| matches!(e, Error::InvalidToken { .. })),
        (not_found, |e| matches!(e, Error::NotFound { .. })),
        (
            || {
                refused(
                    400,
                    "check-and-set parameter did not match the current version",
                )
            },
            |e| matches!(e, Error::CasMismatch),
        ),
        (
            || {
                refused(
                    403,
                    "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n",
                )
            },
            |e| matches!(e, Error::InvalidToken { .. }),
        ),
        (
            || refused(403, "bad token"),
            |e| matches!(e, Error::Api { status: 403, .. }),
        ),
        (
            || refused(404, "no handler for route"),
            |e| matches!(e, Error::Api { status: 404, .. }),
        ),
    ];
    for (reply, is) in table {
        let fake = Fake::start(move |_| reply()).await;
        let client = fake.builder().max_retries(0).build().unwrap();
        let failure = client.send(Call::get("a")).await.err().unwrap();
        assert!(is(&failure), "{failure}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_connect_error_that_names_the_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::builder()
        .addr(&addr)
        .max_retries(1)
        .build()
        .unwrap();
    let failure = client.send(Call::put("a", json!({}))).await.err().unwrap();
    assert!(matches!(&failure, Error::Connect { addr: a, .. } if *a == addr));
    assert!(failure.is_retryable() && failure.hint().is_some());
}

#[tokio::test]
async fn a_silent_server_is_a_timeout() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::builder().addr(addr).build().unwrap();
    let start = Instant::now();
    let call = Call::get("a").timeout(Duration::from_millis(200));
    assert!(matches!(client.send(call).await, Err(Error::Timeout)));
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn no_error_shows_a_body_or_a_token() {
    let marker = "MARKER-7f3a";
    for status in [200, 400, 403, 500] {
        let fake = Fake::start(move |_| bare(status, json!(marker))).await;
        let client = fake.builder().token(marker).max_retries(0).build().unwrap();
        let shown = match client.kv2("secret").put("a", json!({ "k": marker })).await {
            Ok(_) => String::new(),
            Err(failure) => format!("{failure} {failure:?} {:?}", failure.hint()),
        };
        assert!(!shown.is_empty() && !shown.contains(marker), "{shown}");
    }
    let client = Client::builder()
        .token("bad\ntoken MARKER-7f3a")
        .build()
        .unwrap();
    let failure = client.send(Call::get("a")).await.err().unwrap();
    assert!(matches!(failure, Error::Config(_)));
    assert!(!format!("{failure:?}").contains(marker));
}
