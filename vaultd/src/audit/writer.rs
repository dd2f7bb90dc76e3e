//! One device's writer: takes what has queued up, chains it, writes it with one call, and then
//! lets everyone know at once.
//!
//! Each device has a thread, on which it may hang and be retried. If the only device is a regular
//! file, whoever waits for a record writes it with all others that have queued up
//! ([`Writer::write_now`]), which saves the way to the thread and back; the thread then only signs,
//! and takes over what fails. Lines that a failed device did not take are kept and written, whole and
//! in order, once it works again.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use vault_audit::{Chain, Line, Link, Mark, VERSION};

use super::device::{Device, Queue, Shared};
use super::file::{OpenError, Tail};
use super::sink::Sink;
use super::sync::Syncer;
use super::thread::Opening;
use super::{Clock, Keyring};

/// No line stays unsigned for longer, while unsealed; leaves time to write within a second.
const CHECKPOINT: Duration = Duration::from_millis(800);

/// Between two attempts at a device that fails.
const RETRY: Duration = Duration::from_millis(250);

pub(super) struct Writer {
    index: usize,
    shared: Arc<Shared>,
    keys: Keyring,
    clock: Clock,
    syncer: Arc<Syncer>,
    sink: Option<Sink>,
    /// Where the lines in `pending` end.
    chain: Chain,
    /// Where they begin; `None` until a file was opened.
    base: Option<(Link, u64)>,
    /// Chained lines that are not yet written as a whole.
    pending: Vec<u8>,
    /// How many bytes of them are.
    written: usize,
    /// The ticket that is done when `pending` is written.
    last: u64,
    /// Age of the oldest line without a signature.
    unsigned: Option<Instant>,
    /// Its memory is used again.
    batch: Queue,
}

/// The process is ending.
pub(super) struct Closed;

impl Writer {
    pub(super) fn new(
        index: usize,
        shared: Arc<Shared>,
        keys: Keyring,
        clock: Clock,
    ) -> std::io::Result<Writer> {
        Ok(Writer {
            syncer: Syncer::spawn(Arc::clone(&shared), index)?,
            index,
            shared,
            keys,
            clock,
            sink: None,
            chain: Chain::new(Link::GENESIS, 1),
            base: None,
            pending: Vec::new(),
            written: 0,
            last: 0,
            unsigned: None,
            batch: Queue::default(),
        })
    }

    fn device(&self) -> &Device {
        &self.shared.devices[self.index]
    }

    /// The first opening; false if there is no point in going on.
    pub(super) fn start(&mut self, opening: Opening) -> bool {
        let opened = self.open();
        let regular = matches!(
            self.device().config,
            super::DeviceConfig::File { .. } | super::DeviceConfig::Confined { .. }
        );
        let refused = opened.is_err() && regular;
        // A collector that is not there yet must not keep the server from starting.
        match opened {
            Err(error) if !regular => {
                self.shared.failed(self.device(), &error);
                opening.report(Ok(()));
            }
            result => opening.report(result),
        }
        !refused && self.deliver().is_ok()
    }

    /// One batch, and how many records were in it.
    pub(super) fn turn(&mut self) -> Result<usize, Closed> {
        let mut batch = std::mem::take(&mut self.batch);
        self.shared.take(self.index, &mut batch);
        self.tie(&batch);
        self.deliver()?;
        self.publish();
        if batch.reopen {
            self.close();
            self.open_again()?;
            self.deliver()?;
        }
        let records = batch.ends.len();
        self.batch = batch;
        Ok(records)
    }

