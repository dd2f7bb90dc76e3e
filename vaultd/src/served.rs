//! The certificates of the listeners: from files, an own authority, or an engine; renewed while the server
//! runs. Connections that are open keep the one that they began with; a failed renewal keeps the old one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::config::{Source, TlsConfig};
use crate::core::request::Verb;
use crate::core::{Core, by_itself};
use crate::engine::ending::Ending;
use crate::http::tls::{self, Files, Rules};

const TICK: Duration = Duration::from_secs(2);
/// After a failure; doubled each time.
const PAUSE: i64 = 5;
const PAUSE_MAX: i64 = 1800;

/// The certificate of one listener.
pub struct Served {
    pub shared: Arc<ArcSwap<rustls::ServerConfig>>,
    address: SocketAddr,
    rules: Rules,
    origin: Origin,
    /// Of own certificates, and of those that were obtained.
    dir: PathBuf,
    now: Mutex<State>,
}

enum Origin {
    Files { cert: PathBuf, key: PathBuf },
    Own { life: i64 },
    Engine { source: Source, file: PathBuf },
}

#[derive(Default)]
struct State {
    /// Of the acme engine's certificate; of an own one, when it begins.
    version: Option<u64>,
    failures: u32,
    next: Option<Timestamp>,
    failure: Option<String>,
}

impl Served {
    /// `None` without TLS. `number` tells listeners apart.
    pub fn new(
        dir: &Path,
        address: SocketAddr,
        tls: &TlsConfig,
        number: usize,
        now: Timestamp,
    ) -> Result<Option<Served>> {
        let (rules, origin) = match tls.clone() {
            TlsConfig::Off => return Ok(None),
            TlsConfig::Files { cert, key, rules } => (rules, Origin::Files { cert, key }),
            TlsConfig::Own { rules, life } => (rules, Origin::Own { life }),
            TlsConfig::Obtained { rules, source } => {
                let file = dir.join(format!("listener-{number}.pem"));
                (rules, Origin::Engine { source, file })
            }
        };
        let life = match &origin {
            Origin::Own { life } => Some(*life),
            Origin::Engine { file, .. } if !file.exists() => Some(tls::OWN_LIFE),
            _ => None,
        };
        if let Some(life) = life {
            tls::own(dir, address, now.as_second(), life).context("own TLS certificate")?;
        }
        let files = files(dir, &origin, &rules);
        Ok(Some(Served {
            shared: Arc::new(ArcSwap::new(tls::load(&files)?)),
            address,
            rules,
            origin,
            dir: dir.to_owned(),
            now: Mutex::default(),
        }))
    }

    /// The CA of an own certificate that is served.
    pub fn ca_file(&self) -> Option<PathBuf> {
        let is_own = match &self.origin {
            Origin::Files { .. } => false,
            Origin::Own { .. } => true,
            Origin::Engine { file, .. } => !file.exists(),
        };
        is_own.then(|| self.dir.join("ca.pem"))
    }

    /// Serves what is in the files now.
    pub fn reload(&self) -> Result<PathBuf> {
        let files = files(&self.dir, &self.origin, &self.rules);
        self.shared.store(tls::load(&files)?);
        Ok(files.cert)
    }

