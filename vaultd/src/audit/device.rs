//! The devices: what the rest of the process and the devices' threads share.
//!
//! Records are pushed into a queue of each device under one short lock; a device's thread is
//! woken only when it sleeps. Whoever waits looks at atomic marks, and writes the records itself where
//! that cannot hold up another device.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use vault_audit::Link;

use super::DeviceConfig;
use super::wait::Waiters;

/// What someone waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// One device has the record.
    Accepted,
    /// One device has it on stable storage.
    Durable,
    /// Every device that works has it on stable storage.
    Everywhere,
}

/// One device, as metrics and `sys/audit` show it.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct DeviceStatus {
    pub name: String,
    /// Under which it was added while the server runs; empty for one of the config.
    pub label: String,
    pub kind: &'static str,
    pub healthy: bool,
    /// Why not.
    pub error: Option<String>,
    /// Number of the last line.
    pub seq: u64,
    /// Chain value of the last line, hex.
    pub chain: String,
    /// Number of the last checkpoint's line in this run.
    pub checkpoint_seq: u64,
    /// Bytes that wait to be written.
    pub queued: usize,
    /// Records that the device was too slow for, in this run.
    pub lost: u64,
}

/// Records on their way to one device.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) bytes: Vec<u8>,
    /// Where each record ends.
    pub(super) ends: Vec<usize>,
    /// The last ticket in here.
    pub(super) last: u64,
    /// Records that did not fit since the last batch.
    pub(super) lost: u64,
    pub(super) checkpoint: bool,
    pub(super) reopen: bool,
    /// The thread is to look at its writer again.
    pub(super) look: bool,
    /// The thread sleeps and wants to be woken.
    pub(super) asleep: bool,
}

impl Queue {
    pub(super) fn has_work(&self) -> bool {
        !self.ends.is_empty() || self.checkpoint || self.reopen
    }

    /// Keeps the memory.
    pub(super) fn empty(&mut self) {
        let (mut bytes, mut ends) = (
            std::mem::take(&mut self.bytes),
            std::mem::take(&mut self.ends),
        );
        bytes.clear();
        ends.clear();
        *self = Queue {
            bytes,
            ends,
            ..Queue::default()
        };
    }
}

#[derive(Default)]
pub(super) struct Inbox {
    pub(super) ticket: u64,
    pub(super) closed: bool,
    pub(super) queues: Vec<Queue>,
}

/// What is known of one device without a lock.
pub(super) struct Device {
    pub(super) config: DeviceConfig,
    pub(super) wake: Condvar,
    /// Written up to this ticket.
    pub(super) written: AtomicU64,
    /// On stable storage up to this ticket.
    pub(super) synced: AtomicU64,
    /// The last ticket that it was too slow for.
    pub(super) lost: AtomicU64,
    pub(super) failing: AtomicBool,
    state: Mutex<State>,
}

/// What a batch leaves behind.
#[derive(Default)]
pub(super) struct State {
    pub(super) status: DeviceStatus,
    pub(super) head: Option<Link>,
}

/// Shared by everyone.
pub(super) struct Shared {
    pub(super) inbox: Mutex<Inbox>,
    pub(super) devices: Vec<Device>,
    pub(super) waiters: Waiters,
    pub(super) durable: Waiters,
}

impl Device {
    fn new(config: DeviceConfig) -> Device {
        let status = DeviceStatus {
            name: config.name(),
            kind: config.kind(),
            ..Default::default()
        };
        Device {
            config,
            wake: Condvar::new(),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            state: Mutex::new(State { status, head: None }),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self) -> DeviceStatus {
        let state = self.state();
        DeviceStatus {
            healthy: !self.failing.load(Ordering::Acquire),
            chain: state.head.map(|head| head.to_string()).unwrap_or_default(),
            ..state.status.clone()
        }
    }

    pub(super) fn strict(&self) -> bool {
        matches!(self.config, DeviceConfig::File { strict: true, .. })
    }

    /// All records from `first` to `last`: they are written in the order of their tickets.
    pub(super) fn has(&self, first: u64, last: u64, goal: Goal) -> bool {
        let mark = match goal {
            Goal::Accepted if !self.strict() => &self.written,
            _ => &self.synced,
        };
        // A lost record is below the mark too, once the device has gone on.
        mark.load(Ordering::Acquire) >= last && !self.has_lost(first)
    }

    fn has_lost(&self, ticket: u64) -> bool {
        self.lost.load(Ordering::Acquire) >= ticket
    }

    /// The record is not going to be here soon.
    pub(super) fn is_out(&self, ticket: u64) -> bool {
        self.failing.load(Ordering::Acquire) || self.has_lost(ticket)
    }
}

impl DeviceConfig {
    pub(super) fn name(&self) -> String {
        match self {
            DeviceConfig::File { path, .. }
            | DeviceConfig::Confined { path }
            | DeviceConfig::Unix { path } => path.display().to_string(),
            DeviceConfig::Stdout => "stdout".to_owned(),
            DeviceConfig::Tcp { address } => address.clone(),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            DeviceConfig::File { .. } | DeviceConfig::Confined { .. } => "file",
            DeviceConfig::Stdout => "stdout",
            DeviceConfig::Unix { .. } | DeviceConfig::Tcp { .. } => "socket",
        }
    }
}

impl Shared {
    pub(super) fn new(config: Vec<DeviceConfig>) -> Shared {
        let queues = config.iter().map(|_| Queue::default()).collect();
        Shared {
            inbox: Mutex::new(Inbox {
                queues,
                ..Inbox::default()
            }),
            devices: config.into_iter().map(Device::new).collect(),
            waiters: Waiters::default(),
            durable: Waiters::default(),
        }
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties a device's queue into `batch`, whose memory is used again.
    pub(super) fn take(&self, index: usize, batch: &mut Queue) {
        batch.empty();
        let mut inbox = self.inbox();
        let queue = &mut inbox.queues[index];
        std::mem::swap(queue, batch);
        queue.last = batch.last;
        queue.asleep = std::mem::take(&mut batch.asleep);
        queue.look = std::mem::take(&mut batch.look);
    }

    /// There is more to do than to write records.
    pub(super) fn needs_thread(&self, index: usize) -> bool {
        let queue = &self.inbox().queues[index];
        queue.checkpoint || queue.reopen || queue.lost > 0
    }

    pub(super) fn wake_devices(&self) {
        for device in &self.devices {
            device.wake.notify_all();
        }
    }

    /// The device has written up to this ticket.
    pub(super) fn written(&self, device: &Device, ticket: u64) {
        device.written.store(ticket, Ordering::Release);
        if !device.strict() {
            self.waiters.wake(ticket);
        }
    }

    /// The device has synced up to this ticket.
    pub(super) fn synced(&self, device: &Device, ticket: u64) {
        device.synced.store(ticket, Ordering::Release);
        self.durable.wake(ticket);
        if device.strict() {
            self.waiters.wake(ticket);
        }
    }

    /// Whoever waits may have to give up.
    pub(super) fn failed(&self, device: &Device, error: &dyn std::fmt::Display) {
        device.state().status.error = Some(error.to_string());
        if !device.failing.swap(true, Ordering::AcqRel) {
            tracing::error!(device = %device.config.name(), %error, "audit device failed");
        }
        self.waiters.wake_all();
        self.durable.wake_all();
    }

    pub(super) fn recovered(&self, device: &Device) {
        if device.failing.swap(false, Ordering::AcqRel) {
            device.state().status.error = None;
            tracing::info!(device = %device.config.name(), "audit device works again");
        }
    }
}
