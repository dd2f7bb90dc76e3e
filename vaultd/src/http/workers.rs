//! The threads that serve connections, one for each processor. A connection stays on the thread that
//! it was given to: what it needs is in that processor's cache and in that thread's part of the heap,
//! and no thread waits for another to hand work over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::stack;

/// Dropping it ends the threads, and with them the connections that are left.
pub struct Workers(Vec<Worker>);

struct Worker {
    runtime: Handle,
    open: Arc<AtomicUsize>,
    _running: oneshot::Sender<()>,
}

impl Workers {
    pub fn start() -> std::io::Result<Workers> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        (0..processors)
            .map(|_| Worker::start())
            .collect::<Result<_, _>>()
            .map(Workers)
    }

    /// On the thread with the fewest connections.
    pub(super) fn spawn<F>(
        &self,
        stream: TcpStream,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> std::io::Result<()>
    where
        F: Future<Output = ()> + Send,
    {
        let load = |worker: &&Worker| worker.open.load(Ordering::Relaxed);
        let Some(worker) = self.0.iter().min_by_key(load) else {
            return Ok(());
        };
        // Readiness is told to the thread that serves.
        let stream = stream.into_std()?;
        let open = Open::new(&worker.open);
        worker.runtime.spawn(async move {
            let _open = open;
            match TcpStream::from_std(stream) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!(%error, "a connection was lost"),
            }
        });
        Ok(())
    }
}

impl Worker {
    fn start() -> std::io::Result<Worker> {
        let runtime = stack::watched(Builder::new_current_thread().enable_all())?;
        let handle = runtime.handle().clone();
        let (running, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || drop(runtime.block_on(stopped)))?;
        Ok(Worker {
            runtime: handle,
            open: Arc::default(),
            _running: running,
        })
    }
}

/// Counted until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Open {
        count.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