    /// One batch, by whoever waits for it. False: the thread has to see to it.
    pub(super) fn write_now(&mut self) -> bool {
        let writable = self.sink.as_ref().and_then(Sink::syncable).is_some();
        if !writable || !self.pending.is_empty() || self.shared.needs_thread(self.index) {
            return false;
        }
        let known = self.unsigned.is_some();
        let mut batch = std::mem::take(&mut self.batch);
        self.shared.take(self.index, &mut batch);
        self.tie(&batch);
        self.batch = batch;
        while let Some(sink) = &mut self.sink
            && self.written < self.pending.len()
        {
            match sink.write(&self.pending[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // It meets the same error, and says so.
                Err(_) => return false,
            }
        }
        self.delivered();
        self.publish();
        // The thread does not know yet that there is something to sign.
        known
    }

    /// Time left until a checkpoint is due; `None` if there is nothing to sign, or no key.
    pub(super) fn due(&self) -> Option<Duration> {
        let since = self.unsigned?;
        let unlocked = self
            .keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        unlocked.then(|| CHECKPOINT.saturating_sub(since.elapsed()))
    }

    /// Chains the batch, and signs if it is time to.
    fn tie(&mut self, batch: &Queue) {
        self.last = batch.last;
        let mut from = 0;
        for to in &batch.ends {
            self.chain
                .append(&batch.bytes[from..*to], &mut self.pending);
            from = *to;
        }
        if batch.lost > 0 {
            let time = (self.clock)().to_string();
            self.chain.mark(
                &Mark::Gap {
                    time,
                    lost: batch.lost,
                },
                &mut self.pending,
            );
            self.device().state().status.lost += batch.lost;
        }
        if !self.pending.is_empty() {
            self.unsigned.get_or_insert_with(Instant::now);
        }
        let ordered = batch.checkpoint || batch.reopen;
        if ordered || self.due().is_some_and(|left| left.is_zero()) {
            self.sign();
        }
    }

    fn sign(&mut self) {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if let (Some(keys), Some(_)) = (keys.as_ref(), self.unsigned) {
            let seq = self.chain.next_seq();
            let time = (self.clock)().to_string();
            self.chain
                .checkpoint(time, &keys.cluster, &keys.signing, &mut self.pending);
            self.unsigned = None;
            self.device().state().status.checkpoint_seq = seq;
        }
    }

    /// Writes what is pending, however long it takes.
    fn deliver(&mut self) -> Result<(), Closed> {
        while self.written < self.pending.len() {
            let Some(sink) = &mut self.sink else {
                self.open_again()?;
                continue;
            };
            match sink.write(&self.pending[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let stream = sink.is_stream();
                    self.shared.failed(self.device(), &error);
                    if self.pause()? || stream {
                        self.close();
                    }
                }
            }
        }
        self.delivered();
        Ok(())
    }

    fn delivered(&mut self) {
        self.pending.clear();
        self.written = 0;
        self.base = Some((self.chain.head(), self.chain.next_seq()));
    }

    /// Waits before the next attempt. True: the operator wants the device reopened.
    fn pause(&self) -> Result<bool, Closed> {
        let inbox = self.shared.inbox();
        let idle =
            |inbox: &mut super::device::Inbox| !inbox.closed && !inbox.queues[self.index].reopen;
        let (mut inbox, _) = self
            .device()
            .wake
            .wait_timeout_while(inbox, RETRY, idle)
            .unwrap_or_else(PoisonError::into_inner);
        if inbox.closed {
            return Err(Closed);
        }
        Ok(std::mem::take(&mut inbox.queues[self.index].reopen))
    }

    /// The batch is written.
    fn publish(&mut self) {
        let ticket = self.last;
        {
            let mut state = self.device().state();
            state.status.seq = self.chain.next_seq() - 1;
            state.head = Some(self.chain.head());
        }
        if !self.syncer.is_broken() {
            self.shared.recovered(self.device());
        }
        self.shared.written(self.device(), ticket);
        match self.sink.as_ref().and_then(Sink::syncable) {
            Some(_) => self.syncer.written(ticket),
            None => self.shared.synced(self.device(), ticket),
        }
    }

    /// Some lines are chained and not written.
    pub(super) fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The process ends.
    pub(super) fn end(&mut self) {
        self.close();
        self.syncer.close();
    }

    fn close(&mut self) {
        self.syncer.replace(None);
        if let Some(file) = self.sink.take().as_ref().and_then(Sink::syncable) {
            if let Err(error) = self.leave(&file) {
                tracing::error!(device = %self.device().config.name(), %error, "cannot close");
            }
            // The syncer may hold the file a little longer; it must not hold the lock.
            let _ = rustix::fs::flock(&*file, rustix::fs::FlockOperation::Unlock);
        }
    }

    /// Takes back the half line of a write that was cut short, and syncs.
    fn leave(&mut self, file: &std::fs::File) -> std::io::Result<()> {
        let torn = self.written - self.whole();
        if torn > 0 {
            file.set_len(file.metadata()?.len().saturating_sub(torn as u64))?;
            self.written -= torn;
        }
        file.sync_data()
    }

    /// How much of `pending` is written in whole lines.
    fn whole(&self) -> usize {
        let done = &self.pending[..self.written];
        done.iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1)
    }

    fn open_again(&mut self) -> Result<(), Closed> {
        while let Err(error) = self.open() {
            self.shared.failed(self.device(), &error);
            self.pause()?;
        }
        Ok(())
    }

    /// Opens the device and ties what is pending to what it already holds.
    fn open(&mut self) -> Result<(), OpenError> {
        let (sink, tail) = Sink::open(&self.device().config)?;
        let left = self.unwritten();
        self.begin(tail, sink.syncable().is_some())?;
        for object in &left {
            self.chain.append(object, &mut self.pending);
        }
        if !self.pending.is_empty() {
            self.unsigned.get_or_insert_with(Instant::now);
        }
        self.syncer.replace(sink.syncable());
        self.sink = Some(sink);
        Ok(())
    }

