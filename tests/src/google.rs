//! Google in the test process: the keys that it publishes, access tokens for service accounts, and the
//! parts of IAM, Compute Engine and Resource Manager that logins ask.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::web::{Asked, Web};

/// An RSA key with an id.
pub struct RsaSigner {
    pub kid: String,
    pair: RsaKeyPair,
}

impl RsaSigner {
    pub fn new(kid: &str) -> RsaSigner {
        RsaSigner {
            kid: kid.to_owned(),
            pair: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    /// The public key as a JWK, in Google's form.
    pub fn jwk(&self) -> Value {
        let key = self.pair.public_key();
        let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
        json!({
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.kid,
            "n": encode(key.modulus().big_endian_without_leading_zero()),
            "e": encode(key.exponent().big_endian_without_leading_zero()),
        })
    }

    /// The private key, PKCS #8.
    pub fn pem(&self) -> String {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().unwrap();
        let text = STANDARD.encode(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
    }

    pub fn token(&self, claims: &Value) -> String {
        self.token_with(
            &json!({"alg": "RS256", "typ": "JWT", "kid": self.kid}),
            claims,
        )
    }

    pub fn token_with(&self, head: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(head), part(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        let signed = self.pair.sign(
            &RSA_PKCS1_SHA256,
            &random,
            message.as_bytes(),
            &mut signature,
        );
        signed.unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The claims of a token, if it is signed by this key.
    fn verified(&self, token: &str) -> Option<Value> {
        let (message, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = self.pair.public_key().as_ref();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
            .verify(message.as_bytes(), &signature)
            .ok()?;
        let (_, claims) = message.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

/// A service account.
#[derive(Clone)]
pub struct Account {
    pub email: String,
    pub unique_id: String,
    pub project: String,
    pub disabled: bool,
    /// Its public keys.
    pub keys: Vec<Value>,
}

/// What is the case at Google.
#[derive(Default)]
pub struct World {
    /// Google's own public keys.
    pub keys: Vec<Value>,
    pub accounts: Vec<Account>,
    /// By `projects/P/zones/Z/instances/N`.
    pub instances: HashMap<String, Value>,
    /// By `projects/P/zones/Z/instanceGroups/G`: addresses of instances.
    pub groups: HashMap<String, Vec<String>>,
    /// Above each project.
    pub ancestors: Vec<(String, String)>,
    tokens: HashSet<String>,
}

pub struct Google {
    pub web: Web,
    world: Arc<Mutex<World>>,
    /// Signs identity tokens.
    pub signer: RsaSigner,
    /// Of the account that the server asks with.
    pub server: Arc<RsaSigner>,
}

/// The account that the server asks with.
pub const SERVER: &str = "vaultd@ours.iam.gserviceaccount.com";

impl Google {
    pub fn start() -> Google {
        let world: Arc<Mutex<World>> = Arc::default();
        let server = Arc::new(RsaSigner::new("server"));
        let (shared, key) = (Arc::clone(&world), Arc::clone(&server));
        let web = Web::start(move |asked| {
            let (status, body) = answer(&mut shared.lock().unwrap(), &key, asked);
            (status, body.to_string())
        });
        let signer = RsaSigner::new("google-1");
        world.lock().unwrap().keys = vec![signer.jwk()];
        Google {
            web,
            world,
            signer,
            server,
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The key file of the account that the server asks with.
    pub fn credentials(&self) -> String {
        json!({
            "type": "service_account", "project_id": "ours", "private_key_id": self.server.kid,
            "private_key": self.server.pem(), "client_email": SERVER, "client_id": "1001",
            "token_uri": format!("{}/token", self.web.url),
        })
        .to_string()
    }

    /// Access tokens that were given until now end.
    pub fn end_tokens(&self) {
        self.world().tokens.clear();
    }

    /// Where an instance is, as Google writes it.
    pub fn link(&self, place: &str) -> String {
        format!("{}/compute/v1/{place}", self.web.url)
    }
}

fn answer(world: &mut World, server: &RsaSigner, asked: &Asked) -> (u16, Value) {
    let url = format!("https://{}", asked.header("host"));
    let path = asked.target.split('?').next().unwrap();
    if path == "/oauth2/v3/certs" {
        return (200, json!({"keys": world.keys}));
    }
    if let Some(name) = path.strip_prefix("/service_accounts/v1/jwk/") {
        return match world.account(name) {
            Some(account) => (200, json!({"keys": account.keys})),
            None => (404, json!({"error": {"code": 404, "status": "NOT_FOUND"}})),
        };
    }
    if path == "/token" {
        return grant(world, server, asked, &url);
    }
    let bearer = asked.header("authorization").strip_prefix("Bearer ");
    if !bearer.is_some_and(|token| world.tokens.contains(token)) {
        return (
            401,
            json!({"error": {"code": 401, "status": "UNAUTHENTICATED"}}),
        );
    }
    let found = match (asked.method.as_str(), path) {
        ("GET", path) if path.starts_with("/v1/projects/-/serviceAccounts/") => {
            let name = path.rsplit('/').next().unwrap();
            world.account(name).map(|account| {
                json!({
                    "name": format!("projects/{}/serviceAccounts/{}", account.project, account.email),
                    "projectId": account.project, "uniqueId": account.unique_id,
                    "email": account.email, "disabled": account.disabled,
                })
            })
        }
        ("GET", path) => {
            let place = path.strip_prefix("/compute/v1/");
            place.and_then(|place| world.instances.get(place).cloned())
        }
        ("POST", path) if path.ends_with("/listInstances") => members(world, asked, path),
        ("POST", path) if path.ends_with(":getAncestry") => {
            let ids = world.ancestors.iter();
            let ids = ids.map(|(kind, id)| json!({"resourceId": {"type": kind, "id": id}}));
            Some(json!({"ancestor": ids.collect::<Vec<_>>()}))
        }
        _ => None,
    };
    match found {
        Some(body) => (200, body),
        None => (404, json!({"error": {"code": 404, "status": "NOT_FOUND"}})),
    }
}

impl World {
    /// By email or unique id, as they stand in a path.
    fn account(&self, name: &str) -> Option<&Account> {
        let name = name.replace("%40", "@");
        let named = |account: &&Account| account.email == name || account.unique_id == name;
        self.accounts.iter().find(named)
    }

    pub fn change(&mut self, email: &str, change: impl FnOnce(&mut Account)) {
        let account = self.accounts.iter_mut().find(|one| one.email == email);
        change(account.unwrap());
    }
}

/// The members that the filter is for are on the second page.
fn members(world: &World, asked: &Asked, path: &str) -> Option<Value> {
    let place = path.strip_prefix("/compute/v1/")?;
    let members = world.groups.get(place.strip_suffix("/listInstances")?)?;
    let filter = asked.field("filter").unwrap();
    let wanted = filter.strip_prefix("instance eq ").unwrap();
    let items = members.iter().filter(|member| *member == wanted);
    let items: Vec<Value> = items.map(|one| json!({"instance": one})).collect();
    Some(match asked.field("pageToken").as_deref() {
        Some("second") => json!({"items": items}),
        _ => json!({"nextPageToken": "second"}),
    })
}

/// RFC 7523, 2.1.
fn grant(world: &mut World, server: &RsaSigner, asked: &Asked, url: &str) -> (u16, Value) {
    let refused = (400, json!({"error": "invalid_grant"}));
    let kind = asked.field("grant_type");
    if kind.as_deref() != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
        return (400, json!({"error": "unsupported_grant_type"}));
    }
    let Some(claims) = server.verified(&asked.field("assertion").unwrap_or_default()) else {
        return refused;
    };
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    let right = claims["iss"] == SERVER
        && claims["aud"] == format!("{url}/token")
        && claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
        && (1..=3600).contains(&life);
    if !right {
        return refused;
    }
    let token = format!("ya29.{}", world.tokens.len());
    world.tokens.insert(token.clone());
    (
        200,
        json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}),
    )
}
