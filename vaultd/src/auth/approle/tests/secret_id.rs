use serde_json::{Map, Value, json};

use super::*;

#[tokio::test]
async fn a_secret_id_ends_with_its_uses() {
    let f = Fixture::new().await;
    let role_id = f.role("a", json!({ "secret_id_num_uses": 2 })).await;
    let (secret, accessor) = f.secret("a", json!({})).await;
    f.login(&role_id, &secret).await.unwrap();
    assert_eq!(f.lookup("a", &secret).await["secret_id_num_uses"], json!(1));
    f.login(&role_id, &secret).await.unwrap();
    assert_eq!(error(f.login(&role_id, &secret).await), REFUSED);
    let by_accessor = f
        .write(
            "role/a/secret-id-accessor/lookup",
            json!({ "secret_id_accessor": accessor }),
        )
        .await;
    assert!(matches!(by_accessor, Err(Fault::NoRoute(_))));
}

#[tokio::test]
async fn a_secret_id_ends_with_its_time() {
    let mut f = Fixture::new().await;
    let role_id = f.role("a", json!({ "secret_id_ttl": 60 })).await;
    let (secret, _) = f.secret("a", json!({ "ttl": 30 })).await;
    f.pass(29);
    f.login(&role_id, &secret).await.unwrap();
    f.pass(1);
    assert_eq!(error(f.login(&role_id, &secret).await), REFUSED);
    assert!(f.lookup("a", &secret).await.is_null());
}

#[tokio::test]
async fn the_mounts_longest_lifetime_holds() {
    let mut f = Fixture::new().await;
    f.mount.config.max_lease_ttl = 100;
    f.role("a", json!({})).await;
    for (asked, given) in [(0, 0), (50, 50), (101, 100)] {
        let (secret, _) = f.secret("a", json!({ "ttl": asked })).await;
        assert_eq!(f.lookup("a", &secret).await["secret_id_ttl"], json!(given));
    }
}

#[tokio::test]
async fn limits_of_the_role_cannot_be_lifted() {
    let f = Fixture::new().await;
    f.role("a", json!({ "secret_id_num_uses": 2, "secret_id_ttl": 60, "secret_id_bound_cidrs": "10.0.0.0/8" })).await;
    for body in [
        json!({ "num_uses": 0 }),
        json!({ "num_uses": 3 }),
        json!({ "num_uses": -1 }),
        json!({ "ttl": 0 }),
        json!({ "ttl": 61 }),
        json!({ "ttl": -5 }),
        json!({ "cidr_list": "127.0.0.1/32" }),
        json!({ "cidr_list": "10.0.0.0/7" }),
    ] {
        assert!(
            matches!(
                f.write("role/a/secret-id", body.clone()).await,
                Err(Fault::Invalid(_))
            ),
            "{body}"
        );
    }
    f.role("b", json!({})).await;
    for ttl in [999_999_999_999, u64::MAX] {
        assert!(matches!(
            f.write("role/b/secret-id", json!({ "ttl": ttl })).await,
            Err(Fault::Invalid(_))
        ));
    }
}

#[tokio::test]
async fn metadata_and_ids_have_limits() {
    let f = Fixture::new().await;
    f.role("a", json!({})).await;
    let many: Map<String, Value> = (0..65).map(|i| (format!("k{i}"), json!("v"))).collect();
    let long = "k".repeat(129);
    for metadata in [
        json!(many),
        json!({ "": "v" }),
        json!({ long: "v" }),
        json!({ "k": "v".repeat(513) }),
        json!("not json"),
        json!([1]),
        json!({ "k": {} }),
    ] {
        let result = f
            .write("role/a/secret-id", json!({ "metadata": metadata }))
            .await;
        assert!(matches!(result, Err(Fault::Invalid(_))));
    }
    assert!(
        f.write(
            "role/a/custom-secret-id",
            json!({ "secret_id": "x".repeat(5000) })
        )
        .await
        .is_err()
    );
}

#[tokio::test]
async fn an_accessor_shows_what_was_asked_for() {
    let f = Fixture::new().await;
    f.role("a", json!({})).await;
    let (_, accessor) = f
        .secret(
            "a",
            json!({ "metadata": { "k": "v" }, "cidr_list": "127.0.0.1/32" }),
        )
        .await;
    let shown = f
        .write(
            "role/a/secret-id-accessor/lookup",
            json!({ "secret_id_accessor": accessor }),
        )
        .await;
    let expected = json!({
        "secret_id_accessor": accessor, "secret_id_num_uses": 0, "secret_id_ttl": 0,
        "creation_time": "2026-11-21T07:00:00.5Z", "last_updated_time": "2026-11-21T07:00:00.5Z",
        "expiration_time": "0001-01-01T00:00:00Z", "metadata": { "k": "v" },
        "cidr_list": ["127.0.0.1/32"], "token_bound_cidrs": [],
    });
    assert_eq!(shown.map(data).unwrap(), expected);
}

