//! A client that signs exactly what it is told to.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vault_tests::process::until;
use vault_tests::{Answer, Request};

use crate::site::Site;

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub enum Key {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    pub fn p256() -> Key {
        Key::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub fn ed25519() -> Key {
        Key::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    /// In DER of PKCS #8.
    pub fn of_pkcs8(der: &[u8]) -> Key {
        Key::P256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).unwrap())
    }

    pub fn alg(&self) -> &'static str {
        match self {
            Key::P256(_) => "ES256",
            Key::Ed25519(_) => "EdDSA",
        }
    }

    pub fn jwk(&self) -> Value {
        match self {
            Key::P256(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y)})
            }
            Key::Ed25519(key) => {
                json!({"crv": "Ed25519", "kty": "OKP", "x": encode(key.public_key())})
            }
        }
    }

    pub fn thumbprint(&self) -> String {
        encode(digest(&SHA256, self.jwk().to_string().as_bytes()))
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Key::P256(key) => key
                .sign(&SystemRandom::new(), message)
                .unwrap()
                .as_ref()
                .to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// A flattened JWS.
    pub fn jws(&self, protected: &Value, payload: &Value) -> Value {
        let protected = encode(protected.to_string());
        let payload = match payload {
            Value::Null => String::new(),
            other => encode(other.to_string()),
        };
        let signature = self.sign(format!("{protected}.{payload}").as_bytes());
        json!({"protected": protected, "payload": payload, "signature": encode(signature)})
    }
}

/// An account of one directory.
pub struct Client<'s> {
    pub site: &'s Site,
    prefix: String,
    pub key: Key,
    /// The URL of the account.
    pub kid: String,
}

