//! TLS: configured certificates, or an own CA made at first start.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

pub use super::client_cert::ClientCert;

const CA_DAYS: i64 = 3650;
const DAY: i64 = 86_400;
/// Seconds that an own certificate lives, if nothing else is said.
pub const OWN_LIFE: i64 = 365 * DAY;

/// Where the server's certificate comes from.
#[derive(Debug, Clone)]
pub struct Files {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub rules: Rules,
}

/// What is asked of clients.
#[derive(Debug, Clone)]
pub struct Rules {
    pub allow_tls12: bool,
    pub client: ClientCert,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            allow_tls12: true,
            client: ClientCert::Optional(None),
        }
    }
}

pub fn load(files: &Files) -> Result<Arc<rustls::ServerConfig>> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .with_context(|| format!("certificate {}", files.cert.display()))?;
    if chain.is_empty() {
        bail!("{} holds no certificate", files.cert.display());
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("private key {}", files.key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = match files.rules.allow_tls12 {
        true => &[&rustls::version::TLS13, &rustls::version::TLS12],
        false => &[&rustls::version::TLS13],
    };
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)?;
    let builder = match files.rules.client.verifier(provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).with_context(|| {
        format!(
            "{} does not belong to {}",
            files.key.display(),
            files.cert.display()
        )
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = rustls::server::ServerSessionMemoryCache::new(4096);
    Ok(Arc::new(config))
}

/// The server's own certificate and key below `dir`, made or renewed where needed. Clients trust
/// `ca.pem`.
pub fn own(
    dir: &Path,
    address: SocketAddr,
    now_seconds: i64,
    life: i64,
) -> Result<(PathBuf, PathBuf)> {
    let (cert_file, key_file) = (dir.join("server.pem"), dir.join("server.key"));
    let (ca_file, ca_key_file) = (dir.join("ca.pem"), dir.join("ca.key"));
    if !ca_file.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("folder {}", dir.display()))?;
        let key = KeyPair::generate()?;
        let cert = ca_params(now_seconds)?.self_signed(&key)?;
        write(&ca_key_file, &key.serialize_pem(), 0o600)?;
        write(&ca_file, &cert.pem(), 0o644)?;
    }
    // Made anew at each start and in time: it is cheap, and an address that changed is in it.
    let ca_key = KeyPair::from_pem(
        &fs::read_to_string(&ca_key_file).with_context(|| format!("{}", ca_key_file.display()))?,
    )?;
    let issuer = Issuer::from_ca_cert_pem(&fs::read_to_string(&ca_file)?, ca_key)
        .with_context(|| format!("CA certificate {}", ca_file.display()))?;
    let key = KeyPair::generate()?;
    let cert = server_params(address, now_seconds, life)?.signed_by(&key, &issuer)?;
    write(&key_file, &key.serialize_pem(), 0o600)?;
    write(&cert_file, &cert.pem(), 0o644)?;
    Ok((cert_file, key_file))
}

/// From a little earlier, since clocks differ.
fn validity(params: &mut CertificateParams, now_seconds: i64, life: i64) -> Result<()> {
    let time = |seconds: i64| -> Result<_> {
        let since = std::time::Duration::from_secs(u64::try_from(seconds)?);
        Ok(rcgen::date_time_ymd(1970, 1, 1) + since)
    };
    params.not_before = time(now_seconds - DAY.min(life))?;
    params.not_after = time(now_seconds + life)?;
    Ok(())
}

/// When the certificate in a file begins and ends, in seconds since 1970.
pub fn span(file: &Path) -> Result<(i64, i64)> {
    let der = CertificateDer::from_pem_file(file).with_context(|| format!("{}", file.display()))?;
    let (_, parsed) = X509Certificate::from_der(&der)?;
    let validity = parsed.validity();
    Ok((
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

/// Keeps a certificate that was obtained, for the next start too, which is sealed. Chain and key are one
/// file, so that they are never of two minds.
pub fn keep(file: &Path, chain: &str, key: &str) -> Result<()> {
    let whole = zeroize::Zeroizing::new(format!("{}\n{}\n", chain.trim_end(), key.trim_end()));
    write(file, &whole, 0o600)
}

fn ca_params(now_seconds: i64) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "vaultd local CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    validity(&mut params, now_seconds, CA_DAYS * DAY)?;
    Ok(params)
}

fn server_params(address: SocketAddr, now_seconds: i64, life: i64) -> Result<CertificateParams> {
    let mut names = vec!["localhost".to_owned()];
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let is_name = !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    if is_name && host != "localhost" {
        names.push(host);
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "vaultd");
    for ip in [
        IpAddr::from([127, 0, 0, 1]),
        IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]),
        address.ip(),
    ] {
        if !ip.is_unspecified() && !params.subject_alt_names.contains(&SanType::IpAddress(ip)) {
            params.subject_alt_names.push(SanType::IpAddress(ip));
        }
    }
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    validity(&mut params, now_seconds, life)?;
    Ok(params)
}

/// Whole or not at all: written beside, then renamed.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .with_context(|| format!("{}", beside.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path).with_context(|| format!("{}", path.display()))
}