/// CVE-2023-24999
#[tokio::test]
async fn cve_2023_24999_an_accessor_works_for_its_own_role_only() {
    let f = Fixture::new().await;
    f.role("a", json!({})).await;
    let role_id = f.role("b", json!({})).await;
    let (secret, accessor) = f.secret("b", json!({})).await;
    for action in ["lookup", "destroy"] {
        let path = format!("role/a/secret-id-accessor/{action}");
        let fault = error(
            f.write(&path, json!({ "secret_id_accessor": accessor }))
                .await,
        );
        assert!(
            fault.starts_with("failed to find accessor entry for secret_id_accessor"),
            "{fault}"
        );
    }
    f.write("role/a/secret-id/destroy", json!({ "secret_id": secret }))
        .await
        .map(drop)
        .unwrap();
    assert!(f.lookup("a", &secret).await.is_null());
    f.login(&role_id, &secret).await.unwrap();
    let own = "role/b/secret-id-accessor/destroy";
    f.write(own, json!({ "secret_id_accessor": accessor }))
        .await
        .map(drop)
        .unwrap();
    assert_eq!(error(f.login(&role_id, &secret).await), REFUSED);
    assert!(matches!(
        f.list("role/b/secret-id").await,
        Err(Fault::Missing)
    ));
}

#[tokio::test]
async fn a_custom_secret_id_is_accepted_once_for_each_role() {
    let f = Fixture::new().await;
    let role_id = f.role("a", json!({})).await;
    f.role("b", json!({})).await;
    let body = || json!({ "secret_id": "hunter2-custom" });
    let given = f
        .write("role/a/custom-secret-id", body())
        .await
        .map(data)
        .unwrap();
    assert_eq!(given["secret_id"], json!("hunter2-custom"));
    let again = error(f.write("role/a/custom-secret-id", body()).await);
    assert!(
        again.contains("already registered") && !again.contains("hunter2"),
        "{again}"
    );
    assert_eq!(
        error(f.write("role/a/custom-secret-id", json!({})).await),
        "missing secret_id"
    );
    f.write("role/b/custom-secret-id", body())
        .await
        .map(drop)
        .unwrap();
    f.write("role/a/secret-id/destroy", body())
        .await
        .map(drop)
        .unwrap();
    assert_eq!(error(f.login(&role_id, "hunter2-custom").await), REFUSED);
    assert!(!f.lookup("b", "hunter2-custom").await.is_null());
}

#[tokio::test]
async fn secret_ids_of_a_deleted_role_are_dead_at_once() {
    let f = Fixture::new().await;
    let role_id = f.role("a", json!({ "role_id": "fixed" })).await;
    let mut secrets = Vec::new();
    for _ in 0..25 {
        secrets.push(f.secret("a", json!({})).await.0);
    }
    f.delete("role/a").await.map(drop).unwrap();
    f.role("a", json!({ "role_id": "fixed" })).await;
    for secret in &secrets {
        assert_eq!(error(f.login(&role_id, secret).await), REFUSED);
    }
    assert!(matches!(
        f.list("role/a/secret-id").await,
        Err(Fault::Missing)
    ));
    f.tidy_to_the_end().await;
    let mut tx = f.barrier.begin();
    assert_eq!(tx.view(VIEW).list("").await.unwrap(), ["role/"]);
}

#[tokio::test]
async fn tidy_removes_what_expired_and_only_that() {
    let mut f = Fixture::new().await;
    let roles = ["a", "b", "c.d"];
    for role in roles {
        f.role(role, json!({})).await;
        for i in 0..23 {
            f.secret(role, json!({ "ttl": if i % 2 == 0 { 10 } else { 0 } }))
                .await;
        }
    }
    f.pass(11);
    let reply = f.write("tidy/secret-id", json!({})).await.ok().unwrap();
    assert_eq!(reply.status, Some(202));
    assert!(reply.warnings[0].starts_with("Tidy operation successfully started."));
    f.tidy_to_the_end().await;
    for role in roles {
        let left = f.list(&format!("role/{role}/secret-id")).await.unwrap();
        assert_eq!(left.as_array().unwrap().len(), 11);
    }
}
