//! The fields of a role, as a request gives them.

use ipnet::IpNet;
use vault_x509::{KeyUsage, Purpose, oid};

use super::Role;
use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::engine::pki::{acme, key, validity};
use crate::engine::template;

impl Role {
    /// Applies the fields that are present. Fails if the whole makes no sense then.
    pub(super) fn update(&mut self, body: &Body) -> Result<(), Fault> {
        for (field, into) in [
            ("ttl", &mut self.ttl),
            ("max_ttl", &mut self.max_ttl),
            ("not_before_duration", &mut self.not_before_duration),
        ] {
            if let Some(seconds) = body.seconds(field)? {
                *into = seconds;
            }
        }
        for (field, into) in [
            ("issuer_ref", &mut self.issuer_ref),
            ("not_after", &mut self.not_after),
            ("key_type", &mut self.key_type),
        ] {
            if let Some(text) = body.string(field)? {
                *into = text;
            }
        }
        for (field, into) in [
            ("key_bits", &mut self.key_bits),
            ("signature_bits", &mut self.signature_bits),
        ] {
            if let Some(number) = body.int(field)? {
                *into = number;
            }
        }
        self.update_flags(body)?;
        self.update_lists(body)?;
        // What is not stored cannot be revoked.
        self.generate_lease &= !self.no_store;
        self.check()
    }

    fn update_flags(&mut self, body: &Body) -> Result<(), Fault> {
        for (field, into) in [
            ("allow_localhost", &mut self.allow_localhost),
            ("allow_bare_domains", &mut self.allow_bare_domains),
            ("allow_subdomains", &mut self.allow_subdomains),
            ("allow_glob_domains", &mut self.allow_glob_domains),
            (
                "allow_wildcard_certificates",
                &mut self.allow_wildcard_certificates,
            ),
            ("allow_any_name", &mut self.allow_any_name),
            ("enforce_hostnames", &mut self.enforce_hostnames),
            ("allow_ip_sans", &mut self.allow_ip_sans),
            ("require_cn", &mut self.require_cn),
            ("use_csr_common_name", &mut self.use_csr_common_name),
            ("use_csr_sans", &mut self.use_csr_sans),
            ("server_flag", &mut self.server_flag),
            ("client_flag", &mut self.client_flag),
            ("code_signing_flag", &mut self.code_signing_flag),
            ("email_protection_flag", &mut self.email_protection_flag),
            (
                "basic_constraints_valid_for_non_ca",
                &mut self.basic_constraints_valid_for_non_ca,
            ),
            ("use_pss", &mut self.use_pss),
            ("no_store", &mut self.no_store),
            ("generate_lease", &mut self.generate_lease),
            (
                "allowed_domains_template",
                &mut self.allowed_domains_template,
            ),
            (
                "allowed_uri_sans_template",
                &mut self.allowed_uri_sans_template,
            ),
        ] {
            if let Some(flag) = body.bool(field)? {
                *into = flag;
            }
        }
        Ok(())
    }

    fn update_lists(&mut self, body: &Body) -> Result<(), Fault> {
        for (field, into) in [
            ("allowed_domains", &mut self.allowed_domains),
            ("allowed_ip_sans_cidr", &mut self.allowed_ip_sans_cidr),
            ("allowed_uri_sans", &mut self.allowed_uri_sans),
            ("allowed_other_sans", &mut self.allowed_other_sans),
            ("allowed_serial_numbers", &mut self.allowed_serial_numbers),
            ("allowed_user_ids", &mut self.allowed_user_ids),
            ("cn_validations", &mut self.cn_validations),
            ("key_usage", &mut self.key_usage),
            ("ext_key_usage", &mut self.ext_key_usage),
            ("ext_key_usage_oids", &mut self.ext_key_usage_oids),
            ("policy_identifiers", &mut self.policy_identifiers),
            ("ou", &mut self.ou),
            ("organization", &mut self.organization),
            ("country", &mut self.country),
            ("locality", &mut self.locality),
            ("province", &mut self.province),
            ("street_address", &mut self.street_address),
            ("postal_code", &mut self.postal_code),
        ] {
            if let Some(list) = body.list(field)? {
                *into = list;
            }
        }
        if let Some(networks) = acme::networks(body, "acme_allowed_networks")? {
            self.acme_allowed_networks = networks;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Fault> {
        if self.max_ttl > 0 && self.ttl > self.max_ttl {
            return Err(Fault::invalid(
                "\"ttl\" value must be less than \"max_ttl\" value",
            ));
        }
        if self.key_type != "any" {
            key::kind(&self.key_type, self.key_bits)?;
        }
        self.hash()?;
        let odd = |known: bool, field: &str, what: &str| match known {
            true => Ok(()),
            false => Err(Fault::invalid(format!("{field}: {what}"))),
        };
        let usages = self.key_usage.iter();
        odd(
            usages.clone().all(|name| KeyUsage::named(name).is_some()),
            "key_usage",
            &format!("unknown usage; known are {}", KeyUsage::NAMES.join(", ")),
        )?;
        odd(
            self.ext_key_usage
                .iter()
                .all(|name| Purpose::named(name).is_some()),
            "ext_key_usage",
            "unknown usage, such as ServerAuth, ClientAuth, CodeSigning, EmailProtection, TimeStamping, OCSPSigning",
        )?;
        let oids = self
            .ext_key_usage_oids
            .iter()
            .chain(&self.policy_identifiers);
        odd(
            oids.clone().all(|text| oid::parse(text).is_some()),
            "ext_key_usage_oids and policy_identifiers",
            "expected object identifiers such as 1.3.6.1.5.5.7.3.17",
        )?;
        let nets = &self.allowed_ip_sans_cidr;
        odd(
            nets.iter().all(|net| net.parse::<IpNet>().is_ok()),
            "allowed_ip_sans_cidr",
            "expected networks such as 10.0.0.0/8",
        )?;
        let validations = ["email", "hostname", "disabled"];
        odd(
            self.cn_validations
                .iter()
                .all(|name| validations.contains(&name.as_str())),
            "cn_validations",
            "use email, hostname or disabled",
        )?;
        validity::parse_moment(&self.not_after, "not_after")?;
        for (templated, list, field) in [
            (
                self.allowed_domains_template,
                &self.allowed_domains,
                "allowed_domains",
            ),
            (
                self.allowed_uri_sans_template,
                &self.allowed_uri_sans,
                "allowed_uri_sans",
            ),
        ] {
            let closed = |text: &String| template::check(text, field);
            list.iter().filter(|_| templated).try_for_each(closed)?;
        }
        Ok(())
    }
}
