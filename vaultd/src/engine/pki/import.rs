//! Keys and certificates of authorities that were made elsewhere.

use serde_json::{Map, Value, json};
use vault_crypto::{PrivateKey, pem};
use zeroize::Zeroizing;

use super::issuer::{self, Issuer};
use super::key::{self, Key};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// `config/ca`, `issuers/import/*`, `intermediate/set-signed`: keys and certificates in PEM, in any
/// order. What is there already stays as it is.
pub(super) async fn import(
    ctx: &Ctx<'_>,
    keys_allowed: bool,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let body = ctx.body();
    let field = match body.has("pem_bundle") {
        true => "pem_bundle",
        false => "certificate",
    };
    let text = Zeroizing::new(body.required(field)?);
    let (mut keys, mut authorities) = (Vec::new(), Vec::new());
    for frame in frames(&text) {
        let bad = |_| Fault::invalid(format!("{field}: a PEM block cannot be read"));
        let (label, der) = pem::read(frame).map_err(bad)?;
        match label {
            "CERTIFICATE" => authorities.push(der.to_vec()),
            "EC PARAMETERS" => {}
            label => keys.push(PrivateKey::from_labelled(label, &der).map_err(key::bad)?),
        }
    }
    if authorities.is_empty() && keys.is_empty() {
        return Err(Fault::invalid(format!(
            "{field}: no certificate and no key in PEM was found"
        )));
    }
    if !keys.is_empty() && !keys_allowed {
        return Err(Fault::invalid(
            "private keys found in the PEM bundle but not allowed by the path",
        ));
    }
    let mut done = Imported::default();
    for key in &keys {
        let (key, is_new) = Key::keep(key, String::new(), ctx, view).await?;
        done.key(key.id, is_new);
    }
    for der in &authorities {
        done.authority(der, ctx, view).await?;
    }
    Ok(done.reply())
}

fn frames(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let from = rest.find("-----BEGIN ")?;
        let end = rest[from..].find("-----END ")? + from;
        let close = rest[end + 9..].find("-----")? + end + 14;
        let frame = &rest[from..close];
        rest = &rest[close..];
        Some(frame)
    })
}

#[derive(Default)]
struct Imported {
    new_issuers: Vec<String>,
    old_issuers: Vec<String>,
    new_keys: Vec<String>,
    old_keys: Vec<String>,
    mapping: Map<String, Value>,
}

impl Imported {
    fn key(&mut self, id: String, is_new: bool) {
        match is_new {
            true => self.new_keys.push(id),
            false => self.old_keys.push(id),
        }
    }

    async fn authority(
        &mut self,
        der: &[u8],
        ctx: &Ctx<'_>,
        view: &mut View<'_>,
    ) -> Result<(), Fault> {
        let facts = issuer::facts(der)?;
        if !facts.is_authority {
            return Err(Fault::invalid(
                "a certificate of the bundle is no CA certificate: it cannot issue",
            ));
        }
        for issuer in Issuer::all(view).await? {
            if issuer.der()? == der {
                self.mapping.insert(issuer.id.clone(), issuer.key_id.into());
                self.old_issuers.push(issuer.id);
                return Ok(());
            }
        }
        let mut key_id = String::new();
        for key in Key::all(view).await? {
            if key::public(&key.open()?)? == facts.public {
                key_id = key.id;
                break;
            }
        }
        let issuer = Issuer::new(der, &key_id, String::new(), ctx.random);
        issuer.store(view, true).await?;
        self.mapping.insert(issuer.id.clone(), key_id.into());
        self.new_issuers.push(issuer.id);
        Ok(())
    }

    fn reply(self) -> Reply {
        let alone = self.mapping.values().any(|key| key == "");
        let reply = Reply::json(json!({
            "imported_issuers": self.new_issuers,
            "imported_keys": self.new_keys,
            "existing_issuers": self.old_issuers,
            "existing_keys": self.old_keys,
            "mapping": self.mapping,
        }));
        match alone {
            true => reply.warn(
                "some issuers have no private key here: they verify chains, and sign nothing",
            ),
            false => reply,
        }
    }
}
