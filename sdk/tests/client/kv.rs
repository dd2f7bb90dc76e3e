//! The typed key-value engines.

use serde::Deserialize;
use serde_json::json;
use vault_sdk::{Call, Error, Secret};

use crate::fake::{Fake, data, kv2_data, no_content, not_found};

#[derive(Deserialize, Debug)]
struct Database {
    password: Secret,
    port: u16,
}

#[tokio::test]
async fn reads_versions_as_secrets_and_as_types() {
    let fake = Fake::start(|_| kv2_data(4, json!({ "password": "hunter2", "port": 5432 }))).await;
    let client = fake.client();
    let kv = client.kv2("secret/");
    let secret = kv.read("/app").await.unwrap();
    assert_eq!(secret.version, 4);
    assert_eq!(secret.data["password"].expose(), "hunter2");
    assert_eq!(secret.data["port"].expose(), "5432");
    assert!(!format!("{secret:?}").contains("hunter2"));
    let database: Database = kv.read_as("app").await.unwrap();
    assert_eq!(
        (database.password.expose(), database.port),
        ("hunter2", 5432)
    );
    assert!(!format!("{database:?}").contains("hunter2"));
    kv.read_version("app", 3).await.unwrap();
    let paths: Vec<_> = fake.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(
        paths,
        [
            "secret/data/app",
            "secret/data/app",
            "secret/data/app?version=3"
        ]
    );
}

/// 2^64, a zero at the end, and more digits than a double has.
const EXACT: [&str; 3] = [
    "18446744073709551616",
    "1.10",
    "0.1000000000000000055511151231257827021181583404541015625",
];

#[derive(Deserialize)]
struct Exact {
    n0: u128,
    n1: serde_json::Number,
    n2: serde_json::Value,
}

#[tokio::test]
async fn numbers_keep_their_digits_raw_typed_and_written_back() {
    let fields: Vec<String> = EXACT
        .iter()
        .enumerate()
        .map(|(at, digits)| format!("\"n{at}\":{digits}"))
        .collect();
    let values: serde_json::Value =
        serde_json::from_str(&format!("{{{}}}", fields.join(","))).unwrap();
    let fake = Fake::start(move |_| kv2_data(1, values.clone())).await;
    let client = fake.client();
    let kv = client.kv2("secret");
    let secret = kv.read("app").await.unwrap();
    let typed: Exact = kv.read_as("app").await.unwrap();
    assert_eq!(typed.n0, 1 << 64);
    let typed = [
        typed.n0.to_string(),
        typed.n1.to_string(),
        typed.n2.to_string(),
    ];
    let answer = client.send(Call::get("secret/data/app")).await.unwrap();
    let body = json!({ "data": answer.data()["data"] });
    let call = Call::put("secret/data/app", body);
    client.send(call).await.unwrap();
    let written = fake.seen().pop().unwrap().body;
    for (at, digits) in EXACT.iter().enumerate() {
        let name = format!("n{at}");
        assert_eq!(secret.data[&name].expose(), *digits);
        assert_eq!(typed[at], *digits);
        assert_eq!(answer.data()["data"][&name].to_string(), *digits);
        assert_eq!(written["data"][&name].to_string(), *digits);
    }
}

#[tokio::test]
async fn a_value_of_the_wrong_type_is_not_quoted() {
    let fake = Fake::start(|_| kv2_data(1, json!({ "password": "x", "port": "MARKER" }))).await;
    let client = fake.client();
    let failure = client
        .kv2("secret")
        .read_as::<Database>("app")
        .await
        .err()
        .unwrap();
    assert!(matches!(failure, Error::Decode { .. }));
    assert!(!format!("{failure} {failure:?}").contains("MARKER"));
    let fake = Fake::start(|_| kv2_data(1, json!({ "port": 1 }))).await;
    let client = fake.client();
    let failure = client
        .kv2("secret")
        .read_as::<Database>("app")
        .await
        .err()
        .unwrap();
    assert!(
        failure.to_string().contains("missing field `password`"),
        "{failure}"
    );
}

#[tokio::test]
async fn writes_carry_their_condition() {
    let fake = Fake::start(|_| {
        data(json!({
            "created_time": "2026-01-02T03:04:05Z", "custom_metadata": null,
            "deletion_time": "", "destroyed": false, "version": 1
        }))
    })
    .await;
    let client = fake.client();
    let kv = client.kv2("secret");
    let written = kv.put_cas("app", 0, json!({ "a": "b" })).await.unwrap();
    assert_eq!(written.version, 1);
    assert_eq!(
        fake.seen()[0].body,
        json!({ "data": { "a": "b" }, "options": { "cas": 0 } })
    );
    assert!(matches!(
        kv.put("app", json!("text")).await,
        Err(Error::Config(_))
    ));
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn versions_are_deleted_and_brought_back() {
    let fake = Fake::start(|_| no_content()).await;
    let client = fake.client();
    let kv = client.kv2("secret");
    kv.delete("app").await.unwrap();
    kv.undelete("app", &[1, 2]).await.unwrap();
    kv.destroy("app", &[1]).await.unwrap();
    kv.delete_all("app").await.unwrap();
    let seen: Vec<_> = fake
        .seen()
        .into_iter()
        .map(|s| format!("{} {}", s.verb, s.path))
        .collect();
    assert_eq!(
        seen,
        [
            "DELETE secret/data/app",
            "PUT secret/undelete/app",
            "PUT secret/destroy/app",
            "DELETE secret/metadata/app"
        ]
    );
    assert_eq!(fake.seen()[1].body, json!({ "versions": [1, 2] }));
}

#[tokio::test]
async fn an_empty_folder_is_an_empty_list() {
    let fake = Fake::start(|_| not_found()).await;
    let client = fake.client();
    assert!(client.kv2("secret").list("").await.unwrap().is_empty());
    assert!(client.kv1("old").list("a/").await.unwrap().is_empty());
    assert_eq!(fake.seen()[0].path, "secret/metadata?list=true");
}

#[tokio::test]
async fn the_engine_without_versions_has_plain_paths() {
    let fake = Fake::start(|request| match request.verb.as_str() {
        "GET" => data(json!({ "password": "hunter2" })),
        _ => no_content(),
    })
    .await;
    let client = fake.client();
    let kv = client.kv1("old");
    kv.put("app", json!({ "password": "hunter2" }))
        .await
        .unwrap();
    assert_eq!(
        kv.read("app").await.unwrap()["password"].expose(),
        "hunter2"
    );
    assert_eq!(fake.seen()[0].path, "old/app");
    assert_eq!(fake.seen()[0].body, json!({ "password": "hunter2" }));
}
