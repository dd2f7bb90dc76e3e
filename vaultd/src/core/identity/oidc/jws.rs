//! Signing keys and their signatures: JWS (RFC 7515) with the algorithms of RFC 7518 and RFC 8037.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    EcdsaVerificationAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault_crypto::{Random, SecretBytes};

use crate::core::fault::Fault;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "RS384")]
    Rs384,
    #[serde(rename = "RS512")]
    Rs512,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "ES384")]
    Es384,
    #[serde(rename = "ES512")]
    Es512,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

pub const ALGORITHMS: [Algorithm; 7] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::EdDsa,
];

struct Curve {
    name: &'static str,
    signs: &'static EcdsaSigningAlgorithm,
    verifies: &'static EcdsaVerificationAlgorithm,
}

impl Algorithm {
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::Es512 => "ES512",
            Algorithm::EdDsa => "EdDSA",
        }
    }

    pub fn parse(text: &str) -> Result<Algorithm, Fault> {
        let found = ALGORITHMS.into_iter().find(|known| known.name() == text);
        found.ok_or_else(|| {
            Fault::invalid(
                "unknown signing algorithm: use RS256, RS384, RS512, ES256, ES384, ES512 or EdDSA",
            )
        })
    }

    fn curve(self) -> Option<Curve> {
        let (name, signs, verifies) = match self {
            Algorithm::Es256 => (
                "P-256",
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &signature::ECDSA_P256_SHA256_FIXED,
            ),
            Algorithm::Es384 => (
                "P-384",
                &ECDSA_P384_SHA384_FIXED_SIGNING,
                &signature::ECDSA_P384_SHA384_FIXED,
            ),
            Algorithm::Es512 => (
                "P-521",
                &ECDSA_P521_SHA512_FIXED_SIGNING,
                &signature::ECDSA_P521_SHA512_FIXED,
            ),
            _ => return None,
        };
        Some(Curve {
            name,
            signs,
            verifies,
        })
    }

    fn rsa(self) -> Option<(&'static dyn RsaEncoding, &'static RsaParameters)> {
        match self {
            Algorithm::Rs256 => Some((
                &signature::RSA_PKCS1_SHA256,
                &signature::RSA_PKCS1_2048_8192_SHA256,
            )),
            Algorithm::Rs384 => Some((
                &signature::RSA_PKCS1_SHA384,
                &signature::RSA_PKCS1_2048_8192_SHA384,
            )),
            Algorithm::Rs512 => Some((
                &signature::RSA_PKCS1_SHA512,
                &signature::RSA_PKCS1_2048_8192_SHA512,
            )),
            _ => None,
        }
    }
}

/// A new private key (PKCS #8, or the seed of Ed25519) and what a JWK (RFC 7517) says of its public
/// part. RSA takes up to a second: call it where that blocks nobody.
pub fn generate(algorithm: Algorithm, random: &dyn Random) -> Result<(SecretBytes, Value), Fault> {
    if let Some(curve) = algorithm.curve() {
        let pair = EcdsaKeyPair::generate(curve.signs).map_err(failed)?;
        let secret = pair.to_pkcs8v1().map_err(failed)?;
        // An uncompressed point: 4, x, y.
        let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at(point.len() / 2);
        let public = json!({"kty": "EC", "crv": curve.name, "x": encode(x), "y": encode(y)});
        return Ok((SecretBytes::from_slice(secret.as_ref()), public));
    }
    if algorithm.rsa().is_some() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
        let secret: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
        let (n, e) = integers(pair.public_key().as_ref())
            .ok_or(Fault::Internal("a new RSA key cannot be read"))?;
        let public = json!({"kty": "RSA", "n": encode(n), "e": encode(e)});
        return Ok((SecretBytes::from_slice(secret.as_ref()), public));
    }
    let mut seed = vec![0; 32];
    random.fill(&mut seed);
    let seed = SecretBytes::from_vec(seed);
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(failed)?;
    let public = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())});
    Ok((seed, public))
}

