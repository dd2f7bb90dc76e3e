//! The mount table: which engine or method is at which path.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vault_crypto::{Random, random_base62, uuid_v4};

use super::fault::Fault;
use super::lockout::LockoutRules;
use crate::barrier::{Tx, View};

/// Reserved numbers of views that no mount may have.
pub mod reserved {
    pub const MOUNTS: u64 = 1;
    pub const TOKENS: u64 = 2;
    pub const POLICIES: u64 = 3;
    pub const SYSTEM: u64 = 4;
    pub const IDENTITY: u64 = 5;
    pub const FIRST_FREE: u64 = 100;
}

/// Engines and methods that can be mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Kv1,
    Kv2,
    Transit,
    Totp,
    /// The engine that clients call `ssh`.
    SshCa,
    SshKeys,
    Pki,
    Acme,
    Cubbyhole,
    System,
    Identity,
    Token,
    Approle,
    Userpass,
    Jwt,
    Oidc,
    Kubernetes,
    Github,
    Gcp,
    Cert,
    Ssh,
    Ldap,
}

impl Kind {
    /// The type by which clients name it.
    pub fn type_name(self) -> &'static str {
        match self {
            Kind::Kv1 | Kind::Kv2 => "kv",
            Kind::Transit => "transit",
            Kind::Totp => "totp",
            Kind::SshCa => "ssh",
            Kind::SshKeys => "sshkeys",
            Kind::Pki => "pki",
            Kind::Acme => "acme",
            Kind::Cubbyhole => "cubbyhole",
            Kind::System => "system",
            Kind::Identity => "identity",
            Kind::Token => "token",
            Kind::Approle => "approle",
            Kind::Userpass => "userpass",
            Kind::Jwt => "jwt",
            Kind::Oidc => "oidc",
            Kind::Kubernetes => "kubernetes",
            Kind::Github => "github",
            Kind::Gcp => "gcp",
            Kind::Cert => "cert",
            Kind::Ssh => "ssh",
            Kind::Ldap => "ldap",
        }
    }

    pub fn is_auth(self) -> bool {
        matches!(
            self,
            Kind::Token
                | Kind::Approle
                | Kind::Userpass
                | Kind::Jwt
                | Kind::Oidc
                | Kind::Kubernetes
                | Kind::Github
                | Kind::Gcp
                | Kind::Cert
                | Kind::Ssh
                | Kind::Ldap
        )
    }

    /// Made at init, and can be neither moved nor removed.
    pub fn is_fixed(self) -> bool {
        matches!(
            self,
            Kind::Cubbyhole | Kind::System | Kind::Identity | Kind::Token
        )
    }
}

/// Settings that can be tuned. 0 seconds means the system default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountConfig {
    pub default_lease_ttl: u64,
    pub max_lease_ttl: u64,
    pub force_no_cache: bool,
    pub listing_visibility: String,
    pub token_type: String,
    pub audit_non_hmac_request_keys: Vec<String>,
    pub audit_non_hmac_response_keys: Vec<String>,
    pub passthrough_request_headers: Vec<String>,
    pub allowed_response_headers: Vec<String>,
    /// Of methods with passwords; `None` is the default.
    pub lockout: Option<LockoutRules>,
}

/// One mount.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    /// Number of its view; never used again.
    pub number: u64,
    pub kind: Kind,
    /// Ends in `/`; below `auth/` for methods.
    pub path: String,
    pub accessor: String,
    pub uuid: String,
    pub description: String,
    pub config: MountConfig,
    pub options: Option<BTreeMap<String, String>>,
    pub local: bool,
    pub seal_wrap: bool,
    pub external_entropy_access: bool,
}

impl Mount {
    pub fn new(
        number: u64,
        kind: Kind,
        path: &str,
        description: &str,
        random: &dyn Random,
    ) -> Mount {
        let options = match kind {
            Kind::Kv2 => Some(BTreeMap::from([("version".to_owned(), "2".to_owned())])),
            _ => None,
        };
        let accessor_kind = if kind.is_auth() { "auth_" } else { "" };
        Mount {
            number,
            kind,
            path: path.to_owned(),
            accessor: format!(
                "{accessor_kind}{}_{}",
                kind.type_name(),
                &random_base62(8, random).to_lowercase()
            ),
            uuid: uuid_v4(random),
            description: description.to_owned(),
            config: MountConfig::default(),
            options,
            local: matches!(kind, Kind::Cubbyhole),
            seal_wrap: false,
            external_entropy_access: false,
        }
    }