    /// Continues the chain. Leaves in `pending` what the opening itself has to say.
    fn begin(&mut self, tail: Tail, regular: bool) -> Result<(), OpenError> {
        let time = (self.clock)().to_string();
        // A stream has no memory: every connection is a chain of its own.
        let base = self.base.filter(|_| regular);
        match tail {
            Tail::Line { head, next, .. } if base.is_some_and(|base| base != (head, next)) => {
                return Err(OpenError::Changed);
            }
            Tail::Line {
                head,
                next,
                unsigned,
                ..
            } => {
                self.start_at(head, next);
                if unsigned {
                    self.unsigned.get_or_insert_with(Instant::now);
                }
            }
            Tail::Empty { .. } => {
                let (head, next) = base.unwrap_or((Link::GENESIS, 1));
                self.start_at(head, next);
                let start = Mark::Start {
                    time: time.clone(),
                    version: VERSION,
                    previous: head.to_string(),
                };
                self.chain.mark(&start, &mut self.pending);
            }
        }
        let (Tail::Empty { cut } | Tail::Line { cut, .. }) = tail;
        if cut > 0 {
            self.chain
                .mark(&Mark::Repair { time, cut }, &mut self.pending);
        }
        Ok(())
    }

    fn start_at(&mut self, head: Link, next: u64) {
        self.chain = Chain::new(head, next);
        self.base = Some((head, next));
        self.pending.clear();
        self.written = 0;
    }

    /// The records in `pending` that are not written as a whole; `base` moves behind those
    /// that are. Checkpoints are not among them: they are made anew.
    fn unwritten(&mut self) -> Vec<Vec<u8>> {
        let newline = |byte: &u8| *byte == b'\n';
        let (done, left) = self.pending.split_at(self.whole());
        let mut lines = done
            .split(newline)
            .filter_map(|line| Line::parse(line).ok());
        if let Some(last) = lines.next_back() {
            self.base = Some((last.link, last.seq.saturating_add(1)));
        }
        left.split(newline)
            .filter_map(|line| Line::parse(line).ok())
            .filter(|line| {
                !matches!(
                    Mark::parse(line.fields),
                    Some(Some(Mark::Checkpoint { .. } | Mark::Start { .. }))
                )
            })
            .map(|line| [line.fields, b"}"].concat())
            .collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use vault_audit::{Options, Report, verify};
    use vault_crypto::{Key, Prf, SigningKey};

    use super::super::{DeviceConfig, Keys};
    use super::*;

    fn writer(path: &Path) -> Writer {
        let key = Key::from_slice(&[7; 32]).unwrap();
        let keys = Keys {
            hmac: Prf::new(&key),
            signing: SigningKey::from_seed(&key),
            cluster: "c".to_owned(),
        };
        let config = DeviceConfig::File {
            path: path.to_owned(),
            strict: false,
        };
        let shared = Arc::new(Shared::new(vec![config]));
        Writer {
            index: 0,
            syncer: Syncer::spawn(Arc::clone(&shared), 0).unwrap(),
            shared,
            keys: Arc::new(std::sync::RwLock::new(Some(keys))),
            clock: Arc::new(|| jiff::Timestamp::UNIX_EPOCH),
            sink: None,
            chain: Chain::new(Link::GENESIS, 1),
            base: None,
            pending: Vec::new(),
            written: 0,
            last: 0,
            unsigned: None,
            batch: Queue::default(),
        }
    }

    fn batch(ids: std::ops::Range<u32>) -> Queue {
        let mut queue = Queue {
            checkpoint: true,
            ..Queue::default()
        };
        for id in ids {
            queue
                .bytes
                .extend_from_slice(format!(r#"{{"type":"request","id":{id}}}"#).as_bytes());
            queue.ends.push(queue.bytes.len());
        }
        queue
    }

    fn check(path: &Path) -> Report {
        verify(&std::fs::read(path).unwrap()[..], &Options::default())
    }

    /// A disk that is full after any number of bytes, then repaired or replaced.
    #[test]
    fn a_batch_cut_short_anywhere_is_completed_in_the_same_or_in_a_new_file() {
        for (cut, rotate) in (0..1300)
            .step_by(13)
            .flat_map(|cut| [(cut, false), (cut, true)])
        {
            let dir = tempfile::tempdir().unwrap();
            let (path, old) = (dir.path().join("audit"), dir.path().join("old"));
            let mut writer = writer(&path);
            writer.open().unwrap();
            writer.tie(&batch(0..2));
            assert!(writer.deliver().is_ok());
            writer.tie(&batch(2..7));
            let cut = cut.min(writer.pending.len() - 1);
            if cut > 0 {
                let part = &writer.pending[..cut];
                writer.written = writer.sink.as_mut().unwrap().write(part).unwrap();
            }
            writer.close();
            if rotate {
                std::fs::rename(&path, &old).unwrap();
            }
            assert!(writer.deliver().is_ok());
            writer.tie(&batch(7..7));
            assert!(writer.deliver().is_ok());
            writer.syncer.close();

            let last = check(&path);
            assert_eq!(
                (&last.problem, last.unsigned_tail, last.repairs),
                (&None, 0, 0)
            );
            let mut entries = last.entries;
            if rotate {
                let first = check(&old);
                assert_eq!((&first.problem, first.head), (&None, last.previous));
                entries += first.entries;
            }
            assert_eq!(entries, 7, "cut at {cut}, rotated: {rotate}");
        }
    }
}
