//! The token store. A raw token is never stored: rows are found by a keyed fingerprint.
//!
//! ```text
//! id/<fingerprint>                 the token (unlisted)
//! lease/<path>/h<fingerprint>      tokens that end, below the path that issued them
//! endless/<fingerprint>            tokens that do not
//! child/<parent>/<fingerprint>     children, to be revoked with their parent
//! due time                         expiry, in order of time
//! ```
//! The fingerprint is the accessor too: it leads to the token without a row of its own, and says
//! nothing about the secret without the key.
//!
//! Batch tokens are sealed blobs that carry all of this themselves.

mod batch;
mod family;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_crypto::{Prf, Random, RecordKey, new_token};
use zeroize::Zeroizing;

use super::beside::Beside;
use super::fault::Fault;
use super::login::within;
use super::mount::reserved;
use crate::audit::Hashed;
use crate::barrier::{Barrier, Tx};
use crate::policy::PolicyName;

use batch::BatchTokens;

pub use family::{children, finished, orphan, unfinished};

/// How the audit log shows a token.
#[derive(Debug)]
pub struct Audited {
    pub token: Hashed,
    pub accessor: Hashed,
}

/// What is known of a token. Durations in seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    pub accessor: String,
    pub policies: Vec<PolicyName>,
    /// The request that made it.
    pub path: String,
    pub display_name: String,
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
    /// Uses left; 0 is unlimited.
    #[serde(default)]
    pub num_uses: u64,
    pub created: Timestamp,
    /// TTL at creation.
    pub creation_ttl: u64,
    /// `None` never ends.
    pub expires: Option<Timestamp>,
    #[serde(default)]
    pub explicit_max_ttl: u64,
    /// The limit that a renewal may not pass, from creation; 0 is the system's.
    #[serde(default)]
    pub max_ttl: u64,
    #[serde(default)]
    pub period: u64,
    #[serde(default)]
    pub last_renewal: Option<Timestamp>,
    /// Fingerprint of the parent; `None` for an orphan.
    #[serde(default)]
    pub parent: Option<String>,
    #[serde(default)]
    pub batch: bool,
    #[serde(default)]
    pub renewable: bool,
    #[serde(default)]
    pub bound_cidrs: Vec<IpNet>,
    #[serde(default)]
    pub role: String,
    /// Fingerprint of what a renewal has to show again.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub proof: String,
    #[serde(default)]
    pub entity_id: String,
    /// Number of the mount that issued it.
    #[serde(default)]
    pub mount: u64,
    #[serde(skip)]
    pub(super) names: Beside<Vec<String>>,
    #[serde(skip)]
    pub(super) audited: Beside<Audited>,
}

impl Token {
    /// A token that may do nothing and never ends, to be filled in.
    pub fn new(now: Timestamp) -> Token {
        Token {
            accessor: String::new(),
            policies: Vec::new(),
            path: String::new(),
            display_name: String::new(),
            meta: BTreeMap::new(),
            num_uses: 0,
            created: now,
            creation_ttl: 0,
            expires: None,
            explicit_max_ttl: 0,
            max_ttl: 0,
            period: 0,
            last_renewal: None,
            parent: None,
            batch: false,
            renewable: false,
            bound_cidrs: Vec::new(),
            role: String::new(),
            proof: String::new(),
            entity_id: String::new(),
            mount: 0,
            names: Beside::default(),
            audited: Beside::default(),
        }
    }

    /// Names of the policies, made once for each cached token.
    pub fn policy_names(&self) -> &[String] {
        self.names.get_or_init(|| {
            self.policies
                .iter()
                .map(|name| name.as_str().to_owned())
                .collect()
        })
    }

    /// How the audit log shows it; `secret` is what this token was found by.
    pub fn audited(&self, prf: &Prf, secret: &str) -> &Audited {
        self.audited.get_or_init(|| Audited {
            token: Hashed::new(prf, secret.as_bytes()),
            accessor: Hashed::new(prf, self.accessor.as_bytes()),
        })
    }

