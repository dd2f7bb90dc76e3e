//! Runs the vectors of `vectors/*.json`, and runs them again on implementations
//! with a planted bug, each of which must be caught.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fmt::Debug;
use std::fs;

use aws_lc_rs::aead::{self, LessSafeKey, Nonce, UnboundKey};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use vault_crypto::*;

/// Bytes written in hex.
#[derive(Clone, PartialEq, Eq)]
struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        hex::decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
struct Case<T> {
    name: String,
    ok: Option<Hex>,
    error: Option<String>,
    #[serde(flatten)]
    input: T,
}

fn load<T: DeserializeOwned>(file: &str) -> Vec<Case<T>> {
    let path = format!("{}/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The names of the cases in which `run` does not do what the vector says.
fn deviations<T>(cases: &[Case<T>], run: impl Fn(&T) -> Result<Vec<u8>, String>) -> Vec<&str> {
    let differs = |case: &&Case<T>| match (&case.ok, &case.error) {
        (Some(ok), None) => run(&case.input).as_ref() != Ok(&ok.0),
        (None, Some(error)) => run(&case.input).as_ref() != Err(error),
        _ => panic!("{}: a case passes or fails", case.name),
    };
    cases
        .iter()
        .filter(differs)
        .map(|c| c.name.as_str())
        .collect()
}

fn text(error: impl Debug) -> String {
    format!("{error:?}")
}

fn key<const N: usize>(bytes: &Hex) -> Key<N> {
    Key::from_slice(&bytes.0).unwrap()
}

const NOTHING: [&str; 0] = [];

// HKDF

#[derive(Deserialize)]
struct Kdf {
    label: String,
    ikm: Hex,
    salt: Hex,
    info: Vec<Hex>,
}

#[test]
fn kdf() {
    use Label::*;
    const LABELS: [Label; 19] = [
        Records,
        Commit,
        Names,
        Directory,
        RowPrf,
        Token,
        Audit,
        AuditSign,
        Wrapping,
        Presence,
        ShareWrap,
        RootWrap,
        KeyringWrap,
        Lease,
        Approle,
        Batch,
        Fingerprints,
        Values,
        BundleSign,
    ];
    let wrong = load("kdf");
    let wrong = deviations(&wrong, |kdf: &Kdf| {
        let label = LABELS.iter().find(|l| text(l) == kdf.label).unwrap();
        let info: Vec<&[u8]> = kdf.info.iter().map(|part| part.0.as_slice()).collect();
        Ok(derive::<32>(&kdf.ikm.0, &kdf.salt.0, *label, &info)
            .expose()
            .to_vec())
    });
    assert_eq!(wrong, NOTHING);
}

// HMAC

#[derive(Deserialize)]
struct Message {
    key: Hex,
    message: Hex,
}

#[test]
fn prf() {
    let cases = load("prf");
    let wrong = deviations(&cases, |m: &Message| {
        Ok(Prf::new(&key(&m.key)).tag_raw(&m.message.0).to_vec())
    });
    assert_eq!(wrong, NOTHING);
}

// Records

#[derive(Deserialize)]
struct Record {
    key: Hex,
    aad: Hex,
    sealed: Hex,
}

fn open(record: &Record) -> Result<Vec<u8>, String> {
    let key = RecordKey::new(key(&record.key));
    let plain = key.open(&record.aad.0, &record.sealed.0).map_err(text)?;
    Ok(plain.to_vec())
}

/// The nonce that a vector was made with.
struct Fixed(Vec<u8>);

impl Random for Fixed {
    fn fill(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.0);
    }
}

#[test]
fn records() {
    assert_eq!(deviations(&load("record"), open), NOTHING);
}

#[test]
fn sealing_gives_the_bytes_of_the_vectors() {
    for case in load::<Record>("record") {
        let (
            Record {
                key: k,
                aad,
                sealed,
            },
            Some(plain),
        ) = (case.input, case.ok)
        else {
            continue;
        };
        let nonce = Fixed(sealed.0[16..40].to_vec());
        let mut out = b"before".to_vec();
        RecordKey::new(key(&k)).seal_into(&nonce, &aad.0, &plain.0, &mut out);
        assert_eq!(
            out,
            [b"before", sealed.0.as_slice()].concat(),
            "{}",
            case.name
        );
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_record_is_refused() {
    let key = RecordKey::new(Key::from_boxed([1; 32]));
    let aad = Aad::new("place").u64(1);
    let sealed = key.seal(&Seeded::new(1), &aad, b"secret");
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(key.open(aad.as_bytes(), &flipped).is_err(), "bit {bit}");
    }
    for end in 0..sealed.len() {
        assert!(
            key.open(aad.as_bytes(), &sealed[..end]).is_err(),
            "cut at {end}"
        );
    }
}

/// A planted bug: no commitment, so the second implementation decides alone.
fn open_without_commitment(record: &Record) -> Result<Vec<u8>, String> {
    let sealed = record.sealed.0.get(16..).unwrap_or_default();
    let (nonce, msg) = sealed.split_first_chunk::<24>().ok_or("Malformed")?;
    let payload = Payload {
        msg,
        aad: &record.aad.0,
    };
    XChaCha20Poly1305::new_from_slice(&record.key.0)
        .unwrap()
        .decrypt(&(*nonce).into(), payload)
        .map_err(|_| "Altered".to_owned())
}

#[test]
fn a_missing_commitment_is_caught() {
    let cases = load("record");
    let caught = deviations(&cases, open_without_commitment);
    let twice = "a blob for two keys, committed to the first, opened by the second";
    assert!(caught.contains(&twice), "{caught:?}");
    assert!(caught.contains(&"bad commitment, first bit"));
    assert!(!caught.contains(&"a record"));
}

#[test]
fn ignored_associated_data_is_caught() {
    let cases: Vec<Case<Record>> = load("record");
    // A planted bug: any associated data of the file will do.
    let caught = deviations(&cases, |record| {
        let with = |aad: &Hex| {
            let (key, sealed) = (record.key.clone(), record.sealed.clone());
            open(&Record {
                key,
                aad: aad.clone(),
                sealed,
            })
        };
        let any = cases.iter().find_map(|case| with(&case.input.aad).ok());
        any.map_or_else(|| open(record), Ok)
    });
    for name in [
        "swapped fields",
        "another path",
        "an older generation",
        "a field left out",
    ] {
        assert!(caught.contains(&name), "{name} in {caught:?}");
    }
}

#[test]
fn the_aead_of_aws_lc_is_that_of_rfc_8439() {
    let key: Vec<u8> = (0x80..0xa0).collect();
    let nonce = hex::decode("070000004041424344454647").unwrap();
    let aad = hex::decode("50515253c0c1c2c3c4c5c6c7").unwrap();
    let mut text = b"Ladies and Gentlemen of the class of '99: If I could offer you \
        only one tip for the future, sunscreen would be it."
        .to_vec();
    let key = LessSafeKey::new(UnboundKey::new(&aead::CHACHA20_POLY1305, &key).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(&nonce).unwrap();
    let tag = key
        .seal_in_place_separate_tag(nonce, aead::Aad::from(aad), &mut text)
        .unwrap();
    let sealed = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6\
        3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36\
        92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc\
        3ff4def08e4b7a9de576d26586cec64b6116";
    assert_eq!(hex::encode(text), sealed);
    assert_eq!(
        hex::encode(tag.as_ref()),
        "1ae10b594f09e26a7e902ecbd0600691"
    );
}

// Names

#[derive(Deserialize)]
struct Name {
    key: Hex,
    parent: Hex,
    sealed: Hex,
}

#[test]
fn names() {
    let cases = load("name");
    let wrong = deviations(&cases, |name: &Name| {
        let key = NameKey::new(key(&name.key));
        let plain = key.open(&name.parent.0, &name.sealed.0).map_err(text)?;
        // Deterministic: what opens is what sealing gives.
        assert_eq!(key.seal(&name.parent.0, &plain), name.sealed.0);
        Ok(plain.to_vec())
    });
    assert_eq!(wrong, NOTHING);
}

// Passphrases

#[derive(Deserialize)]
struct Stretch {
    passphrase: Hex,
    salt: Hex,
    memory: u32,
    passes: u32,
    lanes: u32,
}

#[test]
fn argon2id() {
    let cases = load("argon2id");
    let wrong = deviations(&cases, |s: &Stretch| {
        let cost = Cost::parse(s.memory, s.passes, s.lanes).map_err(text)?;
        let salt = s.salt.0.as_slice().try_into().unwrap();
        let key: Key<32> = stretch(&s.passphrase.0, salt, cost).map_err(text)?;
        Ok(key.expose().to_vec())
    });
    assert_eq!(wrong, NOTHING);
}

#[derive(Deserialize)]
struct Wrap {
    wrapped: Hex,
    passphrase: Hex,
    context: Hex,
}

fn unwrap(wrap: &Wrap) -> Result<Vec<u8>, String> {
    let wrapped = Wrapped::from_bytes(&wrap.wrapped.0).map_err(text)?;
    // Canonical: what parses is what is written.
    assert_eq!(wrapped.to_bytes(), wrap.wrapped.0);
    let plain = unwrap_secret(&wrapped, &wrap.passphrase.0, &wrap.context.0).map_err(text)?;
    Ok(plain.to_vec())
}

#[test]
fn wrapped_secrets() {
    assert_eq!(deviations(&load("wrapped"), unwrap), NOTHING);
}

#[test]
fn an_ignored_trailing_byte_is_caught() {
    let cases: Vec<Case<Wrap>> = load("wrapped");
    let longest = cases[0].input.wrapped.0.len();
    // A planted bug: the parser stops where the value ends.
    let caught = deviations(&cases, |wrap| {
        let (passphrase, context) = (wrap.passphrase.clone(), wrap.context.clone());
        let wrapped = wrap.wrapped.0.iter().copied().take(longest).collect();
        unwrap(&Wrap {
            wrapped: Hex(wrapped),
            passphrase,
            context,
        })
    });
    assert_eq!(caught, ["a trailing byte", "a trailing newline"]);
}

// Signatures

#[derive(Deserialize)]
struct Signed {
    seed: Option<Hex>,
    public: Hex,
    message: Hex,
    signature: Hex,
}

#[test]
fn signatures() {
    let cases = load("signature");
    let wrong = deviations(&cases, |signed: &Signed| {
        let public = PublicKey::from_bytes(&signed.public.0).map_err(text)?;
        if let Some(seed) = &signed.seed {
            let signing = SigningKey::from_seed(&key(seed));
            assert_eq!(signing.public(), public);
            assert_eq!(
                signing.sign(&signed.message.0).as_slice(),
                signed.signature.0
            );
        }
        let verified = public.verify(&signed.message.0, &signed.signature.0);
        verified.map(|()| Vec::new()).map_err(text)
    });
    assert_eq!(wrong, NOTHING);
}

#[test]
fn lax_verification_is_caught() {
    use ed25519_dalek::{Signature, Verifier, VerifyingKey};
    let cases = load("signature");
    // A planted bug: the equation of RFC 8032 without the strict checks.
    let caught = deviations(&cases, |signed: &Signed| {
        let public = signed
            .public
            .0
            .as_slice()
            .try_into()
            .map_err(|_| "BadPublicKey")?;
        let public = VerifyingKey::from_bytes(public).map_err(|_| "BadPublicKey")?;
        let signature = Signature::from_slice(&signed.signature.0).map_err(|_| "BadSignature")?;
        let verified = public.verify(&signed.message.0, &signature);
        verified
            .map(|()| Vec::new())
            .map_err(|_| "BadSignature".to_owned())
    });
    assert!(caught.contains(&"R of small order"), "{caught:?}");
    assert!(caught.contains(&"the neutral element as key"), "{caught:?}");
    assert!(!caught.contains(&"RFC 8032 test 1"));
}

// Shares

#[derive(Deserialize)]
struct Shares {
    shares: Vec<Hex>,
}

fn join(input: &Shares) -> Result<Vec<u8>, ShareError> {
    let (mut tagged, mut plain) = (Vec::new(), Vec::new());
    for bytes in &input.shares {
        match Share::parse(&bytes.0)? {
            AnyShare::Tagged(share) => {
                assert_eq!(share.to_bytes().as_slice(), bytes.0);
                tagged.push(share);
            }
            AnyShare::Plain(share) => {
                assert_eq!(share.to_bytes().as_slice(), bytes.0);
                plain.push(share);
            }
        }
    }
    let secret = match plain.as_slice() {
        [] => combine(&tagged)?,
        plain => combine_plain(plain)?,
    };
    Ok(secret.expose().to_vec())
}

#[test]
fn shares() {
    let cases = load("share");
    assert_eq!(
        deviations(&cases, |input| join(input).map_err(text)),
        NOTHING
    );
}

#[test]
fn unchecked_shares_are_caught() {
    let cases = load("share");
    // A planted bug: the frame of a tagged share is dropped, not checked.
    let caught = deviations(&cases, |input: &Shares| {
        let strip = |share: &Hex| match share.0.len() {
            59 => Hex([&share.0[10..42], &share.0[58..]].concat()),
            _ => share.clone(),
        };
        let shares = input.shares.iter().map(strip).collect();
        join(&Shares { shares }).map_err(text)
    });
    for name in [
        "wrong set",
        "one too few",
        "flipped check",
        "flipped first byte of y",
        "version 2",
    ] {
        assert!(caught.contains(&name), "{name} in {caught:?}");
    }
    assert!(!caught.contains(&"3 of 5, the first"));
}

// The set as a whole

#[test]
fn most_vectors_must_fail() {
    let count = |file: &str| {
        let cases: Vec<Case<serde_json::Value>> = load(file);
        let failing = cases.iter().filter(|case| case.error.is_some()).count();
        (cases.len() - failing, failing)
    };
    let files = [
        "kdf",
        "prf",
        "record",
        "name",
        "argon2id",
        "wrapped",
        "signature",
        "share",
    ];
    let (pass, fail) = files
        .map(count)
        .iter()
        .fold((0, 0), |(p, f), n| (p + n.0, f + n.1));
    assert!(fail > 2 * pass, "{fail} must fail, {pass} must pass");
}
