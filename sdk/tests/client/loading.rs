//! Many secrets at once: `derive(Secrets)`, serde, and watching.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;
use vault_sdk::{Cause, Error, Secret, SecretString, Secrets, Watched};

use crate::fake::{Fake, data, denied, kv_mount, kv2_data, not_found, refused, sealed};

#[derive(Secrets, Debug)]
#[secrets(mount = "secret", path = "apps/{app_env}/db")]
struct App {
    #[secret(key = "db_password")]
    password: SecretString,
    port: u16,
    #[secret(path = "apps/shared", key = "dsn", optional)]
    dsn: Option<SecretString>,
    #[secret(nested)]
    mail: Mail,
}

#[derive(Secrets, Debug)]
#[secrets(mount = "old", path = "mail")]
struct Mail {
    user: String,
    #[secret(rename = "pass")]
    password: SecretString,
}

fn production() -> HashMap<String, String> {
    HashMap::from([("app_env".to_owned(), "prod".to_owned())])
}

async fn complete() -> Fake {
    Fake::start(|request| match request.path.as_str() {
        "sys/internal/ui/mounts/secret" => kv_mount("2"),
        "sys/internal/ui/mounts/old" => kv_mount("1"),
        "secret/data/apps/prod/db" => {
            kv2_data(7, json!({ "db_password": "hunter2", "port": "5432" }))
        }
        "old/mail" => data(json!({ "user": "app", "pass": "letmein" })),
        _ => not_found(),
    })
    .await
}

#[test]
fn the_manifest_lists_all_with_those_of_nested_types() {
    let rows: Vec<_> = App::MANIFEST
        .iter()
        .map(|row| format!("{}/{}#{} {}", row.mount, row.path, row.key, row.optional))
        .collect();
    assert_eq!(
        rows,
        [
            "secret/apps/{app_env}/db#db_password false",
            "secret/apps/{app_env}/db#port false",
            "secret/apps/shared#dsn true",
            "old/mail#user false",
            "old/mail#pass false",
        ]
    );
}

#[tokio::test]
async fn loads_from_both_engines_and_reads_each_path_once() {
    let fake = complete().await;
    let client = fake.client();
    let app = client.load_with::<App>(&production()).await.unwrap();
    assert_eq!((app.password.expose(), app.port), ("hunter2", 5432));
    assert_eq!(
        (app.mail.user.as_str(), app.mail.password.expose()),
        ("app", "letmein")
    );
    assert!(app.dsn.is_none());
    assert_eq!(app.versions["secret/apps/prod/db"], 7);
    assert!(!format!("{app:?}").contains("hunter2"));
    for path in [
        "secret/data/apps/prod/db",
        "secret/data/apps/shared",
        "old/mail",
    ] {
        assert_eq!(fake.count(path), 1, "{path}");
    }
    assert_eq!(fake.seen().len(), 6);
    // A server that cannot read many at once is asked once whether it can.
    client.load_with::<App>(&production()).await.unwrap();
    assert_eq!(fake.count("sys/batch"), 1);
}

#[derive(Secrets, Debug)]
#[secrets(mount = "secret", path = "present")]
#[allow(dead_code)]
struct Broken {
    good: Secret,
    absent: Secret,
    port: u16,
    #[secret(path = "missing", key = "a")]
    first: Secret,
    #[secret(path = "missing", key = "b")]
    second: Secret,
    #[secret(path = "forbidden")]
    forbidden: Option<Secret>,
    #[secret(path = "apps/{nobody_sets_this}")]
    unfilled: Secret,
    #[secret(mount = "elsewhere", path = "x")]
    elsewhere: Secret,
}

