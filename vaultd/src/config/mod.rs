//! File -> `Config`. Unknown keys are errors, with file, line and key; nothing here echoes a value.

mod listener;
mod native;
mod seal;
mod vault;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::core::autoseal::TransitSettings;
use crate::core::issue::SystemTtl;
use crate::http::tls::Rules;

/// Vault's defaults: 32 days.
const DEFAULT_TTL: u64 = 2_764_800;

#[derive(Debug, Clone)]
pub struct Config {
    pub listeners: Vec<ListenerConfig>,
    pub storage: StorageConfig,
    pub audit: Vec<AuditConfig>,
    /// Where devices that are enabled over the API may write; without it none can be enabled.
    pub audit_folder: Option<PathBuf>,
    pub cluster_name: Option<String>,
    /// The Vault level that is reported to clients: plain `X.Y.Z`.
    pub compat_version: String,
    pub ttl: SystemTtl,
    pub allow_generate_root: bool,
    pub verify_every: Duration,
    /// Unseal through another server.
    pub seal: Option<TransitSettings>,
    pub log_level: String,
    pub log_json: bool,
    pub acme: AcmeConfig,
}

/// How authorities are shown that names are ours.
#[derive(Debug, Clone, Default)]
pub struct AcmeConfig {
    /// Plain HTTP for http-01, and nothing else.
    pub http_listen: Option<SocketAddr>,
    /// Programs that write DNS records, by name.
    pub hooks: BTreeMap<String, PathBuf>,
}

#[derive(Debug, Clone)]
pub struct ListenerConfig {
    pub address: SocketAddr,
    pub tls: TlsConfig,
}

#[derive(Debug, Clone)]
pub enum TlsConfig {
    /// Only on loopback.
    Off,
    Files {
        cert: PathBuf,
        key: PathBuf,
        rules: Rules,
    },
    /// An own CA and certificate in the data folder.
    Own {
        rules: Rules,
        /// Seconds that a certificate lives.
        life: i64,
    },
    /// From an engine; until there is one, an own certificate.
    Obtained { rules: Rules, source: Source },
}

/// The engine that a listener's certificate comes from.
#[derive(Debug, Clone)]
pub enum Source {
    Pki {
        mount: String,
        role: String,
        common_name: String,
        alt_names: Vec<String>,
        ip_sans: Vec<String>,
        /// Seconds; `None` is the role's.
        ttl: Option<u64>,
    },
    Acme {
        mount: String,
        name: String,
    },
}

#[derive(Debug, Clone)]
pub enum StorageConfig {
    Sqlite { dir: PathBuf },
    Memory,
}

#[derive(Debug, Clone)]
pub enum AuditConfig {
    File { path: PathBuf, strict: bool },
    Stdout,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listeners: Vec::new(),
            storage: StorageConfig::Memory,
            audit: Vec::new(),
            audit_folder: None,
            cluster_name: None,
            compat_version: "1.16.3".to_owned(),
            ttl: SystemTtl {
                default: DEFAULT_TTL,
                max: DEFAULT_TTL,
            },
            allow_generate_root: false,
            verify_every: Duration::from_secs(3600),
            seal: None,
            log_level: "info".to_owned(),
            log_json: false,
            acme: AcmeConfig::default(),
        }
    }
}

impl Config {
    /// Reads a file of ours (TOML), or one of Vault's (HCL or JSON).
    pub fn load(path: &Path) -> Result<Config> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let is_toml = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => true,
            Some("hcl" | "json") => false,
            _ => {
                !text.trim_start().starts_with('{') && toml::from_str::<toml::Table>(&text).is_ok()
            }
        };
        let config = match is_toml {
            true => native::parse(&text),
            false => vault::parse(&text),
        };
        config
            .and_then(|config| config.check().map(|()| config))
            .with_context(|| format!("{}", path.display()))
    }

    fn check(&self) -> Result<()> {
        if self.listeners.is_empty() {
            bail!("no listener: add a [listener] section with an address");
        }
        for listener in &self.listeners {
            if matches!(listener.tls, TlsConfig::Off) && !listener.address.ip().is_loopback() {
                bail!(
                    "listener {}: TLS may be off only on a loopback address; remove tls_disable, and an own \
                     certificate is made, or give tls_cert_file and tls_key_file",
                    listener.address
                );
            }
        }
        if self
            .audit_folder
            .as_ref()
            .is_some_and(|dir| !dir.is_absolute())
        {
            bail!("audit_folder: expected an absolute path");
        }
        if self.acme.hooks.values().any(|path| !path.is_absolute()) {
            bail!("acme.hooks: expected absolute paths of programs");
        }
        let parts: Vec<&str> = self.compat_version.split('.').collect();
        if parts.len() != 3 || parts.iter().any(|part| part.parse::<u32>().is_err()) {
            bail!("compat_version: clients need three plain numbers such as 1.16.3");
        }
        if self.ttl.default > self.ttl.max {
            bail!("default_lease_ttl cannot be greater than max_lease_ttl");
        }
        Ok(())
    }
}

/// `1h30m` and the like, in seconds.
fn seconds(text: &str) -> Option<u64> {
    crate::core::body::parse_seconds(text)
}

/// Accepts `:8200` and host names of this machine besides `IP:PORT`.
fn address(text: &str) -> Result<SocketAddr> {
    use std::net::ToSocketAddrs;
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let text = if text.starts_with(':') {
        format!("0.0.0.0{text}")
    } else {
        text.to_owned()
    };
    let found = text
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next());
    found.context("listener address: expected IP:PORT, such as 127.0.0.1:8200")
}