    async fn tick(&self, core: &Core) {
        let now = (core.clock)();
        let waits = self.state(|state| state.next.is_some_and(|next| next > now));
        let renewed = match waits {
            true => Ok(false),
            false => self.renew(core, now).await,
        };
        match renewed {
            Ok(true) => match self.reload() {
                Ok(file) => {
                    tracing::info!(listener = %self.address, file = %file.display(), "certificate renewed");
                    self.state(|state| {
                        *state = State {
                            version: state.version,
                            ..State::default()
                        }
                    });
                }
                Err(error) => self.failed(&error, now),
            },
            Ok(false) => {}
            Err(error) => self.failed(&error, now),
        }
        self.tell(core);
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn failed(&self, error: &anyhow::Error, now: Timestamp) {
        let text = format!("{error:#}");
        let is_news = self.state(|state| {
            state.failures = state.failures.saturating_add(1);
            let pause = PAUSE
                .saturating_mul(1 << (state.failures - 1).min(12))
                .min(PAUSE_MAX);
            state.next = now.checked_add(SignedDuration::from_secs(pause)).ok();
            state.failure.replace(text.clone()) != Some(text.clone())
        });
        if is_news {
            tracing::error!(listener = %self.address, "certificate not renewed, the old one stays: {text}");
        }
    }

    fn tell(&self, core: &Core) {
        let ends = tls::span(&files(&self.dir, &self.origin, &self.rules).cert).ok();
        let ending = Ending {
            name: self.address.to_string(),
            not_after: ends.and_then(|(_, ends)| Timestamp::from_second(ends).ok()),
            is_failing: self.state(|state| state.failure.is_some()),
        };
        let mut all = core.served.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(ending.name.clone(), ending);
    }

    /// True if there is a new one in the files.
    async fn renew(&self, core: &Core, now: Timestamp) -> Result<bool> {
        match &self.origin {
            Origin::Files { .. } => Ok(false),
            Origin::Own { life } => {
                let file = self.dir.join("server.pem");
                if is_due(&file, now) {
                    tls::own(&self.dir, self.address, now.as_second(), *life)?;
                }
                // Another listener may have renewed it.
                let begins = u64::try_from(tls::span(&file)?.0).ok();
                Ok(self.state(|state| state.version.replace(begins.unwrap_or(0))) != begins)
            }
            // Sealed, there is nothing to be had.
            Origin::Engine { .. } if !core.gate.is_open() => Ok(false),
            Origin::Engine { source, file } => match source {
                Source::Pki { .. } if !is_due(file, now) => Ok(false),
                Source::Pki { .. } => {
                    let (path, fields) = request(source);
                    let issued = by_itself::ask(core, Verb::Write, &path, &fields).await?;
                    keep(file, &issued).map(|()| true)
                }
                Source::Acme { mount, name } => {
                    let newest = by_itself::newest(core, mount, name).await?;
                    if newest.is_none() || newest == self.state(|state| state.version) {
                        return Ok(false);
                    }
                    let path = format!("{}/keypair/{name}", mount.trim_end_matches('/'));
                    let pair = by_itself::ask(core, Verb::Read, &path, &[]).await?;
                    keep(file, &pair)?;
                    self.state(|state| state.version = newest);
                    Ok(true)
                }
            },
        }
    }
}

fn files(dir: &Path, origin: &Origin, rules: &Rules) -> Files {
    let (cert, key) = match origin {
        Origin::Files { cert, key } => (cert.clone(), key.clone()),
        Origin::Engine { file, .. } if file.exists() => (file.clone(), file.clone()),
        _ => (dir.join("server.pem"), dir.join("server.key")),
    };
    let rules = rules.clone();
    Files { cert, key, rules }
}

/// A third of the life is left, or less; what cannot be read is due too.
fn is_due(file: &Path, now: Timestamp) -> bool {
    tls::span(file).map_or(true, |(begins, ends)| {
        now.as_second() >= ends - (ends - begins) / 3
    })
}

fn request(source: &Source) -> (String, Vec<(&'static str, Value)>) {
    match source {
        Source::Pki {
            mount,
            role,
            common_name,
            alt_names,
            ip_sans,
            ttl,
        } => {
            let mut fields = vec![
                ("common_name", json!(common_name)),
                ("alt_names", json!(alt_names.join(","))),
                ("ip_sans", json!(ip_sans.join(","))),
                ("private_key_format", json!("pkcs8")),
            ];
            fields.extend(ttl.map(|ttl| ("ttl", json!(ttl))));
            (
                format!("{}/issue/{role}", mount.trim_end_matches('/')),
                fields,
            )
        }
        Source::Acme { mount, name } => (
            format!("{}/keypair/{name}", mount.trim_end_matches('/')),
            Vec::new(),
        ),
    }
}

/// Writes key and chain of an answer.
fn keep(file: &Path, answer: &Map<String, Value>) -> Result<()> {
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let own = text("certificate").context("the engine gave no certificate")?;
    let key = text("private_key").context("the engine gave no key")?;
    let above = answer.get("ca_chain").and_then(Value::as_array);
    let above = above.into_iter().flatten().filter_map(Value::as_str);
    let chain: Vec<&str> = std::iter::once(own).chain(above).map(str::trim).collect();
    tls::keep(file, &chain.join("\n"), key)
}

/// Runs with the server.
pub async fn run(core: Arc<Core>, all: Arc<[Served]>) {
    loop {
        for served in all.iter() {
            served.tick(&core).await;
        }
        tokio::time::sleep(TICK).await;
    }
}