    /// The path below `auth/` for a method, the path itself otherwise.
    pub fn name(&self) -> &str {
        match self.kind.is_auth() {
            true => self.path.strip_prefix("auth/").unwrap_or(&self.path),
            false => &self.path,
        }
    }

    /// As `sys/mounts` shows it.
    pub fn show(&self) -> Value {
        let mut config = Map::new();
        config.insert(
            "default_lease_ttl".into(),
            json!(self.config.default_lease_ttl),
        );
        config.insert("max_lease_ttl".into(), json!(self.config.max_lease_ttl));
        config.insert("force_no_cache".into(), json!(self.config.force_no_cache));
        self.show_optional(&mut config);
        if self.kind.is_auth() {
            config.insert("token_type".into(), json!(self.token_type()));
        }
        json!({
            "type": self.kind.type_name(),
            "description": self.description,
            "accessor": self.accessor,
            "uuid": self.uuid,
            "config": config,
            "options": self.options,
            "local": self.local,
            "seal_wrap": self.seal_wrap,
            "external_entropy_access": self.external_entropy_access,
            "plugin_version": "",
            "running_plugin_version": "",
            "running_sha256": "",
            "deprecation_status": "supported",
        })
    }

    fn show_optional(&self, into: &mut Map<String, Value>) {
        let config = &self.config;
        if !config.listing_visibility.is_empty() {
            into.insert(
                "listing_visibility".into(),
                json!(config.listing_visibility),
            );
        }
        for (name, list) in [
            (
                "audit_non_hmac_request_keys",
                &config.audit_non_hmac_request_keys,
            ),
            (
                "audit_non_hmac_response_keys",
                &config.audit_non_hmac_response_keys,
            ),
            (
                "passthrough_request_headers",
                &config.passthrough_request_headers,
            ),
            ("allowed_response_headers", &config.allowed_response_headers),
        ] {
            if !list.is_empty() {
                into.insert(name.into(), json!(list));
            }
        }
    }

    pub fn token_type(&self) -> &str {
        if self.config.token_type.is_empty() {
            "default-service"
        } else {
            &self.config.token_type
        }
    }

    /// As `sys/mounts/:path/tune` shows it, with the system's defaults filled in.
    pub fn show_tune(&self, default_ttl: u64, max_ttl: u64) -> Map<String, Value> {
        let mut tune = Map::new();
        let or = |value: u64, default: u64| if value == 0 { default } else { value };
        tune.insert(
            "default_lease_ttl".into(),
            json!(or(self.config.default_lease_ttl, default_ttl)),
        );
        tune.insert(
            "max_lease_ttl".into(),
            json!(or(self.config.max_lease_ttl, max_ttl)),
        );
        tune.insert("force_no_cache".into(), json!(self.config.force_no_cache));
        tune.insert("description".into(), json!(self.description));
        if let Some(options) = &self.options {
            tune.insert("options".into(), json!(options));
        }
        if self.kind.is_auth() {
            tune.insert("token_type".into(), json!(self.token_type()));
        }
        if let Some(rules) = &self.config.lockout {
            for (name, value) in [
                ("user_lockout_threshold", json!(rules.threshold)),
                ("user_lockout_duration", json!(rules.duration)),
                (
                    "user_lockout_counter_reset_duration",
                    json!(rules.counter_reset),
                ),
                ("user_lockout_disable", json!(rules.disable)),
            ] {
                tune.insert(name.into(), value);
            }
        }
        self.show_optional(&mut tune);
        tune
    }
}

/// Every mount, as of one moment. Replaced as a whole, never edited.
#[derive(Default)]
pub struct MountTable {
    /// By path; the longest match of a request's path wins.
    by_path: BTreeMap<String, Arc<Mount>>,
}

impl MountTable {
    pub async fn load(tx: &mut Tx) -> Result<MountTable, Fault> {
        let mut view = tx.view(reserved::MOUNTS);
        let mut by_path = BTreeMap::new();
        for number in view.list("mount").await? {
            if let Some(mount) = view.get::<Mount>(&format!("mount/{number}")).await? {
                by_path.insert(mount.path.clone(), Arc::new(mount));
            }
        }
        Ok(MountTable { by_path })
    }

