//! Roles: what a caller may have in a certificate.

mod update;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vault_crypto::KeyKind;
use vault_x509::{Hash, KeyUsage, ObjectIdentifier, Purpose, oid};

use super::{key, name};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::template::{self, Who};

#[derive(Clone, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Role {
    pub issuer_ref: String,
    /// Seconds; 0 is the mount's.
    pub ttl: u64,
    pub max_ttl: u64,
    /// In place of `ttl`: the last moment, RFC 3339.
    pub not_after: String,
    /// Seconds.
    pub not_before_duration: u64,
    // Names
    pub allow_localhost: bool,
    pub allowed_domains: Vec<String>,
    pub allow_bare_domains: bool,
    pub allow_subdomains: bool,
    pub allow_glob_domains: bool,
    pub allow_wildcard_certificates: bool,
    pub allow_any_name: bool,
    pub enforce_hostnames: bool,
    pub allow_ip_sans: bool,
    pub allowed_ip_sans_cidr: Vec<String>,
    pub allowed_uri_sans: Vec<String>,
    pub allowed_other_sans: Vec<String>,
    pub allowed_serial_numbers: Vec<String>,
    pub allowed_user_ids: Vec<String>,
    pub cn_validations: Vec<String>,
    pub require_cn: bool,
    pub use_csr_common_name: bool,
    pub use_csr_sans: bool,
    // Usages
    pub server_flag: bool,
    pub client_flag: bool,
    pub code_signing_flag: bool,
    pub email_protection_flag: bool,
    pub key_usage: Vec<String>,
    pub ext_key_usage: Vec<String>,
    pub ext_key_usage_oids: Vec<String>,
    pub basic_constraints_valid_for_non_ca: bool,
    pub policy_identifiers: Vec<String>,
    // Keys
    pub key_type: String,
    pub key_bits: i64,
    pub signature_bits: i64,
    pub use_pss: bool,
    // Subject
    pub ou: Vec<String>,
    pub organization: Vec<String>,
    pub country: Vec<String>,
    pub locality: Vec<String>,
    pub province: Vec<String>,
    pub street_address: Vec<String>,
    pub postal_code: Vec<String>,
    pub no_store: bool,
    pub generate_lease: bool,
    /// Entries of `allowed_domains`, or of `allowed_uri_sans`, are templates of the caller's identity.
    pub allowed_domains_template: bool,
    pub allowed_uri_sans_template: bool,
    /// Networks that are not public and may be reached to check challenges of ACME.
    pub acme_allowed_networks: Vec<IpNet>,
}

impl Default for Role {
    fn default() -> Role {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Role {
            issuer_ref: "default".to_owned(),
            ttl: 0,
            max_ttl: 0,
            not_after: String::new(),
            not_before_duration: 30,
            allow_localhost: true,
            allowed_domains: Vec::new(),
            allow_bare_domains: false,
            allow_subdomains: false,
            allow_glob_domains: false,
            allow_wildcard_certificates: true,
            allow_any_name: false,
            enforce_hostnames: true,
            allow_ip_sans: true,
            allowed_ip_sans_cidr: Vec::new(),
            allowed_uri_sans: Vec::new(),
            allowed_other_sans: Vec::new(),
            allowed_serial_numbers: Vec::new(),
            allowed_user_ids: Vec::new(),
            cn_validations: words(&["email", "hostname"]),
            require_cn: true,
            use_csr_common_name: true,
            use_csr_sans: true,
            server_flag: true,
            client_flag: true,
            code_signing_flag: false,
            email_protection_flag: false,
            key_usage: words(&["DigitalSignature", "KeyAgreement", "KeyEncipherment"]),
            ext_key_usage: Vec::new(),
            ext_key_usage_oids: Vec::new(),
            basic_constraints_valid_for_non_ca: false,
            policy_identifiers: Vec::new(),
            key_type: "rsa".to_owned(),
            key_bits: 0,
            signature_bits: 0,
            use_pss: false,
            ou: Vec::new(),
            organization: Vec::new(),
            country: Vec::new(),
            locality: Vec::new(),
            province: Vec::new(),
            street_address: Vec::new(),
            postal_code: Vec::new(),
            no_store: false,
            generate_lease: false,
            allowed_domains_template: false,
            allowed_uri_sans_template: false,
            acme_allowed_networks: Vec::new(),
        }
    }
}

impl Role {
    /// Anything that the request itself says: `sign-verbatim` without a role.
    pub(super) fn verbatim() -> Role {
        Role {
            allow_any_name: true,
            enforce_hostnames: false,
            allowed_uri_sans: vec!["*".to_owned()],
            allowed_other_sans: vec!["*".to_owned()],
            allowed_serial_numbers: vec!["*".to_owned()],
            allowed_user_ids: vec!["*".to_owned()],
            cn_validations: vec!["disabled".to_owned()],
            require_cn: false,
            key_type: "any".to_owned(),
            ..Role::default()
        }
    }

