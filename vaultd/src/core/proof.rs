//! What authorities outside are shown, so that they see that a name is ours (ACME). They have no token,
//! and what they get is public once it is asked for; sealed, there is nothing.

use super::Core;
use super::fault::Fault;
use super::mount::Kind;
use crate::engine::acme::{self, Handshake};

/// For http-01.
pub async fn response(core: &Core, token: &str) -> Result<Option<String>, Fault> {
    let vault = core.gate.enter()?;
    let mounts = vault.mounts.load_full();
    for mount in mounts.iter().filter(|mount| mount.kind == Kind::Acme) {
        let mut tx = vault.barrier.begin();
        if let Some(found) = acme::response(token, &mut tx.view(mount.number)).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// For tls-alpn-01.
pub async fn handshake(core: &Core, host: &str) -> Result<Option<Handshake>, Fault> {
    let vault = core.gate.enter()?;
    let mounts = vault.mounts.load_full();
    for mount in mounts.iter().filter(|mount| mount.kind == Kind::Acme) {
        let mut tx = vault.barrier.begin();
        if let Some(found) = acme::handshake(host, &mut tx.view(mount.number)).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
