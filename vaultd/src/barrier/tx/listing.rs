//! Which paths a directory lists: kept in step with the values, in the same transaction.

use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use vault_crypto::SecretVec;
use zeroize::Zeroizing;

use super::commit::OPS_MAX;
use super::window::{Gather, Window, shown};
use super::{Tx, Write};
use crate::barrier::Keyring;
use crate::barrier::directories::Filling;
use crate::barrier::envelope;
use crate::barrier::error::BarrierError;
use crate::barrier::names;
use crate::barrier::storage::{Cond, Rev, Storage};

pub(super) const LEAF: u8 = 1;
pub(super) const DIRECTORY: u8 = 2;
const SCAN_PAGE: usize = 1000;
const CURSOR_PAGE: usize = 256;

/// What the entries of a directory are given to.
trait Taker {
    /// What it does not want is not opened.
    fn wants(&self, name: &str) -> bool;
    /// Breaks when it can take no more.
    fn take(&mut self, name: &str, flags: u8) -> ControlFlow<()>;
}

impl Taker for Gather<'_> {
    fn wants(&self, name: &str) -> bool {
        Gather::wants(self, name)
    }

    fn take(&mut self, name: &str, flags: u8) -> ControlFlow<()> {
        self.add_entry(name, flags);
        ControlFlow::Continue(())
    }
}

impl Taker for Filling<'_> {
    fn wants(&self, _name: &str) -> bool {
        true
    }

    fn take(&mut self, name: &str, flags: u8) -> ControlFlow<()> {
        match self.add(name, flags) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }
}

/// How far a directory has been paged through.
#[derive(Default)]
pub struct Cursor(Option<Bytes>);

impl Tx {
    /// Makes a path visible in its directory, and that directory in its own, up to the mount.
    pub(super) async fn enter(&mut self, mount: u64, path: &str) -> Result<(), BarrierError> {
        self.enter_as(mount, path, LEAF).await
    }

    /// Makes the entry of a path right, whatever it is: a value is listed if it is there, a directory
    /// (it ends in `/`) if it has entries.
    pub(in crate::barrier) async fn relist(
        &mut self,
        mount: u64,
        path: &str,
    ) -> Result<(), BarrierError> {
        if let Some(directory) = path.strip_suffix('/') {
            return match self.has_entries(mount, directory).await? {
                true => self.enter_as(mount, directory, DIRECTORY).await,
                false => Ok(()),
            };
        }
        let key = names::value_key(&self.shared().keyring.load(), mount, path);
        match self.row(mount, &key, || path.to_owned()).await? {
            Some(_) => self.enter(mount, path).await,
            None => self.leave(mount, path).await,
        }
    }

    async fn enter_as(&mut self, mount: u64, path: &str, flag: u8) -> Result<(), BarrierError> {
        let shared = self.shared();
        let (mut child, mut flag) = (path, flag);
        loop {
            let (directory, name) = names::split_last(child);
            let key = names::listing_key(&shared.keyring.load(), mount, directory, name);
            let flags = self.flags(mount, &key, directory).await?;
            if flags & flag == 0 {
                self.put_row(mount, key, listing_plain(directory, flags | flag))
                    .await?;
            }
            if flags != 0 || directory.is_empty() {
                return Ok(());
            }
            (child, flag) = (directory, DIRECTORY);
        }
    }

    /// The reverse: directories that became empty go too.
    pub(super) async fn leave(&mut self, mount: u64, path: &str) -> Result<(), BarrierError> {
        let shared = self.shared();
        let (mut child, mut flag) = (path, LEAF);
        loop {
            let (directory, name) = names::split_last(child);
            let key = names::listing_key(&shared.keyring.load(), mount, directory, name);
            let flags = self.flags(mount, &key, directory).await? & !flag;
            if flags != 0 {
                self.put_row(mount, key, listing_plain(directory, flags))
                    .await?;
                return Ok(());
            }
            self.delete_row(mount, key).await?;
            if directory.is_empty() || self.has_entries(mount, directory).await? {
                return Ok(());
            }
            (child, flag) = (directory, DIRECTORY);
        }
    }

