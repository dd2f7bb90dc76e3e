//! The audit log: what was asked and what was answered, before either has an effect outside.
//!
//! Promises: a record counts as accepted only when at least one device has written it; a
//! device that fails or hangs does not delay the others; when none accepts, the caller gets
//! an error and must not go on. Secrets are HMACed before they come here (`value`).
//! Does not promise: that an accepted record survives a power loss (`Broker::durable` and
//! strict devices do).

mod added;
mod device;
mod devices;
mod entry;
mod file;
mod line;
mod sink;
mod sync;
mod thread;
mod turn;
mod value;
mod wait;
mod writer;

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use vault_crypto::{Prf, SigningKey};

pub use device::DeviceStatus;
pub use entry::{
    Asked, AskedText, AuthEntry, RequestEntry, RequestPart, ResponseEntry, ResponsePart, WrapEntry,
    encode_request, encode_response,
};
pub use file::OpenError;
pub use line::Line;
pub use value::{Data, Hashed, Hmac, HmacMap, Kept, Public};

use added::AddedDevices;
use device::Goal;
use devices::Devices;

/// How long a record may wait for a device before its request fails.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long the start and sealing wait for a device that hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much of a file is searched for records that a crash may have kept from it.
const RECOVERY: u64 = 16 << 20;

/// The wall clock.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceConfig {
    File {
        path: PathBuf,
        /// Accepted means durable: answers wait for the disk.
        strict: bool,
    },
    /// A plain file that somebody chose over the API.
    Confined {
        path: PathBuf,
    },
    Stdout,
    /// A stream socket; every connection begins a chain of its own.
    Unix {
        path: PathBuf,
    },
    Tcp {
        /// `host:port`
        address: String,
    },
}

/// What the audit log needs from the barrier.
pub struct Keys {
    pub hmac: Prf,
    pub signing: SigningKey,
    /// The cluster's id.
    pub cluster: String,
}

/// Stands for one appended record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

impl Ticket {
    /// Its place in the order of appended records.
    pub fn number(self) -> u64 {
        self.0
    }

    pub fn from_number(number: u64) -> Ticket {
        Ticket(number)
    }
}

/// Why a record was not accepted, or the log not opened.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("no audit device is configured; name at least one file")]
    NoDevice,
    #[error("audit device {device}: {error}")]
    Open { device: String, error: OpenError },
    #[error("cannot start a thread for an audit device: {0}")]
    Thread(std::io::Error),
    #[error("no audit device accepted the record ({0}); repair one of them, then retry")]
    Refused(String),
    #[error("no audit device accepted the record in time ({0}); repair one of them, then retry")]
    TimedOut(String),
}

/// The keys while unsealed.
type Keyring = Arc<RwLock<Option<Keys>>>;

/// One for the process; exists while sealed too.
pub struct Broker {
    devices: Devices,
    added: AddedDevices,
    keys: Keyring,
    clock: Clock,
    deadline: Duration,
}

impl Broker {
    /// Opens every device. A device that hangs (a pipe without a reader) is waited for a
    /// moment and then left to itself.
    ///
    /// # Errors
    /// No device, or one that cannot be opened.
    pub fn open(config: Vec<DeviceConfig>, clock: Clock) -> Result<Broker, AuditError> {
        if config.is_empty() {
            return Err(AuditError::NoDevice);
        }
        let keys = Keyring::default();
        let devices = Devices::open(config, &keys, &clock, PATIENCE)?;
        Ok(Broker {
            devices,
            added: AddedDevices::default(),
            keys,
            clock,
            deadline: DEADLINE,
        })
    }

    /// Accepts everything and writes nothing: for dev mode.
    pub fn discard(clock: Clock) -> Broker {
        Broker {
            devices: Devices::none(),
            added: AddedDevices::default(),
            keys: Keyring::default(),
            clock,
            deadline: DEADLINE,
        }
    }

