//! Signatures as `ssh-keygen -Y sign` makes them (PROTOCOL.sshsig).

use aws_lc_rs::digest::{Algorithm, SHA256, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::certificate::Certificate;
use crate::key::Key;
use crate::wire::{Malformed, Reader, push_string};

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";
/// A signature that was read, not checked.
pub struct Signature {
    namespace: String,
    key: Key,
    /// The signer showed it in place of its key.
    pub certificate: Option<Certificate>,
    hash: &'static Algorithm,
    hash_name: String,
    bytes: Vec<u8>,
}

impl Signature {
    /// Armored, or the same base64 without its frame. The namespace keeps signatures for one use of a
    /// key, such as Git's, from another.
    ///
    /// # Errors
    /// If it is none, or for another use.
    pub fn parse(text: &str, namespace: &str) -> Result<Signature, Malformed> {
        let text = text.trim();
        let inner = match text.strip_prefix(BEGIN) {
            Some(rest) => rest.strip_suffix(END).ok_or(Malformed)?,
            None => text,
        };
        let base64: String = inner.split_ascii_whitespace().collect();
        Signature::read(&STANDARD.decode(base64).map_err(|_| Malformed)?, namespace)
    }

    fn read(bytes: &[u8], namespace: &str) -> Result<Signature, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.take(MAGIC.len())? != MAGIC || reader.u32()? != 1 {
            return Err(Malformed);
        }
        let public = reader.string()?;
        if reader.text()? != namespace || !reader.string()?.is_empty() {
            return Err(Malformed);
        }
        let hash_name = reader.text()?;
        let hash = match hash_name {
            "sha256" => &SHA256,
            "sha512" => &SHA512,
            _ => return Err(Malformed),
        };
        let signature = reader.string()?.to_vec();
        reader.end()?;
        let certificate = match Certificate::is_one(public) {
            true => Some(Certificate::from_blob(public)?),
            false => None,
        };
        let key = match &certificate {
            Some(certificate) => certificate.key.clone(),
            None => Key::from_blob(public)?,
        };
        Ok(Signature {
            namespace: namespace.to_owned(),
            key,
            certificate,
            hash,
            hash_name: hash_name.to_owned(),
            bytes: signature,
        })
    }

    /// The key that signed the message, and the flags of a security key.
    ///
    /// # Errors
    /// If it did not.
    pub fn verify(&self, message: &[u8]) -> Result<(&Key, u8), Malformed> {
        let mut signed = MAGIC.to_vec();
        push_string(&mut signed, self.namespace.as_bytes());
        push_string(&mut signed, b"");
        push_string(&mut signed, self.hash_name.as_bytes());
        push_string(&mut signed, digest(self.hash, message).as_ref());
        let flags = self.key.verify(&signed, &self.bytes)?;
        Ok((&self.key, flags))
    }
}
