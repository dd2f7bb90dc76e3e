//! A device's thread: sleeps until there is something to do, and may hang on its device.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::device::Shared;
use super::file::OpenError;
use super::writer::{Closed, Writer};

/// A record that nobody waits for is written within that time.
const LAZY: Duration = Duration::from_secs(1);

/// More records at once than one request makes: under load a short pause makes batches larger, and
/// wake-ups, on both sides, fewer. The more load, the longer.
const BUSY: usize = 2;
const VERY_BUSY: usize = 8;
const PAUSE: Duration = Duration::from_micros(100);
const LONG_PAUSE: Duration = Duration::from_micros(300);

/// Tells whoever started the thread how the first opening went.
pub(super) struct Opening {
    index: usize,
    sender: Sender<(usize, Result<(), OpenError>)>,
}

impl Opening {
    pub(super) fn new(index: usize, sender: Sender<(usize, Result<(), OpenError>)>) -> Opening {
        Opening { index, sender }
    }

    pub(super) fn report(self, result: Result<(), OpenError>) {
        // Nobody listens any more if opening took too long.
        let _ = self.sender.send((self.index, result));
    }
}

/// The writer of one device. Held while there is something to write, never while nothing is.
pub(super) type Cell = Arc<Mutex<Writer>>;

fn locked(cell: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread of a device.
pub(super) fn spawn(
    writer: Writer,
    shared: &Arc<Shared>,
    opening: Opening,
) -> std::io::Result<Cell> {
    let cell = Arc::new(Mutex::new(writer));
    let (own, shared) = (Arc::clone(&cell), Arc::clone(shared));
    std::thread::Builder::new()
        .name("audit".to_owned())
        .spawn(move || run(&own, &shared, opening))?;
    Ok(cell)
}

fn run(cell: &Mutex<Writer>, shared: &Shared, opening: Opening) {
    let index = opening.index;
    if locked(cell).start(opening) {
        while wait(cell, shared, index).is_ok() {
            let Ok(records) = locked(cell).turn() else {
                break;
            };
            if records > VERY_BUSY {
                std::thread::sleep(LONG_PAUSE);
            } else if records > BUSY {
                std::thread::sleep(PAUSE);
            }
        }
    }
    locked(cell).end();
}

/// Sleeps until there is something to do.
fn wait(cell: &Mutex<Writer>, shared: &Shared, index: usize) -> Result<(), Closed> {
    loop {
        let due = {
            let writer = locked(cell);
            if writer.is_behind() {
                return Ok(());
            }
            writer.due()
        };
        let mut inbox = shared.inbox();
        let closed = inbox.closed;
        let queue = &mut inbox.queues[index];
        if queue.has_work() || due.is_some_and(|left| left.is_zero()) {
            return Ok(());
        }
        if closed {
            return Err(Closed);
        }
        if std::mem::take(&mut queue.look) {
            continue;
        }
        queue.asleep = true;
        let wake = &shared.devices[index].wake;
        inbox = wake
            .wait_timeout(inbox, due.unwrap_or(LAZY).min(LAZY))
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        inbox.queues[index].asleep = false;
    }
}
