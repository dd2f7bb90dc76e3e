//! The server's own log, on standard error. Its level can be changed while the server runs.

use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    configured: String,
    current: Mutex<String>,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Once for the process. A filter that does not parse is `info`.
pub fn start(filter: &str, json: bool) {
    let (layer, handle) = reload::Layer::new(parse(filter));
    let plain = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(layer);
    // Failing means that a test harness has set one up already.
    let _ = match json {
        true => registry.with(plain.json()).try_init(),
        false => registry.with(plain.with_ansi(false)).try_init(),
    };
    let _ = LOG.set(Log {
        filter: handle,
        configured: filter.to_owned(),
        current: Mutex::new(filter.to_owned()),
    });
}

fn parse(filter: &str) -> EnvFilter {
    EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// The filter that is in force; empty if there is no log.
pub fn level() -> String {
    LOG.get().map_or_else(String::new, |log| {
        log.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    })
}

pub fn set(filter: &str) {
    if let Some(log) = LOG.get() {
        let _ = log.filter.reload(parse(filter));
        *log.current.lock().unwrap_or_else(PoisonError::into_inner) = filter.to_owned();
    }
}

/// Back to what the config says.
pub fn revert() {
    if let Some(log) = LOG.get() {
        set(&log.configured);
    }
}
