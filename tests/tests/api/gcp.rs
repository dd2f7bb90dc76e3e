//! Logins of Google's service accounts and machines, against a server that answers as Google does.

mod settings;
mod standing;

use serde_json::{Value, json};
use vault_tests::google::{Account, Google, RsaSigner};
use vault_tests::{Answer, Options, Vault, Vaultctl};

use crate::jwt::now;
use crate::setup::policy;

const CI: &str = "ci@acme.iam.gserviceaccount.com";
const CI_ID: &str = "104000000000000000001";
const ZONE: &str = "europe-west3-b";

/// Google, a server that believes it, and the key of the account [`CI`].
struct Bed {
    google: Google,
    vault: Vault,
    ci: RsaSigner,
    /// Holds the CA that the server reads when it first asks.
    _dir: tempfile::TempDir,
}

impl Bed {
    /// Without credentials.
    fn start() -> Bed {
        Bed::on(Options::memory())
    }

    fn on(options: Options) -> Bed {
        let google = Google::start();
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, &google.web.ca_pem).unwrap();
        let env = vec![("SSL_CERT_FILE".to_owned(), ca.to_str().unwrap().to_owned())];
        let vault = Vault::ready_with(Options { env, ..options });
        vault
            .root("POST", "sys/auth/gcp", json!({"type": "gcp"}))
            .expect(204);
        policy(&vault, "app", r#"path "kv/*" { capabilities = ["read"] }"#);
        let ci = RsaSigner::new("ci-1");
        google.world().accounts.push(Account {
            email: CI.to_owned(),
            unique_id: CI_ID.to_owned(),
            project: "acme".to_owned(),
            disabled: false,
            keys: vec![ci.jwk()],
        });
        google.world().instances.insert(
            place("web-1"),
            json!({
                "id": "7001", "name": "web-1", "status": "RUNNING", "selfLink": google.link(&place("web-1")),
                "labels": {"env": "prod", "team": "web"}, "zone": google.link(&format!("projects/acme/zones/{ZONE}")),
            }),
        );
        let bed = Bed {
            google,
            vault,
            ci,
            _dir: dir,
        };
        let url = &bed.google.web.url;
        bed.config(
            json!({"custom_endpoint": {"api": url, "iam": url, "crm": url, "compute": url}}),
        )
        .expect(204);
        bed
    }

    fn with_credentials() -> Bed {
        let bed = Bed::start();
        bed.give_credentials();
        bed
    }

    fn give_credentials(&self) {
        self.config(json!({"credentials": self.google.credentials()}))
            .expect(204);
    }

    fn config(&self, body: Value) -> Answer {
        self.vault.root("POST", "auth/gcp/config", body)
    }

    /// Writes a role with these fields beside its policies; the answer.
    fn write(&self, name: &str, mut body: Value) -> Answer {
        body["token_policies"] = "app".into();
        let path = format!("auth/gcp/role/{name}");
        self.vault.root("POST", &path, body)
    }

    #[track_caller]
    fn role(&self, name: &str, body: Value) {
        let path = format!("auth/gcp/role/{name}");
        self.vault.root("DELETE", &path, Value::Null).expect(204);
        let answer = self.write(name, body);
        assert!(matches!(answer.status, 200 | 204), "{}", answer.text);
    }

    fn login(&self, role: &str, jwt: &str) -> Answer {
        let body = json!({"role": role, "jwt": jwt});
        self.vault.call("POST", "auth/gcp/login", None, Some(&body))
    }

    /// The `auth` block of a login with what the account signed.
    fn logged_in(&self, role: &str) -> Value {
        let answer = self.login(role, &self.signed(role, json!({})));
        answer.expect(200).body["auth"].clone()
    }

    fn renew(&self, auth: &Value) -> Answer {
        let token = auth["client_token"].as_str();
        self.vault
            .call("POST", "auth/token/renew-self", token, Some(&json!({})))
    }

    /// What the account signs itself, for this role, with these claims beside the usual ones.
    fn signed(&self, role: &str, more: Value) -> String {
        self.ci.token(&with(own(role), more))
    }

