//! Our own format: TOML. `deploy/vaultd.toml` documents every key.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{AcmeConfig, AuditConfig, Config, StorageConfig, address, listener, seal, seconds};
use crate::core::issue::SystemTtl;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cluster_name: Option<String>,
    compat_version: Option<String>,
    default_lease_ttl: Option<String>,
    max_lease_ttl: Option<String>,
    #[serde(default)]
    allow_generate_root: bool,
    verify_every: Option<String>,
    audit_folder: Option<PathBuf>,
    listener: OneOrMany<Listener>,
    seal: Option<seal::Section>,
    storage: Storage,
    #[serde(default)]
    audit: Vec<Audit>,
    #[serde(default)]
    log: Log,
    #[serde(default)]
    acme: Acme,
}

/// `[listener]` or `[[listener]]`. Not an untagged enum: its errors would name no line and no key.
struct OneOrMany<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_any(TableOrTables(PhantomData))
    }
}

struct TableOrTables<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableOrTables<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        text.write_str("a table or a list of tables")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMany(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> std::result::Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMany)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    pub(super) address: String,
    pub(super) tls_cert_file: Option<PathBuf>,
    pub(super) tls_key_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) tls_disable: bool,
    pub(super) tls_min_version: Option<String>,
    pub(super) tls_client_ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) tls_require_and_verify_client_cert: bool,
    #[serde(default)]
    pub(super) tls_disable_client_certs: bool,
    pub(super) tls_source: Option<String>,
    pub(super) tls_mount: Option<String>,
    pub(super) tls_role: Option<String>,
    pub(super) tls_name: Option<String>,
    pub(super) tls_common_name: Option<String>,
    #[serde(default)]
    pub(super) tls_alt_names: Vec<String>,
    #[serde(default)]
    pub(super) tls_ip_sans: Vec<String>,
    pub(super) tls_ttl: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Storage {
    r#type: String,
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Audit {
    r#type: String,
    path: Option<PathBuf>,
    #[serde(default)]
    strict: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Acme {
    http_listen: Option<String>,
    #[serde(default)]
    hooks: BTreeMap<String, PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    level: Option<String>,
    format: Option<String>,
}

pub fn parse(text: &str) -> Result<Config> {
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => bail!("{}", place(text, &error)),
    };
    let default = Config::default();
    let storage = storage(&file.storage)?;
    let mut audit = file.audit.iter().map(device).collect::<Result<Vec<_>>>()?;
    if let (true, StorageConfig::Sqlite { dir }) = (audit.is_empty(), &storage) {
        audit.push(AuditConfig::File {
            path: dir.join("audit.log"),
            strict: false,
        });
    }
    Ok(Config {
        listeners: file
            .listener
            .0
            .into_iter()
            .map(listener::read)
            .collect::<Result<_>>()?,
        storage,
        audit,
        audit_folder: file.audit_folder,
        cluster_name: file.cluster_name,
        compat_version: file.compat_version.unwrap_or(default.compat_version),
        ttl: SystemTtl {
            default: duration("default_lease_ttl", file.default_lease_ttl)?
                .unwrap_or(default.ttl.default),
            max: duration("max_lease_ttl", file.max_lease_ttl)?.unwrap_or(default.ttl.max),
        },
        allow_generate_root: file.allow_generate_root,
        verify_every: duration("verify_every", file.verify_every)?
            .map_or(default.verify_every, Duration::from_secs),
        seal: file
            .seal
            .map(seal::Section::settings)
            .transpose()?
            .flatten(),
        acme: AcmeConfig {
            http_listen: file
                .acme
                .http_listen
                .as_deref()
                .map(address)
                .transpose()
                .context("acme.http_listen")?,
            hooks: file.acme.hooks,
        },
        log_level: file.log.level.unwrap_or(default.log_level),
        log_json: match file.log.format.as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(_) => bail!("log.format: expected \"text\" or \"json\""),
        },
    })
}

/// Line, key and cause, without any value: it may be a secret that was put there by mistake.
fn place(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text[..at].matches('\n').count() + 1;
    let key = text
        .lines()
        .nth(line - 1)
        .and_then(|line| line.split_once('='))
        .map(|(key, _)| key.trim());
    let is_name = |key: &&str| {
        key.chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    let key = key
        .filter(is_name)
        .map_or(String::new(), |key| format!(" {key:?}:"));
    // serde shows what it found: "invalid type: string …, expected a boolean".
    let message = error.message();
    let cause = match message.split_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => format!("expected {expected}"),
        _ => message.to_owned(),
    };
    format!("line {line}:{key} {cause}")
}

fn duration(key: &str, text: Option<String>) -> Result<Option<u64>> {
    text.map(|text| {
        seconds(&text).with_context(|| format!("{key}: expected a duration such as \"768h\""))
    })
    .transpose()
}

fn storage(storage: &Storage) -> Result<StorageConfig> {
    match storage.r#type.as_str() {
        "sqlite" => {
            let dir = storage
                .path
                .clone()
                .context("storage.path: the folder for the database is missing")?;
            Ok(StorageConfig::Sqlite { dir })
        }
        "memory" => Ok(StorageConfig::Memory),
        _ => bail!("storage.type: expected \"sqlite\" or \"memory\""),
    }
}

fn device(audit: &Audit) -> Result<AuditConfig> {
    match audit.r#type.as_str() {
        "file" => {
            let path = audit
                .path
                .clone()
                .context("audit.path: the file is missing")?;
            Ok(AuditConfig::File {
                path,
                strict: audit.strict,
            })
        }
        "stdout" => Ok(AuditConfig::Stdout),
        _ => bail!("audit.type: expected \"file\" or \"stdout\""),
    }
}