pub fn sign(algorithm: Algorithm, secret: &SecretBytes, input: &[u8]) -> Result<Vec<u8>, Fault> {
    let secret = secret.expose();
    let random = SystemRandom::new();
    if let Some(curve) = algorithm.curve() {
        let pair = EcdsaKeyPair::from_pkcs8(curve.signs, secret).map_err(failed)?;
        return Ok(pair.sign(&random, input).map_err(failed)?.as_ref().to_vec());
    }
    if let Some((encoding, _)) = algorithm.rsa() {
        let pair = RsaKeyPair::from_pkcs8(secret).map_err(failed)?;
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &random, input, &mut signature)
            .map_err(failed)?;
        return Ok(signature);
    }
    let pair = Ed25519KeyPair::from_seed_unchecked(secret).map_err(failed)?;
    Ok(pair.sign(input).as_ref().to_vec())
}

/// False for a signature of another key, input or algorithm.
pub fn verify(algorithm: Algorithm, public: &Value, input: &[u8], signature: &[u8]) -> bool {
    let part = |name: &str| decode(public[name].as_str().unwrap_or_default()).unwrap_or_default();
    if let Some(curve) = algorithm.curve() {
        let point = [&[4][..], &part("x"), &part("y")].concat();
        let key = UnparsedPublicKey::new(curve.verifies, point);
        return key.verify(input, signature).is_ok();
    }
    if let Some((_, parameters)) = algorithm.rsa() {
        let key = RsaPublicKeyComponents {
            n: part("n"),
            e: part("e"),
        };
        return key.verify(parameters, input, signature).is_ok();
    }
    let key = UnparsedPublicKey::new(&signature::ED25519, part("x"));
    key.verify(input, signature).is_ok()
}

pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn failed<E>(_: E) -> Fault {
    Fault::Internal("a signing key is unusable")
}

/// Modulus and exponent of a DER `RSAPublicKey` (RFC 8017, A.1.1), without leading zeros.
fn integers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = element(der, 0x30)?;
    let (n, rest) = element(sequence, 0x02)?;
    let (e, _) = element(rest, 0x02)?;
    let plain = |number: &[u8]| number.iter().take_while(|byte| **byte == 0).count();
    Some((&n[plain(n)..], &e[plain(e)..]))
}

/// Content of a DER element with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..0x80 => (usize::from(length), rest),
        _ => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let number = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
            (bytes.iter().take(4).fold(0, number), rest)
        }
    };
    (first == tag).then(|| rest.split_at_checked(length))?
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;
    use vault_crypto::Seeded;

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does() {
        for algorithm in ALGORITHMS {
            let (secret, public) = generate(algorithm, &Seeded::new(1)).unwrap();
            let (_, other) = generate(algorithm, &Seeded::new(2)).unwrap();
            let mut signature = sign(algorithm, &secret, b"input").unwrap();
            assert!(verify(algorithm, &public, b"input", &signature));
            assert!(!verify(algorithm, &public, b"inputs", &signature));
            assert!(!verify(algorithm, &other, b"input", &signature));
            assert!(!verify(algorithm, &json!({}), b"input", &signature));
            signature[0] ^= 1;
            assert!(!verify(algorithm, &public, b"input", &signature));
            assert!(!verify(algorithm, &public, b"input", b""));
            assert_eq!(Algorithm::parse(algorithm.name()).unwrap(), algorithm);
        }
    }

    /// RFC 8037, appendix A.
    #[test]
    fn ed25519_of_rfc_8037() {
        let seed = decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = sign(Algorithm::EdDsa, &SecretBytes::from_vec(seed), input).unwrap();
        assert_eq!(
            encode(&signature),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn der_that_is_cut_off_is_refused() {
        let whole = [0x30, 0x06, 0x02, 0x01, 0x05, 0x02, 0x01, 0x03];
        assert_eq!(integers(&whole).unwrap(), (&[5][..], &[3][..]));
        for end in 0..whole.len() {
            assert!(integers(&whole[..end]).is_none());
        }
    }
}