    /// What Google signs for the instance `web-1`.
    fn identity(&self, role: &str, more: Value) -> String {
        self.google.signer.token(&with(identity(role), more))
    }

    fn asked(&self) -> usize {
        self.google.web.asked().len()
    }
}

fn place(name: &str) -> String {
    format!("projects/acme/zones/{ZONE}/instances/{name}")
}

fn own(role: &str) -> Value {
    json!({"sub": CI, "aud": format!("http://vault/{role}"), "exp": now() + 600})
}

fn identity(role: &str) -> Value {
    json!({
        "iss": "https://accounts.google.com", "sub": CI_ID, "aud": format!("https://vaultd.example/vault/{role}"),
        "email": CI, "email_verified": true, "iat": now(), "exp": now() + 3599,
        "google": {"compute_engine": {
            "project_id": "acme", "project_number": 42, "zone": ZONE, "instance_id": "7001",
            "instance_name": "web-1", "instance_creation_timestamp": 1_700_000_000,
        }},
    })
}

/// Claims, where `null` takes one away.
fn with(mut claims: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// Refused with 400 for this reason, without a word of the token.
#[track_caller]
fn refused(answer: &Answer, why: &str) {
    assert_eq!(answer.status, 400, "{}", answer.text);
    let error = answer.errors();
    assert!(error.contains(why), "{error} does not say {why}");
    for word in ["eyJ", "iam.gserviceaccount.com", "elsewhere"] {
        assert!(!error.contains(word), "{error}");
    }
}

fn bound_to_ci() -> Value {
    json!({"type": "iam", "bound_service_accounts": CI})
}

fn of_acme() -> Value {
    json!({"type": "gce", "bound_projects": "acme"})
}

#[test]
fn a_service_account_logs_in_with_what_it_signed() {
    let bed = Bed::with_credentials();
    bed.role(
        "app",
        json!({"type": "iam", "bound_service_accounts": [CI_ID], "bound_projects": "acme", "token_ttl": "5m"}),
    );
    let auth = bed.logged_in("app");
    assert_eq!(auth["policies"], json!(["app", "default"]));
    assert_eq!(auth["lease_duration"], 300);
    assert_eq!(
        auth["metadata"],
        json!({
            "role": "app", "service_account_id": CI_ID, "service_account_email": CI, "project_id": "acme",
        })
    );
    let own = bed
        .vault
        .call(
            "GET",
            "auth/token/lookup-self",
            auth["client_token"].as_str(),
            None,
        )
        .expect(200);
    assert_eq!(own.data()["display_name"], format!("gcp-{CI}"));
    // One access token for all of it.
    bed.login("app", &bed.signed("app", json!({"sub": CI_ID})))
        .expect(200);
    bed.renew(&auth).expect(200);
    assert_eq!(bed.google.web.count("/token"), 1);
    // One that Google gave up is asked for anew.
    bed.google.end_tokens();
    refused(&bed.renew(&auth), "status 401");
    bed.renew(&auth).expect(200);
    assert_eq!(bed.google.web.count("/token"), 2);
}

#[test]
fn an_instance_logs_in_with_its_identity_token() {
    let bed = Bed::with_credentials();
    let link = bed.google.link(&place("web-1"));
    let group = format!("projects/acme/zones/{ZONE}/instanceGroups/web");
    bed.google.world().groups.insert(group, vec![link]);
    bed.role(
        "web",
        json!({
            "type": "gce", "bound_projects": ["acme"], "bound_zones": [ZONE], "bound_labels": "env:prod,team:web",
            "bound_instance_groups": "other,web", "bound_service_accounts": CI,
        }),
    );
    let auth = bed
        .login("web", &bed.identity("web", json!({})))
        .expect(200)
        .body["auth"]
        .clone();
    assert_eq!(
        auth["metadata"],
        json!({
            "role": "web", "service_account_id": CI_ID, "service_account_email": CI, "project_id": "acme",
            "project_number": "42", "zone": ZONE, "instance_id": "7001", "instance_name": "web-1",
            "instance_creation_timestamp": "1700000000",
        })
    );
    bed.renew(&auth).expect(200);
    // A group of the region.
    let link = bed.google.link(&place("web-1"));
    let group = "projects/acme/regions/europe-west3/instanceGroups/wide".to_owned();
    bed.google.world().groups.insert(group, vec![link]);
    bed.role(
        "web",
        json!({"type": "gce", "bound_projects": "acme", "bound_regions": "europe-west3", "bound_instance_groups": "wide"}),
    );
    bed.login("web", &bed.identity("web", json!({})))
        .expect(200);
    bed.role(
        "web",
        json!({"type": "gce", "bound_projects": "acme", "bound_regions": "europe-west3", "bound_instance_groups": "none"}),
    );
    let answer = bed.login("web", &bed.identity("web", json!({})));
    refused(&answer, "bound_instance_groups");
}

#[test]
fn each_bound_that_does_not_match_is_named() {
    let bed = Bed::with_credentials();
    let iam = |body: Value| {
        bed.role("app", with(json!({"type": "iam"}), body));
        bed.login("app", &bed.signed("app", json!({})))
    };
    iam(json!({"bound_service_accounts": "*", "bound_projects": "acme"})).expect(200);
    for (bounds, why) in [
        (
            json!({"bound_service_accounts": "x@acme.iam.gserviceaccount.com"}),
            "bound_service_accounts",
        ),
        (
            json!({"bound_service_accounts": "999"}),
            "bound_service_accounts",
        ),
        (
            json!({"bound_service_accounts": [CI], "bound_projects": "other"}),
            "bound_projects",
        ),
        (
            json!({"bound_service_accounts": "*", "bound_projects": "other"}),
            "bound_projects",
        ),
    ] {
        refused(&iam(bounds), why);
    }
    let gce = |body: Value| {
        bed.role("web", with(of_acme(), body));
        bed.login("web", &bed.identity("web", json!({})))
    };
    gce(json!({"bound_regions": "europe-west3"})).expect(200);
    for (bounds, why) in [
        (json!({"bound_projects": "other"}), "bound_projects"),
        (json!({"bound_zones": "europe-west3-a"}), "bound_zones"),
        (json!({"bound_regions": "europe-west"}), "bound_regions"),
        (json!({"bound_labels": "env:test"}), "bound_labels"),
        (json!({"bound_labels": "env:prod,zone:x"}), "bound_labels"),
        (
            json!({"bound_service_accounts": "x@acme.iam.gserviceaccount.com"}),
            "bound_service_accounts",
        ),
        (
            json!({"bound_zones": ZONE, "bound_instance_groups": "web"}),
            "bound_instance_groups",
        ),
    ] {
        refused(&gce(bounds), why);
    }
    bed.role(
        "app",
        json!({"type": "iam", "bound_service_accounts": CI, "token_bound_cidrs": "203.0.113.0/24"}),
    );
    bed.login("app", &bed.signed("app", json!({}))).expect(403);
}

#[test]
fn a_token_is_for_one_role_and_a_short_time() {
    let bed = Bed::with_credentials();
    bed.role("app", bound_to_ci());
    bed.role("app2", bound_to_ci());
    bed.login("app", &bed.signed("app", json!({}))).expect(200);
    bed.login(
        "app",
        &bed.signed("app", json!({"aud": ["vault/app", "x/vault/app"]})),
    )
    .expect(200);
    let asked = bed.asked();
    for (claims, why) in [
        (json!({"aud": "http://vault/app2"}), "aud claim"),
        (json!({"aud": "vault/ap"}), "aud claim"),
        (json!({"aud": "http://vault/app/"}), "aud claim"),
        (json!({"aud": "https://elsewhere.example"}), "aud claim"),
        (json!({"aud": ["vault/app", "vault/app2"]}), "aud claim"),
        (json!({"aud": ["vault/app", 7]}), "aud claim"),
        (json!({"aud": []}), "aud claim"),
        (json!({"aud": null}), "aud claim"),
        (json!({"exp": now() - 90}), "expired"),
        (json!({"exp": null}), "exp claim"),
        (json!({"exp": "soon"}), "exp claim"),
        (json!({"exp": -1}), "exp claim"),
        (json!({"exp": now() + 4000}), "exp claim"),
        (json!({"exp": 1e300}), "exp claim"),
        (json!({"exp": now() + 1000}), "max_jwt_exp"),
        (json!({"nbf": now() + 300}), "nbf claim"),
        (json!({"iat": now() + 300}), "iat claim"),
        (json!({"sub": null}), "sub claim"),
        (json!({"sub": "../../oauth2/v3/certs"}), "sub claim"),
    ] {
        refused(&bed.login("app", &bed.signed("app", claims)), why);
    }
    // A role of another name that is also meant for the account.
    refused(
        &bed.login("app2", &bed.signed("app", json!({}))),
        "aud claim",
    );
    assert_eq!(bed.asked(), asked, "what cannot succeed asked somebody");
    bed.role("app", with(bound_to_ci(), json!({"max_jwt_exp": "20m"})));
    bed.login("app", &bed.signed("app", json!({"exp": now() + 1000})))
        .expect(200);
    for (role, jwt, why) in [
        ("", "x", "role is required"),
        ("app", "", "jwt argument is required"),
        ("none", "x", "not found"),
    ] {
        refused(&bed.login(role, jwt), why);
    }
}

#[test]
fn what_google_or_the_account_did_not_sign_is_refused() {
    use aws_lc_rs::hmac;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let bed = Bed::with_credentials();
    bed.role("app", bound_to_ci());
    bed.role("web", of_acme());
    let claims = own("app");
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    // The public key as a secret, and no signature.
    let head = encode(&json!({"alg": "HS256", "kid": "ci-1"}).to_string());
    let message = format!("{head}.{}", encode(&claims.to_string()));
    for secret in [bed.ci.jwk().to_string(), String::new()] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, message.as_bytes());
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
        refused(&bed.login("app", &token), "alg");
    }
    let none = encode(&json!({"alg": "none", "kid": "ci-1"}).to_string());
    bed.login("app", &format!("{none}.{}.", encode(&claims.to_string())))
        .expect(400);
    // Another hash than Google's is refused before anybody is asked.
    let rs512 = bed
        .ci
        .token_with(&json!({"alg": "RS512", "kid": "ci-1"}), &claims);
    refused(&bed.login("app", &rs512), "alg");
    let no_kid = bed.ci.token_with(&json!({"alg": "RS256"}), &claims);
    refused(&bed.login("app", &no_kid), "kid");
    assert_eq!(bed.asked(), 0);

    let foreign = RsaSigner::new("ci-1");
    let why = "no known key successfully validated the token signature";
    refused(&bed.login("app", &foreign.token(&claims)), why);
    refused(
        &bed.login("app", &RsaSigner::new("ci-9").token(&claims)),
        "kid",
    );
    // The account's own key does not speak for Google: neither of machines nor with its name.
    let machine = json!({"google": identity("web")["google"]});
    refused(
        &bed.login("web", &bed.signed("web", machine)),
        "metadata server",
    );
    refused(&bed.login("web", &bed.ci.token(&identity("web"))), "kid");
    let named_so = RsaSigner::new("google-1").token(&identity("web"));
    refused(&bed.login("web", &named_so), why);
    // Google's key does not sign for accounts under their own name.
    let by_google = bed.google.signer.token(&claims);
    refused(&bed.login("app", &by_google), "kid");
    // Nor does another account's.
    let eve = RsaSigner::new("eve-1");
    bed.google.world().accounts.push(Account {
        email: "eve@elsewhere.iam.gserviceaccount.com".into(),
        unique_id: "666000".into(),
        project: "elsewhere".into(),
        disabled: false,
        keys: vec![eve.jwk()],
    });
    refused(&bed.login("app", &eve.token(&claims)), "kid");
    let as_eve = with(
        claims.clone(),
        json!({"sub": "eve@elsewhere.iam.gserviceaccount.com"}),
    );
    refused(
        &bed.login("app", &eve.token(&as_eve)),
        "bound_service_accounts",
    );
    bed.login("app", &bed.ci.token(&claims)).expect(200);
}

