//! The devices: what the rest of the process and the devices' threads share.
//!
//! Records are pushed into a queue of each device under one short lock; a device's thread is
//! woken only when it sleeps. Whoever waits looks at atomic marks, and writes the records itself where
//! that cannot hold up another device.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use vault_audit::Link;

use super::wait::Waiters;
use super::writer::{Cell, Opening, Writer};
use super::{AuditError, Clock, DeviceConfig, Keyring};

/// A device that does not take its records loses those beyond this many bytes.
const QUEUE: usize = 64 << 20;

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

/// All devices of the process. Dropping it ends their threads, without waiting.
pub(super) struct Devices {
    shared: Arc<Shared>,
    /// The writer of the only device, if it is a file. One that hangs holds up nobody who could go on
    /// without it.
    direct: Option<Cell>,
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.shared.inbox().closed = true;
        self.shared.wake_devices();
    }
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

    fn status(&self) -> DeviceStatus {
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
    fn has(&self, first: u64, last: u64, goal: Goal) -> bool {
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
    fn is_out(&self, ticket: u64) -> bool {
        self.failing.load(Ordering::Acquire) || self.has_lost(ticket)
    }
}

impl DeviceConfig {
    pub(super) fn name(&self) -> String {
        match self {
            DeviceConfig::File { path, .. } | DeviceConfig::Unix { path } => {
                path.display().to_string()
            }
            DeviceConfig::Stdout => "stdout".to_owned(),
            DeviceConfig::Tcp { address } => address.clone(),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            DeviceConfig::File { .. } => "file",
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

    fn wake_devices(&self) {
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

impl Devices {
    pub(super) fn none() -> Devices {
        Devices {
            shared: Arc::new(Shared::new(Vec::new())),
            direct: None,
        }
    }

    /// Starts a thread for each device and waits up to `patience` for all of them to open.
    pub(super) fn open(
        config: Vec<DeviceConfig>,
        keys: &Keyring,
        clock: &Clock,
        patience: Duration,
    ) -> Result<Devices, AuditError> {
        let only_file = matches!(&config[..], [DeviceConfig::File { .. }]);
        let mut devices = Devices {
            shared: Arc::new(Shared::new(config)),
            direct: None,
        };
        let (opening, opened) = std::sync::mpsc::channel();
        for index in 0..devices.shared.devices.len() {
            let opening = Opening::new(index, opening.clone());
            let writer = Writer::spawn(
                index,
                Arc::clone(&devices.shared),
                Arc::clone(keys),
                Arc::clone(clock),
                opening,
            )
            .map_err(AuditError::Thread)?;
            devices.direct = Some(writer).filter(|_| only_file);
        }
        drop(opening);
        let until = std::time::Instant::now() + patience;
        for _ in 0..devices.shared.devices.len() {
            let left = until.saturating_duration_since(std::time::Instant::now());
            match opened.recv_timeout(left) {
                Ok((_, Ok(()))) => {}
                Ok((index, Err(error))) => {
                    let device = devices.shared.devices[index].config.name();
                    return Err(AuditError::Open { device, error });
                }
                Err(_) => {
                    tracing::warn!("an audit device hangs while it is opened; going on without it");
                    break;
                }
            }
        }
        Ok(devices)
    }

    /// The ticket of the record. `wake`: someone is going to wait for it.
    pub(super) fn append(&self, line: &[u8], wake: bool) -> u64 {
        let wake = wake && self.direct.is_none();
        let mut inbox = self.shared.inbox();
        inbox.ticket += 1;
        let ticket = inbox.ticket;
        let mut sleepers = false;
        for (device, queue) in self.shared.devices.iter().zip(&mut inbox.queues) {
            if queue.bytes.len() + line.len() > QUEUE {
                queue.lost += 1;
                device.lost.store(ticket, Ordering::Release);
                continue;
            }
            queue.bytes.extend_from_slice(line);
            queue.ends.push(queue.bytes.len());
            queue.last = ticket;
            sleepers |= wake && std::mem::take(&mut queue.asleep);
        }
        // Whoever wakes needs the lock.
        drop(inbox);
        if sleepers {
            self.shared.wake_devices();
        }
        ticket
    }

    /// True if [`write_now`](Self::write_now) may do something.
    pub(super) fn is_direct(&self) -> bool {
        self.direct.is_some()
    }

    /// Writes what has queued up, unless someone else is at it, who then looks again.
    pub(super) fn write_now(&self) {
        while let Some(Ok(mut writer)) = self.direct.as_ref().map(|cell| cell.try_lock()) {
            let settled = writer.write_now();
            drop(writer);
            let mut inbox = self.shared.inbox();
            let queue = &mut inbox.queues[0];
            if !settled {
                queue.look = true;
            }
            let more = !queue.ends.is_empty();
            drop(inbox);
            if !settled {
                self.shared.wake_devices();
            }
            if !settled || !more {
                return;
            }
        }
    }

    /// Orders a checkpoint now. Its ticket comes through when it is written.
    pub(super) fn checkpoint(&self) -> u64 {
        let mut inbox = self.shared.inbox();
        inbox.ticket += 1;
        let ticket = inbox.ticket;
        for queue in &mut inbox.queues {
            queue.checkpoint = true;
            queue.last = ticket;
        }
        drop(inbox);
        self.shared.wake_devices();
        ticket
    }

    pub(super) fn reopen(&self) {
        for queue in &mut self.shared.inbox().queues {
            queue.reopen = true;
        }
        self.shared.wake_devices();
    }

    /// `Some`: decided. No devices at all accept everything.
    pub(super) fn reached(&self, first: u64, last: u64, goal: Goal) -> Option<bool> {
        let devices = &self.shared.devices;
        if goal == Goal::Everywhere {
            let settled = |device: &Device| device.has(first, last, goal) || device.is_out(first);
            return devices.iter().all(settled).then_some(true);
        }
        if devices.is_empty() || devices.iter().any(|device| device.has(first, last, goal)) {
            return Some(true);
        }
        devices
            .iter()
            .all(|device| device.is_out(first))
            .then_some(false)
    }

    pub(super) fn register(&self, ticket: u64, goal: Goal, waker: &Waker) {
        match goal {
            Goal::Accepted => self.shared.waiters.register(ticket, waker),
            Goal::Durable | Goal::Everywhere => self.shared.durable.register(ticket, waker),
        }
    }

    pub(super) fn status(&self) -> Vec<DeviceStatus> {
        let queued: Vec<usize> = self
            .shared
            .inbox()
            .queues
            .iter()
            .map(|q| q.bytes.len())
            .collect();
        let status = |(device, queued): (&Device, usize)| DeviceStatus {
            queued,
            ..device.status()
        };
        self.shared.devices.iter().zip(queued).map(status).collect()
    }

    /// For error texts: which device fails, and why.
    pub(super) fn describe(&self) -> String {
        let describe = |status: DeviceStatus| {
            let reason = status
                .error
                .unwrap_or_else(|| "does not take records".to_owned());
            format!("{}: {reason}", status.name)
        };
        self.status()
            .into_iter()
            .map(describe)
            .collect::<Vec<_>>()
            .join("; ")
    }

    pub(super) fn first_file(&self) -> Option<&Path> {
        self.shared
            .devices
            .iter()
            .find_map(|device| match &device.config {
                DeviceConfig::File { path, .. } => Some(path.as_path()),
                _ => None,
            })
    }
}
