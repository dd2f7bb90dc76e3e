//! Published vectors, and what must not pass.
#![expect(clippy::unwrap_used, reason = "tests")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

fn jwk(value: Value) -> VerifyKey {
    VerifyKey::from_jwk(value.as_object().unwrap()).unwrap()
}

fn set(keys: Vec<VerifyKey>) -> KeySet {
    KeySet::new(keys)
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// RFC 7515, A.2.
fn rfc7515_rsa() -> Value {
    json!({"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"})
}

const RFC7515_RS256: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
/// RFC 7515, A.3.
const RFC7515_ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 7515, A.5: unsigned.
const RFC7515_NONE: &str = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
/// RFC 7515, A.1: HS256.
const RFC7515_HS256: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn rfc7515_p256() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
}

#[test]
fn published_tokens_verify() {
    for (key, token) in [
        (rfc7515_rsa(), RFC7515_RS256),
        (rfc7515_p256(), RFC7515_ES256),
    ] {
        let keys = set(vec![jwk(key)]);
        let claims = Token::parse(token)
            .unwrap()
            .verify(&keys, &Algorithm::ALL)
            .unwrap();
        assert_eq!(claims["iss"], "joe");
        assert_eq!(claims["exp"], 1_300_819_380);
    }
}

/// Vectors whose payload is no JSON object: RFC 7515 A.4, RFC 7520 4.1 and 4.2, RFC 8037 A.4.
#[test]
fn published_signatures_verify() {
    let bilbo = json!({"kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "e": "AQAB", "n": "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"});
    let frodo = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
    let cases = [
        (
            json!({"kty": "EC", "crv": "P-521", "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk", "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}),
            Algorithm::Es512,
            "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA".to_owned(),
            "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
        ),
        (
            bilbo.clone(),
            Algorithm::Rs256,
            format!(
                "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{frodo}"
            ),
            "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
        ),
        (
            bilbo,
            Algorithm::Ps384,
            format!(
                "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{frodo}"
            ),
            "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
        ),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            Algorithm::EdDsa,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];
    for (key, algorithm, message, signature) in cases {
        let key = jwk(key);
        let bytes = decode(signature).unwrap();
        assert!(
            key.verify(algorithm, message.as_bytes(), &bytes),
            "{algorithm:?}"
        );
        let others = Algorithm::ALL
            .into_iter()
            .filter(|other| *other != algorithm);
        for other in others {
            assert!(!key.verify(other, message.as_bytes(), &bytes), "{other:?}");
        }
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(
                !key.verify(algorithm, message.as_bytes(), &wrong),
                "{algorithm:?}"
            );
        }
        assert!(!key.verify(algorithm, &message.as_bytes()[1..], &bytes));
        // What is signed is right, but it is no claims.
        let token = format!("{message}.{signature}");
        let outcome = Token::parse(&token)
            .unwrap()
            .verify(&set(vec![key]), &Algorithm::ALL);
        assert!(matches!(outcome, Err(JoseError::Malformed(_))));
    }
}

struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Signer {
        Signer(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn key(&self, kid: Option<&str>) -> VerifyKey {
        let point = self.0.public_key().as_ref();
        let mut key = json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])});
        if let Some(kid) = kid {
            key["kid"] = kid.into();
        }
        jwk(key)
    }

    /// Header and payload as text, signed as they are.
    fn sign(&self, head: &str, payload: &str) -> String {
        let message = format!("{}.{}", encode(head), encode(payload));
        let signature = self
            .0
            .sign(&SystemRandom::new(), message.as_bytes())
            .unwrap();
        format!("{message}.{}", encode(signature))
    }
}

fn outcome(token: &str, keys: &KeySet) -> Result<Claims, JoseError> {
    Token::parse(token)?.verify(keys, &Algorithm::ALL)
}

#[test]
fn unsigned_and_symmetric_tokens_are_refused() {
    let rsa = jwk(rfc7515_rsa());
    let keys = set(vec![rsa, jwk(rfc7515_p256())]);
    for token in [RFC7515_NONE, RFC7515_HS256] {
        assert_eq!(outcome(token, &keys), Err(JoseError::Algorithm));
    }
    let (_, rest) = RFC7515_ES256.split_once('.').unwrap();
    for name in [
        "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "es256", "ES256K",
        "RSA-OAEP", "dir",
    ] {
        let head = encode(json!({"alg": name}).to_string());
        assert_eq!(
            outcome(&format!("{head}.{rest}"), &keys),
            Err(JoseError::Algorithm),
            "{name}"
        );
    }
    for head in [
        json!({}),
        json!({"alg": null}),
        json!({"alg": ["ES256"]}),
        json!({"alg": 1}),
    ] {
        let head = encode(head.to_string());
        assert_eq!(
            outcome(&format!("{head}.{rest}"), &keys),
            Err(JoseError::Algorithm)
        );
    }
}

