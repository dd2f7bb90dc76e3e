//! What a role may hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Map, Value, json};

use super::certificate::Facts;
use super::model::Role;
use crate::auth::name::RoleName;
use crate::auth::{roles, token_fields};
use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::outbound::Url;

const RETRIES_MAX: u64 = 10;

impl roles::Role for Role {
    fn new(name: &RoleName) -> Role {
        Role {
            display_name: name.as_str().to_owned(),
            ..Role::default()
        }
    }

    fn update(&mut self, name: &RoleName, body: &Body) -> Result<(), Fault> {
        if let Some(pem) = body.string("certificate")? {
            self.certificate = pem;
        }
        self.check_certificate()?;
        if let Some(given) = body.string("display_name")? {
            self.display_name = match given.is_empty() {
                true => name.as_str().to_owned(),
                false => given,
            };
        }
        if let Some(units) = body.list("allowed_organization_units")? {
            self.conditions.units = units;
        }
        let conditions = &mut self.conditions;
        for (field, list) in [
            ("allowed_names", &mut conditions.names),
            ("allowed_common_names", &mut conditions.common_names),
            ("allowed_dns_sans", &mut conditions.dns_sans),
            ("allowed_email_sans", &mut conditions.email_sans),
            ("allowed_uri_sans", &mut conditions.uri_sans),
            ("allowed_organizational_units", &mut conditions.units),
            ("required_extensions", &mut conditions.extensions),
            ("allowed_metadata_extensions", &mut self.metadata_extensions),
        ] {
            if let Some(items) = body.list(field)? {
                *list = items;
            }
        }
        self.check_extensions()?;
        self.update_ocsp(body)?;
        self.update_token(body)
    }

    fn show(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let conditions = &self.conditions;
        for (field, list) in [
            ("allowed_names", &conditions.names),
            ("allowed_common_names", &conditions.common_names),
            ("allowed_dns_sans", &conditions.dns_sans),
            ("allowed_email_sans", &conditions.email_sans),
            ("allowed_uri_sans", &conditions.uri_sans),
            ("allowed_organizational_units", &conditions.units),
            ("required_extensions", &conditions.extensions),
            ("allowed_metadata_extensions", &self.metadata_extensions),
        ] {
            map.insert(field.into(), json!(list));
        }
        map.insert("certificate".into(), json!(self.certificate));
        map.insert("display_name".into(), json!(self.display_name));
        let ocsp = &self.ocsp;
        for (field, value) in [
            ("ocsp_enabled", json!(ocsp.enabled)),
            ("ocsp_ca_certificates", json!(ocsp.ca_certificates)),
            ("ocsp_servers_override", json!(ocsp.servers)),
            ("ocsp_fail_open", json!(ocsp.fail_open)),
            ("ocsp_query_all_servers", json!(ocsp.query_all)),
            ("ocsp_max_retries", json!(ocsp.retries)),
            ("ocsp_this_update_max_age", json!(ocsp.this_update_max_age)),
        ] {
            map.insert(field.into(), value);
        }
        self.token.show(&mut map);
        if self.old_policies {
            map.insert("policies".into(), json!(self.token.policies));
        }
        map
    }
}

impl Role {
    fn update_ocsp(&mut self, body: &Body) -> Result<(), Fault> {
        let ocsp = &mut self.ocsp;
        for (field, flag) in [
            ("ocsp_enabled", &mut ocsp.enabled),
            ("ocsp_fail_open", &mut ocsp.fail_open),
            ("ocsp_query_all_servers", &mut ocsp.query_all),
        ] {
            if let Some(given) = body.bool(field)? {
                *flag = given;
            }
        }
        if let Some(given) = body.string("ocsp_ca_certificates")? {
            ocsp.ca_certificates = certificates(&given)?;
        }
        if let Some(urls) = body.list("ocsp_servers_override")? {
            let urls: Result<_, _> = urls.iter().map(|url| Url::parse(url)).collect();
            ocsp.servers = urls
                .map_err(|failure| Fault::invalid(format!("ocsp_servers_override: {failure}")))?;
        }
        if let Some(retries) = body.int("ocsp_max_retries")? {
            ocsp.retries = u64::try_from(retries)
                .ok()
                .filter(|retries| *retries <= RETRIES_MAX)
                .ok_or_else(|| Fault::invalid("ocsp_max_retries: 0 to 10"))?;
        }
        if let Some(seconds) = body.seconds("ocsp_this_update_max_age")? {
            ocsp.this_update_max_age = seconds;
        }
        Ok(())
    }

    /// The token fields, and those that had another name before Vault 1.2.
    fn update_token(&mut self, body: &Body) -> Result<(), Fault> {
        if let Some(names) = body.list("policies")? {
            self.old_policies = !names.is_empty();
        }
        if body.has("token_policies") {
            self.old_policies = false;
        }
        if let Some(seconds) = body.seconds("lease")? {
            self.token.ttl = seconds;
        }
        token_fields::update(&mut self.token, body)
    }

    fn check_certificate(&self) -> Result<(), Fault> {
        let unreadable = || Fault::invalid("failed to parse certificate: expected X.509 in PEM");
        let all = self.certificates().map_err(|_| unreadable())?;
        let all: Vec<Facts> = all
            .iter()
            .map(Facts::read)
            .collect::<Result<_, _>>()
            .map_err(|_| unreadable())?;
        let first = all.first().ok_or_else(unreadable)?;
        if !first.is_ca && !first.for_clients {
            return Err(Fault::invalid(
                "nonCA certificates should have TLS client authentication set as an extended key usage",
            ));
        }
        if first.is_ca && all.iter().any(|facts| !facts.is_ca) {
            return Err(Fault::invalid(
                "certificate: a certificate among the authorities may not sign others; give authorities, or one \
                 certificate to pin",
            ));
        }
        Ok(())
    }

    fn check_extensions(&self) -> Result<(), Fault> {
        let is_oid = |text: &str| {
            text.contains('.') && text.split('.').all(|part| part.parse::<u64>().is_ok())
        };
        for wanted in &self.conditions.extensions {
            let wanted = wanted.strip_prefix("hex:").unwrap_or(wanted);
            if !wanted.split_once(':').is_some_and(|(oid, _)| is_oid(oid)) {
                return Err(Fault::invalid(
                    "required_extensions: expected OID:PATTERN or hex:OID:PATTERN",
                ));
            }
        }
        match self.metadata_extensions.iter().all(|oid| is_oid(oid)) {
            true => Ok(()),
            false => Err(Fault::invalid(
                "allowed_metadata_extensions: expected object identifiers such as 1.2.3.45",
            )),
        }
    }
}

/// PEM, or that in base64 once more.
fn certificates(given: &str) -> Result<String, Fault> {
    let inner = STANDARD.decode(given.trim()).ok();
    let inner = inner.and_then(|bytes| String::from_utf8(bytes).ok());
    let pem = inner.unwrap_or_else(|| given.to_owned());
    let mut all = CertificateDer::pem_slice_iter(pem.as_bytes());
    let readable =
        |found: Result<CertificateDer<'_>, _>| found.is_ok_and(|found| Facts::read(&found).is_ok());
    let blank = pem.trim().is_empty();
    match blank || pem.contains("-----BEGIN") && all.all(readable) {
        true => Ok(pem),
        false => Err(Fault::invalid(
            "ocsp_ca_certificates: expected X.509 certificates in PEM",
        )),
    }
}
