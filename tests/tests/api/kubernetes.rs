//! Logins of pods, against a server that reviews tokens as a cluster does.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use vault_tests::issuer::Signer;
use vault_tests::web::{Asked, Web};
use vault_tests::{Answer, Vault};

use crate::setup::{policy, quick};

/// Who a token belongs to, and for whom it is.
#[derive(Clone)]
struct Known {
    token: String,
    username: &'static str,
    audiences: Vec<&'static str>,
}

/// TokenReview of authentication.k8s.io/v1: a token that is not for one of the asked audiences is not
/// authenticated, and who asks must show a token of his own.
fn review(known: &[Known], asked: &Asked) -> (u16, Value) {
    if asked.target != "/apis/authentication.k8s.io/v1/tokenreviews" || asked.method != "POST" {
        return (
            404,
            json!({"kind": "Status", "status": "Failure", "code": 404}),
        );
    }
    match asked.header("authorization") {
        "Bearer reviewer" => {}
        "Bearer nobody" => {
            return (
                403,
                json!({"kind": "Status", "reason": "Forbidden", "code": 403}),
            );
        }
        _ => {
            return (
                401,
                json!({"kind": "Status", "reason": "Unauthorized", "code": 401}),
            );
        }
    }
    let body = asked.json();
    assert_eq!(body["kind"], "TokenReview");
    assert_eq!(body["apiVersion"], "authentication.k8s.io/v1");
    let found = known
        .iter()
        .find(|one| body["spec"]["token"] == one.token.as_str());
    let status = match found {
        None => json!({"user": {}, "error": "[invalid bearer token, token lookup failed]"}),
        Some(known) => {
            let wanted = body["spec"]["audiences"].as_array().cloned();
            let wanted = wanted.unwrap_or(vec![json!("https://kubernetes.default.svc")]);
            let both: Vec<&&str> = known
                .audiences
                .iter()
                .filter(|one| wanted.contains(&json!(one)))
                .collect();
            match both.is_empty() {
                true => {
                    json!({"user": {}, "error": "[invalid bearer token, token audiences are not valid]"})
                }
                false => json!({
                    "authenticated": true, "audiences": both,
                    "user": {"username": known.username, "uid": "6c12e5ab", "groups": ["system:serviceaccounts"]},
                }),
            }
        }
    };
    (
        201,
        json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": body["spec"], "status": status}),
    )
}

struct Cluster {
    web: Web,
    signer: Signer,
    known: Arc<Mutex<Vec<Known>>>,
}

const API: &str = "https://kubernetes.default.svc";

impl Cluster {
    fn start() -> Cluster {
        let known: Arc<Mutex<Vec<Known>>> = Arc::default();
        let shared = Arc::clone(&known);
        let web = Web::start(move |asked| {
            let (status, body) = review(&shared.lock().unwrap(), asked);
            (status, body.to_string())
        });
        Cluster {
            web,
            signer: Signer::new("cluster"),
            known,
        }
    }

    /// A token of this account. What it says itself is a lie, since nobody may believe it.
    fn token(&self, username: &'static str, audiences: &[&'static str]) -> String {
        let count = self.known.lock().unwrap().len();
        let token = self
            .signer
            .token(&json!({"sub": "system:serviceaccount:prod:admin", "jti": count}));
        let known = Known {
            token: token.clone(),
            username,
            audiences: audiences.to_vec(),
        };
        self.known.lock().unwrap().push(known);
        token
    }

    fn vault(&self) -> Vault {
        let vault = quick();
        vault
            .root("POST", "sys/auth/kubernetes", json!({"type": "kubernetes"}))
            .expect(204);
        policy(&vault, "app", r#"path "kv/*" { capabilities = ["read"] }"#);
        self.configure(&vault, "reviewer");
        let role = json!({
            "bound_service_account_names": "web,worker-*", "bound_service_account_namespaces": ["prod", "stage-*"],
            "audience": "vaultd", "token_policies": "app",
        });
        vault
            .root("POST", "auth/kubernetes/role/app", role)
            .expect(204);
        vault
    }

    fn configure(&self, vault: &Vault, reviewer: &str) {
        let config = json!({
            "kubernetes_host": self.web.url, "kubernetes_ca_cert": self.web.ca_pem,
            "token_reviewer_jwt": reviewer, "disable_local_ca_jwt": true,
        });
        vault
            .root("POST", "auth/kubernetes/config", config)
            .expect(204);
    }
}

fn login(vault: &Vault, token: &str) -> Answer {
    let body = json!({"role": "app", "jwt": token});
    vault.call("POST", "auth/kubernetes/login", None, Some(&body))
}

#[test]
fn a_pod_logs_in_as_the_account_that_the_cluster_names() {
    let cluster = Cluster::start();
    let vault = cluster.vault();
    let token = cluster.token("system:serviceaccount:stage-2:worker-7", &["vaultd", API]);
    let answer = login(&vault, &token).expect(200);
    let auth = &answer.body["auth"];
    assert_eq!(auth["policies"], json!(["app", "default"]));
    assert_eq!(
        auth["metadata"],
        json!({
            "role": "app", "service_account_name": "worker-7", "service_account_namespace": "stage-2",
            "service_account_uid": "6c12e5ab",
        })
    );
    let asked = cluster.web.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].json()["spec"]["audiences"], json!(["vaultd"]));
}

