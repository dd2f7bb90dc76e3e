//! How certificates and keys are given.

use serde_json::{Map, Value, json};
use vault_crypto::PrivateKey;

use super::issue::Leaf;
use super::issuer::{Authority, certificate_pem};
use super::{key, serial};
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::{Promised, Reply};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Pem,
    Der,
    Bundle,
}

impl Format {
    pub(super) fn of(ctx: &Ctx<'_>) -> Result<Format, Fault> {
        match ctx.body().string("format")?.unwrap_or_default().as_str() {
            "" | "pem" => Ok(Format::Pem),
            "der" => Ok(Format::Der),
            "pem_bundle" => Ok(Format::Bundle),
            _ => Err(Fault::invalid(
                "the \"format\" path parameter must be \"pem\", \"der\", or \"pem_bundle\"",
            )),
        }
    }

    pub(super) fn show(self, der: &[u8]) -> String {
        use base64::Engine as _;
        match self {
            Format::Der => base64::engine::general_purpose::STANDARD.encode(der),
            Format::Pem | Format::Bundle => certificate_pem(der),
        }
    }

    pub(super) fn show_key(self, key: &PrivateKey, ctx: &Ctx<'_>) -> Result<String, Fault> {
        use base64::Engine as _;
        match self {
            Format::Der => {
                let der = key.to_pkcs8().map_err(key::bad)?;
                Ok(base64::engine::general_purpose::STANDARD.encode(&der))
            }
            Format::Pem | Format::Bundle => Ok(key::pem(key, ctx.body())?.trim_end().to_owned()),
        }
    }
}

impl Leaf {
    pub(super) fn reply(
        self,
        ctx: &Ctx<'_>,
        authority: &Authority,
        key: Option<&PrivateKey>,
    ) -> Result<Reply, Fault> {
        let format = Format::of(ctx)?;
        let mut chain = authority.chain.clone();
        if ctx.body().bool("remove_roots_from_chain")?.unwrap_or(false) {
            chain.retain(|der| {
                super::issuer::facts(der).is_ok_and(|facts| facts.subject != facts.issuer)
            });
        }
        let chain: Vec<String> = chain.iter().map(|der| format.show(der)).collect();
        let mut certificate = format.show(&self.der);
        let mut map = Map::new();
        if let Some(key) = key {
            let shown = format.show_key(key, ctx)?;
            if format == Format::Bundle {
                certificate = format!("{shown}\n{certificate}");
            }
            map.insert("private_key".into(), shown.into());
            map.insert("private_key_type".into(), key::type_of(key).into());
        }
        if format == Format::Bundle {
            certificate = [&[certificate], chain.as_slice()].concat().join("\n");
        }
        map.insert("certificate".into(), certificate.into());
        map.insert("issuing_ca".into(), format.show(&authority.der).into());
        map.insert("ca_chain".into(), chain.into());
        map.insert("serial_number".into(), serial::colons(&self.serial).into());
        map.insert(
            "expiration".into(),
            Value::from(self.validity.not_after.as_second()),
        );
        map.insert(
            "not_before".into(),
            json!(self.validity.not_before.as_second()),
        );
        let promised = self.leased.then(|| Promised {
            about: serial::hex(&self.serial),
            expires: self.validity.not_after,
        });
        let reply = Reply {
            promised,
            ..Reply::map(map)
        };
        Ok(match self.validity.warning {
            Some(warning) => reply.warn(warning),
            None => reply,
        })
    }
}
