//! What a method keeps beside the transaction of a request, whatever becomes of the request: what it
//! was told by others, and would have to ask for again.

use std::sync::{Arc, Weak};

use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::mount::{self, reserved};
use super::retry::committed;
use super::unsealed::Unsealed;
use crate::barrier::View;

/// A change of a mount's own rows. It may run several times.
pub trait Keep: Sync {
    /// What the change tells.
    type Kept: Send;

    fn keep(&self, view: &mut View<'_>) -> impl Future<Output = Result<Self::Kept, Fault>> + Send;
}

/// The rows of one mount, for as long as the vault is open: work that goes on after its request holds
/// no key.
#[derive(Clone)]
pub struct Aside {
    vault: Weak<Unsealed>,
    mount: u64,
}

impl Aside {
    pub(super) fn new(vault: &Arc<Unsealed>, mount: u64) -> Aside {
        Aside {
            vault: Arc::downgrade(vault),
            mount,
        }
    }

    /// Of a vault that is sealed: keeps nothing.
    #[cfg(test)]
    pub fn sealed(mount: u64) -> Aside {
        Aside {
            vault: Weak::new(),
            mount,
        }
    }

    /// The number of the mount.
    pub fn mount(&self) -> u64 {
        self.mount
    }

    pub async fn get<T: DeserializeOwned>(&self, row: &str) -> Result<Option<T>, Fault> {
        let vault = self.vault.upgrade().ok_or(Fault::Sealed)?;
        let mut tx = vault.barrier.begin();
        Ok(tx.view(self.mount).get(row).await?)
    }

    /// Fails if the mount is gone meanwhile: nobody would find the rows.
    pub async fn keep<K: Keep>(&self, change: &K) -> Result<K::Kept, Fault> {
        let vault = self.vault.upgrade().ok_or(Fault::Sealed)?;
        committed!(vault, |tx| {
            mount::require(&mut tx.view(reserved::MOUNTS), self.mount).await?;
            change.keep(&mut tx.view(self.mount)).await
        })
    }
}
