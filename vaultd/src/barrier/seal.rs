//! What is needed to come back from shares: the seal record, in the clear but for the root key.
//!
//! The root key is sealed under the unseal key, with the cluster, share set, threshold and number of
//! shares as associated data, so none of them can be changed without the shares' consent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use vault_crypto::{Aad, Key, Label, Random, RecordKey, derive};

use super::error::BarrierError;
use super::storage::{Cond, Engine, Op, Outcome, Storage, Txn};

const SEAL_ROW: &[u8] = b"S/seal";
const KEYRING_ROW: &[u8] = b"S/keyring";

/// How the root key is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SealRecord {
    pub version: u32,
    pub cluster: String,
    pub shares: u8,
    pub threshold: u8,
    /// Hex id of the share set; empty for a set that came from elsewhere.
    pub set: String,
    root: String,
    /// A way besides the shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auto: Option<AutoSeal>,
}

/// The root key under a key that something else keeps for us.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct AutoSeal {
    kind: String,
    /// The key as its keeper encrypted it.
    key: String,
    root: String,
}

impl SealRecord {
    pub fn new(
        cluster: &str,
        shares: u8,
        threshold: u8,
        set: &str,
        unseal: &[u8],
        root: &Key<32>,
        random: &dyn Random,
    ) -> SealRecord {
        let mut record = SealRecord {
            version: 1,
            cluster: cluster.to_owned(),
            shares,
            threshold,
            set: set.to_owned(),
            root: String::new(),
            auto: None,
        };
        record.root = STANDARD.encode(record.wrapping_key(unseal).seal(
            random,
            &record.aad(),
            root.expose(),
        ));
        record
    }

    /// The root key, if this unseal key is the right one.
    pub fn open(&self, unseal: &[u8]) -> Result<Key<32>, BarrierError> {
        let wrong = || BarrierError::Key("the combined shares do not open the root key");
        let sealed = STANDARD
            .decode(&self.root)
            .map_err(|_| BarrierError::Damaged("the seal record".to_owned()))?;
        let root = self
            .wrapping_key(unseal)
            .open(self.aad().as_bytes(), &sealed)
            .map_err(|_| wrong())?;
        Key::from_slice(&root).map_err(|_| wrong())
    }

    /// What the keeper of this kind encrypted; `None` if it keeps nothing of ours.
    pub fn closed_by(&self, kind: &str) -> Option<&str> {
        let auto = self.auto.as_ref().filter(|auto| auto.kind == kind)?;
        Some(&auto.key)
    }

    /// Whether there is a way besides the shares.
    pub fn is_auto(&self) -> bool {
        self.auto.is_some()
    }

    /// Seals the root key under a keeper's key too; `key` is the same as the keeper encrypted it.
    pub fn close_by(
        &mut self,
        kind: &str,
        key: String,
        unseal: &[u8],
        root: &Key<32>,
        random: &dyn Random,
    ) {
        let aad = self.auto_aad(kind, &key);
        let sealed = self.wrapping_key(unseal).seal(random, &aad, root.expose());
        self.auto = Some(AutoSeal {
            kind: kind.to_owned(),
            key,
            root: STANDARD.encode(sealed),
        });
    }

    /// The root key, if the keeper gave the right key back.
    pub fn open_by(&self, kind: &str, unseal: &[u8]) -> Result<Key<32>, BarrierError> {
        let wrong = || BarrierError::Key("the key from the seal does not open the root key");
        let auto = self.auto.as_ref().ok_or_else(wrong)?;
        let sealed = STANDARD.decode(&auto.root).map_err(|_| wrong())?;
        let root = self
            .wrapping_key(unseal)
            .open(self.auto_aad(kind, &auto.key).as_bytes(), &sealed)
            .map_err(|_| wrong())?;
        Key::from_slice(&root).map_err(|_| wrong())
    }

    /// From here on only the shares open it.
    pub fn forget_auto(&mut self) {
        self.auto = None;
    }

