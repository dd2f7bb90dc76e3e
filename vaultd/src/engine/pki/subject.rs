//! Who a certificate is for: collected from request, CSR and role, then checked as a whole, so that no
//! way in is checked less than another.

use idna::uts46::{AsciiDenyList, Hyphens, Uts46};
use std::net::IpAddr;

use ipnet::IpNet;
use vault_x509::{AltName, Attribute, Name, OtherName, Request, oid};

use super::role::Role;
use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::core::glob;

/// Names of one certificate at most.
const NAMES: usize = 500;
/// Bytes of a common name at most (RFC 5280, A.1).
const COMMON_NAME: usize = 64;

/// Names that were collected.
#[derive(Debug, Default)]
pub(super) struct Subject {
    pub common_name: String,
    pub names: Vec<AltName>,
    pub serial_number: String,
    pub user_ids: Vec<String>,
}

impl Subject {
    /// From the fields of a request and, as far as the role allows, from a CSR.
    pub(super) fn collect(
        body: &Body,
        role: &Role,
        csr: Option<&Request>,
    ) -> Result<Subject, Fault> {
        let mut subject = Subject::given(body)?;
        if let Some(csr) = csr {
            if role.use_csr_common_name
                && let Some(name) = csr.common_name.as_ref().filter(|name| !name.is_empty())
            {
                subject.common_name.clone_from(name);
            }
            if role.use_csr_sans {
                subject.names.clone_from(&csr.names);
            }
        }
        if subject.common_name.is_empty() && role.require_cn {
            return Err(Fault::invalid(
                "the common_name field is required, or must be provided in a CSR with \"use_csr_common_name\" set to true, unless \"require_cn\" is set to false",
            ));
        }
        if !body.bool("exclude_cn_from_sans")?.unwrap_or(false) {
            subject.name_by_common_name();
        }
        subject.limits()?;
        Ok(subject)
    }

    /// What the fields of a request say.
    pub(super) fn given(body: &Body) -> Result<Subject, Fault> {
        let mut subject = Subject {
            common_name: body.string("common_name")?.unwrap_or_default(),
            names: Vec::new(),
            serial_number: body.string("serial_number")?.unwrap_or_default(),
            user_ids: body.list("user_ids")?.unwrap_or_default(),
        };
        for name in body.list("alt_names")?.unwrap_or_default() {
            subject.add(match name.contains('@') {
                true => AltName::Email(name),
                false => AltName::Dns(name),
            });
        }
        for text in body.list("ip_sans")?.unwrap_or_default() {
            let address = text.parse::<IpAddr>();
            subject.add(AltName::Ip(
                address.map_err(|_| Fault::invalid("ip_sans: expected IP addresses"))?,
            ));
        }
        for text in body.list("uri_sans")?.unwrap_or_default() {
            subject.add(AltName::Uri(text));
        }
        for text in body.list("other_sans")?.unwrap_or_default() {
            subject.add(AltName::Other(other_name(&text)?));
        }
        Ok(subject)
    }

    fn add(&mut self, name: AltName) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    /// A common name that is a host or a mailbox is one of the other names too: clients look there.
    pub(super) fn name_by_common_name(&mut self) {
        let name = self.common_name.clone();
        if name.contains('@') && is_email(&name) {
            self.add(AltName::Email(name));
        } else if is_host(name.strip_prefix("*.").unwrap_or(&name)) {
            self.add(AltName::Dns(name));
        }
    }