    /// Whether a directory has entries after this transaction, as a condition of the commit.
    async fn has_entries(&mut self, mount: u64, directory: &str) -> Result<bool, BarrierError> {
        let shared = self.shared();
        let lo = Bytes::from(names::directory_prefix(
            &shared.keyring.load(),
            mount,
            directory,
        ));
        let hi = names::end_of(&lo);
        let mut after: Option<Bytes> = None;
        loop {
            let page = shared
                .storage
                .scan(&lo, &hi, after.as_deref(), OPS_MAX + 1)
                .await?;
            if let Some(other) = page
                .items
                .iter()
                .find(|item| !self.writes.contains_key(&item.key))
            {
                // If a concurrent commit removes this one, ours must look again.
                self.conds.push(Cond::Exists(other.key.clone()));
                return Ok(true);
            }
            match page.items.last() {
                Some(last) if page.more => after = Some(last.key.clone()),
                _ => break,
            }
        }
        if self
            .pending(&lo, &hi)
            .any(|(_, write)| write.plain.is_some())
        {
            return Ok(true);
        }
        self.conds.push(Cond::NoneNewer {
            lo,
            hi,
            since: self.started,
        });
        Ok(false)
    }

    fn pending(&self, lo: &Bytes, hi: &Bytes) -> impl Iterator<Item = (&Bytes, &Write)> {
        self.writes
            .range::<Bytes, _>((Bound::Included(lo), Bound::Excluded(hi)))
    }

    /// Direct children, sorted; a directory ends in `/`.
    pub(in crate::barrier) async fn list(
        &mut self,
        mount: u64,
        directory: &str,
        window: &Window,
    ) -> Result<Vec<String>, BarrierError> {
        let shared = self.shared();
        let lo = Bytes::from(names::directory_prefix(
            &shared.keyring.load(),
            mount,
            directory,
        ));
        let hi = names::end_of(&lo);
        let is_changed = self.pending(&lo, &hi).next().is_some();
        let (names, since) = match is_changed || !shared.is_trusted() {
            true => (self.scan(&lo, directory, window).await?, self.started),
            false => self.list_kept(&lo, directory, window).await?,
        };
        shared.check_directory(&lo, directory).await?;
        self.conds.push(Cond::NoneNewer { lo, hi, since });
        Ok(names)
    }

    /// From what is kept of the directory, which is read once if nothing is.
    async fn list_kept(
        &self,
        lo: &Bytes,
        directory: &str,
        window: &Window,
    ) -> Result<(Vec<String>, Rev), BarrierError> {
        let shared = self.shared();
        if let Some(kept) = shared.directories.list(lo, window) {
            return Ok(kept);
        }
        if let Some(mut filling) = shared.directories.fill(lo) {
            let as_of = shared.storage.revision();
            match self.each_entry(lo, directory, &mut filling).await? {
                ControlFlow::Continue(()) => filling.complete(as_of),
                ControlFlow::Break(()) => filling.too_long(),
            }
            if let Some(kept) = shared.directories.list(lo, window) {
                return Ok(kept);
            }
        }
        Ok((self.scan(lo, directory, window).await?, self.started))
    }

    /// From the disk and from what this transaction writes. What the window leaves out is not opened.
    async fn scan(
        &self,
        lo: &Bytes,
        directory: &str,
        window: &Window,
    ) -> Result<Vec<String>, BarrierError> {
        let mut found = window.gather();
        let _ = self.each_entry(lo, directory, &mut found).await?;
        let keyring = self.shared().keyring.load_full();
        for (key, write) in self.pending(lo, &names::end_of(lo)) {
            if let Some(plain) = &write.plain {
                let name = name_of(&keyring, key)
                    .ok_or_else(|| BarrierError::Damaged(format!("an entry of {directory:?}")))?;
                found.add_entry(&name, flags_of(plain, directory).unwrap_or(0));
            }
        }
        Ok(found.sorted())
    }