#[test]
fn a_key_that_was_deleted_is_forgotten_when_another_is_seen() {
    let bed = Bed::start();
    bed.role("app", bound_to_ci());
    bed.login("app", &bed.signed("app", json!({}))).expect(200);
    let next = RsaSigner::new("ci-2");
    bed.google
        .world()
        .change(CI, |ci| ci.keys = vec![next.jwk()]);
    // The new one is asked for at once.
    bed.login("app", &next.token(&own("app"))).expect(200);
    refused(&bed.login("app", &bed.signed("app", json!({}))), "kid");
    // Google has none at all of an account that is gone.
    let bed = Bed::start();
    bed.role("app", bound_to_ci());
    bed.google.world().accounts.clear();
    refused(
        &bed.login("app", &bed.signed("app", json!({}))),
        "status 404",
    );
}

#[test]
fn an_instance_may_log_in_as_its_service_account_if_the_role_says_so() {
    let bed = Bed::with_credentials();
    bed.role("app", bound_to_ci());
    // Good for an hour, which nobody can choose.
    let auth = bed
        .login("app", &bed.identity("app", json!({})))
        .expect(200)
        .body["auth"]
        .clone();
    assert_eq!(auth["metadata"]["instance_name"], "web-1");
    let body = json!({"allow_gce_inference": false});
    bed.write("app", body).expect(204);
    refused(
        &bed.login("app", &bed.identity("app", json!({}))),
        "does not allow GCE inference",
    );
    refused(&bed.renew(&auth), "GCE inference is no longer allowed");
    // Without the machine's claims it is a token like others.
    let plain = bed.identity("app", json!({"google": null}));
    refused(&bed.login("app", &plain), "max_jwt_exp");
    let plain = bed.identity("app", json!({"google": null, "exp": now() + 600}));
    bed.login("app", &plain).expect(200);
}

