//! The keys that exist only while unsealed.
//!
//! ```text
//! unseal key (from shares) -> root key -> keyring { base, terms } -> HKDF: everything below
//! ```
//! `terms` are the generations of the record key: a rotation adds one, old records stay readable.
//! `base` gives the keys whose outputs are used to find things again (names, token look-up, audit
//! HMAC); it stays for the life of the store, because a change would mean rewriting every row.

use serde::{Deserialize, Serialize};
use vault_crypto::{Aad, Key, Label, NameKey, Prf, Random, RecordKey, SigningKey, derive};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::error::BarrierError;

struct Term {
    number: u32,
    created_ms: i64,
    key: Key<32>,
    record: RecordKey,
}

/// Dropping it wipes every key.
pub struct Keyring {
    cluster: String,
    base: Key<32>,
    terms: Vec<Term>,
    pub(super) names: NameKey,
    pub(super) directories: Prf,
    pub(super) rows: Prf,
    pub(super) presence: Prf,
}

/// The form in which the keyring is sealed under the root key.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Stored {
    base: String,
    terms: Vec<StoredTerm>,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredTerm {
    number: u32,
    created_ms: i64,
    key: String,
}

impl Keyring {
    pub fn generate(cluster: &str, random: &dyn Random, now_ms: i64) -> Keyring {
        let mut keyring = Keyring::with_base(cluster, Key::generate(random));
        keyring.push(1, now_ms, Key::generate(random));
        keyring
    }

    fn with_base(cluster: &str, base: Key<32>) -> Keyring {
        let salt = cluster.as_bytes();
        let sub = |label| derive::<32>(base.expose(), salt, label, &[]);
        Keyring {
            cluster: cluster.to_owned(),
            names: NameKey::new(derive::<64>(base.expose(), salt, Label::Names, &[])),
            directories: Prf::new(&sub(Label::Directory)),
            rows: Prf::new(&sub(Label::RowPrf)),
            presence: Prf::new(&sub(Label::Presence)),
            terms: Vec::new(),
            base,
        }
    }

    fn push(&mut self, number: u32, created_ms: i64, key: Key<32>) {
        let record = RecordKey::new(derive::<32>(
            key.expose(),
            self.cluster.as_bytes(),
            Label::Records,
            &[],
        ));
        self.terms.push(Term {
            number,
            created_ms,
            key,
            record,
        });
    }

    /// A copy with one more term; the caller stores it before using it.
    pub fn rotated(&self, random: &dyn Random, now_ms: i64) -> Keyring {
        let mut next = Keyring::with_base(&self.cluster, self.base.duplicate());
        for term in &self.terms {
            next.push(term.number, term.created_ms, term.key.duplicate());
        }
        next.push(self.newest().number + 1, now_ms, Key::generate(random));
        next
    }

    /// Sealed under the root key.
    pub fn seal(&self, root: &Key<32>, random: &dyn Random) -> Result<Vec<u8>, BarrierError> {
        let stored = Stored {
            base: hex::encode(self.base.expose()),
            terms: self
                .terms
                .iter()
                .map(|term| StoredTerm {
                    number: term.number,
                    created_ms: term.created_ms,
                    key: hex::encode(term.key.expose()),
                })
                .collect(),
        };
        let text = zeroize::Zeroizing::new(
            serde_json::to_vec(&stored)
                .map_err(|_| BarrierError::Key("the keyring cannot be written"))?,
        );
        Ok(wrapping_key(root, &self.cluster).seal(random, &wrapping_aad(&self.cluster), &text))
    }

    pub fn open(cluster: &str, root: &Key<32>, sealed: &[u8]) -> Result<Keyring, BarrierError> {
        let damaged = BarrierError::Key("the stored keyring does not open with this root key");
        let text = wrapping_key(root, cluster)
            .open(wrapping_aad(cluster).as_bytes(), sealed)
            .map_err(|_| damaged)?;
        let unreadable =
            || BarrierError::Key("the stored keyring is not understood by this version");
        let stored: Stored = serde_json::from_slice(&text).map_err(|_| unreadable())?;
        let mut keyring = Keyring::with_base(cluster, decode(&stored.base).ok_or_else(unreadable)?);
        for term in &stored.terms {
            keyring.push(
                term.number,
                term.created_ms,
                decode(&term.key).ok_or_else(unreadable)?,
            );
        }
        if keyring.terms.is_empty() {
            return Err(unreadable());
        }
        Ok(keyring)
    }

    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    fn newest(&self) -> &Term {
        // Unwrap safety: both constructors leave at least one term.
        #[expect(clippy::expect_used, reason = "a keyring has at least one term")]
        self.terms.last().expect("a keyring has a term")
    }

    /// Number and key of the term for new records.
    pub fn current(&self) -> (u32, &RecordKey) {
        let term = self.newest();
        (term.number, &term.record)
    }

    /// When the current term was made, in milliseconds since 1970.
    pub fn current_since_ms(&self) -> i64 {
        self.newest().created_ms
    }

    pub fn term(&self, number: u32) -> Option<&RecordKey> {
        self.terms
            .iter()
            .rev()
            .find(|term| term.number == number)
            .map(|term| &term.record)
    }

    /// The look-up key for one purpose above the barrier.
    pub fn prf(&self, label: Label) -> Prf {
        Prf::new(&derive::<32>(
            self.base.expose(),
            self.cluster.as_bytes(),
            label,
            &[],
        ))
    }

    /// The record key for one purpose above the barrier (batch tokens, wrapped answers).
    pub fn purpose_key(&self, label: Label) -> RecordKey {
        RecordKey::new(derive::<32>(
            self.base.expose(),
            self.cluster.as_bytes(),
            label,
            &[],
        ))
    }

    pub fn audit_signing_key(&self) -> SigningKey {
        self.signing_key(Label::AuditSign)
    }

    pub fn bundle_signing_key(&self) -> SigningKey {
        self.signing_key(Label::BundleSign)
    }

    fn signing_key(&self, label: Label) -> SigningKey {
        SigningKey::from_seed(&derive::<32>(
            self.base.expose(),
            self.cluster.as_bytes(),
            label,
            &[],
        ))
    }
}

fn decode(text: &str) -> Option<Key<32>> {
    let bytes = zeroize::Zeroizing::new(hex::decode(text).ok()?);
    Key::from_slice(&bytes).ok()
}

fn wrapping_key(root: &Key<32>, cluster: &str) -> RecordKey {
    RecordKey::new(derive::<32>(
        root.expose(),
        cluster.as_bytes(),
        Label::KeyringWrap,
        &[],
    ))
}

fn wrapping_aad(cluster: &str) -> Aad {
    Aad::new("vaultd keyring").field(cluster.as_bytes()).u64(1)
}
