//! Key material for people: the only way out besides a backup.

use std::fmt::Write as _;

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::model::{Key, KeyName};
use super::version::{KeyType, Version};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Encryption,
    Signing,
    Hmac,
    Cmac,
    Public,
}

impl Part {
    fn parse(text: &str) -> Result<Part, Fault> {
        Ok(match text {
            "encryption-key" => Part::Encryption,
            "signing-key" => Part::Signing,
            "hmac-key" => Part::Hmac,
            "cmac-key" => Part::Cmac,
            "public-key" => Part::Public,
            _ => {
                return Err(Fault::invalid(
                    "invalid export type: use encryption-key, signing-key, hmac-key, cmac-key or public-key",
                ));
            }
        })
    }

    fn is_private(self) -> bool {
        matches!(self, Part::Encryption | Part::Signing)
    }

    fn check(self, key: &Key) -> Result<(), Fault> {
        let text = match self {
            Part::Public if !key.kind.signs() || key.derived => "the key has no public key",
            Part::Public => return Ok(()),
            Part::Hmac if key.kind.cmac_key().is_some() => "the key is for CMAC, not HMAC",
            Part::Cmac if key.kind.cmac_key().is_none() => "CMAC not supported for the key",
            _ if !key.exportable => "private key material is not exportable",
            Part::Encryption if !key.kind.encrypts() => "encryption not supported for the key",
            Part::Signing if !key.kind.signs() => "signing not supported for the key",
            _ => return Ok(()),
        };
        Err(Fault::invalid(text))
    }
}

pub(super) async fn export(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (part, name) = (Part::parse(ctx.param("type"))?, KeyName::of(ctx)?);
    let key = Key::load(view, &name).await?.ok_or(Fault::Missing)?;
    key.check_use()?;
    part.check(&key)?;
    let wanted = asked_version(ctx, &key)?;
    let mut keys = Map::new();
    for (number, version) in key.visible() {
        if wanted.is_none_or(|wanted| wanted == number) {
            if part.is_private() && !version.has_private() {
                continue;
            }
            let text = exported(key.kind, version, part)?;
            keys.insert(number.to_string(), Value::from(text.as_str()));
        }
    }
    Ok(Reply::json(json!({
        "name": name.as_str(),
        "type": key.kind.name(),
        "keys": keys,
    })))
}

/// The one version in the path; none stands for all.
pub(super) fn asked_version(ctx: &Ctx<'_>, key: &Key) -> Result<Option<u64>, Fault> {
    match ctx.param("version") {
        "" => Ok(None),
        text => one_version(key, text).map(Some),
    }
}

fn one_version(key: &Key, text: &str) -> Result<u64, Fault> {
    let number = match text {
        "latest" => key.latest(),
        text => text
            .trim_start_matches('v')
            .parse()
            .map_err(|_| Fault::invalid("invalid key version"))?,
    };
    if number < key.min_decryption_version {
        return Err(Fault::invalid(
            "version for export is below minimum decryption version",
        ));
    }
    match key.version(number) {
        Some(_) => Ok(number),
        None => Err(Fault::invalid("version does not exist or cannot be found")),
    }
}

fn exported(kind: KeyType, version: &Version, part: Part) -> Result<Zeroizing<String>, Fault> {
    let failed = Fault::Internal("a stored key cannot be read");
    let material = version.material.expose();
    Ok(match (part, kind.curve()) {
        (Part::Hmac, _) => version.hmac_key().to_base64(),
        (Part::Public, _) if kind == KeyType::Ed25519 => Zeroizing::new(version.public.clone()),
        (Part::Public, _) => pem("PUBLIC KEY", &version.public_bytes()?),
        (_, Some(curve)) => {
            let pair = EcdsaKeyPair::from_pkcs8(curve, material).map_err(|_| failed)?;
            let der: EcPrivateKeyRfc5915Der<'_> = pair
                .private_key()
                .as_der()
                .map_err(|_| Fault::Internal("a stored key cannot be exported"))?;
            pem("EC PRIVATE KEY", der.as_ref())
        }
        _ if kind.rsa_size().is_some() => pem("RSA PRIVATE KEY", pkcs1(material).ok_or(failed)?),
        _ => version.material.to_base64(),
    })
}

/// PEM (RFC 7468).
pub(super) fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / 64 + 80));
    // Writing to a string does not fail.
    let _ = writeln!(text, "-----BEGIN {label}-----");
    for line in body.as_bytes().chunks(64) {
        text.extend(line.iter().map(|&byte| char::from(byte)));
        text.push('\n');
    }
    let _ = writeln!(text, "-----END {label}-----");
    text
}

/// `RSAPrivateKey` (RFC 8017) out of PKCS #8: sequence, version, algorithm, octet string.
fn pkcs1(pkcs8: &[u8]) -> Option<&[u8]> {
    let (whole, _) = element(pkcs8, 0x30)?;
    let (_, rest) = element(whole, 0x02)?;
    let (_, rest) = element(rest, 0x30)?;
    element(rest, 0x04).map(|(content, _)| content)
}

/// Content of the first DER element, which must have this tag, and what follows it.
pub(super) fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first().filter(|_| first == tag)?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