    pub fn kind_name(&self) -> &'static str {
        if self.batch { "batch" } else { "service" }
    }

    pub fn is_batch(&self) -> bool {
        self.batch
    }

    pub fn is_root(&self) -> bool {
        self.policies.iter().any(PolicyName::is_root)
    }

    pub fn ttl_left(&self, now: Timestamp) -> u64 {
        self.expires.map_or(0, |end| seconds_between(now, end))
    }

    pub fn usable(&self, now: Timestamp, remote: IpAddr) -> bool {
        self.expires.is_none_or(|end| now < end) && within(&self.bound_cidrs, remote)
    }
}

/// Whole seconds from one time to a later one, rounded up; 0 if it is not later.
pub fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    let millis = to.as_millisecond().saturating_sub(from.as_millisecond());
    u64::try_from(millis).map_or(0, |millis| millis.div_ceil(1000))
}

pub fn plus(from: Timestamp, seconds: u64) -> Timestamp {
    let span = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    from.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// Bytes of a fingerprint.
const FINGERPRINT: usize = 16;

/// The keys of the store. Dropped at seal.
pub struct TokenKeys {
    prf: Prf,
    pub batch: BatchTokens,
}

/// A new token with the secret that its holder presents.
pub struct Issued {
    pub secret: Zeroizing<String>,
    pub id: String,
    pub token: Token,
}

impl TokenKeys {
    pub fn new(prf: Prf, batch: RecordKey) -> TokenKeys {
        TokenKeys {
            prf,
            batch: BatchTokens::new(batch),
        }
    }

    /// 32 hex digits.
    pub fn fingerprint(&self, secret: &str) -> String {
        hex::encode(&self.prf.tag_raw(secret.as_bytes())[..FINGERPRINT])
    }

    /// Looks a presented secret up. `None`: unknown, malformed, expired or revoked.
    pub async fn find(
        &self,
        barrier: &Barrier,
        secret: &str,
    ) -> Result<Option<(String, Arc<Token>)>, Fault> {
        let id = self.fingerprint(secret);
        if secret.starts_with(batch::PREFIX) {
            let Some(token) = self.batch.open(secret) else {
                return Ok(None);
            };
            if self.batch.leaked.load().contains(&id) {
                return Ok(None);
            }
            if let Some(parent) = &token.parent
                && find_by_id(barrier, parent).await?.is_none()
            {
                return Ok(None);
            }
            return Ok(Some((id, Arc::new(token))));
        }
        Ok(find_by_id(barrier, &id).await?.map(|token| (id, token)))
    }

    /// Makes a token and, unless it is a batch token, its rows.
    pub async fn issue(
        &self,
        tx: &mut Tx,
        mut token: Token,
        wanted: Option<Zeroizing<String>>,
        random: &dyn Random,
    ) -> Result<Issued, Fault> {
        // A parent that is revoked meanwhile makes this commit fail, and has no child after that.
        if let Some(parent) = &token.parent
            && get(tx, parent).await?.is_none()
        {
            return Err(Fault::BadToken);
        }
        if token.batch {
            token.accessor = String::new();
            let secret = self.batch.seal(&token, random)?;
            return Ok(Issued {
                id: self.fingerprint(&secret),
                secret,
                token,
            });
        }
        let secret =
            wanted.unwrap_or_else(|| Zeroizing::new(new_token("hvs.", random).expose().to_owned()));
        let id = self.fingerprint(&secret);
        token.accessor.clone_from(&id);
        let mut view = tx.view(reserved::TOKENS);
        if view.exists(&id_row(&id)).await? {
            return Err(Fault::invalid("cannot create a token with a duplicate ID"));
        }
        store(&mut view, &id, &token).await?;
        view.put(&shelf(&id, &token), &()).await?;
        if let Some(parent) = &token.parent {
            view.put(&format!("child/{parent}/{id}"), &()).await?;
        }
        if let Some(end) = token.expires {
            put_due(tx, &id, end).await?;
        }
        Ok(Issued { secret, id, token })
    }
}

fn id_row(id: &str) -> String {
    format!("id/{id}")
}

async fn store(view: &mut crate::barrier::View<'_>, id: &str, token: &Token) -> Result<(), Fault> {
    Ok(view.put_unlisted(&id_row(id), token).await?)
}

/// The token with this fingerprint, from the cache if it was parsed before.
pub async fn find_by_id(barrier: &Barrier, id: &str) -> Result<Option<Arc<Token>>, Fault> {
    let parse = |bytes: &[u8]| serde_json::from_slice::<Token>(bytes).ok();
    Ok(barrier.memo(reserved::TOKENS, &id_row(id), parse).await?)
}

pub async fn get(tx: &mut Tx, id: &str) -> Result<Option<Token>, Fault> {
    Ok(tx.view(reserved::TOKENS).get(&id_row(id)).await?)
}

/// Fingerprint of the token with this accessor.
pub async fn by_accessor(tx: &mut Tx, accessor: &str) -> Result<Option<String>, Fault> {
    if !is_fingerprint(accessor) {
        return Ok(None);
    }
    let found = get(tx, accessor).await?;
    Ok(found.map(|_| accessor.to_owned()))
}

/// Whether a text of a client's may become part of a row's name.
pub fn is_fingerprint(text: &str) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 2 * FINGERPRINT && text.bytes().all(digit)
}

