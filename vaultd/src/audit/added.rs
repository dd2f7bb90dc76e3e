//! Devices that come and go while the server runs, beside those of the config.
//!
//! Each gets every record from when it is added, in a chain of its own. None of them decides whether a
//! record is accepted, and none delays one: that is for the devices that the operator of the server
//! has chosen.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::device::Goal;
use super::devices::Devices;
use super::{DeviceStatus, Waiting};

struct Added {
    label: String,
    devices: Devices,
}

#[derive(Default)]
pub(super) struct AddedDevices(ArcSwap<Vec<Arc<Added>>>);

impl AddedDevices {
    pub(super) fn has(&self, label: &str) -> bool {
        self.0.load().iter().any(|added| added.label == label)
    }

    pub(super) fn add(&self, label: &str, devices: Devices) {
        let added = Arc::new(Added {
            label: label.to_owned(),
            devices,
        });
        self.0.rcu(|all| {
            let mut all = Vec::clone(all);
            all.push(Arc::clone(&added));
            all
        });
    }

    /// It signs and writes what it has, and is gone.
    pub(super) fn remove(&self, label: &str) -> bool {
        for added in self.0.load().iter().filter(|added| added.label == label) {
            added.devices.checkpoint();
        }
        let before = self.0.rcu(|all| {
            let kept = all.iter().filter(|added| added.label != label);
            kept.cloned().collect::<Vec<_>>()
        });
        before.iter().any(|added| added.label == label)
    }

    /// Returns when all that work have signed and synced what they have.
    pub(super) async fn settle(&self) {
        for added in self.0.load_full().iter() {
            let ticket = added.devices.checkpoint();
            let settled = Waiting {
                devices: &added.devices,
                first: ticket,
                last: ticket,
                goal: Goal::Everywhere,
            };
            settled.await;
        }
    }

    pub(super) fn append(&self, line: &[u8]) {
        for added in self.0.load().iter() {
            added.devices.append(line, true);
        }
    }

    pub(super) fn checkpoint(&self) {
        for added in self.0.load().iter() {
            added.devices.checkpoint();
        }
    }

    pub(super) fn reopen(&self) {
        for added in self.0.load().iter() {
            added.devices.reopen();
        }
    }

    pub(super) fn status(&self) -> Vec<DeviceStatus> {
        let of = |added: &Arc<Added>| {
            let status = added.devices.status().into_iter();
            let label = added.label.clone();
            status
                .map(|status| DeviceStatus {
                    label: label.clone(),
                    ..status
                })
                .collect::<Vec<_>>()
        };
        self.0.load().iter().flat_map(of).collect()
    }
}
