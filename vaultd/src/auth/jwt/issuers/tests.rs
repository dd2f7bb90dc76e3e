//! When an issuer is asked, on a clock of the test's own.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Map;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::auth::jwt::model::Config;

const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
/// `{"alg":"EdDSA","kid":"unknown"}`, no claims, no signature that holds.
const UNKNOWN: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6InVua25vd24ifQ.e30.AAAA";

#[derive(Default)]
struct Served {
    asked: AtomicUsize,
    down: AtomicBool,
}

/// Serves one key set over plain HTTP.
async fn serve() -> (Arc<Served>, Config) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let served: Arc<Served> = Arc::default();
    let shared = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            shared.asked.fetch_add(1, Ordering::SeqCst);
            if shared.down.load(Ordering::SeqCst) {
                continue;
            }
            let mut request = [0; 2048];
            let _ = stream.read(&mut request).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", KEYS.len());
            let _ = stream.write_all((head + KEYS).as_bytes()).await;
        }
    });
    let place = Place {
        url: Url::parse(&url).unwrap(),
        ca_pem: String::new(),
    };
    let config = Config {
        source: Source::Jwks(place),
        bound_issuer: String::new(),
        supported_algs: Vec::new(),
        default_role: String::new(),
        client: None,
        response_mode: String::new(),
        response_types: Vec::new(),
        provider_config: Map::new(),
        namespace_in_state: false,
    };
    (served, config)
}

struct Bed {
    served: Arc<Served>,
    config: Config,
    outbound: Arc<Outbound>,
    issuers: Issuers,
}

impl Bed {
    async fn new() -> Bed {
        let (served, config) = serve().await;
        Bed {
            served,
            config,
            outbound: Arc::default(),
            issuers: Issuers::default(),
        }
    }

    fn asked(&self) -> usize {
        self.served.asked.load(Ordering::SeqCst)
    }

    fn set_down(&self, down: bool) {
        self.served.down.store(down, Ordering::SeqCst);
    }

    /// Whether keys are known at this second.
    async fn at(&self, second: i64) -> Result<Arc<Published>, Failure> {
        let now = Timestamp::from_second(second).unwrap();
        self.issuers
            .published(&self.outbound, &Aside::sealed(1), self.config.signer(), now)
            .await
    }

    async fn unknown_at(&self, second: i64) {
        let now = Timestamp::from_second(second).unwrap();
        let token = Token::parse(UNKNOWN).unwrap();
        let all = &Algorithm::ALL;
        let outcome = self
            .issuers
            .verify(
                &self.outbound,
                &Aside::sealed(1),
                self.config.signer(),
                &token,
                all,
                now,
            )
            .await;
        assert!(outcome.is_err_and(|why| why.contains("no known key")));
    }
}

const START: i64 = 1_700_000_000;

#[tokio::test]
async fn keys_are_asked_for_again_when_they_are_old() {
    let bed = Bed::new().await;
    assert_eq!(bed.at(START).await.unwrap().keys.len(), 1);
    bed.at(START + FRESH - 1).await.unwrap();
    assert_eq!(bed.asked(), 1);
    // Still used, and asked for beside.
    let old = bed.at(START + FRESH).await.unwrap();
    assert_eq!(old.at, START);
    while bed.at(START + FRESH + 1).await.unwrap().at == START {
        tokio::task::yield_now().await;
    }
    // Too old to be used before it is asked again.
    let fresh = bed.at(START + FRESH + RECENT).await.unwrap();
    assert_eq!(fresh.at, START + FRESH + RECENT);
}

#[tokio::test]
async fn an_issuer_that_is_down_is_believed_for_a_day() {
    let bed = Bed::new().await;
    bed.at(START).await.unwrap();
    bed.set_down(true);
    for age in [RECENT, RECENT + PAUSE, KEPT - 1] {
        assert_eq!(bed.at(START + age).await.unwrap().at, START, "{age}");
    }
    assert!(bed.at(START + KEPT).await.is_err());
    bed.set_down(false);
    // It is left alone for a moment after it has failed.
    assert!(bed.at(START + KEPT + 1).await.is_err());
    bed.at(START + KEPT + PAUSE).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_was_never_heard_is_not_asked_by_everybody() {
    let bed = Bed::new().await;
    bed.set_down(true);
    for _ in 0..20 {
        assert!(bed.at(START).await.is_err());
    }
    assert_eq!(bed.asked(), 1);
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_at_once_and_then_seldom() {
    let bed = Bed::new().await;
    bed.at(START).await.unwrap();
    for _ in 0..20 {
        bed.unknown_at(START + 1).await;
    }
    assert_eq!(bed.asked(), 2);
    bed.unknown_at(START + 1 + UNKNOWN_EVERY).await;
    assert_eq!(bed.asked(), 3);
}

#[tokio::test]
async fn another_source_forgets_the_keys_of_the_first() {
    let bed = Bed::new().await;
    bed.at(START).await.unwrap();
    let (other, config) = serve().await;
    let bed = Bed { config, ..bed };
    bed.at(START).await.unwrap();
    assert_eq!(other.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn one_of_several_issuers_that_is_down_stops_no_login_with_keys_of_another() {
    let bed = Bed::new().await;
    let (other, second) = serve().await;
    let place = |config: &Config| match &config.source {
        Source::Jwks(place) => place.clone(),
        _ => unreachable!(),
    };
    let config = Config {
        source: Source::Pairs(vec![place(&bed.config), place(&second)]),
        ..second
    };
    let bed = Bed { config, ..bed };
    bed.set_down(true);
    other.down.store(true, Ordering::SeqCst);
    assert!(bed.at(START).await.is_err());
    other.down.store(false, Ordering::SeqCst);
    assert_eq!(bed.at(START + PAUSE).await.unwrap().keys.len(), 1);
    bed.set_down(false);
    let both = bed.at(START + PAUSE + RECENT).await.unwrap();
    assert_eq!(both.keys.len(), 2);
    // Keys that are known are not forgotten because one does not answer.
    bed.set_down(true);
    let kept = bed.at(START + PAUSE + 2 * RECENT).await.unwrap();
    assert_eq!((kept.keys.len(), kept.at), (2, both.at));
}
