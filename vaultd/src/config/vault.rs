//! Vault's and OpenBao's own config files, HCL or JSON. What has no meaning here is accepted by
//! name; what is not known by name is refused.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{
    AuditConfig, Config, ListenerConfig, StorageConfig, TlsConfig, address, seal, seconds,
};
use crate::hcl::{self, Body, Entry, Kind, Value};
use crate::http::tls::{ClientCert, OWN_LIFE, Rules};

/// Keys that other servers need and this one does not.
const NO_MEANING: &[&str] = &[
    "disable_mlock",
    "disable_cache",
    "cache_size",
    "ui",
    "api_addr",
    "cluster_addr",
    "plugin_directory",
    "pid_file",
    "raw_storage_endpoint",
    "disable_printable_check",
    "disable_performance_standby",
    "disable_sealwrap",
    "disable_clustering",
    "enable_response_header_hostname",
    "enable_response_header_raft_node_id",
    "telemetry",
    "log_requests_level",
    "log_file",
    "log_rotate_bytes",
    "max_request_duration",
    "introspection_endpoint",
    "unsafe_allow_api_audit_creation",
    "experiments",
    "reporting",
    "license_path",
    "ha_storage",
    "service_registration",
];

pub fn parse(text: &str) -> Result<Config> {
    let file = hcl::parse(text)?;
    let mut config = Config::default();
    for entry in &file.entries {
        top_level(&mut config, entry)
            .with_context(|| format!("line {}: {:?}", entry.key.position.line, entry.key.text))?;
    }
    if let (true, StorageConfig::Sqlite { dir }) = (config.audit.is_empty(), &config.storage) {
        config.audit.push(AuditConfig::File {
            path: dir.join("audit.log"),
            strict: false,
        });
    }
    // What is in memory is for trying things out, as in dev mode.
    if matches!(config.storage, StorageConfig::Memory) {
        config.audit_folder.get_or_insert_with(std::env::temp_dir);
    }
    Ok(config)
}

fn top_level(config: &mut Config, entry: &Entry) -> Result<()> {
    match entry.key.text.as_str() {
        "listener" => {
            for (kind, body) in labelled(entry)? {
                if kind != "tcp" {
                    bail!("only listeners of type \"tcp\" are known");
                }
                config.listeners.push(listener(body)?);
            }
        }
        "storage" | "backend" => {
            for (kind, body) in labelled(entry)? {
                config.storage = storage(&kind, body)?;
            }
        }
        "audit" => {
            for (kind, body) in labelled(entry)? {
                let options = body
                    .get("options")
                    .and_then(|entry| object(&entry.value))
                    .unwrap_or(body);
                let path = text(options, "file_path").or_else(|| text(options, "path"));
                match (kind.as_str(), path) {
                    ("file", Some(path)) if path == "stdout" => {
                        config.audit.push(AuditConfig::Stdout)
                    }
                    ("file", Some(path)) => config.audit.push(AuditConfig::File {
                        path: path.into(),
                        strict: false,
                    }),
                    ("file", None) => bail!("the file is missing: file_path"),
                    _ => bail!("only audit devices of type \"file\" are known"),
                }
            }
        }
        "seal" => {
            for (kind, body) in labelled(entry)? {
                match kind.as_str() {
                    "shamir" => {}
                    "transit" => config.seal = transit(body)?.settings()?,
                    _ => bail!("only the seals \"shamir\" and \"transit\" are known"),
                }
            }
        }
        "audit_folder" => config.audit_folder = entry.value.as_str().map(PathBuf::from),
        "default_lease_ttl" => config.ttl.default = duration(&entry.value)?,
        "max_lease_ttl" => config.ttl.max = duration(&entry.value)?,
        "cluster_name" => config.cluster_name = entry.value.as_str().map(str::to_owned),
        "log_level" => {
            config.log_level = entry.value.as_str().unwrap_or("info").to_ascii_lowercase()
        }
        "log_format" => config.log_json = entry.value.as_str() == Some("json"),
        "compat_version" => {
            config.compat_version = entry.value.as_str().unwrap_or_default().to_owned()
        }
        "allow_generate_root" => config.allow_generate_root = entry.value.as_bool() == Some(true),
        "verify_every" => config.verify_every = Duration::from_secs(duration(&entry.value)?),
        known if NO_MEANING.contains(&known) => {}
        _ => bail!("unknown key"),
    }
    // The system's maximum follows a default that was raised above it.
    config.ttl.max = config.ttl.max.max(config.ttl.default);
    Ok(())
}

