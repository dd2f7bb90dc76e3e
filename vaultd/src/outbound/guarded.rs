//! Connections to what strangers name: a name is resolved once, each of its addresses is checked, and
//! only those that were checked are connected to. That a name means something else a moment later has no
//! effect.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;
use tokio::net::TcpStream;

use super::dns::{Resolver, Unresolved};
use super::networks::Networks;

/// What may be reached, and who resolves names.
#[derive(Clone)]
pub struct Guarded {
    pub resolver: Resolver,
    pub networks: Networks,
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unreachable {
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
    /// Nothing was sent.
    #[error("an address of the host is in a network that must not be reached from here")]
    Forbidden,
    #[error("no address of the host takes connections at that port")]
    Refused,
}

impl Guarded {
    /// A connection to a host, which is a name or an address.
    ///
    /// # Errors
    /// If one of its addresses is forbidden, and if none answers.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Unreachable> {
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.resolver.addresses(host).await?,
        };
        if !addresses.iter().all(|found| self.networks.permits(*found)) {
            return Err(Unreachable::Forbidden);
        }
        for address in addresses {
            if let Ok(stream) = TcpStream::connect(SocketAddr::new(address, port)).await {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
        }
        Err(Unreachable::Refused)
    }
}
