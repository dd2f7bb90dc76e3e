//! What ciphers do with one version of a key.
//!
//! A symmetric ciphertext is `nonce | ciphertext | tag`. The nonce is random; under a convergent key
//! it is an HMAC of the plaintext, whose key is derived from the context like the cipher's (RFC 5869:
//! first the cipher's key, then 32 bytes for the HMAC). Associated data changes that HMAC key, so that
//! a nonce is never used for two messages; without it ciphertexts are those of other servers.
//! RSA is OAEP with SHA-256 (RFC 8017).

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce,
    UnboundKey,
};
use aws_lc_rs::hkdf::{self, HKDF_SHA256, Salt};
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use vault_crypto::Random;
use zeroize::Zeroizing;

use super::hash::Hash;
use super::model::Key;
use super::version::{KeyType, Version, ed25519_pair};
use crate::core::fault::Fault;
use crate::engine::secret::Secret;

const TAG: usize = 16;
const XNONCE: usize = 24;
const CONVERGENT_HMAC: usize = 32;

/// What a ciphertext is bound to, besides the key.
pub(super) struct Binding<'a> {
    pub context: &'a [u8],
    pub associated_data: &'a [u8],
}

pub(super) fn encrypt(
    key: &Key,
    version: &Version,
    binding: &Binding<'_>,
    plaintext: &[u8],
    random: &dyn Random,
) -> Result<Vec<u8>, Fault> {
    let Some(length) = key.kind.cipher_key() else {
        refuse_associated_data(key.kind, binding)?;
        return rsa_encrypt(version, plaintext);
    };
    let extra = if key.convergent { CONVERGENT_HMAC } else { 0 };
    let keys = symmetric_key(key, version, binding.context, length + extra)?;
    let (cipher_key, hmac_key) = keys.split_at(length.min(keys.len()));
    let mut nonce = [0; XNONCE];
    let nonce = &mut nonce[..nonce_length(key.kind)];
    if key.convergent {
        let hmac_key = match binding.associated_data {
            [] => Zeroizing::new(hmac_key.to_vec()),
            data => Zeroizing::new(Hash::Sha256.hmac(hmac_key, data)),
        };
        let tag = Hash::Sha256.hmac(&hmac_key, plaintext);
        nonce.copy_from_slice(&tag[..nonce.len()]);
    } else {
        random.fill(nonce);
    }
    seal(
        key.kind,
        cipher_key,
        nonce,
        binding.associated_data,
        plaintext,
    )
}

pub(super) fn decrypt(
    key: &Key,
    version: &Version,
    binding: &Binding<'_>,
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let Some(length) = key.kind.cipher_key() else {
        refuse_associated_data(key.kind, binding)?;
        return rsa_decrypt(version, ciphertext);
    };
    let cipher_key = symmetric_key(key, version, binding.context, length)?;
    let nonce = nonce_length(key.kind);
    if ciphertext.len() < nonce + TAG {
        return Err(Fault::invalid("invalid ciphertext: it is cut off"));
    }
    let (nonce, sealed) = ciphertext.split_at(nonce);
    open(
        key.kind,
        &cipher_key,
        nonce,
        binding.associated_data,
        sealed,
    )
}

fn nonce_length(kind: KeyType) -> usize {
    match kind {
        KeyType::XChaCha20 => XNONCE,
        _ => NONCE_LEN,
    }
}

fn algorithm(kind: KeyType) -> &'static Algorithm {
    match kind {
        KeyType::Aes128 => &AES_128_GCM,
        KeyType::Aes256 => &AES_256_GCM,
        _ => &CHACHA20_POLY1305,
    }
}

fn seal(
    kind: KeyType,
    key: &[u8],
    nonce: &[u8],
    associated_data: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Fault> {
    let failed = Fault::Internal("encryption failed");
    // Reserving first: growth later would leave plaintext in freed memory.
    let mut out = Vec::with_capacity(nonce.len() + plaintext.len() + TAG);
    out.extend_from_slice(nonce);
    out.extend_from_slice(plaintext);
    let body = &mut out[nonce.len()..];
    if kind == KeyType::XChaCha20 {
        let (Ok(cipher), Ok(nonce)) = (
            XChaCha20Poly1305::new_from_slice(key),
            <&XNonce>::try_from(nonce),
        ) else {
            return Err(failed);
        };
        let tag = cipher.encrypt_inout_detached(nonce, associated_data, body.into());
        out.extend_from_slice(&tag.map_err(|_| failed)?);
        return Ok(out);
    }
    let (Ok(cipher), Ok(nonce)) = (
        UnboundKey::new(algorithm(kind), key).map(LessSafeKey::new),
        Nonce::try_assume_unique_for_key(nonce),
    ) else {
        return Err(failed);
    };
    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(associated_data), body);
    out.extend_from_slice(tag.map_err(|_| failed)?.as_ref());
    Ok(out)
}

