//! Transit: keys, ciphers, signatures.

mod certificates;
mod ciphers;
mod cmac;
mod export;
mod import;
mod keys;
mod moving;
mod signatures;
mod tools;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Fixture, data, error, is_empty, is_invalid, is_missing};
use crate::core::fault::Fault;
use crate::core::mount::Kind;
use crate::core::request::Verb;

const SYMMETRIC: [&str; 4] = [
    "aes128-gcm96",
    "aes256-gcm96",
    "chacha20-poly1305",
    "xchacha20-poly1305",
];
const SIGNING: [&str; 5] = [
    "ed25519",
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "rsa-2048",
];

struct Transit(Fixture);

impl std::ops::Deref for Transit {
    type Target = Fixture;

    fn deref(&self) -> &Fixture {
        &self.0
    }
}

impl Transit {
    async fn new() -> Transit {
        Transit(Fixture::new(Kind::Transit).await)
    }

    /// A mount with a key `k`.
    async fn with(key: Value) -> Transit {
        let transit = Transit::new().await;
        transit.done("keys/k", key).await;
        transit
    }

    async fn done(&self, path: &str, body: Value) -> Value {
        data(self.write(path, body).await.unwrap())
    }

    async fn refused(&self, path: &str, body: Value) -> String {
        let result = self.write(path, body).await;
        assert!(is_invalid(&result), "{path}");
        error(result)
    }

    async fn rotate(&self, times: usize) {
        for _ in 0..times {
            self.done("keys/k/rotate", json!({})).await;
        }
    }

    async fn config(&self, body: Value) -> Value {
        self.done("keys/k/config", body).await
    }

    /// Encrypts under `k`; the ciphertext.
    async fn encrypt(&self, mut body: Value, plaintext: &[u8]) -> String {
        body["plaintext"] = json!(STANDARD.encode(plaintext));
        text(&self.done("encrypt/k", body).await["ciphertext"])
    }

    async fn decrypt(&self, mut body: Value, ciphertext: &str) -> Result<Vec<u8>, Fault> {
        body["ciphertext"] = json!(ciphertext);
        let answer = data(self.write("decrypt/k", body).await?);
        Ok(STANDARD.decode(text(&answer["plaintext"])).unwrap())
    }

    async fn valid(&self, path: &str, body: Value) -> bool {
        self.done(path, body).await["valid"].as_bool().unwrap()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn refusal<T>(result: Result<T, Fault>) -> String {
    match result {
        Err(Fault::Invalid(text)) => text,
        _ => panic!("was not refused"),
    }
}

/// Changes one bit in the middle of what follows the prefix.
fn bent(versioned: &str) -> String {
    let (prefix, body) = versioned.rsplit_once(':').unwrap();
    let mut bytes = STANDARD.decode(body).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    format!("{prefix}:{}", base64(bytes))
}
