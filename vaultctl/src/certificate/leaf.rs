//! A certificate as this machine reads it: when it ends, which number it has, whose key is in it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_crypto::{pem, sha256};
use vault_x509::x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::error::{Outcome, plain};

/// What is known of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leaf {
    /// `0a:1b:…`
    pub(crate) serial: String,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// SHA-256 of its DER.
    pub(crate) fingerprint: String,
}

impl Leaf {
    pub(crate) fn from_der(der: &[u8]) -> Outcome<Leaf> {
        let bad = || plain("this is no certificate");
        let Ok(([], found)) = X509Certificate::from_der(der) else {
            return Err(bad());
        };
        let time = |seconds| Timestamp::from_second(seconds).map_err(|_| bad());
        let pairs: Vec<String> = found.raw_serial().iter().map(hex_byte).collect();
        Ok(Leaf {
            serial: pairs.join(":"),
            not_before: time(found.validity().not_before.timestamp())?,
            not_after: time(found.validity().not_after.timestamp())?,
            fingerprint: hex::encode(sha256(der)),
        })
    }
}

fn hex_byte(byte: &u8) -> String {
    format!("{byte:02x}")
}

/// A key with its certificate and those between it and the root.
pub(crate) struct Pair {
    /// PEM.
    pub(crate) key: Zeroizing<String>,
    /// PEM, the leaf first.
    pub(crate) chain: Vec<String>,
    pub(crate) leaf: Leaf,
}

impl Pair {
    /// Checked: the key is that of the first certificate.
    pub(crate) fn new(key: Zeroizing<String>, chain: Vec<String>) -> Outcome<Pair> {
        let first = chain
            .first()
            .ok_or_else(|| plain("there is no certificate"))?;
        let der = der(first)?;
        let private = vault_crypto::PrivateKey::from_pem(&key);
        let public = private.and_then(|private| private.public_der());
        let public = public.map_err(|error| plain(format!("the key: {error}")))?;
        let Ok((_, parsed)) = X509Certificate::from_der(&der) else {
            return Err(plain("this is no certificate"));
        };
        if parsed.public_key().raw != public {
            return Err(plain("the certificate is for another key"));
        }
        Ok(Pair {
            leaf: Leaf::from_der(&der)?,
            key,
            chain,
        })
    }
}

/// The bytes of a certificate in PEM.
pub(crate) fn der(text: &str) -> Outcome<Vec<u8>> {
    match pem::read(text) {
        Ok(("CERTIFICATE", der)) => Ok(der.to_vec()),
        _ => Err(plain("this is no certificate in PEM")),
    }
}

/// The certificates in a text that may hold other things, too; each in PEM.
pub(crate) fn certificates(text: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let frames = text.split(BEGIN).skip(1);
    let bodies = frames.filter_map(|rest| Some(rest.split_once(END)?.0.trim()));
    bodies
        .map(|body| format!("{BEGIN}\n{body}\n{END}\n"))
        .collect()
}
