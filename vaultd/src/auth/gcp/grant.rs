//! Access tokens of the mounts' credentials (RFC 7523), and how often strangers make Google be asked.
//! All of it lives in memory while the vault is open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use vault_crypto::{PrivateKey, RsaHash};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::model::Credentials;
use crate::core::fault::Fault;
use crate::jose;
use crate::outbound::{Failure, Outbound, Request, Trust, form};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Seconds. An assertion is good for so long.
const ASSERTION: i64 = 600;
/// A token is given up so long before its end.
const EARLY: i64 = 60;
/// Accounts that were never heard of, of which one mount asks within so many seconds.
const STRANGERS: u32 = 20;
const STRANGERS_EVERY: i64 = 10;

/// An access token, and the credentials that it was given for.
struct Held {
    credentials: Credentials,
    token: Zeroizing<String>,
    /// Seconds since 1970.
    ends: i64,
}

#[derive(Default)]
struct Mount {
    /// Held while asking.
    token: tokio::sync::Mutex<Option<Held>>,
    /// When counting began, and how many were counted.
    strangers: Mutex<(i64, u32)>,
}

/// What is known of Google by all mounts.
#[derive(Default)]
pub struct Google {
    mounts: Mutex<HashMap<u64, Arc<Mount>>>,
}

/// RFC 6749, 5.1.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Granted {
    access_token: String,
    expires_in: i64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Google {
    fn mount(&self, number: u64) -> Arc<Mount> {
        Arc::clone(lock(&self.mounts).entry(number).or_default())
    }

    /// Fails while a mount is asked about too many accounts that were never heard of.
    pub(super) fn admit_stranger(&self, mount: u64, now: Timestamp) -> Result<(), Fault> {
        let mount = self.mount(mount);
        let mut strangers = lock(&mount.strangers);
        let now = now.as_second();
        if !(0..STRANGERS_EVERY).contains(&now.saturating_sub(strangers.0)) {
            *strangers = (now, 0);
        }
        strangers.1 = strangers.1.saturating_add(1);
        match strangers.1 <= STRANGERS {
            true => Ok(()),
            false => Err(Fault::Limited {
                retry_after: STRANGERS_EVERY.unsigned_abs(),
            }),
        }
    }

    /// A token that is good for a while.
    pub(super) async fn token(
        &self,
        mount: u64,
        outbound: &Outbound,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<Zeroizing<String>, Failure> {
        let mount = self.mount(mount);
        let mut held = mount.token.lock().await;
        if let Some(held) = held.as_ref()
            && held.credentials == *credentials
            && now.as_second() < held.ends - EARLY
        {
            return Ok(held.token.clone());
        }
        let mut granted = ask(outbound, credentials, now).await?;
        let token = Zeroizing::new(std::mem::take(&mut granted.access_token));
        *held = Some(Held {
            credentials: credentials.clone(),
            token: token.clone(),
            ends: now.as_second().saturating_add(granted.expires_in),
        });
        Ok(token)
    }

    /// A token that Google does not know any more is asked for anew.
    pub(super) async fn forget(&self, mount: u64, token: &str) {
        let mount = self.mount(mount);
        let mut held = mount.token.lock().await;
        if held.as_ref().is_some_and(|held| *held.token == token) {
            *held = None;
        }
    }
}

async fn ask(
    outbound: &Outbound,
    credentials: &Credentials,
    now: Timestamp,
) -> Result<Granted, Failure> {
    let assertion = assertion(credentials, now);
    let assertion = assertion.ok_or(Failure::Answer("the credentials' key signs nothing"))?;
    let fields = form(&[("grant_type", GRANT), ("assertion", &assertion)]);
    let kind = "application/x-www-form-urlencoded";
    let request = Request::post(credentials.token_uri.clone(), kind, fields.into_bytes());
    let answer = outbound.send(&Trust::System, request).await?.success()?;
    serde_json::from_slice(&answer).map_err(|_| Failure::Answer("expected an access token"))
}

/// Signed with RS256 (RFC 7518, 3.3), for the one address that it is sent to.
fn assertion(credentials: &Credentials, now: Timestamp) -> Option<Zeroizing<String>> {
    let head = json!({"alg": "RS256", "typ": "JWT", "kid": credentials.private_key_id});
    let claims = json!({
        "iss": credentials.client_email,
        "scope": SCOPE,
        "aud": credentials.token_uri,
        "iat": now.as_second(),
        "exp": now.as_second() + ASSERTION,
    });
    let part = |value: &Value| jose::encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(&head), part(&claims));
    let PrivateKey::Rsa(key) = PrivateKey::from_pem(credentials.private_key.expose()).ok()? else {
        return None;
    };
    let signature = key.sign_pkcs1(RsaHash::Sha256, signed.as_bytes()).ok()?;
    Some(Zeroizing::new(format!(
        "{signed}.{}",
        jose::encode(&signature)
    )))
}
