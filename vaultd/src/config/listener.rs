//! `[listener]`: the address, the rules of TLS, and where the certificate comes from.

use anyhow::{Context, Result, bail};

use super::native::Listener;
use super::{ListenerConfig, Source, TlsConfig, address, seconds};
use crate::http::tls::{ClientCert, OWN_LIFE, Rules};

enum Wanted {
    /// Files if they are named, an own certificate otherwise.
    Usual,
    Files,
    /// With a life in seconds.
    Own(i64),
    From(Source),
}

fn said(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

fn source(listener: &Listener) -> Result<Wanted> {
    let ttl = match said(&listener.tls_ttl) {
        Some(text) => {
            let ttl = seconds(&text).filter(|ttl| (10..=365_000_000).contains(ttl));
            Some(
                ttl.context("listener.tls_ttl: expected a duration such as \"72h\", at least 10s")?,
            )
        }
        None => None,
    };
    let mount = |usual: &str| said(&listener.tls_mount).unwrap_or_else(|| usual.to_owned());
    let needs = |key: &str| format!("listener: this tls_source needs {key}");
    match said(&listener.tls_source).as_deref() {
        None => Ok(ttl
            .and_then(|ttl| i64::try_from(ttl).ok())
            .map_or(Wanted::Usual, Wanted::Own)),
        Some("files") => Ok(Wanted::Files),
        Some("own") => {
            let life = ttl.and_then(|ttl| i64::try_from(ttl).ok());
            Ok(Wanted::Own(life.unwrap_or(OWN_LIFE)))
        }
        Some("pki") => Ok(Wanted::From(Source::Pki {
            mount: mount("pki"),
            role: said(&listener.tls_role).with_context(|| needs("tls_role"))?,
            common_name: said(&listener.tls_common_name)
                .with_context(|| needs("tls_common_name"))?,
            alt_names: listener.tls_alt_names.clone(),
            ip_sans: listener.tls_ip_sans.clone(),
            ttl,
        })),
        Some("acme") => Ok(Wanted::From(Source::Acme {
            mount: mount("acme"),
            name: said(&listener.tls_name).with_context(|| needs("tls_name"))?,
        })),
        Some(_) => bail!("listener.tls_source: expected \"files\", \"own\", \"pki\" or \"acme\""),
    }
}

pub(super) fn read(listener: Listener) -> Result<ListenerConfig> {
    let source = source(&listener)?;
    let allow_tls12 = match listener.tls_min_version.as_deref() {
        None | Some("tls12" | "1.2") => true,
        Some("tls13" | "1.3") => false,
        Some(_) => bail!("listener.tls_min_version: expected \"tls12\" or \"tls13\""),
    };
    let client = ClientCert::new(
        listener.tls_client_ca_file,
        listener.tls_require_and_verify_client_cert,
        listener.tls_disable_client_certs,
    )
    .context("listener")?;
    if listener.tls_disable && matches!(client, ClientCert::Required(_)) {
        bail!("listener: tls_disable contradicts tls_require_and_verify_client_cert");
    }
    let rules = Rules {
        allow_tls12,
        client,
    };
    let files = (listener.tls_cert_file, listener.tls_key_file);
    let tls = match (listener.tls_disable, files, source) {
        (true, (None, None), Wanted::Usual) => TlsConfig::Off,
        (true, ..) => {
            bail!("listener: tls_disable contradicts tls_cert_file, tls_key_file and tls_source")
        }
        (false, (Some(cert), Some(key)), Wanted::Usual | Wanted::Files) => {
            TlsConfig::Files { cert, key, rules }
        }
        (false, (None, None), Wanted::Usual) => TlsConfig::Own {
            rules,
            life: OWN_LIFE,
        },
        (false, (None, None), Wanted::Own(life)) => TlsConfig::Own { rules, life },
        (false, (None, None), Wanted::From(source)) => TlsConfig::Obtained { rules, source },
        (false, (None, None), Wanted::Files) => {
            bail!("listener: tls_source \"files\" needs tls_cert_file and tls_key_file")
        }
        (false, (Some(_), Some(_)), _) => {
            bail!("listener: tls_cert_file contradicts a tls_source other than \"files\"")
        }
        (false, ..) => bail!("listener: tls_cert_file and tls_key_file belong together"),
    };
    Ok(ListenerConfig {
        address: address(&listener.address)?,
        tls,
    })
}
