//! Bytes on disk.
//!
//! ```text
//! record = format u8 = 1 | term u32 | generation u64 | commitment 16 | nonce 24 | ciphertext | tag 16
//! ```
//! Associated data, each field length-prefixed: cluster id, format, term, mount, row key, generation.
//! The row key is a keyed function of the path, so a record that was moved to another path, mount,
//! cluster or term, or whose header was changed, does not open. A record put back from an older copy
//! of the same row does open: that is what `presence` is for.

use vault_crypto::{Aad, OVERHEAD, Random, SecretVec};

use super::keyring::Keyring;

const FORMAT: u8 = 1;
const HEADER: usize = 1 + 4 + 8;

/// Size of a record above its plaintext.
pub const RECORD_OVERHEAD: usize = HEADER + OVERHEAD;

/// Where and when a record lives.
pub struct Place<'a> {
    pub mount: u64,
    pub row: &'a [u8],
    pub generation: u64,
}

/// The record cannot be opened: changed, moved, or of a term that the keyring does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unopened;

pub fn seal(
    keyring: &Keyring,
    random: &dyn Random,
    place: &Place<'_>,
    plaintext: &[u8],
) -> Vec<u8> {
    let (term, key) = keyring.current();
    let mut out = Vec::with_capacity(RECORD_OVERHEAD + plaintext.len());
    out.push(FORMAT);
    out.extend_from_slice(&term.to_be_bytes());
    out.extend_from_slice(&place.generation.to_be_bytes());
    key.seal_into(
        random,
        associated(keyring, term, place).as_bytes(),
        plaintext,
        &mut out,
    );
    out
}

/// The plaintext and the generation under which it was written.
pub fn open(
    keyring: &Keyring,
    mount: u64,
    row: &[u8],
    record: &[u8],
) -> Result<(SecretVec, u64), Unopened> {
    let (term, generation) = header(record).ok_or(Unopened)?;
    let key = keyring.term(term).ok_or(Unopened)?;
    let place = Place {
        mount,
        row,
        generation,
    };
    let plaintext = key
        .open(
            associated(keyring, term, &place).as_bytes(),
            &record[HEADER..],
        )
        .map_err(|_| Unopened)?;
    Ok((plaintext, generation))
}

/// The generation in the header, before it was authenticated.
pub fn claimed_generation(record: &[u8]) -> Option<u64> {
    header(record).map(|(_, generation)| generation)
}

fn header(record: &[u8]) -> Option<(u32, u64)> {
    if record.len() < RECORD_OVERHEAD || record[0] != FORMAT {
        return None;
    }
    let term = u32::from_be_bytes(record[1..5].try_into().ok()?);
    let generation = u64::from_be_bytes(record[5..13].try_into().ok()?);
    Some((term, generation))
}

fn associated(keyring: &Keyring, term: u32, place: &Place<'_>) -> Aad {
    Aad::new("vaultd record")
        .field(keyring.cluster().as_bytes())
        .u64(u64::from(FORMAT))
        .u64(u64::from(term))
        .u64(place.mount)
        .field(place.row)
        .u64(place.generation)
}
