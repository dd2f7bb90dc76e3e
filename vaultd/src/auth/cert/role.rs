//! What a role may hold.

use serde_json::{Map, Value, json};

use super::certificate::Facts;
use super::model::Role;
use crate::auth::name::RoleName;
use crate::auth::{roles, token_fields};
use crate::core::body::Body;
use crate::core::fault::Fault;

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
        refuse_ocsp(body)?;
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
        map.insert("ocsp_enabled".into(), json!(false));
        self.token.show(&mut map);
        if self.old_policies {
            map.insert("policies".into(), json!(self.token.policies));
        }
        map
    }
}

impl Role {
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

/// A role that believes it asks responders, and does not, would let revoked certificates in.
fn refuse_ocsp(body: &Body) -> Result<(), Fault> {
    match body.bool("ocsp_enabled")? {
        Some(true) => Err(Fault::invalid(
            "ocsp_enabled: OCSP responders are not asked here; store a revocation list at crls/:name",
        )),
        _ => Ok(()),
    }
}
