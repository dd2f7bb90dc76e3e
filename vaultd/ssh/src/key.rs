//! Public keys (RFC 4253, 5656, 8709; PROTOCOL.u2f) and the signatures that they verify.
//!
//! RSA signs with SHA-2 only (RFC 8332) and has at least 2048 bits. A security key's signature counts
//! only if somebody touched the key.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use vault_crypto::Curve;

use crate::wire::{Malformed, Reader, push_number, push_string};

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PublicKey {
    algorithm: &'static str,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Ed25519(Vec<u8>),
    Ecdsa(Curve, Vec<u8>),
    Rsa { exponent: Vec<u8>, modulus: Vec<u8> },
}

/// The names of a curve and of the algorithm that uses it.
pub fn names_of(curve: Curve) -> (&'static str, &'static str) {
    match curve {
        Curve::P256 => ("nistp256", "ecdsa-sha2-nistp256"),
        Curve::P384 => ("nistp384", "ecdsa-sha2-nistp384"),
        Curve::P521 => ("nistp521", "ecdsa-sha2-nistp521"),
    }
}

/// The curve that an algorithm uses.
pub fn curve_of(algorithm: &str) -> Option<Curve> {
    let mut all = Curve::ALL.into_iter();
    all.find(|curve| names_of(*curve).1 == algorithm)
}

fn verifier(curve: Curve) -> &'static EcdsaVerificationAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED,
    }
}

/// What a security key adds to a signature (PROTOCOL.u2f): bits of its flags.
const TOUCHED: u8 = 1;
/// Of a security key's flags: its user has given a PIN.
pub const VERIFIED: u8 = 4;

/// A key, and the application of a security key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    public: PublicKey,
    application: Option<Vec<u8>>,
}

impl Key {
    pub(crate) fn ed25519(point: &[u8]) -> Key {
        Key::plain("ssh-ed25519", Kind::Ed25519(point.to_vec()))
    }

    pub(crate) fn ecdsa(curve: Curve, point: &[u8]) -> Key {
        Key::plain(names_of(curve).1, Kind::Ecdsa(curve, point.to_vec()))
    }

    pub(crate) fn rsa(exponent: Vec<u8>, modulus: Vec<u8>) -> Key {
        Key::plain("ssh-rsa", Kind::Rsa { exponent, modulus })
    }

    fn plain(algorithm: &'static str, kind: Kind) -> Key {
        Key {
            public: PublicKey { algorithm, kind },
            application: None,
        }
    }

    /// From the fields after the algorithm's name, which certificates have too.
    pub(crate) fn read(algorithm: &str, reader: &mut Reader<'_>) -> Result<Key, Malformed> {
        let (algorithm, curve) = match algorithm {
            "ssh-ed25519" => ("ssh-ed25519", None),
            "ssh-rsa" => ("ssh-rsa", None),
            "ecdsa-sha2-nistp256" => ("ecdsa-sha2-nistp256", Some(Curve::P256)),
            "ecdsa-sha2-nistp384" => ("ecdsa-sha2-nistp384", Some(Curve::P384)),
            "ecdsa-sha2-nistp521" => ("ecdsa-sha2-nistp521", Some(Curve::P521)),
            "sk-ssh-ed25519@openssh.com" => ("sk-ssh-ed25519@openssh.com", None),
            "sk-ecdsa-sha2-nistp256@openssh.com" => {
                ("sk-ecdsa-sha2-nistp256@openssh.com", Some(Curve::P256))
            }
            _ => return Err(Malformed),
        };
        let kind = match curve {
            Some(curve) => {
                if reader.text()? != names_of(curve).0 {
                    return Err(Malformed);
                }
                let point = reader.string()?;
                if point.len() != 1 + 2 * curve.half() || point[0] != 4 {
                    return Err(Malformed);
                }
                Kind::Ecdsa(curve, point.to_vec())
            }
            None if algorithm == "ssh-rsa" => Kind::Rsa {
                exponent: reader.number()?.to_vec(),
                modulus: reader.number()?.to_vec(),
            },
            None => {
                let key = reader.string()?;
                if key.len() != 32 {
                    return Err(Malformed);
                }
                Kind::Ed25519(key.to_vec())
            }
        };
        let application = match algorithm.starts_with("sk-") {
            true => Some(reader.string()?.to_vec()),
            false => None,
        };
        let public = PublicKey { algorithm, kind };
        Ok(Key {
            public,
            application,
        })
    }

    /// From its encoding (RFC 4253, 6.6).
    ///
    /// # Errors
    /// If it is none, or of a kind that is not known.
    pub fn from_blob(blob: &[u8]) -> Result<Key, Malformed> {
        let mut reader = Reader::new(blob);
        let key = Key::read(reader.text()?, &mut reader)?;
        reader.end()?;
        Ok(key)
    }

