//! Which kind of key to make.

use std::sync::Arc;

use vault_ssh::{KeyKind, PrivateKey};

use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::core::slow::Outside;

/// Of a CA; RSA with 4096 bits unless something else is asked for.
pub(super) fn of_authority(body: &Body) -> Result<KeyKind, Fault> {
    parse(body, "ssh-rsa", KeyKind::Rsa4096)
}

/// Of a caller; RSA with 2048 bits unless something else is asked for.
pub(super) fn of_caller(body: &Body) -> Result<KeyKind, Fault> {
    parse(body, "rsa", KeyKind::Rsa2048)
}

fn parse(body: &Body, default: &str, rsa: KeyKind) -> Result<KeyKind, Fault> {
    let name = body.string("key_type")?.filter(|name| !name.is_empty());
    let bits = body.int("key_bits")?.unwrap_or(0);
    let kind = match (name.as_deref().unwrap_or(default), bits) {
        ("rsa" | "ssh-rsa", 0) => rsa,
        ("rsa" | "ssh-rsa", 2048) => KeyKind::Rsa2048,
        ("rsa" | "ssh-rsa", 3072) => KeyKind::Rsa3072,
        ("rsa" | "ssh-rsa", 4096) => KeyKind::Rsa4096,
        ("ed25519" | "ssh-ed25519", 0 | 256) => KeyKind::Ed25519,
        ("ec" | "ecdsa" | "ecdsa-sha2-nistp256", 0 | 256) => KeyKind::P256,
        ("ec" | "ecdsa", 384) | ("ecdsa-sha2-nistp384", 0 | 384) => KeyKind::P384,
        ("ec" | "ecdsa", 521) | ("ecdsa-sha2-nistp521", 0 | 521) => KeyKind::P521,
        _ => {
            return Err(Fault::invalid(
                "key_type and key_bits do not name a kind of key: use ed25519, ec with 256, 384 or \
                 521 bits, or rsa with 2048, 3072 or 4096 bits",
            ));
        }
    };
    Ok(kind)
}

/// RSA takes long enough to be in the way of others.
pub(super) async fn generate(kind: KeyKind, outside: &Outside<'_>) -> Result<PrivateKey, Fault> {
    let random = Arc::clone(outside.random);
    let make = move || PrivateKey::generate(kind, &*random);
    let made = match kind {
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => outside.slow.run(make).await?,
        _ => make(),
    };
    made.map_err(|_| Fault::Internal("no key was made"))
}
