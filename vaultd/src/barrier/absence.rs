//! Whether what is not found is really absent.
//!
//! A part of the store, one bucket of values or one slab of listings, is checked when somebody first
//! misses something in it: its rows are read without being opened, their sum must be the stored one,
//! and each must be found by its own key. If not, the whole store is verified, and what that doubts
//! stays an error.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Mutex;

use super::doubts::Doubts;
use super::error::BarrierError;
use super::presence::{
    BUCKETS, LISTING_SLABS, Presence, SLAB, VALUE_BUCKETS, bucket, element, listing_slab,
};
use super::storage::{Snapshot, Storage};
use super::{Keyring, Shared, envelope, names, presence, verify};

const PARTS: usize = VALUE_BUCKETS + LISTING_SLABS;
const PAGE: usize = 1000;

pub(super) struct Absence {
    /// What the last verification found.
    doubts: ArcSwap<Doubts>,
    /// Checked since unsealing; from then on commits keep rows and sums in step.
    checked: [AtomicBool; PARTS],
    /// One check at a time. A tokio lock: held while rows are read.
    turn: Mutex<()>,
    /// Callers are let in: until then what seems absent is believed to be, so that a damaged store can
    /// be unsealed and examined.
    serving: AtomicBool,
}

impl Default for Absence {
    fn default() -> Absence {
        Absence {
            doubts: ArcSwap::default(),
            checked: std::array::from_fn(|_| AtomicBool::new(false)),
            turn: Mutex::default(),
            serving: AtomicBool::new(false),
        }
    }
}

impl Absence {
    pub(super) fn serve(&self) {
        self.serving.store(true, Ordering::Release);
    }

    fn learn(&self, doubts: Doubts) {
        self.doubts.store(Arc::new(doubts));
        for part in &self.checked {
            part.store(true, Ordering::Release);
        }
    }

    fn is_checked(&self, part: usize) -> bool {
        !self.serving.load(Ordering::Acquire) || self.checked[part].load(Ordering::Acquire)
    }
}

impl Shared {
    pub(super) async fn verify(&self) -> Result<verify::Report, BarrierError> {
        let report = verify::run(self).await?;
        self.learn(report.doubts.clone());
        Ok(report)
    }

    /// What a verification of all rows found. Listings are read again, row by row.
    pub(super) fn learn(&self, doubts: Doubts) {
        self.absence.learn(doubts);
        self.directories.clear();
    }

    /// Whether every row is believed.
    pub(super) fn is_trusted(&self) -> bool {
        self.absence.doubts.load().is_empty()
    }

    /// Refuses a directory of which entries may be missing.
    pub(super) async fn check_directory(
        &self,
        prefix: &[u8],
        directory: &str,
    ) -> Result<(), BarrierError> {
        self.check_part(VALUE_BUCKETS + listing_slab(prefix))
            .await?;
        match self.absence.doubts.load().directory(prefix) {
            true => Err(BarrierError::Damaged(format!(
                "the directory {directory:?}: entries are missing"
            ))),
            false => Ok(()),
        }
    }

    /// Refuses a row that verification found to be not the one last written.
    pub(super) fn check_row(
        &self,
        key: &[u8],
        place: impl Fn() -> String,
    ) -> Result<(), BarrierError> {
        match self.absence.doubts.load().row(key) {
            true => Err(BarrierError::Damaged(place())),
            false => Ok(()),
        }
    }

    /// Refuses a value row that may only seem absent.
    pub(super) async fn check_absence(
        &self,
        key: &[u8],
        place: impl Fn() -> String,
    ) -> Result<(), BarrierError> {
        self.check_part(bucket(key)).await?;
        match self.absence.doubts.load().absence(key) {
            true => Err(BarrierError::Damaged(place())),
            false => Ok(()),
        }
    }

    async fn check_part(&self, part: usize) -> Result<(), BarrierError> {
        if self.absence.is_checked(part) {
            return Ok(());
        }
        let _turn = self.absence.turn.lock().await;
        if self.absence.is_checked(part) {
            return Ok(());
        }
        if is_whole(self, part).await? {
            self.absence.checked[part].store(true, Ordering::Release);
            return Ok(());
        }
        self.verify().await.map(drop)
    }
}

/// Whether the rows of a part are those last written, and can be found.
async fn is_whole(shared: &Shared, part: usize) -> Result<bool, BarrierError> {
    let keyring = shared.keyring.load_full();
    let mut snapshot = shared.storage.snapshot().await?;
    let stored = sums(&mut snapshot, &keyring).await?;
    let mut rest = stored.sums().to_vec();
    let (tag, buckets) = match part.checked_sub(VALUE_BUCKETS) {
        None => (names::VALUE, part..part + 1),
        Some(slab) => {
            let first = VALUE_BUCKETS + slab * SLAB;
            (names::LISTING, first..first + SLAB)
        }
    };
    let mut from = Bytes::from(vec![tag]);
    while let Some(mount) = next_mount(&mut snapshot, tag, &from).await? {
        let range = range_of(tag, mount, part);
        if !subtract(&mut snapshot, &keyring, range, &mut rest).await? {
            return Ok(false);
        }
        from = names::end_of(&mount_prefix(tag, mount));
    }
    Ok(rest[buckets].iter().all(|left| *left == 0))
}

