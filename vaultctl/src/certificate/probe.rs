//! Looking at a service from outside: which certificate it really serves.
//!
//! Promises: the other side has proved to have the key of what it is said to serve; every address of a
//! name is asked. Not promised: that the certificate is trusted by anybody; it is compared, byte by byte.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use super::leaf::Leaf;
use crate::error::{Outcome, local};

/// For one connection.
const LIMIT: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// So many looks in a row have to be good: while a server reloads, its old workers answer, too.
const STEADY: u32 = 3;

/// A service, as `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Target {
    host: String,
    port: u16,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let wrong = || format!("{text}: write HOST:PORT, such as 127.0.0.1:443 or [::1]:443");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let inner = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let host = inner.unwrap_or(host);
        match (
            port.parse(),
            host.is_empty() || inner.is_none() && host.contains(':'),
        ) {
            (Ok(port), false) => Ok(Target {
                host: host.to_owned(),
                port,
            }),
            _ => Err(wrong()),
        }
    }
}

impl Target {
    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Target, String> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        target.to_string()
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Where to look, and for how long.
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
pub(crate) struct Probe {
    /// Then connect there, to every address, and see that the certificate is what is served; may be
    /// repeated
    #[arg(long = "probe", value_name = "HOST:PORT")]
    #[serde(default, rename = "probe")]
    pub(crate) targets: Vec<Target>,
    /// The name to ask for [default: the certificate's]
    #[arg(long, value_name = "NAME")]
    #[serde(default)]
    pub(crate) server_name: Option<String>,
    /// How long it may take until it is served
    #[arg(long, value_name = "SECONDS")]
    #[serde(default)]
    pub(crate) probe_seconds: Option<u64>,
}

/// What one address serves.
pub(crate) struct Seen {
    pub(crate) address: String,
    /// The leaf first; or why there is none.
    pub(crate) chain: Result<Vec<CertificateDer<'static>>, String>,
}

impl Seen {
    /// Why this is not the wanted chain, the leaf first.
    pub(crate) fn differs(&self, wanted: &[Vec<u8>]) -> Option<String> {
        let chain = match &self.chain {
            Err(why) => return Some(why.clone()),
            Ok(chain) => chain,
        };
        let is = |at: usize| {
            let served = chain.get(at).map(AsRef::as_ref);
            served == wanted.get(at).map(Vec::as_slice)
        };
        if !is(0) {
            let other = chain.first().and_then(|der| Leaf::from_der(der).ok());
            return Some(match other {
                Some(other) => format!(
                    "it serves another certificate: {}, which ends {}",
                    other.serial, other.not_after
                ),
                None => "it serves no certificate that can be read".to_owned(),
            });
        }
        let whole = (1..wanted.len()).all(is);
        (!whole).then(|| "it serves the certificate without its chain".to_owned())
    }
}

impl Probe {
    /// Looks until all addresses serve the chain, in DER, the leaf first. What each served last.
    ///
    /// # Errors
    /// Of each address that does not, why.
    pub(crate) async fn serves(&self, name: &str, wanted: &[Vec<u8>]) -> Result<Vec<Seen>, String> {
        let limit = Duration::from_secs(self.probe_seconds.unwrap_or(10));
        let end = Instant::now() + limit;
        let mut good = 0;
        loop {
            let seen = self
                .look(name)
                .await
                .map_err(|failure| failure.to_string())?;
            let wrong: Vec<String> = seen
                .iter()
                .filter_map(|seen| Some(format!("{}: {}", seen.address, seen.differs(wanted)?)))
                .collect();
            good = if wrong.is_empty() { good + 1 } else { 0 };
            if good == STEADY {
                return Ok(seen);
            }
            if Instant::now() >= end && !wrong.is_empty() {
                return Err(wrong.join("; "));
            }
            sleep(PAUSE).await;
        }
    }

    /// What every address serves now.
    pub(crate) async fn look(&self, name: &str) -> Outcome<Vec<Seen>> {
        let name = self.server_name.as_deref().unwrap_or(name);
        let asked = match name.strip_prefix("*.") {
            Some(rest) => format!("any.{rest}"),
            None => name.to_owned(),
        };
        let server = ServerName::try_from(asked).map_err(|_| {
            local(
                format!("{name} is no name to ask for"),
                "give --server-name NAME",
            )
        })?;
        let mut all = Vec::new();
        for target in &self.targets {
            let found = timeout(LIMIT, lookup_host((target.host.as_str(), target.port))).await;
            let addresses: Vec<SocketAddr> = match found {
                Ok(Ok(found)) => found.collect(),
                _ => Vec::new(),
            };
            if addresses.is_empty() {
                all.push(Seen {
                    address: target.to_string(),
                    chain: Err("the name has no address".to_owned()),
                });
            }
            for address in addresses {
                let chain = match timeout(LIMIT, served(address, server.clone())).await {
                    Ok(chain) => chain,
                    Err(_) => Err(format!("no answer in {} seconds", LIMIT.as_secs())),
                };
                all.push(Seen {
                    address: address.to_string(),
                    chain,
                });
            }
        }
        Ok(all)
    }
}

/// The chain that an address serves.
async fn served(
    address: SocketAddr,
    name: ServerName<'static>,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let witness = Arc::new(Witness::default());
    let config = ClientConfig::builder_with_provider(Arc::clone(&witness.provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let ended = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    let seen = witness
        .seen
        .lock()
        .map(|mut seen| std::mem::take(&mut *seen));
    match (ended, seen) {
        (Ok(_), Ok(seen)) => Ok(seen),
        (Err(error), _) => Err(format!("TLS fails: {error}")),
        (_, Err(_)) => Err("the certificate was not seen".to_owned()),
    }
}

/// Notes every certificate; the other side has to prove that it has its key.
#[derive(Debug)]
struct Witness {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Vec<CertificateDer<'static>>>,
}

impl Default for Witness {
    fn default() -> Witness {
        Witness {
            provider: Arc::new(aws_lc_rs::default_provider()),
            seen: Mutex::default(),
        }
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(leaf).chain(above);
        if let Ok(mut seen) = self.seen.lock() {
            *seen = all.map(|der| der.clone().into_owned()).collect();
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, leaf, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_hosts_with_ports() {
        for text in ["127.0.0.1:443", "[::1]:8443", "shop.example.com:443"] {
            let parsed: Result<Target, _> = text.parse();
            assert_eq!(parsed.map(|target| target.to_string()), Ok(text.to_owned()));
        }
        for text in ["shop", "shop:", ":443", "::1:443", "a:b", "a:70000"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
