use serde_json::json;

use super::*;

#[tokio::test]
async fn a_login_gets_the_roles_token() {
    let f = Fixture::new().await;
    let role_id = f
        .role("a", json!({ "token_policies": "p", "token_ttl": 60 }))
        .await;
    let metadata = r#"{"a":"val1","role_name":"forged","n":5}"#;
    let (secret, _) = f
        .secret(
            "a",
            json!({ "metadata": metadata, "token_bound_cidrs": "10.0.0.0/8" }),
        )
        .await;
    let login = f.login(&role_id, &format!(" {secret}\n")).await.unwrap();
    assert_eq!(
        (login.alias.name, login.role, login.display_name),
        (role_id, "a".into(), "approle".into())
    );
    assert_eq!(login.metadata["role_name"], "a");
    assert_eq!(
        (login.metadata["a"].as_str(), login.metadata["n"].as_str()),
        ("val1", "5")
    );
    assert_eq!((login.params.ttl, login.params.bound_cidrs.len()), (60, 1));
}

#[tokio::test]
async fn wrong_credentials_look_the_same() {
    let f = Fixture::new().await;
    let role_id = f.role("a", json!({})).await;
    let (secret, accessor) = f.secret("a", json!({})).await;
    f.role("b", json!({})).await;
    let (of_b, _) = f.secret("b", json!({})).await;
    for wrong in [
        "x",
        accessor.as_str(),
        of_b.as_str(),
        &secret.to_uppercase(),
        "..",
    ] {
        assert_eq!(error(f.login(&role_id, wrong).await), REFUSED);
        assert_eq!(error(f.login("unknown", wrong).await), REFUSED);
    }
    assert_eq!(
        error(f.login(&role_id, "").await),
        error(f.login("unknown", "").await)
    );
    assert_eq!(error(f.login("", &secret).await), "missing role_id");
    assert_eq!(error(f.login("-", &secret).await), REFUSED);
    f.login(&role_id, &secret).await.unwrap();
}

#[tokio::test]
async fn a_login_from_elsewhere_is_refused_and_costs_no_use() {
    let mut f = Fixture::new().await;
    let role_id = f
        .role("a", json!({ "secret_id_bound_cidrs": "10.0.0.0/8" }))
        .await;
    let (secret, _) = f
        .secret("a", json!({ "cidr_list": ["10.1.0.0/16"], "num_uses": 1 }))
        .await;
    let text = "source address \"127.0.0.1\" unauthorized by CIDR restrictions on the secret ID";
    assert_eq!(error(f.login(&role_id, &secret).await), text);
    assert_eq!(error(f.login(&role_id, "wrong").await), REFUSED);
    f.remote = "10.2.0.1";
    assert!(f.login(&role_id, &secret).await.is_err());
    f.remote = "::ffff:10.1.0.1";
    f.login(&role_id, &secret).await.unwrap();
}

#[tokio::test]
async fn a_role_that_was_narrowed_refuses_wider_secret_ids() {
    let mut f = Fixture::new().await;
    f.remote = "10.1.0.1";
    let role_id = f
        .role("a", json!({ "secret_id_bound_cidrs": "10.0.0.0/8" }))
        .await;
    let (secret, _) = f.secret("a", json!({ "cidr_list": ["10.1.0.0/16"] })).await;
    f.role("a", json!({ "secret_id_bound_cidrs": "10.1.0.0/24" }))
        .await;
    assert!(
        error(f.login(&role_id, &secret).await).starts_with("failed to verify subset relationship")
    );
}

#[tokio::test]
async fn a_role_without_secret_ids_is_bound_to_its_networks() {
    let mut f = Fixture::new().await;
    let body = json!({ "bind_secret_id": false, "secret_id_bound_cidrs": "10.0.0.0/8" });
    let role_id = f.role("a", body).await;
    assert_eq!(
        error(f.write("role/a/secret-id", json!({})).await),
        "bind_secret_id is not set on the role"
    );
    assert_eq!(error(f.login(&role_id, "ignored").await), REFUSED);
    f.remote = "10.0.0.1";
    f.login(&role_id, "").await.unwrap();
    f.login(&role_id, "ignored").await.unwrap();
}

#[tokio::test]
async fn of_100_logins_at_once_one_use_admits_exactly_one() {
    let f = Arc::new(Fixture::new().await);
    let role_id = f.role("a", json!({})).await;
    for uses in [1, 3] {
        let (secret, _) = f.secret("a", json!({ "num_uses": uses })).await;
        let logins: Vec<_> = (0..100)
            .map(|_| {
                let (f, role_id, secret) = (Arc::clone(&f), role_id.clone(), secret.clone());
                tokio::spawn(async move { f.login(&role_id, &secret).await.is_ok() })
            })
            .collect();
        let mut admitted = 0;
        for login in logins {
            admitted += usize::from(login.await.unwrap());
        }
        assert_eq!(admitted, uses);
    }
}
