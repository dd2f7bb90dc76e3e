//! Whether a value that is not found is absent, or lost.

use bytes::Bytes;

use super::Tx;
use super::listing::{LEAF, flags_of};
use crate::barrier::envelope;
use crate::barrier::error::BarrierError;
use crate::barrier::names;
use crate::barrier::storage::Storage;

impl Tx {
    /// A value that its directory lists is not absent. No directory is asked for one that is not `listed`.
    pub(super) async fn check_absent(
        &mut self,
        mount: u64,
        path: &str,
        listed: bool,
    ) -> Result<(), BarrierError> {
        let shared = self.shared();
        let keyring = shared.keyring.load_full();
        let value = names::value_key(&keyring, mount, path);
        shared.check_absence(&value, || path.to_owned()).await?;
        if !listed {
            return Ok(());
        }
        let (directory, name) = names::split_last(path);
        let key = names::listing_key(&keyring, mount, directory, name);
        if self.flags(mount, &key, directory).await? & LEAF == 0 || self.writes.contains_key(&key) {
            return Ok(());
        }
        // Commits between the two reads look the same.
        match self.frozen.is_some() || self.is_lost(mount, &value, &key, directory).await? {
            true => Err(BarrierError::Damaged(path.to_owned())),
            false => Err(BarrierError::Conflict),
        }
    }

    /// Whether a value is absent and listed at one and the same moment.
    async fn is_lost(
        &self,
        mount: u64,
        value: &Bytes,
        entry: &Bytes,
        directory: &str,
    ) -> Result<bool, BarrierError> {
        let shared = self.barrier.shared();
        let mut snapshot = shared.storage.snapshot().await?;
        if snapshot.get(value).await?.is_some() {
            return Ok(false);
        }
        let Some(row) = snapshot.get(entry).await? else {
            return Ok(false);
        };
        let opened = envelope::open(&shared.keyring.load(), mount, entry, &row.val);
        let flags = opened
            .ok()
            .and_then(|(plain, _)| flags_of(&plain, directory));
        Ok(flags.is_none_or(|flags| flags & LEAF != 0))
    }
}
