//! Lists of what is revoked, as `sshd` reads them from `RevokedKeys` (PROTOCOL.krl).

use crate::key::Key;
use crate::wire::push_string;

const MAGIC: &[u8; 8] = b"SSHKRL\n\0";
const FORMAT: u32 = 1;
const CERTIFICATES: u8 = 1;
const EXPLICIT_KEYS: u8 = 2;
const SERIALS: u8 = 0x20;
const KEY_IDS: u8 = 0x23;

/// What a list revokes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The certificate with this number. Without an authority, of all authorities.
    Serial(Option<Key>, u64),
    /// All certificates with this key id, of all authorities.
    KeyId(String),
    /// A key, and all certificates that are its own or that it signed.
    Key(Key),
}

/// A list. `version` counts up with each change; `generated` is in seconds since 1970.
pub fn krl(version: u64, generated: u64, revoked: &[Revoked]) -> Vec<u8> {
    let mut list = MAGIC.to_vec();
    list.extend_from_slice(&FORMAT.to_be_bytes());
    list.extend_from_slice(&version.to_be_bytes());
    list.extend_from_slice(&generated.to_be_bytes());
    // Flags, then what is reserved, then a comment.
    list.extend_from_slice(&0u64.to_be_bytes());
    push_string(&mut list, b"");
    push_string(&mut list, b"");
    let mut authorities: Vec<Option<&Key>> = Vec::new();
    let mut keys = Vec::new();
    for one in revoked {
        let authority = match one {
            Revoked::Serial(authority, _) => authority.as_ref(),
            Revoked::KeyId(_) => None,
            Revoked::Key(key) => {
                push_string(&mut keys, &key.blob());
                continue;
            }
        };
        if !authorities.contains(&authority) {
            authorities.push(authority);
        }
    }
    for authority in authorities {
        list.push(CERTIFICATES);
        push_string(&mut list, &certificates(authority, revoked));
    }
    if !keys.is_empty() {
        list.push(EXPLICIT_KEYS);
        push_string(&mut list, &keys);
    }
    list
}

/// The section of one authority, or of all.
fn certificates(authority: Option<&Key>, revoked: &[Revoked]) -> Vec<u8> {
    let mut section = Vec::new();
    push_string(&mut section, &authority.map(Key::blob).unwrap_or_default());
    push_string(&mut section, b"");
    let (mut serials, mut ids) = (Vec::new(), Vec::new());
    for one in revoked {
        match one {
            Revoked::Serial(of, serial) if of.as_ref() == authority => {
                serials.extend_from_slice(&serial.to_be_bytes());
            }
            Revoked::KeyId(id) if authority.is_none() => push_string(&mut ids, id.as_bytes()),
            _ => {}
        }
    }
    for (kind, content) in [(SERIALS, serials), (KEY_IDS, ids)] {
        if !content.is_empty() {
            section.push(kind);
            push_string(&mut section, &content);
        }
    }
    section
}