/// The accessors of tokens that do not end.
pub async fn endless(tx: &mut Tx) -> Result<Vec<String>, Fault> {
    Ok(tx.view(reserved::TOKENS).list("endless").await?)
}

/// Where a token is listed.
fn shelf(id: &str, token: &Token) -> String {
    match token.expires {
        Some(_) => format!("lease/{}", super::lease::id_of(id, token)),
        None => format!("endless/{id}"),
    }
}

/// Replaces a token; its expiry moves along.
pub async fn update(tx: &mut Tx, id: &str, old: &Token, new: &Token) -> Result<(), Fault> {
    store(&mut tx.view(reserved::TOKENS), id, new).await?;
    if old.expires != new.expires {
        if let Some(end) = old.expires {
            tx.delete_due(millis(end), &due_id(id)).await?;
        }
        if let Some(end) = new.expires {
            put_due(tx, id, end).await?;
        }
    }
    Ok(())
}

/// Takes one use. `false` if there was none left.
pub async fn take_use(tx: &mut Tx, id: &str) -> Result<Option<Token>, Fault> {
    let Some(mut token) = get(tx, id).await? else {
        return Ok(None);
    };
    if token.num_uses == 0 {
        return Ok(Some(token));
    }
    token.num_uses -= 1;
    if token.num_uses == 0 {
        // The last use: the row goes now, so that no second request can have it.
        remove(tx, id, &token).await?;
    } else {
        store(&mut tx.view(reserved::TOKENS), id, &token).await?;
    }
    Ok(Some(token))
}

/// Removes the token's own rows. Children and cubbyhole are the caller's: see `revoke`.
pub async fn remove(tx: &mut Tx, id: &str, token: &Token) -> Result<(), Fault> {
    remove_alone(tx, id, token).await?;
    // Whatever hangs off the token is removed after; should the server stop before, this row says so.
    let mut view = tx.view(reserved::TOKENS);
    Ok(view.put(&format!("revoking/{id}"), &()).await?)
}

/// The same for a token off which nothing hangs.
pub async fn remove_alone(tx: &mut Tx, id: &str, token: &Token) -> Result<(), Fault> {
    let mut view = tx.view(reserved::TOKENS);
    view.delete_unlisted(&id_row(id)).await?;
    view.delete(&shelf(id, token)).await?;
    if let Some(parent) = &token.parent {
        view.delete(&format!("child/{parent}/{id}")).await?;
    }
    if let Some(end) = token.expires {
        tx.delete_due(millis(end), &due_id(id)).await?;
    }
    Ok(())
}

async fn put_due(tx: &mut Tx, id: &str, end: Timestamp) -> Result<(), Fault> {
    let payload = serde_json::to_vec(&DueToken {
        token: id.to_owned(),
    })
    .map_err(|_| Fault::Internal("due time"))?;
    Ok(tx.put_due(millis(end), &due_id(id), &payload).await?)
}

/// What a due row says.
#[derive(Serialize, Deserialize)]
pub struct DueToken {
    pub token: String,
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

fn due_id(id: &str) -> [u8; FINGERPRINT] {
    let mut bytes = [0; FINGERPRINT];
    let _ = hex::decode_to_slice(id, &mut bytes);
    bytes
}