#[tokio::test]
async fn one_error_lists_everything_that_is_wrong() {
    let fake = Fake::start(|request| match request.path.as_str() {
        "sys/internal/ui/mounts/secret" => kv_mount("2"),
        "sys/internal/ui/mounts/elsewhere" => denied(),
        "secret/data/present" => kv2_data(1, json!({ "good": "g", "port": "MARKER" })),
        "secret/data/missing" => not_found(),
        _ => denied(),
    })
    .await;
    let failure = fake.client().load::<Broken>().await.err().unwrap();
    assert!(!failure.to_string().contains("MARKER"));
    let Error::Load(problems) = failure else {
        panic!("{failure}");
    };
    let causes: Vec<_> = problems
        .into_iter()
        .map(|problem| (problem.reference, problem.cause))
        .collect();
    let row = |reference: &str, cause| (reference.to_owned(), cause);
    assert_eq!(
        causes,
        [
            row("secret/present#absent", Cause::MissingKey),
            row(
                "secret/present#port",
                Cause::WrongType("whole number (u16)")
            ),
            row("secret/missing#a", Cause::MissingPath),
            row("secret/missing#b", Cause::MissingPath),
            row("secret/forbidden#forbidden", Cause::Denied),
            row(
                "secret/apps/{nobody_sets_this}#unfilled",
                Cause::Unfilled("nobody_sets_this".into())
            ),
            row("elsewhere/x#elsewhere", Cause::Denied),
        ]
    );
}

#[tokio::test]
async fn a_sealed_server_is_not_a_list_of_missing_secrets() {
    let fake = Fake::start(|_| sealed()).await;
    let client = fake.builder().max_retries(0).build().unwrap();
    let failure = client.load::<Broken>().await.err().unwrap();
    assert!(matches!(failure, Error::Sealed));
}

#[derive(Deserialize)]
struct Config {
    db_password: Secret,
    dsn: String,
}

#[tokio::test]
async fn serde_types_are_filled_from_several_paths() {
    let fake = Fake::start(|request| match request.path.as_str() {
        "sys/internal/ui/mounts/secret" => kv_mount("2"),
        "secret/data/a" => kv2_data(1, json!({ "db_password": "hunter2" })),
        "secret/data/b" => kv2_data(1, json!({ "dsn": "https://x" })),
        _ => not_found(),
    })
    .await;
    let client = fake.client();
    let config: Config = client.load_serde("secret", &["a", "b"]).await.unwrap();
    assert_eq!(
        (config.db_password.expose(), config.dsn.as_str()),
        ("hunter2", "https://x")
    );
    let failure = client
        .load_serde::<Config>("secret", &["a", "c", "d"])
        .await
        .err()
        .unwrap();
    assert!(
        matches!(&failure, Error::Load(problems) if problems.len() == 2),
        "{failure}"
    );
    let failure = client
        .load_serde::<Config>("secret", &["a"])
        .await
        .err()
        .unwrap();
    assert!(
        failure.to_string().contains("missing field `dsn`"),
        "{failure}"
    );
}

#[derive(Secrets)]
#[secrets(mount = "secret", path = "live")]
struct Live {
    token: Secret,
}

#[tokio::test]
async fn watching_follows_versions_and_keeps_the_last_good_state() {
    let version = Arc::new(AtomicU64::new(1));
    let served = Arc::clone(&version);
    let fake = Fake::start(move |request| {
        let version = served.load(Ordering::SeqCst);
        match request.path.as_str() {
            "sys/internal/ui/mounts/secret" => kv_mount("2"),
            _ if version == 0 => refused(500, "internal error"),
            _ => kv2_data(version, json!({ "token": format!("t{version}") })),
        }
    })
    .await;
    let client = fake.builder().max_retries(0).build().unwrap();
    let mut live: Watched<Live> = client.watch(Duration::from_millis(50)).await.unwrap();
    assert_eq!(live.load().token.expose(), "t1");
    assert!(
        timeout(Duration::from_millis(300), live.changed())
            .await
            .is_err()
    );

    version.store(0, Ordering::SeqCst);
    assert!(
        timeout(Duration::from_millis(300), live.changed())
            .await
            .is_err()
    );
    assert_eq!(live.load().token.expose(), "t1");

    version.store(2, Ordering::SeqCst);
    let fresh = timeout(Duration::from_secs(5), live.changed())
        .await
        .unwrap();
    assert_eq!(fresh.token.expose(), "t2");

    drop(live);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = fake.seen().len();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(fake.seen().len(), asked);
}