fn open(
    kind: KeyType,
    key: &[u8],
    nonce: &[u8],
    associated_data: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let failed = || Fault::invalid("cipher: message authentication failed");
    let (ciphertext, tag) = sealed.split_at(sealed.len() - TAG);
    if kind == KeyType::XChaCha20 {
        let cipher = XChaCha20Poly1305::new_from_slice(key).map_err(|_| failed())?;
        let nonce = <&XNonce>::try_from(nonce).map_err(|_| failed())?;
        let tag = tag.try_into().map_err(|_| failed())?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        cipher
            .decrypt_inout_detached(nonce, associated_data, plaintext.as_mut_slice().into(), tag)
            .map_err(|_| failed())?;
        return Ok(plaintext);
    }
    let cipher = UnboundKey::new(algorithm(kind), key).map(LessSafeKey::new);
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
    let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
    cipher
        .map_err(|_| failed())?
        .open_separate_gather(
            nonce,
            Aad::from(associated_data),
            ciphertext,
            tag,
            &mut plaintext,
        )
        .map_err(|_| failed())?;
    Ok(plaintext)
}

// RSA

fn refuse_associated_data(kind: KeyType, binding: &Binding<'_>) -> Result<(), Fault> {
    if binding.associated_data.is_empty() {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "associated_data provided for non-AEAD cipher suite {}",
        kind.name()
    )))
}

fn rsa_encrypt(version: &Version, plaintext: &[u8]) -> Result<Vec<u8>, Fault> {
    let key = PublicEncryptingKey::from_der(&version.public_bytes()?)
        .map_err(|_| Fault::Internal("a stored RSA key cannot be read"))
        .and_then(|key| {
            OaepPublicEncryptingKey::new(key).map_err(|_| Fault::Internal("an RSA key is unusable"))
        })?;
    let most = key.max_plaintext_size(&OAEP_SHA256_MGF1SHA256);
    if plaintext.len() > most {
        return Err(Fault::invalid(format!(
            "the plaintext is too long for this RSA key: at most {most} bytes; \
             encrypt a data key instead"
        )));
    }
    let mut out = vec![0; key.ciphertext_size()];
    let length = key
        .encrypt(&OAEP_SHA256_MGF1SHA256, plaintext, &mut out, None)
        .map_err(|_| Fault::Internal("RSA encryption failed"))?
        .len();
    out.truncate(length);
    Ok(out)
}

fn rsa_decrypt(version: &Version, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    if !version.has_private() {
        return Err(Fault::invalid(
            "requested version for decryption does not contain a private part",
        ));
    }
    let key = PrivateDecryptingKey::from_pkcs8(version.material.expose())
        .map_err(|_| Fault::Internal("a stored RSA key cannot be read"))
        .and_then(|key| {
            OaepPrivateDecryptingKey::new(key)
                .map_err(|_| Fault::Internal("an RSA key is unusable"))
        })?;
    let mut out = Zeroizing::new(vec![0; key.min_output_size()]);
    let length = key
        .decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut out, None)
        .map_err(|_| Fault::invalid("failed to RSA decrypt the ciphertext"))?
        .len();
    out.truncate(length);
    Ok(out)
}

// Derivation

/// The key itself, or for a derived key as many bytes as asked for, from its context.
fn symmetric_key(
    key: &Key,
    version: &Version,
    context: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    if key.derived {
        return derive(version, context, length);
    }
    Ok(Zeroizing::new(version.material.expose().to_vec()))
}

fn derive(version: &Version, context: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, Fault> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    if context.is_empty() {
        return Err(Fault::invalid(
            "missing 'context' for key derivation; the key was created using a derived key, which \
             means additional, per-request information must be included in order to perform \
             operations with the key",
        ));
    }
    let mut out = Zeroizing::new(vec![0; length]);
    Salt::none(HKDF_SHA256)
        .extract(version.material.expose())
        .expand(&[context], Length(length))
        .and_then(|okm| okm.fill(&mut out))
        .map_err(|_| Fault::Internal("key derivation failed"))?;
    Ok(out)
}

/// The seed with its public key (64 bytes), and the public key alone, of a context.
pub(super) fn derive_ed25519(
    version: &Version,
    context: &[u8],
) -> Result<(Secret, Vec<u8>), Fault> {
    let pair = ed25519_pair(&derive(version, context, 32)?)?;
    let public = pair.expose()[32..].to_vec();
    Ok((pair, public))
}
