//! Private keys as OpenSSH writes them, and signatures in SSH's form.

use std::fmt;

use vault_crypto::PrivateKey as Inner;
use vault_crypto::{KeyKind, Random, RsaHash, SecretVec, pem};
use zeroize::Zeroizing;

use crate::key::{Key, curve_of, names_of};
use crate::wire::{Malformed, Reader, push_number, push_string};

/// The text holds no private key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPrivateKey {
    /// No PEM frame, or what is in it is not what the frame says.
    #[error(
        "not a private key: expected OpenSSH or PEM format, ed25519, ecdsa, or rsa with at least 2048 bits"
    )]
    Malformed,
    /// A passphrase is needed.
    #[error("the private key is encrypted: remove its passphrase first (ssh-keygen -p -N '')")]
    Encrypted,
    /// The numbers that signing needs are not in that format.
    #[error("an RSA key has to be in PEM format: convert a copy with ssh-keygen -p -N '' -m PEM")]
    RsaInOpenSsh,
}

impl From<Malformed> for BadPrivateKey {
    fn from(_: Malformed) -> BadPrivateKey {
        BadPrivateKey::Malformed
    }
}

impl From<vault_crypto::BadPrivateKey> for BadPrivateKey {
    fn from(bad: vault_crypto::BadPrivateKey) -> BadPrivateKey {
        match bad {
            vault_crypto::BadPrivateKey::Malformed => BadPrivateKey::Malformed,
            vault_crypto::BadPrivateKey::Encrypted => BadPrivateKey::Encrypted,
        }
    }
}

/// A private key and its public half.
pub struct PrivateKey {
    public: Key,
    key: Inner,
}

const MAGIC: &[u8] = b"openssh-key-v1\0";