    /// Adds a device under a label; one with this label that is there stays. It gets what is recorded
    /// from now on, and neither refuses nor delays anything.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn add(&self, label: &str, config: DeviceConfig) -> Result<(), AuditError> {
        if self.added.has(label) {
            return Ok(());
        }
        let (keys, clock) = (Arc::clone(&self.keys), Arc::clone(&self.clock));
        // Opening may block.
        let opened = tokio::task::spawn_blocking(move || {
            Devices::open(vec![config], &keys, &clock, PATIENCE)
        });
        let devices = opened.await.unwrap_or(Err(AuditError::NoDevice))?;
        self.added.add(label, devices);
        Ok(())
    }

    /// Takes away a device that was added; false if there is none with this label.
    pub fn remove(&self, label: &str) -> bool {
        self.added.remove(label)
    }

    /// After unsealing: values can be HMACed and checkpoints signed.
    pub fn unlock(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(keys);
        self.devices.checkpoint();
        self.added.checkpoint();
    }

    /// Before sealing: signs and syncs what is there, then drops the keys, which wipes them.
    pub async fn lock(&self) {
        let ticket = self.devices.checkpoint();
        let all = Waiting {
            devices: &self.devices,
            first: ticket,
            last: ticket,
            goal: Goal::Everywhere,
        };
        let settled = async { tokio::join!(all, self.added.settle()) };
        if tokio::time::timeout(PATIENCE, settled).await.is_err() {
            tracing::warn!("sealing did not wait any longer for an audit device that hangs");
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How a value looks in the log: `hmac-sha256:<hex>`. `None` while sealed.
    pub fn hmac(&self, value: &[u8]) -> Option<String> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::with_capacity(76);
        value::hmac_text(&keys.as_ref()?.hmac, value, &mut text);
        String::from_utf8(text).ok()
    }

    /// [`Asked::encode`] with the key of this log.
    pub fn asked(&self, asked: &Asked<'_>) -> AskedText {
        self.with_hmac(|hmac| asked.encode(hmac))
    }

    /// [`encode_request`] with the key of this log, then [`append`](Self::append).
    pub fn request(&self, entry: &RequestEntry<'_>) -> Ticket {
        self.append(&self.with_hmac(|hmac| encode_request(entry, hmac)))
    }

    /// [`encode_response`] with the key of this log, then [`append`](Self::append).
    pub fn response(&self, entry: &ResponseEntry<'_>) -> Ticket {
        self.append(&self.with_hmac(|hmac| encode_response(entry, hmac)))
    }

    fn with_hmac<T>(&self, encode: impl FnOnce(Option<&Prf>) -> T) -> T {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        encode(keys.as_ref().map(|keys| &keys.hmac))
    }

    /// Hands a record to every device and does not wait. `line` is one JSON object without a
    /// newline, as the `encode` functions make it.
    pub fn append(&self, line: &[u8]) -> Ticket {
        self.added.append(line);
        Ticket(self.devices.append(line, true))
    }

    /// As [`append`](Self::append), for a record that a later one of the same request is going to
    /// follow: it is written with that one, or within a second. Saves a wake-up.
    pub fn append_lazily(&self, line: &[u8]) -> Ticket {
        self.added.append(line);
        Ticket(self.devices.append(line, false))
    }

    /// Returns when at least one device has written the record (a strict one: synced it).
    ///
    /// # Errors
    /// Every device failed, or none answered in time: the request must not go on.
    pub async fn accepted(&self, ticket: Ticket) -> Result<(), AuditError> {
        self.reached(ticket, ticket, Goal::Accepted).await
    }

    /// [`accepted`](Self::accepted) for two records and all between them, with one wait: for a
    /// request without effects, whose two records may be written together.
    ///
    /// # Errors
    /// As [`accepted`](Self::accepted).
    pub async fn accepted_both(&self, first: Ticket, last: Ticket) -> Result<(), AuditError> {
        self.reached(first, last, Goal::Accepted).await
    }

    /// Returns when at least one device has the record on stable storage.
    ///
    /// # Errors
    /// As [`accepted`](Self::accepted).
    pub async fn durable(&self, ticket: Ticket) -> Result<(), AuditError> {
        self.reached(ticket, ticket, Goal::Durable).await
    }

    async fn reached(&self, first: Ticket, last: Ticket, goal: Goal) -> Result<(), AuditError> {
        if self.devices.is_direct() {
            // Whoever else is about to record something does so before all of it is written.
            turn::others_first().await;
            if self.devices.reached(first.0, last.0, goal) == Some(true) {
                return Ok(());
            }
            self.devices.write_now();
        }
        if self.devices.reached(first.0, last.0, goal) == Some(true) {
            return Ok(());
        }
        let waiting = Waiting {
            devices: &self.devices,
            first: first.0,
            last: last.0,
            goal,
        };
        match tokio::time::timeout(self.deadline, waiting).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AuditError::Refused(self.devices.describe())),
            Err(_) => Err(AuditError::TimedOut(self.devices.describe())),
        }
    }

    /// Opens the files anew, after they were rotated. A new file begins where the old ended.
    pub fn reopen(&self) {
        self.devices.reopen();
        self.added.reopen();
    }

    /// One for each device, in the order of the configuration; then those that were added.
    pub fn status(&self) -> Vec<DeviceStatus> {
        let mut all = self.devices.status();
        all.extend(self.added.status());
        all
    }

    /// Those request ids that have no request record in the last 16 MiB of the first file:
    /// after a power loss their records are to be appended again. All of them if there is no
    /// file.
    pub fn missing(&self, ids: &[String]) -> Vec<String> {
        let found = self
            .devices
            .first_file()
            .and_then(|path| recent_ids(path).ok());
        let found = found.unwrap_or_default();
        ids.iter()
            .filter(|id| !found.contains(*id))
            .cloned()
            .collect()
    }
}

/// The ids of the requests at the end of a file.
fn recent_ids(path: &std::path::Path) -> std::io::Result<std::collections::HashSet<String>> {
    let mut file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    let end = file::read_last(&mut file, size, RECOVERY)?;
    Ok(end
        .split(|byte| *byte == b'\n')
        .filter_map(entry::request_id)
        .collect())
}

/// Resolves to whether the goal was reached; pending while it still can be.
struct Waiting<'a> {
    devices: &'a Devices,
    first: u64,
    last: u64,
    goal: Goal,
}

impl Future for Waiting<'_> {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let look = || self.devices.reached(self.first, self.last, self.goal);
        let outcome = look().or_else(|| {
            self.devices.register(self.last, self.goal, context.waker());
            // It may have come through between the two.
            look()
        });
        outcome.map_or(Poll::Pending, Poll::Ready)
    }
}
