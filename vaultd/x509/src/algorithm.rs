//! Who signs, and with which algorithm.

use vault_crypto::{CannotSign, Curve, PrivateKey, RsaHash};
use yasna::Tag;

use crate::der::write_oid;
use crate::oid;

/// A hash function before an RSA signature. The other kinds of keys have their own.
pub type Hash = RsaHash;

/// A key, and how it signs.
#[derive(Clone, Copy)]
pub struct Signer<'k> {
    key: &'k PrivateKey,
    hash: Hash,
    pss: bool,
}

impl<'k> Signer<'k> {
    /// RSA signs with PKCS #1 v1.5, or with PSS.
    pub fn new(key: &'k PrivateKey, hash: Hash, pss: bool) -> Signer<'k> {
        Signer { key, hash, pss }
    }

    /// Whose public key this is.
    pub fn key(&self) -> &'k PrivateKey {
        self.key
    }

    /// `AlgorithmIdentifier` in DER.
    pub fn algorithm(&self) -> Vec<u8> {
        yasna::construct_der(|writer| {
            writer.write_sequence(|writer| match self.key {
                PrivateKey::Ed25519(_) => write_oid(writer.next(), oid::ED25519),
                PrivateKey::Ecdsa(key) => write_oid(
                    writer.next(),
                    match key.curve() {
                        Curve::P256 => oid::ECDSA_SHA256,
                        Curve::P384 => oid::ECDSA_SHA384,
                        Curve::P521 => oid::ECDSA_SHA512,
                    },
                ),
                PrivateKey::Rsa(_) if self.pss => {
                    write_oid(writer.next(), oid::RSA_PSS);
                    writer.next().write_der(&self.pss_parameters());
                }
                PrivateKey::Rsa(_) => {
                    let oid = match self.hash {
                        Hash::Sha256 => oid::RSA_SHA256,
                        Hash::Sha384 => oid::RSA_SHA384,
                        Hash::Sha512 => oid::RSA_SHA512,
                    };
                    write_oid(writer.next(), oid);
                    writer.next().write_null();
                }
            });
        })
    }

    /// RFC 4055, 3.1.
    fn pss_parameters(&self) -> Vec<u8> {
        let (hash, length) = match self.hash {
            Hash::Sha256 => (oid::SHA256, 32),
            Hash::Sha384 => (oid::SHA384, 48),
            Hash::Sha512 => (oid::SHA512, 64),
        };
        let hash = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                write_oid(writer.next(), hash);
                writer.next().write_null();
            });
        });
        yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                let mut field = |number, value: &[u8]| {
                    writer
                        .next()
                        .write_tagged(Tag::context(number), |writer| writer.write_der(value));
                };
                field(0, &hash);
                let mask = yasna::construct_der(|writer| {
                    writer.write_sequence(|writer| {
                        write_oid(writer.next(), oid::MGF1);
                        writer.next().write_der(&hash);
                    });
                });
                field(1, &mask);
                field(2, &yasna::construct_der(|writer| writer.write_u32(length)));
            });
        })
    }

    /// A signature as it goes into a `BIT STRING`.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CannotSign> {
        match self.key {
            PrivateKey::Ed25519(key) => Ok(key.sign(message)),
            PrivateKey::Rsa(key) if self.pss => key.sign_pss(self.hash, message),
            PrivateKey::Rsa(key) => key.sign_pkcs1(self.hash, message),
            PrivateKey::Ecdsa(key) => {
                let fixed = key.sign(message)?;
                let (r, s) = fixed.split_at(fixed.len() / 2);
                Ok(yasna::construct_der(|writer| {
                    writer.write_sequence(|writer| {
                        writer.next().write_bigint_bytes(r, true);
                        writer.next().write_bigint_bytes(s, true);
                    });
                }))
            }
        }
    }

    /// What every signed structure is: what is signed, the algorithm, the signature; then what
    /// `more` writes.
    pub(crate) fn envelope(
        &self,
        signed: &[u8],
        more: impl FnOnce(&mut yasna::DERWriterSeq<'_>),
    ) -> Result<Vec<u8>, CannotSign> {
        let signature = self.sign(signed)?;
        Ok(yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_der(signed);
                writer.next().write_der(&self.algorithm());
                writer
                    .next()
                    .write_bitvec_bytes(&signature, signature.len() * 8);
                more(writer);
            });
        }))
    }
}
