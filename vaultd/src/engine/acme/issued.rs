//! Keys and requests for orders, and what an authority issued: checked before it replaces anything.

use jiff::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use vault_crypto::{PrivateKey, Random};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::cert::{KeyType, Pending, Version};
use super::name::Host;
use super::trouble::Trouble;
use crate::core::fault::Fault;
use crate::engine::secret::Secret;

/// A new key with its request. Slow for RSA.
pub(super) fn pending(
    names: &[Host],
    key_type: KeyType,
    random: &dyn Random,
) -> Result<Pending, Fault> {
    let failed = |_| Fault::Internal("the library makes no key");
    let key = PrivateKey::generate(key_type.kind(), random).map_err(failed)?;
    let key = Secret::copy(&key.to_pkcs8().map_err(failed)?);
    let failed = |_| Fault::Internal("the library writes no request");
    let pair = KeyPair::try_from(&PrivatePkcs8KeyDer::from(key.expose())).map_err(failed)?;
    let names: Vec<String> = names.iter().map(Host::to_string).collect();
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    let csr = params.serialize_request(&pair).map_err(failed)?;
    Ok(Pending {
        csr: csr.der().to_vec(),
        key,
        key_type,
    })
}

/// The certificate is of our key, for our names, and good now.
pub(super) fn check(
    chain: &str,
    pending: &Pending,
    names: &[Host],
    now: Timestamp,
) -> Result<Version, Trouble> {
    let wrong = |what: &str| {
        Trouble::refused(
            format!("the authority issued a certificate that {what}; the one from before stays"),
            "tell the authority; renew to try again",
        )
        .of_order()
    };
    let whole: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let whole = whole.ok().filter(|whole| !whole.is_empty());
    let whole = whole.ok_or_else(|| wrong("is no PEM"))?;
    let (_, parsed) = X509Certificate::from_der(&whole[0]).map_err(|_| wrong("cannot be read"))?;
    let own = PrivateKey::from_pkcs8(pending.key.expose()).and_then(|key| key.public_der());
    if !own.is_ok_and(|own| own == parsed.public_key().raw) {
        return Err(wrong("is of another key"));
    }
    let time = |at: i64| Timestamp::from_second(at).map_err(|_| wrong("has no readable times"));
    let not_before = time(parsed.validity().not_before.timestamp())?;
    let not_after = time(parsed.validity().not_after.timestamp())?;
    if not_after <= now {
        return Err(wrong("has ended already; check this server's clock"));
    }
    let has = covered(&parsed);
    if let Some(missing) = names.iter().find(|name| !has.contains(&name.to_string())) {
        return Err(wrong(&format!("is not for {missing}")));
    }
    let serial: Vec<String> = parsed
        .raw_serial()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Version {
        serial: serial.join(":"),
        issuer: super::trouble::shown(&parsed.issuer().to_string()),
        names: has,
        not_before,
        not_after,
        key_type: pending.key_type,
        obtained: now,
        revoked: None,
    })
}

fn covered(parsed: &X509Certificate<'_>) -> Vec<String> {
    let extension = parsed.subject_alternative_name().ok().flatten();
    let names = extension.map(|found| &found.value.general_names);
    let shown = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|four| std::net::IpAddr::from(four).to_string()),
            16 => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|all| std::net::IpAddr::from(all).to_string()),
            _ => None,
        },
        _ => None,
    };
    names.into_iter().flatten().filter_map(shown).collect()
}