    pub(super) fn limits(&self) -> Result<(), Fault> {
        if self.names.len() > NAMES {
            return Err(Fault::invalid(format!(
                "a certificate has at most {NAMES} names"
            )));
        }
        let texts = [&self.common_name, &self.serial_number];
        let texts = texts.into_iter().chain(&self.user_ids);
        for text in texts {
            if text.len() > COMMON_NAME || text.chars().any(char::is_control) {
                return Err(Fault::invalid(format!(
                    "common_name, serial_number and user_ids have at most {COMMON_NAME} bytes and no control characters"
                )));
            }
        }
        for name in &self.names {
            let (AltName::Dns(text) | AltName::Email(text) | AltName::Uri(text)) = name else {
                continue;
            };
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Fault::invalid(
                    "a name is empty or not ASCII without spaces: write other scripts in their ASCII form (xn--)",
                ));
            }
        }
        Ok(())
    }

    /// Refuses what the role does not allow, naming the kind of name but never the name.
    pub(super) fn check(&self, role: &Role) -> Result<(), Fault> {
        if !self.common_name.is_empty() {
            self.check_common_name(role)?;
        }
        for name in &self.names {
            let allowed = match name {
                AltName::Dns(name) => role.allows_host(name),
                AltName::Email(name) => role.allows_email(name),
                AltName::Ip(address) => role.allows_address(*address),
                AltName::Uri(uri) => any(&role.allowed_uri_sans, uri),
                AltName::Other(name) => role.allows_other(name),
            };
            if !allowed {
                return Err(Fault::invalid(match name {
                    AltName::Dns(_) => "a subject alternate name is not allowed by this role",
                    AltName::Email(_) => "an email address is not allowed by this role",
                    AltName::Ip(_) => {
                        "IP Subject Alternative Names are not allowed by this role, or not this one"
                    }
                    AltName::Uri(_) => {
                        "URI Subject Alternative Names were provided via the API or CSR, but are not valid for this role"
                    }
                    AltName::Other(_) => "other SANs are not allowed by this role, or not this one",
                }));
            }
        }
        if !self.serial_number.is_empty() && !any(&role.allowed_serial_numbers, &self.serial_number)
        {
            return Err(Fault::invalid("serial_number is not allowed by this role"));
        }
        if !self
            .user_ids
            .iter()
            .all(|id| any(&role.allowed_user_ids, id))
        {
            return Err(Fault::invalid("user_ids are not allowed by this role"));
        }
        Ok(())
    }

    fn check_common_name(&self, role: &Role) -> Result<(), Fault> {
        let name = &self.common_name;
        let kinds = &role.cn_validations;
        let allowed = kinds.iter().any(|kind| match kind.as_str() {
            "disabled" => true,
            "email" => name.contains('@') && role.allows_email(name),
            _ => !name.contains('@') && role.allows_host(name),
        });
        match allowed {
            true => Ok(()),
            false => Err(Fault::invalid("common name not allowed by this role")),
        }
    }

    /// The distinguished name, with the role's or the request's attributes.
    pub(super) fn name(&self, role: &Role) -> Name {
        let one = |text: &String| match text.is_empty() {
            true => Vec::new(),
            false => vec![text.clone()],
        };
        Name::new(&[
            (Attribute::Country, role.country.clone()),
            (Attribute::Organization, role.organization.clone()),
            (Attribute::OrganizationalUnit, role.ou.clone()),
            (Attribute::Locality, role.locality.clone()),
            (Attribute::Province, role.province.clone()),
            (Attribute::Street, role.street_address.clone()),
            (Attribute::PostalCode, role.postal_code.clone()),
            (Attribute::CommonName, one(&self.common_name)),
            (Attribute::SerialNumber, one(&self.serial_number)),
            (Attribute::UserId, self.user_ids.clone()),
        ])
    }
}

/// `<oid>;<type>:<value>`, the type being UTF8.
fn other_name(text: &str) -> Result<OtherName, Fault> {
    let refused = || {
        Fault::invalid(
            "other_sans: expected <oid>;UTF8:<value>, such as 1.3.6.1.4.1.311.20.2.3;UTF8:a@example.com",
        )
    };
    let (name, value) = text.split_once(';').ok_or_else(refused)?;
    let (kind, value) = value.split_once(':').ok_or_else(refused)?;
    if !kind.eq_ignore_ascii_case("utf8") && !kind.eq_ignore_ascii_case("utf-8") {
        return Err(refused());
    }
    Ok(OtherName {
        oid: oid::parse(name.trim()).ok_or_else(refused)?,
        value: value.to_owned(),
    })
}

fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| glob::matches(pattern, text))
}