/// `listener "tcp" { … }`, `listener = { tcp = { … } }`, or a list of either.
fn labelled(entry: &Entry) -> Result<Vec<(String, &Body)>> {
    if let Some(label) = entry.labels.first() {
        let body = object(&entry.value).context("expected a block")?;
        return Ok(vec![(label.text.clone(), body)]);
    }
    let items: Vec<&Value> = match &entry.value.kind {
        Kind::List(items) => items.iter().collect(),
        _ => vec![&entry.value],
    };
    let mut found = Vec::new();
    for item in items {
        for inner in &object(item).context("expected a block")?.entries {
            match &inner.value.kind {
                Kind::List(bodies) => {
                    for body in bodies {
                        found.push((
                            inner.key.text.clone(),
                            object(body).context("expected a block")?,
                        ));
                    }
                }
                _ => found.push((
                    inner.key.text.clone(),
                    object(&inner.value).context("expected a block")?,
                )),
            }
        }
    }
    Ok(found)
}

fn object(value: &Value) -> Option<&Body> {
    match &value.kind {
        Kind::Object(body) => Some(body),
        _ => None,
    }
}

fn text(body: &Body, key: &str) -> Option<String> {
    body.get(key)
        .and_then(|entry| entry.value.as_str())
        .map(str::to_owned)
}

/// `true`, `"true"`, `1`, `"1"`.
fn flag(body: &Body, key: &str) -> bool {
    body.get(key).is_some_and(|entry| {
        entry.value.as_bool() == Some(true)
            || entry.value.as_integer() == Some(1)
            || matches!(entry.value.as_str(), Some("true" | "1"))
    })
}

fn duration(value: &Value) -> Result<u64> {
    let found = value.as_str().and_then(seconds);
    let found = found.or_else(|| {
        value
            .as_integer()
            .and_then(|seconds| u64::try_from(seconds).ok())
    });
    found.context("expected a duration such as \"768h\"")
}

fn storage(kind: &str, body: &Body) -> Result<StorageConfig> {
    match kind {
        "inmem" | "memory" => Ok(StorageConfig::Memory),
        "file" | "raft" | "sqlite" => {
            let path = text(body, "path").context("the folder is missing: path")?;
            Ok(StorageConfig::Sqlite {
                dir: PathBuf::from(path),
            })
        }
        _ => bail!(
            "storage {kind:?} is not known: use \"file\", \"raft\" (both kept in the embedded database) or \"inmem\""
        ),
    }
}

/// Unknown keys are errors here too: a seal that is misread locks the door.
fn transit(body: &Body) -> Result<seal::Section> {
    let mut section = seal::Section::default();
    for entry in &body.entries {
        let name = entry.key.text.as_str();
        let set =
            seal::Setting::named(name).with_context(|| format!("seal: unknown key {name:?}"))?;
        match set {
            seal::Setting::Flag(field) => *field(&mut section) = flag(body, name),
            seal::Setting::Text(field) => *field(&mut section) = text(body, name),
            seal::Setting::Ignored => {}
        }
    }
    Ok(section)
}

fn listener(body: &Body) -> Result<ListenerConfig> {
    let address = address(&text(body, "address").unwrap_or_else(|| "127.0.0.1:8200".to_owned()))?;
    let allow_tls12 = text(body, "tls_min_version").as_deref() != Some("tls13");
    let client = ClientCert::new(
        text(body, "tls_client_ca_file").map(PathBuf::from),
        flag(body, "tls_require_and_verify_client_cert"),
        flag(body, "tls_disable_client_certs"),
    )?;
    let rules = Rules {
        allow_tls12,
        client,
    };
    let tls = match (
        flag(body, "tls_disable"),
        text(body, "tls_cert_file"),
        text(body, "tls_key_file"),
    ) {
        (true, _, _) => TlsConfig::Off,
        (false, Some(cert), Some(key)) => TlsConfig::Files {
            cert: cert.into(),
            key: key.into(),
            rules,
        },
        (false, None, None) => TlsConfig::Own {
            rules,
            life: OWN_LIFE,
        },
        (false, _, _) => bail!("tls_cert_file and tls_key_file belong together"),
    };
    Ok(ListenerConfig { address, tls })
}
