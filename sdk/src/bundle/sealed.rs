//! Files that only the host's key opens: ChaCha20-Poly1305 under a key of each file's own
//! (HKDF-SHA256 of the host's key and a random salt), so that no nonce is used twice.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

use super::HostKey;

const MAGIC: &[u8; 8] = b"vaultdB1";
const SALT: usize = 32;

/// `name` is what the file is: one put in the place of another does not open.
pub(super) fn seal(key: &HostKey, name: &str, plain: &[u8]) -> Option<Vec<u8>> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).ok()?;
    let mut text = Vec::with_capacity(plain.len() + 16);
    text.extend_from_slice(plain);
    file_key(key, &salt)?
        .seal_in_place_append_tag(nonce(), Aad::from(name.as_bytes()), &mut text)
        .ok()?;
    Some([&MAGIC[..], &salt, &text].concat())
}

pub(super) fn open(key: &HostKey, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let rest = sealed.strip_prefix(MAGIC)?;
    let (salt, rest) = rest.split_first_chunk::<SALT>()?;
    let mut text = Zeroizing::new(rest.to_vec());
    let length = file_key(key, salt)?
        .open_in_place(nonce(), Aad::from(name.as_bytes()), &mut text)
        .ok()?
        .len();
    text.truncate(length);
    Some(text)
}

fn file_key(key: &HostKey, salt: &[u8; SALT]) -> Option<LessSafeKey> {
    let prk = Salt::new(HKDF_SHA256, salt).extract(key.expose());
    let okm = prk.expand(&[b"vaultd/bundle/file/v1"], &CHACHA20_POLY1305);
    Some(LessSafeKey::new(UnboundKey::from(okm.ok()?)))
}

/// Each key seals one file.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// In one step, readable by its owner alone.
pub(super) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}