    pub(super) async fn named(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Role, Fault> {
        let found = Role::find(ctx.param("name"), view).await?;
        found.ok_or_else(|| Fault::invalid("unknown role: create it first"))
    }

    pub(super) async fn find(name: &str, view: &mut View<'_>) -> Result<Option<Role>, Fault> {
        let role: Option<std::sync::Arc<Role>> = view.get_shared(&name::row_of_role(name)?).await?;
        Ok(role.map(|role| (*role).clone()))
    }

    /// The role as it is for one caller. A template for which the caller has no plain value allows
    /// nothing.
    pub(super) fn for_caller(mut self, who: Who<'_>) -> Role {
        let fill = |list: &mut Vec<String>| {
            let filled = list
                .iter()
                .filter_map(|text| template::fill(text, who, "").ok());
            *list = filled.collect();
        };
        if self.allowed_domains_template {
            fill(&mut self.allowed_domains);
        }
        if self.allowed_uri_sans_template {
            fill(&mut self.allowed_uri_sans);
        }
        self
    }

    /// The kind of key that `issue` makes.
    pub(super) fn kind(&self) -> Result<KeyKind, Fault> {
        match self.key_type.as_str() {
            "any" => Err(Fault::invalid(
                "role key type \"any\" not allowed for issuing certificates, only signing",
            )),
            other => key::kind(other, self.key_bits),
        }
    }

    pub(super) fn hash(&self) -> Result<Hash, Fault> {
        hash(self.signature_bits)
    }

    pub(super) fn usage(&self) -> KeyUsage {
        let named = self
            .key_usage
            .iter()
            .filter_map(|name| KeyUsage::named(name));
        named.fold(KeyUsage::default(), KeyUsage::and)
    }

    pub(super) fn purposes(&self) -> (Vec<Purpose>, Vec<ObjectIdentifier>) {
        let flags = [
            (self.server_flag, Purpose::ServerAuth),
            (self.client_flag, Purpose::ClientAuth),
            (self.code_signing_flag, Purpose::CodeSigning),
            (self.email_protection_flag, Purpose::EmailProtection),
        ];
        let flags = flags
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, purpose)| *purpose);
        let mut purposes: Vec<Purpose> = flags.collect();
        for purpose in self
            .ext_key_usage
            .iter()
            .filter_map(|name| Purpose::named(name))
        {
            if !purposes.contains(&purpose) {
                purposes.push(purpose);
            }
        }
        let oids = self
            .ext_key_usage_oids
            .iter()
            .filter_map(|text| oid::parse(text));
        (purposes, oids.collect())
    }

    fn show(&self) -> Result<Map<String, Value>, Fault> {
        let shown = serde_json::to_value(self).ok();
        let Some(Value::Object(mut map)) = shown else {
            return Err(Fault::Internal("show a role"));
        };
        map.insert("allow_token_displayname".into(), json!(false));
        Ok(map)
    }
}

pub(super) fn hash(bits: i64) -> Result<Hash, Fault> {
    match bits {
        0 | 256 => Ok(Hash::Sha256),
        384 => Ok(Hash::Sha384),
        512 => Ok(Hash::Sha512),
        _ => Err(Fault::invalid("signature_bits: use 256, 384 or 512")),
    }
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let role: Option<Role> = view.get(&name::role_row(ctx)?).await?;
    Ok(Reply::map(role.ok_or(Fault::Missing)?.show()?))
}

/// POST begins with the defaults, PATCH with what is there.
pub(super) async fn write(ctx: &Ctx<'_>, patch: bool, view: &mut View<'_>) -> Result<Reply, Fault> {
    let row = name::role_row(ctx)?;
    let mut role = match patch {
        true => view.get(&row).await?.ok_or(Fault::Missing)?,
        false => Role::default(),
    };
    role.update(ctx.body())?;
    let shown = role.show()?;
    let unknown = super::issuer::Issuer::find(view, &role.issuer_ref)
        .await?
        .is_none();
    let is_unstored = role.no_store && ctx.body().bool("generate_lease")?.unwrap_or(false);
    let mut reply = Reply::map(shown);
    if unknown && role.issuer_ref != "default" {
        let text = "issuer_ref names no issuer that is known: certificates cannot be issued yet";
        reply = reply.warn(text);
    }
    if is_unstored {
        let text =
            "generate_lease is off: what is not stored (no_store) cannot be revoked by a lease";
        reply = reply.warn(text);
    }
    view.put_shared(&row, role).await?;
    Ok(reply)
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    view.delete(&name::role_row(ctx)?).await?;
    Ok(Reply::none())
}
