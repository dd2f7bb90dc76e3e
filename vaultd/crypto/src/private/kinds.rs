//! What each kind of key does.

use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use zeroize::Zeroizing;

use super::{BadPrivateKey, CannotSign, Curve, RsaHash};
use crate::{SecretVec, pem};

/// An Ed25519 key.
pub struct Ed25519Key(pub(super) Ed25519KeyPair);

/// An ECDSA key.
pub struct EcdsaKey {
    pub(super) curve: Curve,
    pub(super) pair: EcdsaKeyPair,
}

/// An RSA key.
pub struct RsaKey(pub(super) RsaKeyPair);

impl Ed25519Key {
    /// The public key.
    pub fn point(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// The 32 bytes from which the key follows.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn seed(&self) -> Result<SecretVec, BadPrivateKey> {
        let seed = self.0.seed().map_err(|_| BadPrivateKey::Malformed)?;
        let seed = seed.as_be_bytes().map_err(|_| BadPrivateKey::Malformed)?;
        Ok(Zeroizing::new(seed.as_ref().to_vec()))
    }

    /// 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

impl EcdsaKey {
    /// The curve.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The public key, uncompressed (SEC 1).
    pub fn point(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The private number, at full length.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn scalar(&self) -> Result<SecretVec, BadPrivateKey> {
        let scalar: Result<EcPrivateKeyBin<'_>, _> = self.pair.private_key().as_be_bytes();
        let scalar = scalar.map_err(|_| BadPrivateKey::Malformed)?;
        Ok(Zeroizing::new(scalar.as_ref().to_vec()))
    }

    /// Both halves at full length, with the curve's hash function.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CannotSign> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        Ok(signature.map_err(|_| CannotSign)?.as_ref().to_vec())
    }
}

impl RsaKey {
    /// Modulus and exponent, without leading zeros.
    pub fn public(&self) -> (Vec<u8>, Vec<u8>) {
        let public = self.0.public_key();
        (
            public.modulus().big_endian_without_leading_zero().to_vec(),
            public.exponent().big_endian_without_leading_zero().to_vec(),
        )
    }

    /// PKCS #1 v1.5.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn sign_pkcs1(&self, hash: RsaHash, message: &[u8]) -> Result<Vec<u8>, CannotSign> {
        self.sign(
            match hash {
                RsaHash::Sha256 => &RSA_PKCS1_SHA256,
                RsaHash::Sha384 => &RSA_PKCS1_SHA384,
                RsaHash::Sha512 => &RSA_PKCS1_SHA512,
            },
            message,
        )
    }

    /// PSS, with a salt as long as the hash.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn sign_pss(&self, hash: RsaHash, message: &[u8]) -> Result<Vec<u8>, CannotSign> {
        self.sign(
            match hash {
                RsaHash::Sha256 => &RSA_PSS_SHA256,
                RsaHash::Sha384 => &RSA_PSS_SHA384,
                RsaHash::Sha512 => &RSA_PSS_SHA512,
            },
            message,
        )
    }

    fn sign(&self, how: &'static dyn RsaEncoding, message: &[u8]) -> Result<Vec<u8>, CannotSign> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let random = SystemRandom::new();
        let signed = self.0.sign(how, &random, message, &mut signature);
        signed.map_err(|_| CannotSign)?;
        Ok(signature)
    }

    /// n, e, d, p, q, d mod p-1, d mod q-1, 1/q mod p (RFC 8017, A.1.2), without leading zeros.
    ///
    /// # Errors
    /// If the library cannot.
    pub fn numbers(&self) -> Result<[SecretVec; 8], BadPrivateKey> {
        let der: Result<Pkcs8V1Der<'_>, _> = self.0.as_der();
        let der = der.map_err(|_| BadPrivateKey::Malformed)?;
        let numbers = pem::rsa_numbers(der.as_ref())?;
        Ok(numbers.map(|number| Zeroizing::new(number.to_vec())))
    }
}
