//! An OpenID provider in the test process: discovery, keys that can be rotated, codes for id tokens.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::web::{Asked, Web};

pub const CLIENT_ID: &str = "vault at idp";
pub const CLIENT_SECRET: &str = "s3cret:with/odd+characters";

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A P-256 key with an id.
pub struct Signer {
    pub kid: String,
    pair: EcdsaKeyPair,
}

impl Signer {
    pub fn new(kid: &str) -> Signer {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let kid = kid.to_owned();
        Signer { kid, pair }
    }

    /// The public key as a JWK.
    pub fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "kid": self.kid,
            "x": encode(&point[1..33]), "y": encode(&point[33..]),
        })
    }

    pub fn token(&self, claims: &Value) -> String {
        self.token_with(
            &json!({"alg": "ES256", "typ": "JWT", "kid": self.kid}),
            claims,
        )
    }

    pub fn token_with(&self, head: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            encode(head.to_string()),
            encode(claims.to_string())
        );
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes());
        format!("{message}.{}", encode(signature.unwrap()))
    }
}

/// What a login at the provider was for.
#[derive(Clone)]
struct Granted {
    redirect_uri: String,
    challenge: String,
    claims: Value,
}

/// What the person has said about a device, and what the next question is told before that.
enum Device {
    Waiting(&'static str),
    Agreed(Value),
    Denied,
}

#[derive(Default)]
struct Inner {
    published: Vec<Value>,
    codes: HashMap<String, Granted>,
    /// By user code; the device code is `device USER_CODE`.
    devices: HashMap<String, Device>,
    user_info: Option<Value>,
    /// Signs id tokens.
    signer: Option<Arc<Signer>>,
}

pub struct Issuer {
    pub web: Web,
    inner: Arc<Mutex<Inner>>,
}

impl Issuer {
    /// Publishes one key, `first`.
    pub fn start() -> (Issuer, Arc<Signer>) {
        let inner: Arc<Mutex<Inner>> = Arc::default();
        let shared = Arc::clone(&inner);
        let web = Web::start(move |asked| {
            let (status, body) = answer(&mut shared.lock().unwrap(), asked);
            (status, body.to_string())
        });
        let issuer = Issuer { web, inner };
        let signer = issuer.rotate("first");
        (issuer, signer)
    }

    pub fn url(&self) -> &str {
        &self.web.url
    }

    /// Publishes a new key instead of the others.
    pub fn rotate(&self, kid: &str) -> Arc<Signer> {
        let signer = Arc::new(Signer::new(kid));
        let mut inner = self.inner.lock().unwrap();
        inner.published = vec![signer.jwk()];
        inner.signer = Some(Arc::clone(&signer));
        signer
    }

    /// Whatever a JWK set may hold.
    pub fn publish(&self, keys: Vec<Value>) {
        self.inner.lock().unwrap().published = keys;
    }

    /// What the user info endpoint says; none without it.
    pub fn set_user_info(&self, claims: Value) {
        self.inner.lock().unwrap().user_info = Some(claims);
    }

    /// A person has logged in at the URL that vaultd gave: the code that the browser takes back.
    /// The nonce goes into the claims unless they have one.
    pub fn log_in(&self, auth_url: &str, claims: Value) -> String {
        let query = auth_url.split_once('?').unwrap().1;
        let get = |name| crate::web::field(query, name).unwrap_or_default();
        assert_eq!(get("client_id"), CLIENT_ID);
        assert_eq!(get("response_type"), "code");
        assert_eq!(get("code_challenge_method"), "S256");
        let mut claims = claims;
        if claims.get("nonce").is_none() {
            claims["nonce"] = get("nonce").into();
        }
        let mut inner = self.inner.lock().unwrap();
        let code = format!("code {}", inner.codes.len());
        let granted = Granted {
            redirect_uri: get("redirect_uri"),
            challenge: get("code_challenge"),
            claims,
        };
        inner.codes.insert(code.clone(), granted);
        code
    }
}

/// What a person does with the code that a device shows.
impl Issuer {
    pub fn agree(&self, user_code: &str, claims: Value) {
        self.say(user_code, Device::Agreed(claims));
    }

    pub fn deny(&self, user_code: &str) {
        self.say(user_code, Device::Denied);
    }

    /// The next question is told this.
    pub fn put_off(&self, user_code: &str, error: &'static str) {
        self.say(user_code, Device::Waiting(error));
    }

    /// The codes of devices whose person has not been here.
    pub fn waiting(&self) -> Vec<String> {
        let inner = self.inner.lock().unwrap();
        let waiting = inner.devices.iter();
        let waiting = waiting.filter(|(_, device)| matches!(device, Device::Waiting(_)));
        waiting.map(|(code, _)| code.clone()).collect()
    }

