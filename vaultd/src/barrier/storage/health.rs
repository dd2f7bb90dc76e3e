//! Whether a store may still be used.
//!
//! After a failed sync the kernel may have dropped the very pages it could not write and report
//! success the next time, so nothing the process reads or syncs afterwards proves anything. The first
//! such error is therefore final; only opening the store again, which recovers from disk, helps.

use std::sync::OnceLock;

use super::StoreError;

#[derive(Default)]
pub(super) struct Health(OnceLock<StoreError>);

impl Health {
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.0.get().map_or(Ok(()), |end| Err(end.clone()))
    }

    /// The first reason stays.
    pub(super) fn end(&self, reason: StoreError) {
        let _ = self.0.set(reason);
    }
}
