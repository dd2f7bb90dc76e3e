//! How the directory is asked: written field by field, read without its secrets.

use serde_json::{Map, Value, json};

use super::directory::{group_filter, user_filter};
use super::model::Config;
use crate::auth::secret::Secret;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::outbound::{Dereference, DirectoryUrl, TlsVersion, Trust, is_filter};

/// Fields that would make a login weaker or mean another kind of directory, with the reason why only
/// this value is taken.
const FIXED: &[(&str, bool, &str)] = &[
    (
        "insecure_tls",
        false,
        "a server that nobody vouches for could be anybody's: give its CA as certificate",
    ),
    (
        "deny_null_bind",
        true,
        "a bind without a password proves nothing (RFC 4513, 5.1.2) and stays denied",
    ),
    (
        "use_token_groups",
        false,
        "not supported: use a groupfilter such as (&(objectClass=group)(member:1.2.840.113556.1.4.1941:={{.UserDN}}))",
    ),
];

impl Config {
    /// Applies the fields that are present; the others keep their value.
    fn update(&mut self, body: &Body) -> Result<(), Fault> {
        for (field, only, why) in FIXED {
            if body.bool(field)?.is_some_and(|given| given != *only) {
                return Err(Fault::invalid(format!("{field}: {why}")));
            }
        }
        self.update_place(body)?;
        self.update_tls(body)?;
        if let Some(size) = body.int("max_page_size")? {
            // Clients of Vault turn paging off by a negative size, too.
            self.page_size = i32::try_from(size.max(0))
                .map_err(|_| Fault::invalid("max_page_size: expected a number of entries"))?;
        }
        for (field, into) in [
            ("userdn", &mut self.user_dn),
            ("userattr", &mut self.user_attr),
            ("userfilter", &mut self.user_filter),
            ("binddn", &mut self.bind_dn),
            ("upndomain", &mut self.upn_domain),
            ("groupdn", &mut self.group_dn),
            ("groupfilter", &mut self.group_filter),
            ("groupattr", &mut self.group_attr),
        ] {
            if let Some(text) = body.string(field)? {
                *into = text;
            }
        }
        self.user_attr.make_ascii_lowercase();
        if let Some(password) = body.string("bindpass")? {
            self.bind_pass = Secret::new(password);
        }
        for (field, into) in [
            ("discoverdn", &mut self.discover_dn),
            ("anonymous_group_search", &mut self.anonymous_group_search),
            ("case_sensitive_names", &mut self.case_sensitive_names),
            ("username_as_alias", &mut self.username_as_alias),
        ] {
            if let Some(flag) = body.bool(field)? {
                *into = flag;
            }
        }
        self.token.update(body)
    }

    fn update_place(&mut self, body: &Body) -> Result<(), Fault> {
        if let Some(urls) = body.string("url")? {
            let urls: Result<_, _> = urls.split(',').map(DirectoryUrl::parse).collect();
            self.urls = urls.map_err(|failure| Fault::invalid(format!("url: {failure}")))?;
        }
        if let Some(flag) = body.bool("starttls")? {
            self.starttls = flag;
        }
        if let Some(pem) = body.string("certificate")? {
            Trust::from_pem(&pem)
                .map_err(|failure| Fault::invalid(format!("certificate: {failure}")))?;
            self.certificate = pem;
        }
        for (field, into) in [
            ("connection_timeout", &mut self.connection_timeout),
            ("request_timeout", &mut self.request_timeout),
        ] {
            if let Some(seconds) = body.seconds(field)? {
                if !(1..=600).contains(&seconds) {
                    return Err(Fault::invalid(format!("{field}: 1 second to 10 minutes")));
                }
                *into = seconds;
            }
        }
        if let Some(kind) = body.string("dereference_aliases")? {
            self.dereference = match kind.as_str() {
                "" | "never" => Dereference::Never,
                "finding" => Dereference::Finding,
                "searching" => Dereference::Searching,
                "always" => Dereference::Always,
                _ => {
                    return Err(Fault::invalid(
                        "invalid dereference_aliases: expected never, finding, searching or always",
                    ));
                }
            };
        }
        Ok(())
    }