    fn say(&self, user_code: &str, device: Device) {
        let mut inner = self.inner.lock().unwrap();
        let known = inner.devices.insert(user_code.to_owned(), device);
        assert!(known.is_some(), "nobody shows {user_code}");
    }
}

fn answer(inner: &mut Inner, asked: &Asked) -> (u16, Value) {
    let base = format!("https://{}", asked.header("host"));
    match asked.target.split('?').next().unwrap() {
        "/.well-known/openid-configuration" => (
            200,
            json!({
                "issuer": base,
                "jwks_uri": format!("{base}/keys"),
                "authorization_endpoint": format!("{base}/authorize"),
                "token_endpoint": format!("{base}/token"),
                "userinfo_endpoint": format!("{base}/userinfo"),
                "device_authorization_endpoint": format!("{base}/device"),
            }),
        ),
        "/keys" => (200, json!({"keys": inner.published})),
        "/token" if asked.field("device_code").is_some() => device_tokens(inner, asked),
        "/token" => tokens(inner, asked),
        "/device" => device(inner, asked, &base),
        "/userinfo" if asked.header("authorization") == "Bearer access" => match &inner.user_info {
            Some(claims) => (200, claims.clone()),
            None => (404, json!({})),
        },
        "/elsewhere" => (
            200,
            json!({"issuer": "https://elsewhere.example", "jwks_uri": base}),
        ),
        _ => (404, json!({"error": "no such page"})),
    }
}

fn is_client(asked: &Asked) -> bool {
    let expected = "Basic ".to_owned()
        + &base64::engine::general_purpose::STANDARD
            .encode("vault%20at%20idp:s3cret%3Awith%2Fodd%2Bcharacters");
    asked.header("authorization") == expected
}

/// RFC 8628, 3.2.
fn device(inner: &mut Inner, asked: &Asked, base: &str) -> (u16, Value) {
    if !is_client(asked)
        || !asked
            .field("scope")
            .is_some_and(|scope| scope.starts_with("openid"))
    {
        return (401, json!({"error": "invalid_client"}));
    }
    let user_code = format!("CODE-{}", inner.devices.len());
    let waiting = Device::Waiting("authorization_pending");
    inner.devices.insert(user_code.clone(), waiting);
    (
        200,
        json!({
            "device_code": format!("device {user_code}"), "user_code": user_code,
            "verification_uri": format!("{base}/activate"), "expires_in": 600, "interval": 1,
        }),
    )
}

/// RFC 8628, 3.4 and 3.5.
fn device_tokens(inner: &mut Inner, asked: &Asked) -> (u16, Value) {
    let refused = |error: &str| (400, json!({ "error": error }));
    if !is_client(asked) {
        return (401, json!({"error": "invalid_client"}));
    }
    let code = asked.field("device_code").unwrap_or_default();
    let code = code.trim_start_matches("device ").to_owned();
    if asked.field("grant_type").as_deref() != Some("urn:ietf:params:oauth:grant-type:device_code")
    {
        return refused("unsupported_grant_type");
    }
    match inner.devices.remove(&code) {
        None => refused("expired_token"),
        Some(Device::Waiting(error)) => {
            let waiting = Device::Waiting("authorization_pending");
            inner.devices.insert(code, waiting);
            refused(error)
        }
        Some(Device::Denied) => refused("access_denied"),
        Some(Device::Agreed(claims)) => {
            let id_token = inner.signer.as_ref().unwrap().token(&claims);
            (
                200,
                json!({"id_token": id_token, "access_token": "access", "token_type": "Bearer"}),
            )
        }
    }
}

/// RFC 6749, 4.1.3 and RFC 7636, 4.6.
fn tokens(inner: &mut Inner, asked: &Asked) -> (u16, Value) {
    let refused = (400, json!({"error": "invalid_grant"}));
    if !is_client(asked) {
        return (401, json!({"error": "invalid_client"}));
    }
    let get = |name| asked.field(name).unwrap_or_default();
    let Some(granted) = inner.codes.remove(&get("code")) else {
        return refused;
    };
    let challenge = encode(vault_crypto::sha256(get("code_verifier").as_bytes()));
    let right = get("grant_type") == "authorization_code"
        && get("redirect_uri") == granted.redirect_uri
        && challenge == granted.challenge;
    if !right {
        return refused;
    }
    let signer = inner.signer.as_ref().unwrap();
    let id_token = signer.token(&granted.claims);
    (
        200,
        json!({"id_token": id_token, "access_token": "access", "token_type": "Bearer"}),
    )
}