/// Letters, digits and hyphens in labels (RFC 1123); no dot at the end.
pub(super) fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=63).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            && bytes.first() != Some(&b'-')
            && bytes.last() != Some(&b'-')
            && is_sound_label(label)
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// An A-label has to stand for a label that could not be written without it (RFC 5890, 2.3.2.1): anything
/// else is shown as one name and compared as another.
fn is_sound_label(label: &str) -> bool {
    let is_encoded = label
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    if !is_encoded {
        return true;
    }
    let (shown, outcome) = Uts46::new().to_unicode(
        label.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
    );
    outcome.is_ok() && !shown.is_ascii()
}

fn is_email(text: &str) -> bool {
    match text.rsplit_once('@') {
        Some((local, host)) => {
            let plain = |byte: u8| byte.is_ascii_graphic() && !b"@<>()[],;:\\\"".contains(&byte);
            !local.is_empty() && local.bytes().all(plain) && is_host(host)
        }
        None => false,
    }
}

/// A name without its wildcard, which is the whole first label or a part of it (RFC 6125, 6.4.3).
fn without_wildcard(name: &str) -> (&str, bool) {
    match name.split_once('.') {
        Some((first, rest)) if first.matches('*').count() == 1 => (rest, true),
        _ => (name, false),
    }
}

impl Role {
    fn allows_host(&self, name: &str) -> bool {
        let lower = name.to_ascii_lowercase();
        let (bare, wildcard) = without_wildcard(&lower);
        if wildcard && !self.allow_wildcard_certificates || bare.contains('*') {
            return false;
        }
        let label = lower
            .split('.')
            .next()
            .unwrap_or_default()
            .replace('*', "x");
        if self.enforce_hostnames && (!is_host(bare) || !is_host(&label)) {
            return false;
        }
        if self.allow_any_name {
            return true;
        }
        if self.allow_localhost && self.is_local(bare, wildcard) {
            return true;
        }
        self.allowed_domains.iter().any(|domain| {
            let domain = domain.to_ascii_lowercase();
            let below = bare
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.ends_with('.') && rest.len() > 1);
            self.allow_bare_domains && lower == domain
                || self.allow_subdomains && (below || wildcard && bare == domain)
                || self.allow_glob_domains && domain.contains('*') && glob::matches(&domain, &lower)
        })
    }

    fn is_local(&self, bare: &str, wildcard: bool) -> bool {
        let plain = bare == "localhost" || bare == "localdomain";
        plain && (!wildcard || self.allow_subdomains)
            || self.allow_subdomains && bare.ends_with(".localhost")
    }

    fn allows_email(&self, text: &str) -> bool {
        if !is_email(text) {
            return false;
        }
        if self.allow_any_name {
            return true;
        }
        let lower = text.to_ascii_lowercase();
        let host = lower.rsplit_once('@').map_or("", |(_, host)| host);
        if self.allow_localhost && host == "localhost" {
            return true;
        }
        self.allowed_domains.iter().any(|domain| {
            let domain = domain.to_ascii_lowercase();
            let below = host
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.ends_with('.') && rest.len() > 1);
            self.allow_bare_domains && (host == domain || lower == domain)
                || self.allow_subdomains && below
                || self.allow_glob_domains && domain.contains('*') && glob::matches(&domain, &lower)
        })
    }

    fn allows_address(&self, address: IpAddr) -> bool {
        let nets = &self.allowed_ip_sans_cidr;
        let within = nets.is_empty()
            || nets
                .iter()
                .filter_map(|net| net.parse::<IpNet>().ok())
                .any(|net| net.contains(&address));
        self.allow_ip_sans && within
    }

    fn allows_other(&self, name: &OtherName) -> bool {
        self.allowed_other_sans.iter().any(|allowed| {
            if allowed == "*" {
                return true;
            }
            other_name(allowed).is_ok_and(|allowed| {
                allowed.oid == name.oid && glob::matches(&allowed.value, &name.value)
            })
        })
    }
}

#[cfg(test)]
mod tests;
