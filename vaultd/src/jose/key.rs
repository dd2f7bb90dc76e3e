//! Public keys, from JWK (RFC 7517, 7518 section 6, 8037) or PEM (RFC 5280, 7468), and what they verify.

use aws_lc_rs::signature::{
    self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls::pki_types::pem::{self, PemObject as _, SectionKind};
use serde_json::{Map, Value, json};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::{Algorithm, JoseError, decode, encode};

/// Smaller RSA keys can be broken, larger ones are slow to verify.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    /// Big endian, without leading zeros.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// Uncompressed points (SEC 1).
    P256(Vec<u8>),
    P384(Vec<u8>),
    P521(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A key that signatures are verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyKey {
    id: Option<String>,
    /// The only algorithm that the key's owner lets it be used with, if he says so.
    only: Option<Algorithm>,
    material: Material,
}

impl VerifyKey {
    /// Every public key and certificate of a PEM text.
    pub fn from_pem(text: &str) -> Result<Vec<VerifyKey>, JoseError> {
        let odd = JoseError::Key("expected PEM of public keys or certificates");
        let mut keys = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
            let (kind, der): (SectionKind, Vec<u8>) = section.map_err(|_: pem::Error| odd)?;
            let info = match kind {
                SectionKind::PublicKey => SubjectPublicKeyInfo::from_der(&der),
                SectionKind::Certificate => X509Certificate::from_der(&der)
                    .map(|(rest, cert)| (rest, cert.tbs_certificate.subject_pki)),
                _ => return Err(odd),
            };
            let (rest, info) = info.map_err(|_| odd)?;
            if !rest.is_empty() {
                return Err(odd);
            }
            keys.push(VerifyKey::new(from_info(&info)?)?);
        }
        match keys.is_empty() {
            true => Err(odd),
            false => Ok(keys),
        }
    }

    fn new(material: Material) -> Result<VerifyKey, JoseError> {
        let key = VerifyKey {
            id: None,
            only: None,
            material,
        };
        match key.is_sound() {
            true => Ok(key),
            false => Err(JoseError::Key(
                "it is no key, or an RSA key outside of 2048 to 8192 bits",
            )),
        }
    }

    /// A key of a JWK set. Keys for encryption and symmetric ones are errors.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<VerifyKey, JoseError> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| {
            text(name)
                .and_then(decode)
                .ok_or(JoseError::Key("a number is missing or not base64url"))
        };
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return Err(JoseError::Key("its use is not sig"));
        }
        let operations = jwk.get("key_ops").and_then(Value::as_array);
        if operations.is_some_and(|list| !list.iter().any(|one| one == "verify")) {
            return Err(JoseError::Key("its key_ops lack verify"));
        }
        let material = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => rsa(&bytes("n")?, &bytes("e")?),
            (Some("EC"), Some("P-256")) => Material::P256(point(&bytes("x")?, &bytes("y")?, 32)?),
            (Some("EC"), Some("P-384")) => Material::P384(point(&bytes("x")?, &bytes("y")?, 48)?),
            (Some("EC"), Some("P-521")) => Material::P521(point(&bytes("x")?, &bytes("y")?, 66)?),
            (Some("OKP"), Some("Ed25519")) => Material::Ed25519(bytes("x")?),
            _ => return Err(JoseError::Key("its kty or crv is not supported")),
        };
        let only = match text("alg") {
            None => None,
            Some(name) => {
                Some(Algorithm::parse(name).ok_or(JoseError::Key("its alg is not supported"))?)
            }
        };
        Ok(VerifyKey {
            id: text("kid").map(str::to_owned),
            only,
            ..VerifyKey::new(material)?
        })
    }

    /// The members that make the key what it is, in one spelling (RFC 7638, 3.2).
    pub fn to_jwk(&self) -> Map<String, Value> {
        let pair = |point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            (encode(x), encode(y))
        };
        let ec = |curve: &str, point: &[u8]| {
            let (x, y) = pair(point);
            json!({ "crv": curve, "kty": "EC", "x": x, "y": y })
        };
        let jwk = match &self.material {
            Material::Rsa { modulus, exponent } => {
                json!({ "e": encode(exponent), "kty": "RSA", "n": encode(modulus) })
            }
            Material::P256(point) => ec("P-256", point),
            Material::P384(point) => ec("P-384", point),
            Material::P521(point) => ec("P-521", point),
            Material::Ed25519(key) => {
                json!({ "crv": "Ed25519", "kty": "OKP", "x": encode(key) })
            }
        };
        match jwk {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    /// SHA-256 of that, in base64url (RFC 7638).
    pub fn thumbprint(&self) -> String {
        // The names above are in lexicographic order, as a map keeps them.
        let text = Value::Object(self.to_jwk()).to_string();
        encode(&vault_crypto::sha256(text.as_bytes()))
    }

    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether the key is of the algorithm's kind, and not reserved for another.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        let kind = match self.material {
            Material::Rsa { .. } => matches!(
                algorithm,
                A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512
            ),
            Material::P256(_) => algorithm == A::Es256,
            Material::P384(_) => algorithm == A::Es384,
            Material::P521(_) => algorithm == A::Es512,
            Material::Ed25519(_) => algorithm == A::EdDsa,
        };
        kind && self.only.is_none_or(|only| only == algorithm)
    }

    /// False if the key does not fit, too.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        let plain = |kind: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(kind, key)
                .verify(message, signature)
                .is_ok()
        };
        match &self.material {
            Material::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                rsa_parameters(algorithm)
                    .is_some_and(|kind| key.verify(kind, message, signature).is_ok())
            }
            Material::P256(point) => plain(&signature::ECDSA_P256_SHA256_FIXED, point),
            Material::P384(point) => plain(&signature::ECDSA_P384_SHA384_FIXED, point),
            Material::P521(point) => plain(&signature::ECDSA_P521_SHA512_FIXED, point),
            Material::Ed25519(key) => plain(&signature::ED25519, key),
        }
    }

    fn is_sound(&self) -> bool {
        use aws_lc_rs::signature::ParsedPublicKey;
        match &self.material {
            Material::Rsa { modulus, exponent } => {
                let bits = modulus.len() * 8
                    - modulus
                        .first()
                        .map_or(0, |byte| byte.leading_zeros() as usize);
                let odd = exponent.last().is_some_and(|byte| byte & 1 == 1);
                RSA_BITS.contains(&bits)
                    && odd
                    && exponent.as_slice() > &[1][..]
                    && exponent.len() <= 4
            }
            Material::P256(point) => {
                ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).is_ok()
            }
            Material::P384(point) => {
                ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).is_ok()
            }
            Material::P521(point) => {
                ParsedPublicKey::new(&signature::ECDSA_P521_SHA512_FIXED, point).is_ok()
            }
            Material::Ed25519(key) => {
                key.len() == 32 && ParsedPublicKey::new(&signature::ED25519, key).is_ok()
            }
        }
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 | Algorithm::EdDsa => return None,
    })
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Material {
    let trimmed = |number: &[u8]| {
        let start = number.iter().take_while(|byte| **byte == 0).count();
        number[start..].to_vec()
    };
    Material::Rsa {
        modulus: trimmed(modulus),
        exponent: trimmed(exponent),
    }
}