    fn auto_aad(&self, kind: &str, key: &str) -> Aad {
        Aad::new("vaultd auto seal")
            .field(self.cluster.as_bytes())
            .u64(u64::from(self.version))
            .field(kind.as_bytes())
            .field(key.as_bytes())
    }

    fn wrapping_key(&self, unseal: &[u8]) -> RecordKey {
        RecordKey::new(derive::<32>(
            unseal,
            self.cluster.as_bytes(),
            Label::RootWrap,
            &[],
        ))
    }

    fn aad(&self) -> Aad {
        Aad::new("vaultd seal")
            .field(self.cluster.as_bytes())
            .u64(u64::from(self.version))
            .u64(u64::from(self.shares))
            .u64(u64::from(self.threshold))
            .field(self.set.as_bytes())
    }

    pub async fn load(storage: &Engine) -> Result<Option<SealRecord>, BarrierError> {
        let Some(item) = storage.get(SEAL_ROW).await? else {
            return Ok(None);
        };
        let damaged = |_| BarrierError::Damaged("the seal record".to_owned());
        serde_json::from_slice(&item.val).map(Some).map_err(damaged)
    }

    fn put(&self) -> Result<Op, BarrierError> {
        let text = serde_json::to_vec(self)
            .map_err(|_| BarrierError::Key("the seal record cannot be written"))?;
        Ok(Op::Put(Bytes::from_static(SEAL_ROW), text.into()))
    }

    /// Replaces the record, for the same root key.
    pub async fn store(&self, storage: &Engine) -> Result<(), BarrierError> {
        self.replace(storage, Vec::new()).await
    }

    /// Replaces the record and the keyring, which another root key seals. The old shares are void from
    /// here on.
    pub async fn store_with(&self, storage: &Engine, keyring: Vec<u8>) -> Result<(), BarrierError> {
        let row = Bytes::from_static(KEYRING_ROW);
        self.replace(storage, vec![Op::Put(row, keyring.into())])
            .await
    }

    async fn replace(&self, storage: &Engine, more: Vec<Op>) -> Result<(), BarrierError> {
        let mut ops = vec![self.put()?];
        ops.extend(more);
        let conds = vec![Cond::Exists(Bytes::from_static(SEAL_ROW))];
        commit(storage, Txn { conds, ops }).await
    }

    /// The first record, with the sealed keyring and the first rows, if there is none yet.
    pub async fn store_first(
        &self,
        storage: &Engine,
        keyring: Vec<u8>,
        rows: Vec<Op>,
    ) -> Result<(), BarrierError> {
        let mut ops = vec![
            self.put()?,
            Op::Put(Bytes::from_static(KEYRING_ROW), keyring.into()),
        ];
        ops.extend(rows);
        commit(
            storage,
            Txn {
                conds: vec![Cond::Absent(Bytes::from_static(SEAL_ROW))],
                ops,
            },
        )
        .await
    }
}

pub async fn load_keyring(storage: &Engine) -> Result<Bytes, BarrierError> {
    let item = storage.get(KEYRING_ROW).await?;
    item.map(|item| item.val)
        .ok_or_else(|| BarrierError::Damaged("the keyring".to_owned()))
}

pub async fn store_keyring(storage: &Engine, sealed: Vec<u8>) -> Result<(), BarrierError> {
    let row = Bytes::from_static(KEYRING_ROW);
    commit(
        storage,
        Txn {
            conds: vec![Cond::Exists(row.clone())],
            ops: vec![Op::Put(row, sealed.into())],
        },
    )
    .await
}

async fn commit(storage: &Engine, txn: Txn) -> Result<(), BarrierError> {
    let outcomes = storage.commit(vec![txn], Box::new(|_| Vec::new())).await?;
    match outcomes.first() {
        Some(Outcome::Done(_)) => Ok(()),
        _ => Err(BarrierError::Conflict),
    }
}