    /// From a line such as `ssh-ed25519 AAAA… comment`.
    ///
    /// # Errors
    /// If it is none, or of a kind that is not known.
    pub fn from_line(line: &str) -> Result<Key, Malformed> {
        let mut words = line.split_ascii_whitespace();
        let (algorithm, blob) = (words.next().ok_or(Malformed)?, words.next());
        let blob = STANDARD
            .decode(blob.ok_or(Malformed)?)
            .map_err(|_| Malformed)?;
        let key = Key::from_blob(&blob)?;
        match key.public.algorithm == algorithm {
            true => Ok(key),
            false => Err(Malformed),
        }
    }

    /// Its encoding (RFC 4253, 6.6).
    pub fn blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        push_string(&mut blob, self.public.algorithm.as_bytes());
        match &self.public.kind {
            Kind::Ed25519(key) => push_string(&mut blob, key),
            Kind::Ecdsa(curve, point) => {
                push_string(&mut blob, names_of(*curve).0.as_bytes());
                push_string(&mut blob, point);
            }
            Kind::Rsa { exponent, modulus } => {
                push_number(&mut blob, exponent);
                push_number(&mut blob, modulus);
            }
        }
        if let Some(application) = &self.application {
            push_string(&mut blob, application);
        }
        blob
    }

    /// `ssh-ed25519`, `ssh-rsa`, …
    pub fn algorithm(&self) -> &'static str {
        self.public.algorithm
    }

    /// Bits of an RSA modulus or of a curve.
    pub fn bits(&self) -> usize {
        match &self.public.kind {
            Kind::Ed25519(_) | Kind::Ecdsa(Curve::P256, _) => 256,
            Kind::Ecdsa(Curve::P384, _) => 384,
            Kind::Ecdsa(Curve::P521, _) => 521,
            Kind::Rsa { modulus, .. } => {
                let first = modulus
                    .first()
                    .map_or(0, |first| first.leading_zeros() as usize);
                8 * modulus.len() - first
            }
        }
    }

    /// `ssh-ed25519 AAAA…`
    pub fn line(&self) -> String {
        format!("{} {}", self.public.algorithm, STANDARD.encode(self.blob()))
    }

    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        let hash = vault_crypto::sha256(&self.blob());
        format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))
    }

    /// RSA that is too short is refused when it is written, not only when it signs.
    pub fn is_strong(&self) -> bool {
        !matches!(&self.public.kind, Kind::Rsa { modulus, .. } if modulus.len() < 256)
    }

    /// Checks a signature in SSH's form. Returns the flags of a security key; those of others are 0.
    ///
    /// # Errors
    /// If it is not this key's over this message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<u8, Malformed> {
        let mut reader = Reader::new(signature);
        let (algorithm, bytes) = (reader.text()?, reader.string()?);
        let Some(application) = &self.application else {
            reader.end()?;
            self.public.verify(algorithm, message, bytes)?;
            return Ok(0);
        };
        let (flags, counter) = (reader.u8()?, reader.u32()?);
        reader.end()?;
        let mut signed = digest(&SHA256, application).as_ref().to_vec();
        signed.push(flags);
        signed.extend_from_slice(&counter.to_be_bytes());
        signed.extend_from_slice(digest(&SHA256, message).as_ref());
        self.public.verify(algorithm, &signed, bytes)?;
        match flags & TOUCHED {
            0 => Err(Malformed),
            _ => Ok(flags),
        }
    }
}

impl PublicKey {
    fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Result<(), Malformed> {
        let outcome = match &self.kind {
            Kind::Rsa { exponent, modulus } => {
                let hash = match algorithm {
                    "rsa-sha2-256" => &RSA_PKCS1_2048_8192_SHA256,
                    "rsa-sha2-512" => &RSA_PKCS1_2048_8192_SHA512,
                    _ => return Err(Malformed),
                };
                let components = RsaPublicKeyComponents {
                    n: modulus.as_slice(),
                    e: exponent.as_slice(),
                };
                components.verify(hash, message, signature)
            }
            _ if algorithm != self.algorithm => return Err(Malformed),
            Kind::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Kind::Ecdsa(curve, point) => {
                let fixed = fixed(signature, curve.half())?;
                UnparsedPublicKey::new(verifier(*curve), point).verify(message, &fixed)
            }
        };
        outcome.map_err(|_| Malformed)
    }
}

/// Two numbers, each filled up to its full length.
fn fixed(signature: &[u8], half: usize) -> Result<Vec<u8>, Malformed> {
    let mut reader = Reader::new(signature);
    let mut fixed = Vec::with_capacity(2 * half);
    for number in [reader.number()?, reader.number()?] {
        let zeros = half.checked_sub(number.len()).ok_or(Malformed)?;
        fixed.resize(fixed.len() + zeros, 0);
        fixed.extend_from_slice(number);
    }
    reader.end()?;
    Ok(fixed)
}