/// A metadata server that gives this token, for this role. It ends with its only request.
fn metadata_server(role: &str, flavor: &'static str, token: String) -> String {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let target = format!(
        "GET /computeMetadata/v1/instance/service-accounts/default/identity?audience=http%3A%2F%2Fvault%2F{role}&format=full HTTP/1.1"
    );
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let head: Vec<String> = lines
            .map(Result::unwrap)
            .take_while(|line| !line.is_empty())
            .collect();
        let right = head[0] == target && head.iter().any(|line| line == "metadata-flavor: Google");
        let status = if right { "200 OK" } else { "403 Forbidden" };
        let length = token.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\n{flavor}Content-Type: text/html\r\nContent-Length: {length}\r\n\r\n{token}"
        );
        stream.write_all(answer.as_bytes()).unwrap();
    });
    address
}

#[test]
fn vaultctl_on_an_instance_needs_no_token() {
    let bed = Bed::start();
    bed.role("web", of_acme());
    let dir = tempfile::tempdir().unwrap();
    let token = bed.identity("web", json!({"aud": "http://vault/web"}));
    let run = |flavor, role: &str| {
        let host = metadata_server("web", flavor, token.clone());
        Vaultctl::new(dir.path(), &bed.vault.addr)
            .env("GCE_METADATA_HOST", &host)
            .run(&["login", "--method", "gcp", &format!("role={role}")], "")
    };
    let said = run("Metadata-Flavor: Google\r\n", "web");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.out.contains("eyJ") && !said.err.contains("eyJ"));
    // Whoever answers without being asked as a metadata server is none.
    for (flavor, role) in [("", "web"), ("Metadata-Flavor: Google\r\n", "other")] {
        let said = run(flavor, role);
        assert_ne!(said.code, 0);
        assert!(said.err.contains("no metadata server"), "{}", said.err);
    }
}