#[test]
fn other_accounts_audiences_and_tokens_are_refused() {
    let cluster = Cluster::start();
    let vault = cluster.vault();
    for (username, audiences, why) in [
        (
            "system:serviceaccount:dev:web",
            ["vaultd"],
            "namespace not authorized",
        ),
        (
            "system:serviceaccount:prod2:web",
            ["vaultd"],
            "namespace not authorized",
        ),
        (
            "system:serviceaccount:prod:web2",
            ["vaultd"],
            "service account name not authorized",
        ),
        (
            "system:serviceaccount:prod:web",
            [API],
            "the cluster does not know the token",
        ),
        (
            "system:node:prod:web",
            ["vaultd"],
            "does not belong to a service account",
        ),
        (
            "system:serviceaccount:prod:web:x",
            ["vaultd"],
            "does not belong to a service account",
        ),
        ("ada", ["vaultd"], "does not belong to a service account"),
    ] {
        let answer = login(&vault, &cluster.token(username, &audiences)).expect(403);
        assert!(
            answer.errors().contains(why),
            "{username}: {}",
            answer.errors()
        );
    }
    let unknown = cluster
        .signer
        .token(&json!({"sub": "system:serviceaccount:prod:web"}));
    let answer = login(&vault, &unknown).expect(403);
    assert!(answer.errors().contains("does not know the token") && !answer.text.contains(&unknown));
    for odd in ["", "x", "a.b"] {
        login(&vault, odd).expect(400);
    }
    // The account is deleted.
    let token = cluster.token("system:serviceaccount:prod:web", &["vaultd"]);
    login(&vault, &token).expect(200);
    cluster.known.lock().unwrap().clear();
    login(&vault, &token).expect(403);
}

#[test]
fn a_cluster_that_cannot_be_asked_lets_nobody_in() {
    let cluster = Cluster::start();
    let vault = cluster.vault();
    let token = cluster.token("system:serviceaccount:prod:web", &["vaultd"]);
    for reviewer in ["nobody", "unknown"] {
        cluster.configure(&vault, reviewer);
        let answer = login(&vault, &token).expect(403);
        assert!(
            answer.errors().contains("token_reviewer_jwt"),
            "{}",
            answer.errors()
        );
    }
    cluster.configure(&vault, "reviewer");
    cluster.web.set_down(true);
    let answer = login(&vault, &token).expect(400);
    assert!(
        answer
            .errors()
            .contains("the cluster does not review tokens"),
        "{}",
        answer.errors()
    );
    cluster.web.set_down(false);
    // Another server, with a certificate of another CA.
    let other = Cluster::start();
    let config = json!({"kubernetes_host": cluster.web.url, "kubernetes_ca_cert": other.web.ca_pem, "token_reviewer_jwt": "reviewer"});
    vault
        .root("POST", "auth/kubernetes/config", config)
        .expect(204);
    let asked = cluster.web.asked().len();
    assert!(login(&vault, &token).expect(400).errors().contains("TLS"));
    assert_eq!(
        cluster.web.asked().len(),
        asked,
        "the reviewer's token went to a stranger"
    );
}

#[test]
fn known_keys_are_checked_before_the_cluster_is_asked() {
    let cluster = Cluster::start();
    let vault = cluster.vault();
    let pair = rcgen::KeyPair::generate().unwrap();
    let config = json!({
        "kubernetes_host": cluster.web.url, "kubernetes_ca_cert": cluster.web.ca_pem,
        "token_reviewer_jwt": "reviewer", "pem_keys": [pair.public_key_pem()],
    });
    vault
        .root("POST", "auth/kubernetes/config", config)
        .expect(204);
    let token = cluster.token("system:serviceaccount:prod:web", &["vaultd"]);
    let answer = login(&vault, &token).expect(403);
    assert!(
        answer
            .errors()
            .contains("no known key successfully validated the token signature")
    );
    assert!(cluster.web.asked().is_empty());
}

#[test]
fn config_and_roles_are_checked_and_show_no_secret() {
    let vault = Cluster::start().vault();
    let read = vault
        .root("GET", "auth/kubernetes/config", json!(null))
        .expect(200);
    assert_eq!(read.data()["token_reviewer_jwt_set"], true);
    assert!(!read.text.contains("\"reviewer\""));
    let config = |body: Value| {
        vault
            .root("POST", "auth/kubernetes/config", body)
            .expect(400)
            .errors()
    };
    assert_eq!(config(json!({})), "no host provided");
    assert!(config(json!({"kubernetes_host": "cluster"})).contains("not a URL"));
    let missing = json!({"kubernetes_host": "https://c", "disable_local_ca_jwt": true});
    assert_eq!(
        config(missing),
        "kubernetes_ca_cert must be given when disable_local_ca_jwt is true"
    );
    assert!(
        config(json!({"kubernetes_host": "https://c", "pem_keys": ["no pem"]}))
            .contains("pem_keys")
    );
    let role = |body: Value| {
        vault
            .root("POST", "auth/kubernetes/role/odd", body)
            .expect(400)
            .errors()
    };
    assert!(role(json!({})).contains("\"bound_service_account_names\" can not be empty"));
    assert!(
        role(json!({"bound_service_account_names": "a"}))
            .contains("\"bound_service_account_namespaces\" can not be empty")
    );
    assert!(
        role(json!({"bound_service_account_namespace_selector": "{}"})).contains("not supported")
    );
    assert!(role(json!({"alias_name_source": "pod"})).contains("alias_name_source"));
    let open = json!({"bound_service_account_names": "*", "bound_service_account_namespaces": "*"});
    let warned = vault
        .root("POST", "auth/kubernetes/role/open", open)
        .expect(200);
    assert!(warned.text.contains("set audience"), "{}", warned.text);
}
