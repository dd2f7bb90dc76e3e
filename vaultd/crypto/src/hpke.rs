//! Encryption to a public key: HPKE (RFC 9180), base mode, one message for each encapsulation, with
//! DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305.
//!
//! A sealed message is `encapsulated key (32) | ciphertext | tag (16)`. It opens only with the private
//! key and the info that it was sealed with. It does not say who sealed it, and does not hide its
//! length.

use std::fmt;

use aws_lc_rs::aead::{Aad as AwsAad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Aad, Key, OpenError, Random, SecretVec};

const KEM: &[u8] = b"KEM\x00\x20";
const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x03";
const VERSION: &[u8] = b"HPKE-v1";
const POINT: usize = 32;
const TAG: usize = 16;

/// A private key that opens what was sealed to its public one.
pub struct HpkeKey {
    private: PrivateKey,
    public: [u8; POINT],
}

impl HpkeKey {
    /// The key of 32 uniformly random bytes.
    pub fn new(private: &Key<32>) -> Self {
        let Ok(private) = PrivateKey::from_private_key(&X25519, private.expose()) else {
            unreachable!("any 32 bytes are a private key of X25519");
        };
        let mut public = [0; POINT];
        match private.compute_public_key() {
            Ok(point) => public.copy_from_slice(point.as_ref()),
            Err(_) => unreachable!("every private key of X25519 has a public one"),
        }
        Self { private, public }
    }

    /// What others seal to.
    pub fn public(&self) -> &[u8; POINT] {
        &self.public
    }

    /// Opens what [`seal_to`] made with the same info.
    pub fn open(&self, info: &Aad, sealed: &[u8]) -> Result<SecretVec, OpenError> {
        let (point, rest) = sealed
            .split_first_chunk::<POINT>()
            .ok_or(OpenError::Malformed)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(OpenError::Malformed)?;
        let shared =
            shared(&self.private, point, point, &self.public).ok_or(OpenError::Malformed)?;
        let (key, nonce) = schedule(&shared, info.as_bytes());
        let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
        key.open_separate_gather(nonce, AwsAad::empty(), ciphertext, tag, &mut plaintext)
            .map_err(|_| OpenError::Altered)?;
        Ok(plaintext)
    }
}

impl fmt::Debug for HpkeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HpkeKey(..)")
    }
}

/// Seals a message to a public key. `None` if the bytes are no usable public key.
pub fn seal_to(
    public: &[u8; POINT],
    info: &Aad,
    plaintext: &[u8],
    random: &dyn Random,
) -> Option<Vec<u8>> {
    let ephemeral = HpkeKey::new(&Key::generate(random));
    let shared = shared(&ephemeral.private, public, &ephemeral.public, public)?;
    let (key, nonce) = schedule(&shared, info.as_bytes());
    let mut out = Vec::with_capacity(POINT + plaintext.len() + TAG);
    out.extend_from_slice(&ephemeral.public);
    out.extend_from_slice(plaintext);
    let tag = key
        .seal_in_place_separate_tag(nonce, AwsAad::empty(), &mut out[POINT..])
        .ok()?;
    out.extend_from_slice(tag.as_ref());
    Some(out)
}

/// The KEM's shared secret (RFC 9180, 4.1). A point of small order gives none.
fn shared(
    mine: &PrivateKey,
    theirs: &[u8; POINT],
    encapsulated: &[u8; POINT],
    recipient: &[u8; POINT],
) -> Option<Key<32>> {
    let peer = UnparsedPublicKey::new(&X25519, theirs);
    agree(mine, peer, (), |secret| {
        let prk = extract(KEM, b"", b"eae_prk", secret);
        let context = [&encapsulated[..], &recipient[..]].concat();
        Ok(Key::fill_with(|out| {
            expand(KEM, &prk, b"shared_secret", &context, out);
        }))
    })
    .ok()
}