    /// The mount that serves a path, and what is left of the path.
    pub fn resolve<'p>(&self, path: &'p str) -> Option<(&Arc<Mount>, &'p str)> {
        let mut end = path.len();
        loop {
            let prefix = &path[..end];
            if prefix.ends_with('/') {
                if let Some(mount) = self.by_path.get(prefix) {
                    return Some((mount, &path[end..]));
                }
                end -= 1;
            }
            end = path[..end].rfind('/')? + 1;
        }
    }

    pub fn get(&self, path: &str) -> Option<&Arc<Mount>> {
        self.by_path.get(path)
    }

    pub fn by_number(&self, number: u64) -> Option<&Arc<Mount>> {
        self.by_path.values().find(|mount| mount.number == number)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Mount>> {
        self.by_path.values()
    }

    /// A mount that is at, above or below a path, which makes the path unusable for another.
    pub fn conflict(&self, path: &str) -> Option<&Arc<Mount>> {
        let above = self
            .by_path
            .values()
            .find(|mount| path.starts_with(mount.path.as_str()));
        above.or_else(|| {
            self.by_path
                .values()
                .find(|mount| mount.path.starts_with(path))
        })
    }
}

/// Stores a mount. Every change of the table writes one common row, so that two changes at once
/// cannot both be based on the same table.
pub async fn store(view: &mut View<'_>, mount: &Mount) -> Result<(), Fault> {
    bump(view).await?;
    Ok(view.put(&format!("mount/{}", mount.number), mount).await?)
}

/// Fails if there is no mount with this number.
pub async fn require(view: &mut View<'_>, number: u64) -> Result<(), Fault> {
    match view.exists(&format!("mount/{number}")).await? {
        true => Ok(()),
        false => Err(Fault::Missing),
    }
}

pub async fn remove(view: &mut View<'_>, mount: &Mount) -> Result<(), Fault> {
    bump(view).await?;
    view.put(&format!("purge/{}", mount.number), &mount.path)
        .await?;
    Ok(view.delete(&format!("mount/{}", mount.number)).await?)
}

async fn bump(view: &mut View<'_>) -> Result<(), Fault> {
    let changes: u64 = view.get("changes").await?.unwrap_or(0);
    Ok(view.put("changes", &(changes + 1)).await?)
}

/// A number that no mount had before.
pub async fn next_number(view: &mut View<'_>) -> Result<u64, Fault> {
    let next: u64 = view.get("next").await?.unwrap_or(reserved::FIRST_FREE);
    view.put("next", &(next + 1)).await?;
    Ok(next)
}

/// A mount path from a client: no empty or dot segments; ends in `/`.
pub fn parse_path(text: &str) -> Result<String, Fault> {
    let trimmed = text.trim_matches('/');
    let odd = |segment: &str| segment.is_empty() || segment == "." || segment == "..";
    if trimmed.is_empty() || trimmed.split('/').any(odd) || trimmed.chars().any(char::is_control) {
        return Err(Fault::invalid(
            "invalid mount path: it needs a name, without '.', '..' or empty parts",
        ));
    }
    if trimmed.contains(['*', '+']) {
        return Err(Fault::invalid(
            "invalid mount path: '*' and '+' are wildcards in policies",
        ));
    }
    Ok(format!("{trimmed}/"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;
    use vault_crypto::Seeded;

    #[test]
    fn longest_mount_wins() {
        let random = Seeded::new(1);
        let mut table = MountTable::default();
        for path in ["a/", "a/b/", "auth/token/"] {
            table.by_path.insert(
                path.into(),
                Arc::new(Mount::new(100, Kind::Kv1, path, "", &random)),
            );
        }
        let at = |path| {
            table
                .resolve(path)
                .map(|(mount, rest)| (mount.path.clone(), rest))
        };
        assert_eq!(at("a/b/c").unwrap(), ("a/b/".into(), "c"));
        assert_eq!(at("a/x/y").unwrap(), ("a/".into(), "x/y"));
        assert_eq!(at("a/").unwrap(), ("a/".into(), ""));
        assert!(at("a").is_none());
        assert!(at("b/c").is_none());
        assert_eq!(at("auth/token/lookup-self").unwrap().1, "lookup-self");
    }
}