/// Both coordinates at full length (RFC 7518, 6.2.1.2).
fn point(x: &[u8], y: &[u8], length: usize) -> Result<Vec<u8>, JoseError> {
    match x.len() == length && y.len() == length {
        true => Ok([&[4], x, y].concat()),
        false => Err(JoseError::Key(
            "a coordinate is not as long as the curve needs",
        )),
    }
}

fn from_info(info: &SubjectPublicKeyInfo<'_>) -> Result<Material, JoseError> {
    let odd = JoseError::Key("neither RSA, P-256, P-384, P-521 nor Ed25519");
    match info.parsed().map_err(|_| odd)? {
        PublicKey::RSA(key) => Ok(rsa(key.modulus, key.exponent)),
        PublicKey::EC(point) => {
            let curve = info.algorithm.parameters.as_ref();
            let curve = curve.and_then(|any| any.as_oid().ok()).ok_or(odd)?;
            let point = point.data().to_vec();
            match curve.to_id_string().as_str() {
                "1.2.840.10045.3.1.7" => Ok(Material::P256(point)),
                "1.3.132.0.34" => Ok(Material::P384(point)),
                "1.3.132.0.35" => Ok(Material::P521(point)),
                _ => Err(odd),
            }
        }
        PublicKey::Unknown(key) if info.algorithm.algorithm.to_id_string() == "1.3.101.112" => {
            Ok(Material::Ed25519(key.to_vec()))
        }
        _ => Err(odd),
    }
}
