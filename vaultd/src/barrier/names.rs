//! Row keys: what the disk sees instead of names.
//!
//! ```text
//! V | mount u64 | PRF(mount, path)[..20]                   a value, one look-up at any depth
//! L | mount u64 | PRF(mount, directory)[..16] | SIV(name)  an entry of a directory, one range
//! E | time u64 | id 16                                     something due, in order of time
//! ```
//! A thief of the file learns the shape of the tree, entries per directory, sizes and due times,
//! and that a name is the same as before; never a name.

use bytes::Bytes;
use vault_crypto::SecretVec;

use super::keyring::Keyring;

pub const VALUE: u8 = b'V';
pub const LISTING: u8 = b'L';
pub const DUE: u8 = b'E';

const DIRECTORY_TAG: usize = 16;
/// Where the pseudo-random part of a value or listing key starts, and a listing key's sealed name.
pub const TAG_AT: usize = 1 + 8;
pub const SEALED_AT: usize = TAG_AT + DIRECTORY_TAG;

pub fn value_key(keyring: &Keyring, mount: u64, path: &str) -> Bytes {
    let tag = keyring.rows.tag(&[&mount.to_be_bytes(), path.as_bytes()]);
    let mut key = Vec::with_capacity(29);
    key.push(VALUE);
    key.extend_from_slice(&mount.to_be_bytes());
    key.extend_from_slice(&tag[..20]);
    key.into()
}

/// The common start of all entries of a directory.
pub fn directory_prefix(keyring: &Keyring, mount: u64, directory: &str) -> Vec<u8> {
    let tag = keyring
        .directories
        .tag(&[&mount.to_be_bytes(), directory.as_bytes()]);
    let mut key = Vec::with_capacity(SEALED_AT + 32);
    key.push(LISTING);
    key.extend_from_slice(&mount.to_be_bytes());
    key.extend_from_slice(&tag[..DIRECTORY_TAG]);
    key
}

pub fn listing_key(keyring: &Keyring, mount: u64, directory: &str, name: &str) -> Bytes {
    let mut key = directory_prefix(keyring, mount, directory);
    let sealed = keyring.names.seal(&key, name.as_bytes());
    key.extend_from_slice(&sealed);
    key.into()
}

/// The directory's part of a listing key.
pub fn directory_of(key: &Bytes) -> Option<Bytes> {
    (key.first() == Some(&LISTING) && key.len() > SEALED_AT).then(|| key.slice(..SEALED_AT))
}

/// The name in a listing key; `None` if it was not made by this keyring for that directory.
pub fn listing_name(keyring: &Keyring, key: &[u8]) -> Option<SecretVec> {
    let (prefix, sealed) = key.split_at_checked(SEALED_AT)?;
    keyring.names.open(prefix, sealed).ok()
}

pub fn due_key(at_ms: u64, id: &[u8; 16]) -> Bytes {
    let mut key = Vec::with_capacity(25);
    key.push(DUE);
    key.extend_from_slice(&at_ms.to_be_bytes());
    key.extend_from_slice(id);
    key.into()
}

/// The mount that a V or L row belongs to; due rows belong to mount 0.
pub fn mount_of(key: &[u8]) -> u64 {
    match key.first() {
        Some(&VALUE | &LISTING) => key
            .get(1..9)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_be_bytes),
        _ => 0,
    }
}

/// First key after all keys that start with `prefix`.
pub fn end_of(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            break;
        }
    }
    end.into()
}

/// `a/b/c` is `c` in `a/b`; `a` is `a` in the root, which is the empty path.
pub fn split_last(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