impl<'s> Client<'s> {
    /// Has no account yet.
    pub fn new(site: &'s Site, prefix: &str) -> Client<'s> {
        Client {
            site,
            prefix: prefix.to_owned(),
            key: Key::p256(),
            kid: String::new(),
        }
    }

    pub fn registered(site: &'s Site, prefix: &str) -> Client<'s> {
        let mut client = Client::new(site, prefix);
        client.register();
        client
    }

    pub fn register(&mut self) {
        let answer = self
            .post("new-account", &json!({"termsOfServiceAgreed": true}))
            .expect(201);
        self.kid = answer.header("location").unwrap().to_owned();
    }

    pub fn url(&self, path: &str) -> String {
        match path.starts_with("http") {
            true => path.to_owned(),
            false => format!("{}/v1/pki/{}acme/{path}", self.site.vault.addr, self.prefix),
        }
    }

    pub fn nonce(&self) -> String {
        let path = self.url("new-nonce");
        let path = path.split_once("/v1/").unwrap().1.to_owned();
        let answer = self
            .site
            .vault
            .send(&Request::new("HEAD", &path))
            .expect(200);
        answer.header("replay-nonce").unwrap().to_owned()
    }

    /// By the account, or by the key if there is none.
    pub fn protected(&self, url: &str) -> Value {
        let mut protected = json!({"alg": self.key.alg(), "nonce": self.nonce(), "url": url});
        match self.kid.as_str() {
            "" => protected["jwk"] = self.key.jwk(),
            kid => protected["kid"] = kid.into(),
        }
        protected
    }

    /// Signs and sends; `path` is below the directory, or a whole URL. `null` is an empty payload.
    pub fn post(&self, path: &str, payload: &Value) -> Answer {
        let url = self.url(path);
        let jws = self.key.jws(&self.protected(&url), payload);
        self.send(&url, &jws)
    }

    pub fn send(&self, url: &str, body: &Value) -> Answer {
        self.send_as(url, "application/jose+json", &body.to_string())
    }

    pub fn send_as(&self, url: &str, kind: &str, body: &str) -> Answer {
        let path = url.split_once("/v1/").unwrap().1;
        let request = Request::new("POST", path)
            .header("Content-Type", kind)
            .body(body);
        self.site.vault.send(&request)
    }

    pub fn get(&self, path: &str) -> Value {
        self.post(path, &Value::Null).expect(200).body
    }

    /// The order and its URL.
    pub fn order(&self, names: &[&str]) -> Order {
        let names: Vec<Value> = names
            .iter()
            .map(|name| match name.parse::<std::net::IpAddr>() {
                Ok(_) => json!({"type": "ip", "value": name}),
                Err(_) => json!({"type": "dns", "value": name}),
            })
            .collect();
        let answer = self
            .post("new-order", &json!({ "identifiers": names }))
            .expect(201);
        Order {
            url: answer.header("location").unwrap().to_owned(),
            body: answer.body,
        }
    }

    /// Has a challenge checked and waits for what becomes of its authorization.
    pub fn prove(&self, authorization: &str, method: &str) -> Value {
        self.answer(authorization, method);
        self.decided(authorization)
    }

    /// Has a challenge checked.
    pub fn answer(&self, authorization: &str, method: &str) {
        let found = self.get(authorization);
        let challenge = challenge(&found, method);
        self.post(challenge["url"].as_str().unwrap(), &json!({}))
            .expect(200);
    }

    pub fn decided(&self, authorization: &str) -> Value {
        until(Duration::from_secs(60), || {
            let found = self.get(authorization);
            std::thread::sleep(Duration::from_millis(100));
            (found["status"] != "pending").then_some(found)
        })
        .unwrap()
    }

    /// The DNS server says what proves a name.
    pub fn publish(&self, authorization: &str) {
        let found = self.get(authorization);
        let name = found["identifier"]["value"].as_str().unwrap();
        let token = challenge(&found, "dns-01")["token"]
            .as_str()
            .unwrap()
            .to_owned();
        let proof = format!("{token}.{}", self.key.thumbprint());
        let value = encode(digest(&SHA256, proof.as_bytes()));
        let host = format!("_acme-challenge.{name}.");
        self.site
            .dns("set-txt", &json!({"host": host, "value": value}));
    }

    /// Proves every name of an order by dns-01.
    pub fn prove_all(&self, order: &Order) {
        for authorization in order.authorizations() {
            self.publish(&authorization);
            let found = self.prove(&authorization, "dns-01");
            assert_eq!(found["status"], "valid", "{found}");
        }
    }

    pub fn finalize(&self, order: &Order, csr: &[u8]) -> Answer {
        let url = order.body["finalize"].as_str().unwrap();
        self.post(url, &json!({"csr": encode(csr)}))
    }

    /// A certificate in PEM with its chain, and the key.
    pub fn certificate(&self, names: &[&str]) -> (String, rcgen::KeyPair) {
        let order = self.order(names);
        self.prove_all(&order);
        let key = rcgen::KeyPair::generate().unwrap();
        let done = self.finalize(&order, &csr(names, &key)).expect(200);
        assert_eq!(done.body["status"], "valid");
        let url = done.body["certificate"].as_str().unwrap();
        (self.post(url, &Value::Null).expect(200).text, key)
    }
}

pub struct Order {
    pub url: String,
    pub body: Value,
}

impl Order {
    pub fn authorizations(&self) -> Vec<String> {
        let all = self.body["authorizations"].as_array().unwrap().iter();
        all.map(|url| url.as_str().unwrap().to_owned()).collect()
    }
}

pub fn challenge<'a>(authorization: &'a Value, method: &str) -> &'a Value {
    let mut all = authorization["challenges"].as_array().unwrap().iter();
    all.find(|one| one["type"] == method)
        .unwrap_or_else(|| panic!("no {method}: {authorization}"))
}

/// In DER.
pub fn csr(names: &[&str], key: &rcgen::KeyPair) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serialize_request(key).unwrap().der().to_vec()
}

/// The kind and the text of a problem.
#[track_caller]
pub fn problem(answer: &Answer, status: u16, kind: &str) -> String {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let expected = format!("urn:ietf:params:acme:error:{kind}");
    assert_eq!(answer.body["type"], json!(expected), "{}", answer.text);
    let fields: BTreeMap<String, Value> = serde_json::from_str(&answer.text).unwrap();
    fields["detail"].as_str().unwrap().to_owned()
}