    fn update_tls(&mut self, body: &Body) -> Result<(), Fault> {
        for (field, into) in [
            ("tls_min_version", &mut self.tls_min_version),
            ("tls_max_version", &mut self.tls_max_version),
        ] {
            if let Some(version) = body.string(field)? {
                *into = TlsVersion::parse(&version).ok_or_else(|| {
                    Fault::invalid(format!("invalid '{field}': expected tls12 or tls13"))
                })?;
            }
        }
        if let Some(certificate) = body.string("client_tls_cert")? {
            self.client_certificate = certificate;
        }
        if let Some(key) = body.string("client_tls_key")? {
            self.client_key = Secret::new(key);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Fault> {
        if self.tls_min_version > self.tls_max_version {
            return Err(Fault::invalid(
                "'tls_max_version' must be greater than or equal to 'tls_min_version'",
            ));
        }
        self.tls().map_err(|failure| {
            Fault::invalid(format!("client_tls_cert and client_tls_key: {failure}"))
        })?;
        for (field, filter) in [
            ("userfilter", user_filter(self, "x")),
            ("groupfilter", group_filter(self, "x", "cn=x")),
        ] {
            let filter = filter.ok_or_else(|| {
                Fault::invalid(format!(
                    "{field}: only {{{{.Username}}}}, {{{{.UserAttr}}}} (userfilter) and {{{{.UserDN}}}} (groupfilter) are known"
                ))
            })?;
            if !filter.is_empty() && !is_filter(&filter) {
                return Err(Fault::invalid(format!(
                    "{field}: it is no search filter (RFC 4515)"
                )));
            }
        }
        let word = |byte: u8| byte.is_ascii_alphanumeric() || b"-.;".contains(&byte);
        let attribute = |text: &str| !text.is_empty() && text.bytes().all(word);
        if !attribute(&self.user_attr) || !attribute(&self.group_attr) {
            return Err(Fault::invalid(
                "userattr and groupattr are names of attributes, such as uid or cn",
            ));
        }
        if self.searches() && self.user_dn.is_empty()
            || !self.searches() && self.upn_domain.is_empty() && self.user_dn.is_empty()
        {
            return Err(Fault::invalid(
                "userdn is missing: the name below which users are",
            ));
        }
        Ok(())
    }

    /// What its author should know.
    fn warnings(&self) -> Vec<&'static str> {
        let plain = |url: &DirectoryUrl| !url.is_tls() && !url.is_loopback();
        let mut warnings = Vec::new();
        if !self.starttls && self.urls.iter().any(plain) {
            warnings.push("passwords go to the directory in plain text: use ldaps://, or starttls");
        }
        if self.group_dn.is_empty() || self.group_filter.is_empty() {
            warnings.push("without groupdn and groupfilter no groups of the directory are known");
        }
        warnings
    }

    fn show(&self) -> Map<String, Value> {
        let urls: Vec<&str> = self.urls.iter().map(DirectoryUrl::as_str).collect();
        let shown = json!({
            "url": urls.join(","),
            "starttls": self.starttls,
            "certificate": self.certificate,
            "insecure_tls": false,
            "tls_min_version": self.tls_min_version,
            "tls_max_version": self.tls_max_version,
            "connection_timeout": self.connection_timeout,
            "request_timeout": self.request_timeout,
            "userdn": self.user_dn,
            "userattr": self.user_attr,
            "userfilter": self.user_filter,
            "binddn": self.bind_dn,
            "discoverdn": self.discover_dn,
            "upndomain": self.upn_domain,
            "groupdn": self.group_dn,
            "groupfilter": self.group_filter,
            "groupattr": self.group_attr,
            "anonymous_group_search": self.anonymous_group_search,
            "use_token_groups": false,
            "deny_null_bind": true,
            "case_sensitive_names": self.case_sensitive_names,
            "username_as_alias": self.username_as_alias,
            "dereference_aliases": self.dereference,
            "client_tls_cert": self.client_certificate,
            "max_page_size": self.page_size,
        });
        let mut map = match shown {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        self.token.show(&mut map);
        map
    }
}

/// The config, or the one that a mount has before its first.
pub(super) async fn load(view: &mut View<'_>) -> Result<Config, Fault> {
    Ok(view.get(Config::ROW).await?.unwrap_or_default())
}

/// The config, which must be there.
pub(super) async fn require(view: &mut View<'_>) -> Result<Config, Fault> {
    let config = view.get(Config::ROW).await?;
    config.ok_or_else(|| {
        Fault::invalid("ldap backend not configured: write the mount's config first")
    })
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut config = load(view).await?;
    if config.urls.is_empty() {
        config.urls.extend(DirectoryUrl::parse("ldap://127.0.0.1"));
    }
    config.update(ctx.body())?;
    config.check()?;
    view.put(Config::ROW, &config).await?;
    let warnings = config.warnings().into_iter();
    Ok(warnings.fold(Reply::none(), Reply::warn))
}

pub(super) async fn read(view: &mut View<'_>) -> Result<Reply, Fault> {
    let config: Config = view.get(Config::ROW).await?.ok_or(Fault::Missing)?;
    Ok(Reply::map(config.show()))
}
