//! The agent's file.
//!
//! ```toml
//! check_every = "5m"
//! metrics = "/var/lib/prometheus/node-exporter/vaultctl.prom"
//!
//! [login]
//! method = "approle"
//! role_id = "..."
//! secret_id_file = "/etc/vaultctl/secret-id"
//!
//! [certificate.shop]
//! role = "web"
//! name = "shop.example.com"
//! layout = "nginx"
//! to = "/etc/nginx/shop"
//! reload = "nginx -s reload"
//! probe = ["127.0.0.1:443"]
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use vault_sdk::{Auth, SecretId, SshKey};

use crate::certificate::record::Records;
use crate::certificate::spec::Spec;
use crate::error::{Failure, Outcome, file, local};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Toml {
    check_every: Option<String>,
    metrics: Option<PathBuf>,
    state: Option<PathBuf>,
    login: Option<Login>,
    #[serde(default)]
    certificate: BTreeMap<String, toml::Table>,
}

#[derive(Deserialize)]
#[serde(tag = "method", rename_all = "lowercase", deny_unknown_fields)]
enum Login {
    Approle {
        #[serde(default = "approle")]
        mount: String,
        role_id: String,
        secret_id_file: Option<PathBuf>,
    },
    Cert {
        #[serde(default = "cert")]
        mount: String,
        role: Option<String>,
    },
    Ssh {
        #[serde(default = "ssh")]
        mount: String,
        role: String,
        key: PathBuf,
    },
}

fn approle() -> String {
    "approle".to_owned()
}

fn cert() -> String {
    "cert".to_owned()
}

fn ssh() -> String {
    "ssh".to_owned()
}

/// What the agent does.
pub(crate) struct Config {
    /// How often it is looked whether all is well.
    pub(crate) check_every: Duration,
    /// For node_exporter's textfile collector.
    pub(crate) metrics: Option<PathBuf>,
    pub(crate) records: Records,
    pub(crate) auth: Option<Auth>,
    pub(crate) certificates: BTreeMap<String, Spec>,
}

impl Config {
    pub(crate) fn read(path: &Path) -> Outcome<Config> {
        let text = std::fs::read_to_string(path).map_err(|error| file("read", path, &error))?;
        let wrong = |why: String| wrong(path, why);
        let toml: Toml = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let mut certificates = BTreeMap::new();
        for (name, table) in toml.certificate {
            let spec = spec(table).map_err(|why| wrong(format!("[certificate.{name}]: {why}")))?;
            spec.check()
                .map_err(|failure| wrong(format!("[certificate.{name}]: {failure}")))?;
            certificates.insert(name, spec);
        }
        if certificates.is_empty() {
            return Err(wrong("it names no certificate".to_owned()));
        }
        let check_every = toml.check_every.as_deref().map(every).transpose();
        Ok(Config {
            check_every: check_every.map_err(wrong)?.unwrap_or(USUAL),
            metrics: toml.metrics,
            records: Records::at(toml.state),
            auth: toml.login.map(Login::auth),
            certificates,
        })
    }
}

/// Between two looks.
const USUAL: Duration = Duration::from_secs(300);

fn wrong(path: &Path, why: String) -> Failure {
    local(
        format!("{}: {}", path.display(), why.trim_end()),
        "deploy/certs/agent.toml has an example of everything",
    )
}

/// Keys that nobody knows are mistakes.
fn spec(table: toml::Table) -> Result<Spec, String> {
    let given: Vec<String> = table.keys().cloned().collect();
    let spec: Spec = table
        .try_into()
        .map_err(|error: toml::de::Error| error.message().to_owned())?;
    let known = serde_json::to_value(&spec).map_err(|error| error.to_string())?;
    match given.iter().find(|key| known.get(key.as_str()).is_none()) {
        Some(key) => Err(format!("unknown key {key}")),
        None => Ok(spec),
    }
}

fn every(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 0,
    };
    let seconds = digits.parse::<u64>().ok();
    match seconds.and_then(|seconds| seconds.checked_mul(factor)) {
        Some(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!(
            "check_every = {text:?}: write it like 30s, 5m or 1h, at most 24h"
        )),
    }
}

impl Login {
    fn auth(self) -> Auth {
        match self {
            Login::Approle {
                mount,
                role_id,
                secret_id_file,
            } => Auth::AppRole {
                mount,
                role_id,
                secret_id: secret_id_file.map_or(SecretId::None, SecretId::File),
            },
            Login::Cert { mount, role } => Auth::Cert { mount, role },
            Login::Ssh { mount, role, key } => Auth::Ssh {
                mount,
                role,
                key: SshKey::File(key),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str =
        "role = \"web\"\nname = \"shop.example.com\"\nlayout = \"nginx\"\nto = \"/x\"\n";

    fn read(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("agent.toml");
        std::fs::write(&path, text).expect("a file");
        Config::read(&path).map_err(|failure| failure.to_string())
    }

    #[test]
    fn mistakes_are_named() {
        let shop = |more: &str| format!("[certificate.shop]\n{SHOP}{more}\n");
        for (text, said) in [
            (String::new(), "names no certificate"),
            (shop("rolle = \"x\""), "unknown key rolle"),
            (shop("probe = [\"nowhere\"]"), "HOST:PORT"),
            (shop("mode = \"0644\""), "others could use the key"),
            (shop("reload = \"a 'b\""), "a quote has no end"),
            (format!("check_every = \"5\"\n{}", shop("")), "check_every"),
            (format!("metric = \"x\"\n{}", shop("")), "unknown field"),
            (shop("").replace("/x", "x"), "no absolute path"),
        ] {
            let failure = read(&text).err().unwrap_or_default();
            assert!(failure.contains(said), "{said}: {failure}");
        }
        let config = read(&shop("probe = [\"127.0.0.1:443\"]\nips = [\"10.0.0.1\"]"));
        assert!(config.is_ok_and(|config| config.certificates.contains_key("shop")));
    }
}
