//! What others see without a token: answers to authorities, and for monitoring how certificates stand.

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use vault_crypto::sha256;

use super::cert::{self, Cert};
use super::name::Name;
use crate::barrier::View;
use crate::core::fault::Fault;
use crate::engine::ending::Ending;

/// Longer tokens are nobody's.
const TOKEN_MAX: usize = 128;
const HOST_MAX: usize = 253;

/// For http-01: what is at `/.well-known/acme-challenge/TOKEN` (RFC 8555, 8.3).
pub async fn response(token: &str, view: &mut View<'_>) -> Result<Option<String>, Fault> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match (1..=TOKEN_MAX).contains(&token.len()) && token.bytes().all(fits) {
        true => Ok(view.get(&cert::token_row(token)).await?),
        false => Ok(None),
    }
}

/// What is shown in a handshake that asks for a proof.
pub struct Handshake {
    pub certificate: CertificateDer<'static>,
    pub key: PrivatePkcs8KeyDer<'static>,
}

/// For tls-alpn-01: the certificate that a handshake for this host shows (RFC 8737, 3).
pub async fn handshake(host: &str, view: &mut View<'_>) -> Result<Option<Handshake>, Fault> {
    let host = host.to_ascii_lowercase();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if host.is_empty() || host.len() > HOST_MAX || !host.bytes().all(fits) {
        return Ok(None);
    }
    let authorization: Option<String> = view.get(&cert::handshake_row(&host)).await?;
    let Some(authorization) = authorization else {
        return Ok(None);
    };
    let failed = |_| Fault::Internal("the library makes no certificate");
    let mut params = CertificateParams::new(vec![subject(&host)]).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    let digest = sha256(authorization.as_bytes());
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
    let key = KeyPair::generate().map_err(failed)?;
    let made = params.self_signed(&key).map_err(failed)?;
    Ok(Some(Handshake {
        certificate: made.der().clone(),
        key: PrivatePkcs8KeyDer::from(key.serialize_der()),
    }))
}

/// An address is asked for by its reverse name, and shown as an address (RFC 8738, 6).
fn subject(host: &str) -> String {
    if let Some(reversed) = host.strip_suffix(".in-addr.arpa") {
        let parts: Vec<&str> = reversed.rsplit('.').collect();
        return parts.join(".");
    }
    if let Some(reversed) = host.strip_suffix(".ip6.arpa") {
        let nibbles: String = reversed.rsplit('.').collect();
        let groups: Vec<&str> = (0..nibbles.len().min(32) / 4)
            .filter_map(|at| nibbles.get(4 * at..4 * at + 4))
            .collect();
        return groups.join(":");
    }
    host.to_owned()
}

/// The version that readers of a certificate get; `None` if there is none yet.
pub async fn newest(name: &str, view: &mut View<'_>) -> Result<Option<u64>, Fault> {
    let cert = Cert::find(view, &Name::parse(name)?).await?;
    let cert =
        cert.ok_or_else(|| Fault::invalid("there is no such certificate in the acme engine"))?;
    Ok(Some(cert.current).filter(|version| *version > 0))
}

/// For monitoring.
pub async fn endings(view: &mut View<'_>) -> Result<Vec<Ending>, Fault> {
    let mut all = Vec::new();
    for name in Cert::names(view).await? {
        if let Some(cert) = Cert::find(view, &name).await? {
            all.push(Ending {
                name: name.as_str().to_owned(),
                not_after: cert.current().map(|version| version.not_after),
                is_failing: cert.failure.is_some(),
            });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::acme::name::reverse;

    #[test]
    fn an_address_is_shown_as_an_address() {
        for text in ["192.0.2.1", "2001:db8::1"] {
            let shown = text.parse().ok().map(|address| subject(&reverse(address)));
            let parsed = shown.and_then(|shown| shown.parse::<std::net::IpAddr>().ok());
            assert_eq!(
                parsed.map(|address| address.to_string()).as_deref(),
                Some(text)
            );
        }
    }
}
