//! Roles: what may be signed, or for which hosts passwords are made. A write replaces the whole role.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vault_ssh::Subject;

use super::name::{self, Name};
use super::option;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::{parse_cidrs, show_cidrs};
use crate::core::reply::Reply;
use crate::engine::template;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RoleKind {
    Ca,
    Otp,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Role {
    pub kind: RoleKind,
    pub default_user: String,
    pub allowed_users: Vec<String>,
    // Of one-time passwords.
    pub cidr_list: Vec<IpNet>,
    pub exclude_cidr_list: Vec<IpNet>,
    pub port: u16,
    // Of a CA.
    pub default_user_template: bool,
    pub allowed_users_template: bool,
    pub allowed_domains: Vec<String>,
    pub allowed_domains_template: bool,
    /// Seconds; 0 is the mount's.
    pub ttl: u64,
    pub max_ttl: u64,
    pub allowed_critical_options: Vec<String>,
    pub allowed_extensions: Vec<String>,
    pub default_critical_options: BTreeMap<String, String>,
    pub default_extensions: BTreeMap<String, String>,
    pub default_extensions_template: bool,
    pub allow_user_certificates: bool,
    pub allow_host_certificates: bool,
    pub allow_bare_domains: bool,
    pub allow_subdomains: bool,
    pub allow_user_key_ids: bool,
    pub key_id_format: String,
    /// Kind of key to bits; 0 is any. Empty allows all kinds.
    pub allowed_user_key_lengths: BTreeMap<String, Vec<u64>>,
    pub algorithm_signer: String,
    /// Seconds.
    pub not_before_duration: u64,
    pub issuer_ref: String,
}

const NOT_BEFORE: u64 = 30;

impl Role {
    fn read(body: &Body) -> Result<Role, Fault> {
        let flag = |name: &str| Ok::<_, Fault>(body.bool(name)?.unwrap_or(false));
        let list = |name: &str| Ok::<_, Fault>(body.list(name)?.unwrap_or_default());
        let text = |name: &str| Ok::<_, Fault>(body.string(name)?.unwrap_or_default());
        let map = |name: &str| Ok::<_, Fault>(body.strings(name)?.unwrap_or_default());
        let kind = match body.required("key_type")?.as_str() {
            "ca" => RoleKind::Ca,
            "otp" => RoleKind::Otp,
            _ => return Err(Fault::invalid("invalid key_type: use \"ca\" or \"otp\"")),
        };
        let port = body.int("port")?.filter(|port| *port != 0).unwrap_or(22);
        Ok(Role {
            kind,
            default_user: text("default_user")?,
            allowed_users: list("allowed_users")?,
            cidr_list: parse_cidrs(&list("cidr_list")?, "cidr_list")?,
            exclude_cidr_list: parse_cidrs(&list("exclude_cidr_list")?, "exclude_cidr_list")?,
            port: u16::try_from(port).map_err(|_| Fault::invalid("port must be 1 to 65535"))?,
            default_user_template: flag("default_user_template")?,
            allowed_users_template: flag("allowed_users_template")?,
            allowed_domains: list("allowed_domains")?,
            allowed_domains_template: flag("allowed_domains_template")?,
            ttl: body.seconds("ttl")?.unwrap_or(0),
            max_ttl: body.seconds("max_ttl")?.unwrap_or(0),
            allowed_critical_options: list("allowed_critical_options")?,
            allowed_extensions: list("allowed_extensions")?,
            default_critical_options: map("default_critical_options")?,
            default_extensions: map("default_extensions")?,
            default_extensions_template: flag("default_extensions_template")?,
            allow_user_certificates: flag("allow_user_certificates")?,
            allow_host_certificates: flag("allow_host_certificates")?,
            allow_bare_domains: flag("allow_bare_domains")?,
            allow_subdomains: flag("allow_subdomains")?,
            allow_user_key_ids: flag("allow_user_key_ids")?,
            key_id_format: text("key_id_format")?,
            allowed_user_key_lengths: lengths(body)?,
            algorithm_signer: text("algorithm_signer")?,
            not_before_duration: body.seconds("not_before_duration")?.unwrap_or(NOT_BEFORE),
            issuer_ref: text("issuer_ref")?,
        })
    }

    fn check(&self, body: &Body) -> Result<(), Fault> {
        self.check_names()?;
        if self.kind == RoleKind::Otp {
            return match self.default_user.is_empty() {
                true => Err(Fault::invalid("missing default_user")),
                false => Ok(()),
            };
        }
        let refuse = |text: &str| Err(Fault::invalid(text));
        if body.bool("allow_empty_principals")? == Some(true) {
            return refuse(
                "allow_empty_principals is not possible: sshd takes a certificate without \
                 principals for one of every user; name them in allowed_users",
            );
        }
        if !self.allow_user_certificates && !self.allow_host_certificates {
            return refuse(
                "either allow_user_certificates or allow_host_certificates must be set to true",
            );
        }
        if self.max_ttl > 0 && self.ttl > self.max_ttl {
            return refuse("ttl must not be longer than max_ttl");
        }
        match self.algorithm_signer.as_str() {
            "" | "default" | "rsa-sha2-256" | "rsa-sha2-512" => {}
            "ssh-rsa" => {
                return refuse(
                    "algorithm_signer \"ssh-rsa\" is SHA-1, which sshd refuses: use \
                     \"rsa-sha2-256\" or \"rsa-sha2-512\"",
                );
            }
            _ => {
                return refuse(
                    "unknown algorithm_signer: use \"default\", \"rsa-sha2-256\" or \"rsa-sha2-512\"",
                );
            }
        }
        if self.key_id_format.chars().any(char::is_control) {
            return refuse("key_id_format must not have control characters");
        }
        option::check_all(&self.default_critical_options, "default_critical_options")?;
        option::check_all(&self.default_extensions, "default_extensions")?;
        for value in self.default_extensions.values() {
            if self.default_extensions_template {
                template::check(value, "default_extensions")?;
            }
        }
        Ok(())
    }

    /// What is no template is a name already.
    fn check_names(&self) -> Result<(), Fault> {
        type Check = fn(&str, &str) -> Result<(), Fault>;
        let one = |text: &str, templated: bool, field: &str, check: Check| match templated
            && template::is_one(text)
        {
            true => template::check(text, field),
            false => check(text, field),
        };
        if !self.default_user.is_empty() {
            let templated = self.default_user_template;
            one(&self.default_user, templated, "default_user", name::user)?;
        }
        if self.allowed_users != ["*"] {
            for user in &self.allowed_users {
                one(
                    user,
                    self.allowed_users_template,
                    "allowed_users",
                    name::user,
                )?;
            }
        }
        if self.allowed_domains != ["*"] {
            for domain in &self.allowed_domains {
                let templated = self.allowed_domains_template;
                one(domain, templated, "allowed_domains", name::host)?;
            }
        }
        Ok(())
    }

    pub(super) fn allows(&self, subject: Subject) -> bool {
        match subject {
            Subject::User => self.allow_user_certificates,
            Subject::Host => self.allow_host_certificates,
        }
    }

    pub(super) fn show(&self) -> Map<String, Value> {
        let shown = match self.kind {
            RoleKind::Otp => json!({
                "key_type": "otp",
                "default_user": self.default_user,
                "cidr_list": show_cidrs(&self.cidr_list).join(","),
                "exclude_cidr_list": show_cidrs(&self.exclude_cidr_list).join(","),
                "port": self.port,
                "allowed_users": self.allowed_users.join(","),
            }),
            RoleKind::Ca => json!({
                "key_type": "ca",
                "default_user": self.default_user,
                "default_user_template": self.default_user_template,
                "allowed_users": self.allowed_users.join(","),
                "allowed_users_template": self.allowed_users_template,
                "allowed_domains": self.allowed_domains.join(","),
                "allowed_domains_template": self.allowed_domains_template,
                "ttl": self.ttl,
                "max_ttl": self.max_ttl,
                "allowed_critical_options": self.allowed_critical_options.join(","),
                "allowed_extensions": self.allowed_extensions.join(","),
                "default_critical_options": self.default_critical_options,
                "default_extensions": self.default_extensions,
                "default_extensions_template": self.default_extensions_template,
                "allow_user_certificates": self.allow_user_certificates,
                "allow_host_certificates": self.allow_host_certificates,
                "allow_bare_domains": self.allow_bare_domains,
                "allow_subdomains": self.allow_subdomains,
                "allow_user_key_ids": self.allow_user_key_ids,
                "key_id_format": self.key_id_format,
                "allowed_user_key_lengths": self.allowed_user_key_lengths,
                "algorithm_signer": match self.algorithm_signer.as_str() {
                    "" => "default",
                    named => named,
                },
                "not_before_duration": self.not_before_duration,
                "allow_empty_principals": false,
                "issuer_ref": match self.issuer_ref.as_str() {
                    "" => "default",
                    named => named,
                },
            }),
        };
        match shown {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

/// `{"rsa": 2048}` or `{"rsa": [2048, 4096]}`.
fn lengths(body: &Body) -> Result<BTreeMap<String, Vec<u64>>, Fault> {
    const KINDS: [&str; 11] = [
        "rsa",
        "ssh-rsa",
        "ec",
        "ecdsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "ed25519",
        "ssh-ed25519",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    let wrong = || {
        Fault::invalid(
            "allowed_user_key_lengths must map kinds of keys (rsa, ec, ed25519, …; DSA is not \
             possible) to bits or lists of bits",
        )
    };
    let bits = |value: &Value| {
        let text = value.as_str().map(str::to_owned);
        let text = text.unwrap_or_else(|| value.to_string());
        text.parse::<u64>().map_err(|_| wrong())
    };
    let mut found = BTreeMap::new();
    for (kind, value) in body.map("allowed_user_key_lengths")?.unwrap_or_default() {
        if !KINDS.contains(&kind.as_str()) {
            return Err(wrong());
        }
        let lengths = match &value {
            Value::Array(values) => values.iter().map(bits).collect::<Result<_, _>>()?,
            value => vec![bits(value)?],
        };
        found.insert(kind, lengths);
    }
    Ok(found)
}

/// The role that the path names.
pub(super) async fn named(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Arc<Role>, Fault> {
    let name = Name::parse(ctx.param("name"), "role")?;
    let role = view.get_shared(&name.role_row()).await?;
    role.ok_or_else(|| Fault::invalid("unknown role: no role of that name"))
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = Name::parse(ctx.param("name"), "role")?;
    let role = Role::read(ctx.body())?;
    role.check(ctx.body())?;
    let anybody = role.allow_user_certificates && role.allowed_users == ["*"];
    view.put_shared(&name.role_row(), role).await?;
    let reply = Reply::none();
    Ok(match anybody {
        true => reply.warn("allowed_users is \"*\": this role signs for every user, root included"),
        false => reply,
    })
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = Name::parse(ctx.param("name"), "role")?;
    let role: Option<Arc<Role>> = view.get_shared(&name.role_row()).await?;
    Ok(Reply::map(role.ok_or(Fault::Missing)?.show()))
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let names = view.list_within("roles", &ctx.window()?).await?;
    let mut info = BTreeMap::new();
    for name in &names {
        let role: Option<Arc<Role>> = view.get_shared(&format!("roles/{name}")).await?;
        if let Some(role) = role {
            info.insert(name.clone(), json!({ "key_type": role.kind }));
        }
    }
    Reply::list_with_info(names, info)
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = Name::parse(ctx.param("name"), "role")?;
    view.delete(&name.role_row()).await?;
    Ok(Reply::none())
}
