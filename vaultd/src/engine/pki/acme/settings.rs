//! `config/acme`: whether this mount is an ACME server, for whom, and what it may reach to check.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::name;
use crate::core::reply::Reply;
use crate::engine::pki::settings::Cluster;

const ROW: &str = "config/acme";

/// Who needs an external account binding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Binding {
    #[default]
    Voluntary,
    NewAccounts,
    Always,
}

impl Binding {
    const ALL: [(Binding, &str); 3] = [
        (Binding::Voluntary, "not-required"),
        (Binding::NewAccounts, "new-account-required"),
        (Binding::Always, "always-required"),
    ];

    fn name(self) -> &'static str {
        let found = Binding::ALL.iter().find(|(known, _)| *known == self);
        found.map_or("", |(_, name)| name)
    }

    fn parse(text: &str) -> Result<Binding, Fault> {
        let found = Binding::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(binding, _)| *binding).ok_or_else(|| {
            Fault::invalid("eab_policy: use not-required, new-account-required or always-required")
        })
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    pub enabled: bool,
    /// `sign-verbatim`, `forbid`, or `role:` and a name.
    pub default_directory_policy: String,
    /// Names; `*` is all.
    pub allowed_roles: Vec<String>,
    /// Names or ids; `*` is all.
    pub allowed_issuers: Vec<String>,
    /// Otherwise certificates are for servers only.
    pub allow_role_ext_key_usage: bool,
    pub eab_policy: Binding,
    /// Empty for the system's.
    pub dns_resolver: String,
    /// Seconds.
    pub max_ttl: u64,
    /// Networks that are not public and may be reached where no role says so.
    pub allowed_networks: Vec<IpNet>,
    pub http_port: u16,
    pub tls_port: u16,
}

impl Default for Settings {
    fn default() -> Settings {
        let all = || vec!["*".to_owned()];
        Settings {
            enabled: false,
            default_directory_policy: "sign-verbatim".to_owned(),
            allowed_roles: all(),
            allowed_issuers: all(),
            allow_role_ext_key_usage: false,
            eab_policy: Binding::Voluntary,
            dns_resolver: String::new(),
            max_ttl: 90 * 24 * 3600,
            allowed_networks: Vec::new(),
            http_port: 80,
            tls_port: 443,
        }
    }
}

/// Networks in CIDR form, from a field of a request.
pub(in crate::engine::pki) fn networks(
    body: &Body,
    field: &str,
) -> Result<Option<Vec<IpNet>>, Fault> {
    let Some(texts) = body.list(field)? else {
        return Ok(None);
    };
    let parsed: Result<Vec<IpNet>, _> = texts.iter().map(|text| text.parse()).collect();
    parsed
        .map(Some)
        .map_err(|_| Fault::invalid(format!("{field}: expected networks such as 10.0.0.0/8")))
}

fn address(text: &str) -> Option<SocketAddr> {
    let port = |address| SocketAddr::new(address, 53);
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(port))
}

impl Settings {
    pub(super) async fn load(view: &mut View<'_>) -> Result<Settings, Fault> {
        Ok(view.get(ROW).await?.unwrap_or_default())
    }

    pub(super) fn resolver(&self) -> Option<SocketAddr> {
        address(&self.dns_resolver)
    }

    /// The role of directories that name none.
    pub(super) fn default_role(&self) -> Option<&str> {
        self.default_directory_policy.strip_prefix("role:")
    }

    pub(super) fn allows_role(&self, role: &str) -> bool {
        self.allowed_roles
            .iter()
            .any(|known| known == "*" || known == role)
    }

    pub(super) fn allows_issuer(&self, names: &[&str]) -> bool {
        self.allowed_issuers
            .iter()
            .any(|known| known == "*" || names.contains(&known.as_str()))
    }

    fn show(&self) -> Value {
        json!({
            "enabled": self.enabled,
            "default_directory_policy": self.default_directory_policy,
            "allowed_roles": self.allowed_roles,
            "allowed_issuers": self.allowed_issuers,
            "allow_role_ext_key_usage": self.allow_role_ext_key_usage,
            "eab_policy": self.eab_policy.name(),
            "dns_resolver": self.dns_resolver,
            "max_ttl": self.max_ttl,
            "allowed_networks": self.allowed_networks,
            "http_port": self.http_port,
            "tls_port": self.tls_port,
        })
    }

    fn update(&mut self, body: &Body) -> Result<(), Fault> {
        for (field, into) in [
            ("enabled", &mut self.enabled),
            (
                "allow_role_ext_key_usage",
                &mut self.allow_role_ext_key_usage,
            ),
        ] {
            if let Some(flag) = body.bool(field)? {
                *into = flag;
            }
        }
        for (field, into) in [
            ("allowed_roles", &mut self.allowed_roles),
            ("allowed_issuers", &mut self.allowed_issuers),
        ] {
            if let Some(list) = body.list(field)? {
                *into = list;
            }
        }
        if let Some(text) = body.string("default_directory_policy")? {
            self.default_directory_policy = text;
        }
        if let Some(text) = body.string("eab_policy")? {
            self.eab_policy = Binding::parse(&text)?;
        }
        if let Some(text) = body.string("dns_resolver")? {
            self.dns_resolver = text;
        }
        if let Some(seconds) = body.seconds("max_ttl")? {
            self.max_ttl = seconds;
        }
        if let Some(networks) = networks(body, "allowed_networks")? {
            self.allowed_networks = networks;
        }
        for (field, into) in [
            ("http_port", &mut self.http_port),
            ("tls_port", &mut self.tls_port),
        ] {
            if let Some(number) = body.int(field)? {
                let port = u16::try_from(number).ok().filter(|port| *port > 0);
                *into = port.ok_or_else(|| {
                    Fault::invalid(format!("{field}: expected a port from 1 to 65535"))
                })?;
            }
        }
        self.check()
    }

    fn check(&self) -> Result<(), Fault> {
        match self.default_directory_policy.as_str() {
            "sign-verbatim" | "forbid" => {}
            _ => {
                let role = self.default_role().ok_or_else(|| {
                    Fault::invalid(
                        "default_directory_policy: use sign-verbatim, forbid or role:NAME",
                    )
                })?;
                name::check(role, "role")?;
                if !self.allows_role(role) {
                    return Err(Fault::invalid(
                        "default_directory_policy: the role is not one of allowed_roles",
                    ));
                }
            }
        }
        if !self.dns_resolver.is_empty() && self.resolver().is_none() {
            return Err(Fault::invalid(
                "dns_resolver: expected an address, with a port if it is not 53",
            ));
        }
        match self.max_ttl {
            0 => Err(Fault::invalid("max_ttl has to be more than 0")),
            _ => Ok(()),
        }
    }
}

pub(super) async fn read(view: &mut View<'_>) -> Result<Reply, Fault> {
    Ok(Reply::json(Settings::load(view).await?.show()))
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut settings = Settings::load(view).await?;
    settings.update(ctx.body())?;
    if settings.enabled && Cluster::load(view).await?.path.is_empty() {
        return Err(Fault::invalid(
            "ACME needs to know under which URL clients reach this mount: set path in config/cluster first, such as https://vault.example:8200/v1/pki",
        ));
    }
    view.put(ROW, &settings).await?;
    Ok(Reply::json(settings.show()))
}