/// The public key as the secret of an HMAC: the classic.
#[test]
fn a_public_key_is_no_secret() {
    let symmetric = json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"});
    assert!(VerifyKey::from_jwk(symmetric.as_object().unwrap()).is_err());
    let set = json!({"keys": [symmetric]}).to_string();
    assert!(KeySet::from_jwks(set.as_bytes()).unwrap().is_empty());
}

#[test]
fn the_algorithm_is_the_keys_and_among_the_allowed() {
    let signer = Signer::new();
    let token = signer.sign(r#"{"alg":"ES256"}"#, "{}");
    let keys = set(vec![signer.key(None)]);
    assert!(outcome(&token, &keys).is_ok());
    let only_rsa = Token::parse(&token)
        .unwrap()
        .verify(&keys, &[Algorithm::Rs256]);
    assert_eq!(only_rsa, Err(JoseError::Algorithm));
    // The same bytes under another algorithm's name.
    let renamed = token.replacen(
        &encode(r#"{"alg":"ES256"}"#),
        &encode(r#"{"alg":"RS256"}"#),
        1,
    );
    assert_eq!(outcome(&renamed, &keys), Err(JoseError::UnknownKey));
    // A key that says what it is for is for nothing else.
    let mut reserved = rfc7515_rsa();
    reserved["alg"] = "PS256".into();
    assert_eq!(
        outcome(RFC7515_RS256, &set(vec![jwk(reserved)])),
        Err(JoseError::UnknownKey)
    );
}

#[test]
fn a_kid_chooses_among_known_keys_and_is_nothing_else() {
    let (one, two) = (Signer::new(), Signer::new());
    let keys = set(vec![one.key(Some("one")), two.key(Some("two"))]);
    assert!(outcome(&one.sign(r#"{"alg":"ES256","kid":"one"}"#, "{}"), &keys).is_ok());
    assert!(outcome(&two.sign(r#"{"alg":"ES256"}"#, "{}"), &keys).is_ok());
    assert_eq!(
        outcome(&one.sign(r#"{"alg":"ES256","kid":"two"}"#, "{}"), &keys),
        Err(JoseError::Signature)
    );
    for kid in [
        "",
        "three",
        "ONE",
        "../one",
        "one' OR '1'='1",
        "/dev/null",
        "one\\u0000",
        "https://evil.example/jwks",
    ] {
        let head = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
        assert_eq!(
            outcome(&one.sign(&head, "{}"), &keys),
            Err(JoseError::UnknownKey),
            "{kid}"
        );
    }
    for kid in ["1", "null", "[\"one\"]", "{}"] {
        let head = format!(r#"{{"alg":"ES256","kid":{kid}}}"#);
        assert!(
            matches!(
                outcome(&one.sign(&head, "{}"), &keys),
                Err(JoseError::Malformed(_))
            ),
            "{kid}"
        );
    }
}

#[test]
fn a_token_cannot_bring_its_own_key() {
    let (known, evil) = (Signer::new(), Signer::new());
    let point = evil.0.public_key().as_ref();
    let own =
        json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])});
    let keys = set(vec![known.key(None)]);
    for (name, value) in [
        ("jwk", own),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
    ] {
        let head = json!({"alg": "ES256", name: value}).to_string();
        assert_eq!(
            outcome(&evil.sign(&head, "{}"), &keys),
            Err(JoseError::Signature),
            "{name}"
        );
    }
}

#[test]
fn odd_forms_are_refused_although_they_are_signed() {
    let signer = Signer::new();
    let keys = set(vec![signer.key(None)]);
    for head in [
        r#"{"alg":"ES256","alg":"ES256"}"#,
        r#"{"alg":"none","alg":"ES256"}"#,
        r#"{"alg":"ES256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"ES256","crit":[]}"#,
        r#"{"alg":"ES256","b64":false}"#,
        r#"["ES256"]"#,
        r#""ES256""#,
        r#"{"alg":"ES256"} {}"#,
        "",
    ] {
        assert!(outcome(&signer.sign(head, "{}"), &keys).is_err(), "{head}");
    }
    for payload in [
        r#"{"sub":"a","sub":"b"}"#,
        r#"{"a":{"b":1,"b":2}}"#,
        "[]",
        "null",
        "\"sub\"",
        "",
        "{\"sub\":\"\u{fffd}",
    ] {
        assert!(
            outcome(&signer.sign(r#"{"alg":"ES256"}"#, payload), &keys).is_err(),
            "{payload}"
        );
    }
}

#[test]
fn a_token_has_one_spelling() {
    let signer = Signer::new();
    let keys = set(vec![signer.key(None)]);
    let token = signer.sign(r#"{"alg":"ES256"}"#, r#"{"sub":"a"}"#);
    assert!(outcome(&token, &keys).is_ok());
    let parts: Vec<&str> = token.split('.').collect();
    let (head, payload, signature) = (parts[0], parts[1], parts[2]);
    // 64 bytes leave four bits over, which must be zero.
    let last = signature.chars().last().unwrap();
    let other = char::from(last as u8 + 1);
    let respelled = format!("{}{other}", &signature[..signature.len() - 1]);
    for odd in [
        String::new(),
        head.to_owned(),
        format!("{head}.{payload}"),
        format!("{head}.{payload}."),
        format!("{token}."),
        format!("{token}.x"),
        format!("{token}="),
        format!("{token}\n"),
        format!(" {token}"),
        format!("{head}=.{payload}.{signature}"),
        format!("{head}.{payload}=.{signature}"),
        format!("{head}.{payload}.{respelled}"),
        format!("{head}.{payload}.{}", &signature[..signature.len() - 4]),
        format!("{head}..{signature}"),
        format!(".{payload}.{signature}"),
        token.repeat(1000),
    ] {
        assert!(outcome(&odd, &keys).is_err(), "{odd:.80}");
    }
}

#[test]
fn keys_that_are_none_are_refused() {
    let with = |name: &str, value: Value, mut key: Value| {
        key[name] = value;
        key
    };
    let (rsa, point) = (rfc7515_rsa(), rfc7515_p256());
    let small = encode([0xFF; 128]);
    for (odd, why) in [
        (with("n", small.into(), rsa.clone()), "1024 bits"),
        (
            with("n", encode([0xFF; 2048]).into(), rsa.clone()),
            "16384 bits",
        ),
        (with("e", "AQ".into(), rsa.clone()), "exponent 1"),
        (with("e", "AA".into(), rsa.clone()), "exponent 0"),
        (
            with("e", encode([1, 0]).into(), rsa.clone()),
            "an even exponent",
        ),
        (
            with("e", encode([1; 16]).into(), rsa.clone()),
            "a long exponent",
        ),
        (with("use", "enc".into(), rsa.clone()), "for encryption"),
        (
            with("key_ops", json!(["encrypt"]), rsa.clone()),
            "for encryption",
        ),
        (
            with("alg", "RSA-OAEP".into(), rsa.clone()),
            "for encryption",
        ),
        (with("alg", "HS256".into(), rsa), "an HMAC"),
        (
            with("x", encode([1; 32]).into(), point.clone()),
            "a point beside the curve",
        ),
        (
            with("x", encode([1; 31]).into(), point.clone()),
            "a short coordinate",
        ),
        (with("crv", "P-384".into(), point.clone()), "another curve"),
        (
            with("crv", "secp256k1".into(), point.clone()),
            "an unknown curve",
        ),
        (with("kty", "oct".into(), point), "symmetric"),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": encode([1; 31])}),
            "short",
        ),
        (
            json!({"kty": "OKP", "crv": "X25519", "x": encode([1; 32])}),
            "key exchange",
        ),
        (json!({}), "nothing"),
    ] {
        assert!(
            VerifyKey::from_jwk(odd.as_object().unwrap()).is_err(),
            "{why}: {odd}"
        );
    }
}

#[test]
fn a_set_keeps_what_can_be_used() {
    let keys = json!({"keys": [rfc7515_rsa(), {"kty": "oct", "k": "AA"}, {"kty": "new"}, 7, rfc7515_p256()]});
    assert_eq!(
        KeySet::from_jwks(keys.to_string().as_bytes())
            .unwrap()
            .len(),
        2
    );
    let many = json!({"keys": vec![rfc7515_p256(); 101]}).to_string();
    for odd in [
        "",
        "{}",
        "[]",
        "{\"keys\":{}}",
        "{\"keys\":[],\"keys\":[]}",
        &many,
    ] {
        assert!(KeySet::from_jwks(odd.as_bytes()).is_err(), "{odd:.40}");
    }
}

#[test]
fn keys_come_as_pem_too() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let cert = rcgen::CertificateParams::new(vec!["a".to_owned()])
        .unwrap()
        .self_signed(&pair)
        .unwrap();
    let ed = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let all = pair.public_key_pem() + &cert.pem() + &ed.public_key_pem();
    let keys = VerifyKey::from_pem(&all).unwrap();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], keys[1]);
    assert!(keys[0].fits(Algorithm::Es384) && keys[2].fits(Algorithm::EdDsa));
    let signer = Ed25519KeyPair::from_pkcs8(&ed.serialize_der()).unwrap();
    assert!(keys[2].verify(
        Algorithm::EdDsa,
        b"message",
        signer.sign(b"message").as_ref()
    ));
    for odd in [
        "",
        "no pem",
        &pair.serialize_pem(),
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ] {
        assert!(VerifyKey::from_pem(odd).is_err(), "{odd:.40}");
    }
}