/// The stored sums as of the snapshot's revision. Those in memory would not do: they are ahead of the
/// rows while a commit is under way.
pub(super) async fn sums(
    snapshot: &mut Snapshot,
    keyring: &Keyring,
) -> Result<Presence, BarrierError> {
    let (lo, hi) = ([presence::TAG], [presence::TAG + 1]);
    let rows = snapshot.scan(&lo, &hi, None, PAGE).await?.items;
    let rows: HashMap<Bytes, Bytes> = rows.into_iter().map(|row| (row.key, row.val)).collect();
    Presence::from_rows(keyring, |key| rows.get(key).cloned())
}

/// Takes the rows of a range out of the sums; false if one has no header or is not found by its key.
async fn subtract(
    snapshot: &mut Snapshot,
    keyring: &Keyring,
    range: Range<Bytes>,
    rest: &mut [u128],
) -> Result<bool, BarrierError> {
    debug_assert_eq!(rest.len(), BUCKETS);
    let mut after: Option<Bytes> = None;
    loop {
        let page = snapshot
            .scan(&range.start, &range.end, after.as_deref(), PAGE)
            .await?;
        let mut keys = Vec::with_capacity(page.items.len());
        for item in &page.items {
            // Not authenticated, but only the right generation gives the right sum.
            let Some(generation) = envelope::claimed_generation(&item.val) else {
                return Ok(false);
            };
            let left = &mut rest[bucket(&item.key)];
            *left = left.wrapping_sub(element(&keyring.presence, &item.key, generation));
            keys.push(item.key.clone());
        }
        after = keys.last().cloned();
        let more = page.more;
        if !snapshot.finds(keys).await? {
            return Ok(false);
        }
        if !more {
            return Ok(true);
        }
    }
}

/// The mount of the first row at or after a key. Bytes that a foreign key lacks count as zero.
async fn next_mount(
    snapshot: &mut Snapshot,
    tag: u8,
    from: &[u8],
) -> Result<Option<u64>, BarrierError> {
    let page = snapshot.scan(from, &[tag + 1], None, 1).await?;
    Ok(page.items.first().map(|item| {
        let mut mount = [0; 8];
        let given = item.key.iter().skip(1).take(8);
        mount
            .iter_mut()
            .zip(given)
            .for_each(|(byte, given)| *byte = *given);
        u64::from_be_bytes(mount)
    }))
}

fn mount_prefix(tag: u8, mount: u64) -> Vec<u8> {
    let mut prefix = vec![tag];
    prefix.extend_from_slice(&mount.to_be_bytes());
    prefix
}

/// Where the rows of a part are within a mount.
fn range_of(tag: u8, mount: u64, part: usize) -> Range<Bytes> {
    // Bits of the row's tag that name the part, at the top of two bytes.
    let (number, parts) = match part.checked_sub(VALUE_BUCKETS) {
        None => (part, VALUE_BUCKETS),
        Some(slab) => (slab, LISTING_SLABS),
    };
    let width = (1 << 16) / parts;
    let bound = |number: usize| {
        let mut key = mount_prefix(tag, mount);
        match u16::try_from(number * width) {
            Ok(start) => {
                key.extend_from_slice(&start.to_be_bytes());
                Bytes::from(key)
            }
            Err(_) => names::end_of(&key),
        }
    };
    bound(number)..bound(number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row key, also one cut short, is in the range of its own part and of no other.
    #[test]
    fn the_ranges_of_the_parts_cover_each_key_once() {
        let tags = [
            [0, 0],
            [0, 127],
            [0, 128],
            [0x0f, 0xff],
            [0x10, 0],
            [0xff, 0x7f],
            [0xff, 0xff],
        ];
        for (kind, first, count) in [
            (names::VALUE, 0, VALUE_BUCKETS),
            (names::LISTING, VALUE_BUCKETS, LISTING_SLABS),
        ] {
            for (mount, tag) in [0, 7, u64::MAX]
                .into_iter()
                .flat_map(|m| tags.map(|t| (m, t)))
            {
                let mut key = mount_prefix(kind, mount);
                key.extend_from_slice(&tag);
                key.extend_from_slice(&[9; 40]);
                let own = match kind {
                    names::VALUE => bucket(&key),
                    _ => VALUE_BUCKETS + listing_slab(&key),
                };
                let inside =
                    |part: &usize| range_of(kind, mount, *part).contains(&Bytes::from(key.clone()));
                let parts: Vec<usize> = (first..first + count).filter(inside).collect();
                assert_eq!(parts, [own], "{key:?}");
            }
        }
    }
}