/// The key schedule (RFC 9180, 5.1) in base mode, for the first and only message.
fn schedule(shared: &Key<32>, info: &[u8]) -> (LessSafeKey, Nonce) {
    let mut context = vec![0];
    context.extend_from_slice(&*extract(SUITE, b"", b"psk_id_hash", b""));
    context.extend_from_slice(&*extract(SUITE, b"", b"info_hash", info));
    let secret = extract(SUITE, shared.expose(), b"secret", b"");
    let mut key = Zeroizing::new([0; 32]);
    expand(SUITE, &secret, b"key", &context, &mut *key);
    let mut nonce = [0; 12];
    expand(SUITE, &secret, b"base_nonce", &context, &mut nonce);
    match UnboundKey::new(&CHACHA20_POLY1305, &*key) {
        Ok(key) => (LessSafeKey::new(key), Nonce::assume_unique_for_key(nonce)),
        Err(_) => unreachable!("the schedule gives the 32 bytes that ChaCha20 takes"),
    }
}

fn extract(suite: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> Zeroizing<[u8; 32]> {
    let labeled = Zeroizing::new([VERSION, suite, label, ikm].concat());
    let (prk, _) = Hkdf::<Sha256>::extract(Some(salt), &labeled);
    Zeroizing::new(prk.into())
}

fn expand(suite: &[u8], prk: &[u8; 32], label: &[u8], info: &[u8], out: &mut [u8]) {
    let length = (out.len() as u16).to_be_bytes();
    let labeled = [&length[..], VERSION, suite, label, info].concat();
    let done = Hkdf::<Sha256>::from_prk(prk).is_ok_and(|hkdf| hkdf.expand(&labeled, out).is_ok());
    // Neither length can be wrong; but a key of zeros must never leave this place.
    assert!(done);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seeded;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        let mut out = [0; N];
        assert!(hex::decode_to_slice(text, &mut out).is_ok());
        out
    }

    /// RFC 9180, appendix A.2.1: the shared secret's schedule, and the first message.
    #[test]
    fn the_rfcs_first_message_opens() {
        let private = bytes("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
        let public = bytes("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a");
        let point: [u8; 32] =
            bytes("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
        let info = b"Ode on a Grecian Urn";
        let recipient = HpkeKey::new(&Key::from_boxed(private));
        assert_eq!(recipient.public(), &public);
        let shared =
            shared(&recipient.private, &point, &point, &public).map(|shared| *shared.expose());
        let expected = bytes("0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7");
        assert_eq!(shared, Some(expected));
        let (key, nonce) = schedule(&Key::from_boxed(expected), info);
        let mut text = b"Beauty is truth, truth beauty".to_vec();
        let tag = key.seal_in_place_separate_tag(nonce, AwsAad::from(b"Count-0"), &mut text);
        text.extend_from_slice(tag.as_ref().map_or(&[], |tag| tag.as_ref()));
        let expected = "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28";
        assert_eq!(hex::encode(text), expected);
    }

    #[test]
    fn a_message_opens_for_its_key_and_info_alone() {
        let random = Seeded::new(4);
        let key = HpkeKey::new(&Key::generate(&random));
        let other = HpkeKey::new(&Key::generate(&random));
        let info = |text: &str| Aad::new("test").field(text.as_bytes());
        let seal = || seal_to(key.public(), &info("a"), b"secret", &random).unwrap_or_default();
        let sealed = seal();
        assert_ne!(sealed, seal());
        let open = |key: &HpkeKey, text: &str, sealed: &[u8]| {
            key.open(&info(text), sealed).map(|plain| plain.to_vec())
        };
        assert_eq!(open(&key, "a", &sealed), Ok(b"secret".to_vec()));
        assert_eq!(open(&other, "a", &sealed), Err(OpenError::Altered));
        assert_eq!(open(&key, "b", &sealed), Err(OpenError::Altered));
        assert_eq!(open(&key, "a", &sealed[..40]), Err(OpenError::Malformed));
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(open(&key, "a", &altered).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_point_of_small_order_is_no_public_key() {
        let random = Seeded::new(4);
        assert!(seal_to(&[0; 32], &Aad::new("test"), b"secret", &random).is_none());
    }
}