    /// The committed entries of a directory that this transaction does not replace, in no order.
    async fn each_entry(
        &self,
        lo: &Bytes,
        directory: &str,
        taker: &mut impl Taker,
    ) -> Result<ControlFlow<()>, BarrierError> {
        let shared = self.shared();
        let keyring = shared.keyring.load_full();
        let mount = names::mount_of(lo);
        let place = || format!("an entry of {directory:?}");
        let damaged = || BarrierError::Damaged(place());
        let mut after: Option<Bytes> = None;
        loop {
            let page = shared
                .storage
                .scan(lo, &names::end_of(lo), after.as_deref(), SCAN_PAGE)
                .await?;
            for item in &page.items {
                if self.writes.contains_key(&item.key) {
                    continue;
                }
                let name = name_of(&keyring, &item.key).ok_or_else(damaged)?;
                if !taker.wants(&name) {
                    continue;
                }
                shared.check_row(&item.key, place)?;
                let (plain, _) =
                    envelope::open(&keyring, mount, &item.key, &item.val).map_err(|_| damaged())?;
                let flags = flags_of(&plain, directory).ok_or_else(damaged)?;
                if taker.take(&name, flags).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            match page.items.last() {
                Some(last) if page.more => after = Some(last.key.clone()),
                _ => return Ok(ControlFlow::Continue(())),
            }
        }
    }

    pub(in crate::barrier) async fn check_directory(
        &self,
        mount: u64,
        directory: &str,
    ) -> Result<(), BarrierError> {
        let shared = self.shared();
        let prefix = names::directory_prefix(&shared.keyring.load(), mount, directory);
        shared.check_directory(&prefix, directory).await
    }

    pub(in crate::barrier) async fn page(
        &mut self,
        mount: u64,
        directory: &str,
        cursor: &mut Cursor,
    ) -> Result<Vec<String>, BarrierError> {
        let shared = self.shared();
        let keyring = shared.keyring.load_full();
        let lo = Bytes::from(names::directory_prefix(&keyring, mount, directory));
        let after = cursor.0.as_deref();
        let page = shared
            .storage
            .scan(&lo, &names::end_of(&lo), after, CURSOR_PAGE)
            .await?;
        let mut found = Vec::with_capacity(page.items.len());
        for item in page.items {
            let damaged = || BarrierError::Damaged(format!("an entry of {directory:?}"));
            shared.check_row(&item.key, || format!("an entry of {directory:?}"))?;
            let (plain, _) =
                envelope::open(&keyring, mount, &item.key, &item.val).map_err(|_| damaged())?;
            let flags = flags_of(&plain, directory).ok_or_else(damaged)?;
            let name = name_of(&keyring, &item.key).ok_or_else(damaged)?;
            found.extend(shown(&name, flags));
            cursor.0 = Some(item.key);
        }
        Ok(found)
    }

    pub(super) async fn flags(
        &mut self,
        mount: u64,
        key: &Bytes,
        directory: &str,
    ) -> Result<u8, BarrierError> {
        match self
            .row(mount, key, || format!("an entry of {directory:?}"))
            .await?
        {
            None => Ok(0),
            Some(plain) => flags_of(&plain, directory)
                .ok_or_else(|| BarrierError::Damaged(format!("an entry of {directory:?}"))),
        }
    }
}

fn name_of(keyring: &Keyring, key: &[u8]) -> Option<String> {
    let name = names::listing_name(keyring, key)?;
    std::str::from_utf8(&name).ok().map(str::to_owned)
}

/// Name and flags of an entry as committed; deleted, it has no flags.
pub(in crate::barrier) fn entry_of(
    keyring: &Keyring,
    key: &[u8],
    record: Option<&Bytes>,
) -> Option<(String, u8)> {
    let name = name_of(keyring, key)?;
    let Some(record) = record else {
        return Some((name, 0));
    };
    let (plain, _) = envelope::open(keyring, names::mount_of(key), key, record).ok()?;
    split_listing(&plain).map(|(flags, _)| (name, flags))
}

/// `flags u8 | directory`.
fn listing_plain(directory: &str, flags: u8) -> SecretVec {
    let mut plain = vec![flags];
    plain.extend_from_slice(directory.as_bytes());
    Zeroizing::new(plain)
}

/// Flags and directory of a listing row's plaintext.
pub(in crate::barrier) fn split_listing(plain: &[u8]) -> Option<(u8, &str)> {
    let (flags, directory) = plain.split_first()?;
    Some((*flags, std::str::from_utf8(directory).ok()?))
}

pub(in crate::barrier) fn is_leaf(flags: u8) -> bool {
    flags & LEAF != 0
}

pub(super) fn flags_of(plain: &[u8], directory: &str) -> Option<u8> {
    split_listing(plain)
        .filter(|(_, stored)| *stored == directory)
        .map(|(flags, _)| flags)
}
