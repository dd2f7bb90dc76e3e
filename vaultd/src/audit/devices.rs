//! All devices of the process: where records are handed over, and asked after.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Duration;

use super::device::{Device, DeviceStatus, Goal, Shared};
use super::thread::{self, Cell, Opening};
use super::writer::Writer;
use super::{AuditError, Clock, DeviceConfig, Keyring};

/// A device that does not take its records loses those beyond this many bytes.
const QUEUE: usize = 64 << 20;

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
            let writer = Writer::new(
                index,
                Arc::clone(&devices.shared),
                Arc::clone(keys),
                Arc::clone(clock),
            );
            let writer = writer
                .and_then(|writer| thread::spawn(writer, &devices.shared, opening))
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
