//! Builds the parts, listens, reloads certificates, drains, seals on shutdown.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use vault_crypto::{Random, System};

use crate::audit::{Broker, DeviceConfig};
use crate::barrier::{Engine, Memory, SealRecord, Sqlite};
use crate::config::{AuditConfig, Config, StorageConfig};
use crate::core::autoseal::{self, Transit};
use crate::core::{Clock, Core, Settings, background};
use crate::http;
use crate::served::{self, Served};

/// A server that listens.
pub struct Server {
    pub core: Arc<Core>,
    pub addresses: Vec<(SocketAddr, bool)>,
    /// The CA that clients trust, if the server made its own.
    pub ca_file: Option<PathBuf>,
    certificates: Arc<[Served]>,
    stop: watch::Sender<bool>,
    /// Those that wait for `run`.
    bound: Vec<http::Listener>,
    workers: Arc<http::Workers>,
    proofs: Option<http::ProofListener>,
    listeners: tokio::task::JoinSet<()>,
    signals: Signals,
}

/// Caught before anybody can see that the server runs: by default each of them would end it.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }
}

pub fn system_clock() -> Clock {
    Arc::new(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where real time comes from"
        )]
        Timestamp::now()
    })
}

impl Server {
    /// Ready but for serving: who connects now is answered once it runs.
    pub async fn start(config: &Config) -> Result<Server> {
        let signals = Signals::catch()?;
        let clock = system_clock();
        let random: Arc<dyn Random> = Arc::new(System);
        let (engine, storage_type) = match &config.storage {
            StorageConfig::Memory => (Engine::Memory(Memory::new()), "inmem"),
            StorageConfig::Sqlite { dir } => {
                let engine =
                    Sqlite::open(dir).with_context(|| format!("storage at {}", dir.display()))?;
                (Engine::Sqlite(engine), "sqlite")
            }
        };
        let storage = Arc::new(engine);
        let audit = Arc::new(audit(&config.audit, &clock)?);
        let record = SealRecord::load(&storage).await.context("storage")?;
        let cluster_name = config
            .cluster_name
            .clone()
            .unwrap_or_else(|| match &record {
                Some(record) => format!("vaultd-{}", record.cluster.get(..8).unwrap_or("")),
                None => "vaultd".to_owned(),
            });
        let settings = Settings {
            compat_version: config.compat_version.clone(),
            storage_type,
            cluster_name,
            ttl: config.ttl,
            allow_generate_root: config.allow_generate_root,
            audit_folder: config.audit_folder.clone(),
            hooks: config.acme.hooks.clone(),
        };
        let mut core = Core::new(storage, audit, Arc::clone(&clock), random, settings);
        core.transit = config
            .seal
            .as_ref()
            .map(Transit::new)
            .transpose()
            .context("seal")?;
        let core = Arc::new(core);
        background::start(&core, config.verify_every);
        autoseal::start(&core);

        let (stop, _) = watch::channel(false);
        let mut server = Server {
            core,
            addresses: Vec::new(),
            ca_file: None,
            certificates: Arc::new([]),
            stop,
            bound: Vec::new(),
            workers: Arc::new(http::Workers::start().context("threads for connections")?),
            proofs: None,
            listeners: tokio::task::JoinSet::new(),
            signals,
        };
        let dir = match &config.storage {
            StorageConfig::Sqlite { dir } => dir.join("tls"),
            StorageConfig::Memory => {
                std::env::temp_dir().join(format!("vaultd-tls-{}", std::process::id()))
            }
        };
        let mut certificates = Vec::new();
        for (number, listener) in config.listeners.iter().enumerate() {
            let served = Served::new(&dir, listener.address, &listener.tls, number, clock())?;
            let tls = served.as_ref().map(|served| Arc::clone(&served.shared));
            let bound = http::bind(listener.address, tls.clone()).await;
            let bound = bound.with_context(|| format!("cannot listen on {}", listener.address))?;
            server.addresses.push((bound.address()?, tls.is_some()));
            server.bound.push(bound);
            server.ca_file = server.ca_file.or(served.as_ref().and_then(Served::ca_file));
            certificates.extend(served);
        }
        server.certificates = certificates.into();
        if let Some(address) = config.acme.http_listen {
            let bound = http::ProofListener::bind(address).await;
            let bound = bound.with_context(|| format!("cannot listen on {address} for http-01"))?;
            tracing::info!("proving names for http-01 on {}", bound.address()?);
            server.proofs = Some(bound);
        }
        Ok(server)
    }

    /// Serves until SIGTERM or SIGINT; SIGHUP reloads certificates and reopens audit files.
    pub async fn run(mut self) -> Result<()> {
        for listener in self.bound.drain(..) {
            let serve = listener.serve(
                Arc::clone(&self.core),
                Arc::clone(&self.workers),
                self.stop.subscribe(),
            );
            self.listeners.spawn(serve);
        }
        if let Some(proofs) = self.proofs.take() {
            let serve = proofs.serve(Arc::clone(&self.core), self.stop.subscribe());
            self.listeners.spawn(serve);
        }
        let renewal = served::run(Arc::clone(&self.core), Arc::clone(&self.certificates));
        let renewal = tokio::spawn(renewal);
        notify(&[
            sd_notify::NotifyState::Ready,
            sd_notify::NotifyState::Status("serving; see 'vaultctl status'"),
        ]);
        loop {
            tokio::select! {
                _ = self.signals.term.recv() => break,
                _ = self.signals.int.recv() => break,
                _ = self.signals.hup.recv() => self.reload(),
            }
        }
        notify(&[sd_notify::NotifyState::Stopping]);
        tracing::info!("stopping");
        renewal.abort();
        let _ = self.stop.send(true);
        self.core.gate.hurry();
        while self.listeners.join_next().await.is_some() {}
        self.core.seal().await;
        self.core.close_storage().await;
        Ok(())
    }

    /// Connections keep the certificate that they began with.
    fn reload(&self) {
        for served in self.certificates.iter() {
            match served.reload() {
                Ok(file) => tracing::info!(certificate = %file.display(), "certificate reloaded"),
                Err(error) => {
                    tracing::error!("certificate not reloaded, the old one stays: {error:#}")
                }
            }
        }
        self.core.audit.reopen();
    }
}

/// systemd, if it started us.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

fn audit(devices: &[AuditConfig], clock: &Clock) -> Result<Broker> {
    if devices.is_empty() {
        return Ok(Broker::discard(Arc::clone(clock)));
    }
    let devices = devices.iter().map(|device| match device {
        AuditConfig::File { path, strict } => DeviceConfig::File {
            path: absolute(path),
            strict: *strict,
        },
        AuditConfig::Stdout => DeviceConfig::Stdout,
    });
    Broker::open(devices.collect(), Arc::clone(clock)).context("audit")
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
