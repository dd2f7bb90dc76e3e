//! A forge: an issuer of identity tokens with keys that can be rotated, the service that GitHub's jobs
//! ask for theirs, and the environments in which the runners start a job.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use vault_tests::issuer::Signer;
use vault_tests::web::Web;

use crate::job::Job;

/// What a job of GitHub's has to show to get a token.
const REQUEST_TOKEN: &str = "only for this job";

pub(crate) struct Forge {
    pub(crate) web: Web,
    signer: Arc<Mutex<Signer>>,
}

impl Forge {
    /// `claims` are those of the jobs that ask by themselves.
    pub(crate) fn start(claims: Value) -> Forge {
        let signer = Arc::new(Mutex::new(Signer::new("first")));
        let shared = signer.clone();
        let web = Web::start(move |asked| {
            let base = format!("https://{}", asked.header("host"));
            let signer = shared.lock().unwrap();
            let (status, body) = match asked.target.split('?').next().unwrap() {
                "/.well-known/openid-configuration" => (
                    200,
                    json!({"issuer": base, "jwks_uri": format!("{base}/keys")}),
                ),
                "/keys" => (200, json!({"keys": [signer.jwk()]})),
                "/token" if asked.header("authorization") == format!("Bearer {REQUEST_TOKEN}") => {
                    // GitHub's has a query already: the job's own.
                    assert_eq!(asked.field("api-version").as_deref(), Some("2.0"));
                    let audience = asked.field("audience").unwrap();
                    let token = signer.token(&with(&base, &audience, &claims));
                    (200, json!({"count": token.len(), "value": token}))
                }
                _ => (401, json!({"message": "no"})),
            };
            (status, body.to_string())
        });
        Forge { web, signer }
    }

    pub(crate) fn url(&self) -> &str {
        &self.web.url
    }

    pub(crate) fn rotate(&self) {
        *self.signer.lock().unwrap() = Signer::new("second");
    }

    pub(crate) fn token(&self, audience: &str, claims: &Value) -> String {
        let signer = self.signer.lock().unwrap();
        signer.token(&with(self.url(), audience, claims))
    }

    /// Who vouches for the forge.
    pub(crate) fn ca(&self, job: &Job) -> String {
        job.file("forge-ca.pem", &self.web.ca_pem)
    }

    /// As GitHub starts a job that has `permissions: id-token: write`.
    pub(crate) fn github(&self, job: &Job, command: &mut Command) {
        command
            .env("GITHUB_ACTIONS", "true")
            .env(
                "ACTIONS_ID_TOKEN_REQUEST_URL",
                format!("{}/token?api-version=2.0", self.url()),
            )
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", REQUEST_TOKEN)
            .env("SSL_CERT_FILE", self.ca(job));
    }
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}

fn with(issuer: &str, audience: &str, claims: &Value) -> Value {
    let mut all = json!({
        "iss": issuer, "aud": audience, "sub": "repo:octo-org/app:environment:production",
        "iat": now(), "nbf": now(), "exp": now() + 300,
    });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}