impl PrivateKey {
    /// Makes a key. RSA takes up to seconds: call it where that blocks nobody.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn generate(kind: KeyKind, random: &dyn Random) -> Result<PrivateKey, BadPrivateKey> {
        PrivateKey::of(Inner::generate(kind, random)?)
    }

    /// Reads the OpenSSH format, and PEM with PKCS #8, PKCS #1 (RSA) or SEC 1 (ECDSA).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<PrivateKey, BadPrivateKey> {
        let (label, bytes) = pem::read(text)?;
        match label {
            "OPENSSH PRIVATE KEY" => PrivateKey::from_openssh(&bytes),
            _ => PrivateKey::of(Inner::from_labelled(label, &bytes)?),
        }
    }

    /// From DER (RFC 5958).
    ///
    /// # Errors
    /// If it is no key of a known kind.
    pub fn from_pkcs8(der: &[u8]) -> Result<PrivateKey, BadPrivateKey> {
        PrivateKey::of(Inner::from_pkcs8(der)?)
    }

    fn of(key: Inner) -> Result<PrivateKey, BadPrivateKey> {
        let public = match &key {
            Inner::Ed25519(key) => Key::ed25519(key.point()),
            Inner::Ecdsa(key) => Key::ecdsa(key.curve(), key.point()),
            Inner::Rsa(key) => {
                let (modulus, exponent) = key.public();
                Key::rsa(exponent, modulus)
            }
        };
        match public.is_strong() {
            true => Ok(PrivateKey { public, key }),
            false => Err(BadPrivateKey::Malformed),
        }
    }

    /// The public half.
    pub fn public(&self) -> &Key {
        &self.public
    }

    /// DER (RFC 5958).
    ///
    /// # Errors
    /// If the library cannot.
    pub fn to_pkcs8(&self) -> Result<SecretVec, BadPrivateKey> {
        Ok(self.key.to_pkcs8()?)
    }

    /// PKCS #8 in PEM.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, BadPrivateKey> {
        Ok(self.key.to_pem()?)
    }

    /// The format of `ssh-keygen`, without a passphrase.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn to_openssh(
        &self,
        comment: &str,
        random: &dyn Random,
    ) -> Result<Zeroizing<String>, BadPrivateKey> {
        // Large enough never to move: what is left behind by a move is not wiped.
        let mut secret = Zeroizing::new(Vec::with_capacity(8 << 10));
        let mut check = [0; 4];
        random.fill(&mut check);
        secret.extend_from_slice(&check);
        secret.extend_from_slice(&check);
        push_string(&mut secret, self.public.algorithm().as_bytes());
        self.push_secret(&mut secret)?;
        push_string(&mut secret, comment.as_bytes());
        let padding = (8 - secret.len() % 8) % 8;
        secret.extend((1u8..).take(padding));

        let mut whole = Zeroizing::new(Vec::with_capacity(16 << 10));
        whole.extend_from_slice(MAGIC);
        for none in [&b"none"[..], b"none", b""] {
            push_string(&mut whole, none);
        }
        whole.extend_from_slice(&1u32.to_be_bytes());
        push_string(&mut whole, &self.public.blob());
        push_string(&mut whole, &secret);
        Ok(pem::write("OPENSSH PRIVATE KEY", &whole, 70))
    }

    fn push_secret(&self, into: &mut Vec<u8>) -> Result<(), BadPrivateKey> {
        match &self.key {
            Inner::Ed25519(key) => {
                push_string(into, key.point());
                let mut both = Zeroizing::new(Vec::with_capacity(64));
                both.extend_from_slice(&key.seed()?);
                both.extend_from_slice(key.point());
                push_string(into, &both);
            }
            Inner::Ecdsa(key) => {
                push_string(into, names_of(key.curve()).0.as_bytes());
                push_string(into, key.point());
                push_number(into, &key.scalar()?);
            }
            Inner::Rsa(key) => {
                let [n, e, d, p, q, _, _, inverse] = key.numbers()?;
                for number in [n, e, d, inverse, p, q] {
                    push_number(into, &number);
                }
            }
        }
        Ok(())
    }

    fn from_openssh(bytes: &[u8]) -> Result<PrivateKey, BadPrivateKey> {
        let mut reader = Reader::new(bytes);
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(BadPrivateKey::Malformed);
        }
        let (cipher, _kdf, _options) = (reader.text()?, reader.string()?, reader.string()?);
        if cipher != "none" {
            return Err(BadPrivateKey::Encrypted);
        }
        if reader.u32()? != 1 {
            return Err(BadPrivateKey::Malformed);
        }
        let public = Key::from_blob(reader.string()?)?;
        let mut secret = Reader::new(reader.string()?);
        reader.end()?;
        if secret.u32()? != secret.u32()? {
            return Err(BadPrivateKey::Malformed);
        }
        let key = match secret.text()? {
            "ssh-ed25519" => {
                let (_point, both) = (secret.string()?, secret.string()?);
                Inner::from_ed25519_seed(both.get(..32).ok_or(Malformed)?)?
            }
            "ssh-rsa" => return Err(BadPrivateKey::RsaInOpenSsh),
            algorithm => {
                let curve = curve_of(algorithm).ok_or(Malformed)?;
                let (_name, point, scalar) = (secret.string()?, secret.string()?, secret.number()?);
                Inner::from_ecdsa(curve, scalar, point)?
            }
        };
        let key = PrivateKey::of(key)?;
        match key.public == public {
            true => Ok(key),
            false => Err(BadPrivateKey::Malformed),
        }
    }

    /// A signature in SSH's form: its algorithm and its bytes. RSA signs with SHA-512.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Malformed> {
        let algorithm = match &self.key {
            Inner::Rsa(_) => "rsa-sha2-512",
            _ => self.public.algorithm(),
        };
        self.sign_as(algorithm, message)
    }

    /// As [`PrivateKey::sign`], with the algorithm that is asked for: an RSA key has two.
    ///
    /// # Errors
    /// If the key has no such algorithm, or the library cannot.
    pub fn sign_as(&self, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, Malformed> {
        let bytes = match &self.key {
            Inner::Rsa(key) => {
                let hash = match algorithm {
                    "rsa-sha2-256" => RsaHash::Sha256,
                    "rsa-sha2-512" => RsaHash::Sha512,
                    _ => return Err(Malformed),
                };
                key.sign_pkcs1(hash, message).map_err(|_| Malformed)?
            }
            _ if algorithm != self.public.algorithm() => return Err(Malformed),
            Inner::Ed25519(key) => key.sign(message),
            Inner::Ecdsa(key) => {
                let fixed = key.sign(message).map_err(|_| Malformed)?;
                let (r, s) = fixed.split_at(fixed.len() / 2);
                let mut numbers = Vec::with_capacity(160);
                push_number(&mut numbers, r);
                push_number(&mut numbers, s);
                numbers
            }
        };
        let mut signature = Vec::with_capacity(bytes.len() + 32);
        push_string(&mut signature, algorithm.as_bytes());
        push_string(&mut signature, &bytes);
        Ok(signature)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public.fingerprint())
    }
}

#[cfg(test)]
mod tests;
