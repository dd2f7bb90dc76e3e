use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn a_role_is_shown_as_written() {
    let f = Fixture::new().await;
    let body = json!({
        "policies": "B,a", "period": "1h", "bound_cidr_list": ["10.0.0.0/8", "127.0.0.1/32"],
        "secret_id_num_uses": 3, "secret_id_ttl": "10m", "token_type": "default",
    });
    f.role("Web", body).await;
    let shown = f.read("role/web").await.unwrap();
    for (field, value) in [
        ("token_policies", json!(["a", "b"])),
        ("policies", json!(["a", "b"])),
        ("token_period", json!(3600)),
        ("period", json!(3600)),
        (
            "secret_id_bound_cidrs",
            json!(["10.0.0.0/8", "127.0.0.1/32"]),
        ),
        ("secret_id_num_uses", json!(3)),
        ("secret_id_ttl", json!(600)),
        ("bind_secret_id", json!(true)),
        ("local_secret_ids", json!(false)),
        ("token_type", json!("default")),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    assert!(shown.get("role_id").is_none());
    assert_eq!(f.list("role").await.unwrap(), json!(["web"]));
}

#[tokio::test]
async fn an_update_keeps_what_it_does_not_name() {
    let f = Fixture::new().await;
    f.role("web", json!({ "policies": "a", "secret_id_ttl": 600 }))
        .await;
    f.role("web", json!({ "token_policies": ["c"] })).await;
    let shown = f.read("role/web").await.unwrap();
    assert_eq!(shown["token_policies"], json!(["c"]));
    assert_eq!(shown["secret_id_ttl"], json!(600));
    assert!(shown.get("policies").is_none());
}

#[tokio::test]
async fn a_deleted_role_is_gone_in_every_spelling() {
    let f = Fixture::new().await;
    f.role("web", json!({})).await;
    f.delete("role/WEB").await.map(drop).unwrap();
    assert!(matches!(f.read("role/web").await, Err(Fault::Missing)));
    assert!(matches!(f.list("role").await, Err(Fault::Missing)));
    f.delete("role/web").await.map(drop).unwrap();
}

#[tokio::test]
async fn nonsense_is_refused() {
    let f = Fixture::new().await;
    for (body, text) in [
        (
            json!({ "bind_secret_id": false }),
            "at least one constraint should be enabled on the role",
        ),
        (
            json!({ "secret_id_num_uses": -1 }),
            "secret_id_num_uses cannot be negative",
        ),
        (
            json!({ "secret_id_bound_cidrs": "nonsense" }),
            "\"secret_id_bound_cidrs\" holds something",
        ),
        (json!({ "role_id": "x".repeat(513) }), "role_id is longer"),
        (
            json!({ "token_ttl": 2, "token_max_ttl": 1 }),
            "'token_ttl' cannot be greater",
        ),
        (
            json!({ "token_type": "batch", "token_num_uses": 1 }),
            "'token_type' cannot be 'batch'",
        ),
    ] {
        let fault = error(f.write("role/a", body).await);
        assert!(fault.starts_with(text), "{fault}");
    }
    for name in ["role/a b", "role/..", "role/a*", "role/a%2fb"] {
        assert!(
            matches!(f.write(name, json!({})).await, Err(Fault::Invalid(_))),
            "{name}"
        );
    }
    assert!(f.list("role").await.is_err());
}

#[tokio::test]
async fn local_secret_ids_are_chosen_at_creation_only() {
    let f = Fixture::new().await;
    f.role("a", json!({ "local_secret_ids": true })).await;
    assert!(
        f.write("role/a", json!({ "local_secret_ids": false }))
            .await
            .is_err()
    );
    assert_eq!(
        f.read("role/a/local-secret-ids").await.unwrap(),
        json!({ "local_secret_ids": true })
    );
}

#[tokio::test]
async fn the_default_token_types_become_plain_ones_with_a_warning() {
    let f = Fixture::new().await;
    let reply = f
        .write("role/a", json!({ "token_type": "default-service" }))
        .await;
    assert_eq!(reply.map(|reply| reply.warnings.len()).unwrap(), 1);
    assert_eq!(
        f.read("role/a").await.unwrap()["token_type"],
        json!("service")
    );
}

#[tokio::test]
async fn no_role_grants_root_in_any_spelling() {
    let f = Fixture::new().await;
    let spellings = [
        "root",
        "ROOT",
        " root",
        "root ",
        "RooT",
        "root\t",
        "root\u{0}",
        "ｒｏｏｔ",
        "root/",
        "a,root",
    ];
    f.role("a", json!({})).await;
    for field in ["token_policies", "policies"] {
        for name in spellings {
            for body in [json!({ field: name }), json!({ field: [name] })] {
                for path in ["role/a", "role/new", "role/a/policies"] {
                    assert!(
                        f.write(path, body.clone()).await.is_err(),
                        "{path} {field} {name:?}"
                    );
                }
            }
        }
    }
}

async fn goes_round(f: &Fixture, segment: &str, field: &str, value: Value, default: Value) {
    let path = format!("role/a/{segment}");
    assert_eq!(
        error(f.write(&path, json!({})).await),
        format!("missing {field}")
    );
    f.write(&path, json!({ field: value }))
        .await
        .map(drop)
        .unwrap();
    assert_eq!(
        f.read(&path).await.unwrap(),
        json!({ field: value }),
        "{path}"
    );
    f.delete(&path).await.map(drop).unwrap();
    assert_eq!(
        f.read(&path).await.unwrap(),
        json!({ field: default }),
        "{path}"
    );
    let nowhere = format!("role/none/{segment}");
    assert!(matches!(f.read(&nowhere).await, Err(Fault::Missing)));
    assert!(matches!(
        f.write(&nowhere, json!({ field: value })).await,
        Err(Fault::NoRoute(_))
    ));
    f.delete(&nowhere).await.map(drop).unwrap();
}

#[tokio::test]
async fn every_property_is_read_written_and_reset() {
    let f = Fixture::new().await;
    f.role("a", json!({})).await;
    let (nets, none) = (json!(["10.0.0.0/8"]), json!([]));
    goes_round(&f, "policies", "token_policies", json!(["p"]), none.clone()).await;
    goes_round(
        &f,
        "token-bound-cidrs",
        "token_bound_cidrs",
        nets.clone(),
        none,
    )
    .await;
    goes_round(
        &f,
        "secret-id-bound-cidrs",
        "secret_id_bound_cidrs",
        nets.clone(),
        Value::Null,
    )
    .await;
    goes_round(&f, "bound-cidr-list", "bound_cidr_list", nets, Value::Null).await;
    for (segment, field) in [
        ("secret-id-num-uses", "secret_id_num_uses"),
        ("secret-id-ttl", "secret_id_ttl"),
        ("token-ttl", "token_ttl"),
        ("token-max-ttl", "token_max_ttl"),
        ("token-num-uses", "token_num_uses"),
        ("period", "token_period"),
    ] {
        goes_round(&f, segment, field, json!(5), json!(0)).await;
    }
}

#[tokio::test]
async fn a_property_path_changes_nothing_else() {
    let f = Fixture::new().await;
    f.role("a", json!({})).await;
    let body = json!({ "token_ttl": 5, "token_policies": "admin", "role_id": "mine" });
    f.write("role/a/token-ttl", body).await.map(drop).unwrap();
    assert_eq!(f.read("role/a").await.unwrap()["token_policies"], json!([]));
    assert_ne!(
        f.read("role/a/role-id").await.unwrap()["role_id"],
        json!("mine")
    );
}

#[tokio::test]
async fn the_last_constraint_cannot_be_taken_away() {
    let f = Fixture::new().await;
    f.role("a", json!({})).await;
    let unbind = || f.write("role/a/bind-secret-id", json!({ "bind_secret_id": false }));
    assert!(unbind().await.is_err());
    f.write(
        "role/a/token-bound-cidrs",
        json!({ "token_bound_cidrs": "10.0.0.0/8" }),
    )
    .await
    .map(drop)
    .unwrap();
    unbind().await.map(drop).unwrap();
    assert!(f.delete("role/a/token-bound-cidrs").await.is_err());
    f.delete("role/a/bind-secret-id").await.map(drop).unwrap();
    f.delete("role/a/token-bound-cidrs")
        .await
        .map(drop)
        .unwrap();
}

#[tokio::test]
async fn role_ids_are_unique_and_follow_their_role() {
    let f = Fixture::new().await;
    let first = f.role("a", json!({})).await;
    f.role("b", json!({ "role_id": "mine" })).await;
    for path in ["role/a/role-id", "role/a", "role/c"] {
        assert_eq!(
            error(f.write(path, json!({ "role_id": "mine" })).await),
            "role_id already in use"
        );
    }
    let (secret, _) = f.secret("a", json!({})).await;
    f.write("role/a/role-id", json!({ "role_id": "other" }))
        .await
        .map(drop)
        .unwrap();
    assert_eq!(error(f.login(&first, &secret).await), REFUSED);
    assert_eq!(f.login("other", &secret).await.unwrap().alias.name, "other");
    f.write("role/b/role-id", json!({ "role_id": first }))
        .await
        .map(drop)
        .unwrap();
    assert_eq!(error(f.login(&first, &secret).await), REFUSED);
}
