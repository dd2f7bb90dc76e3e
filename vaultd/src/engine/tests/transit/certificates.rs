//! Requests that a key signs, and the chain that comes back.

use super::*;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

/// Whether the request is signed by the key that is in it, as the type signs.
fn verifies(kind: &str, pem: &str) -> bool {
    let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap();
    let (rest, request) = X509CertificationRequest::from_der(&der).unwrap();
    assert!(rest.is_empty());
    let algorithm: &'static dyn VerificationAlgorithm = match kind {
        "ed25519" => &ED25519,
        "ecdsa-p256" => &ECDSA_P256_SHA256_ASN1,
        "ecdsa-p384" => &ECDSA_P384_SHA384_ASN1,
        "ecdsa-p521" => &ECDSA_P521_SHA512_ASN1,
        _ => &RSA_PKCS1_2048_8192_SHA256,
    };
    let key = request.certification_request_info.subject_pki.raw;
    UnparsedPublicKey::new(algorithm, key)
        .verify(
            request.certification_request_info.raw,
            &request.signature_value.data,
        )
        .is_ok()
}

fn authority() -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

/// What the authority makes of a request.
fn certified(csr: &str, issuer: &Issuer<'static, KeyPair>) -> String {
    let request = CertificateSigningRequestParams::from_pem(csr).unwrap();
    request.signed_by(issuer).unwrap().pem()
}

async fn csr(transit: &Transit, body: Value) -> String {
    text(&transit.done("keys/k/csr", body).await["csr"])
}

#[tokio::test]
async fn a_request_is_signed_by_the_key_and_keeps_the_template() {
    let mut params = CertificateParams::new(vec!["app.example".to_owned()]).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "app");
    let template = params
        .serialize_request(&KeyPair::generate().unwrap())
        .unwrap()
        .pem()
        .unwrap();
    for kind in SIGNING {
        let transit = Transit::with(json!({"type": kind})).await;
        assert!(verifies(kind, &csr(&transit, json!({})).await), "{kind}");
        let made = csr(&transit, json!({"csr": template})).await;
        assert!(verifies(kind, &made), "{kind}");
        assert_ne!(made, template);
        let der = CertificateSigningRequestDer::from_pem_slice(made.as_bytes()).unwrap();
        let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
        let info = &request.certification_request_info;
        assert!(info.subject.to_string().contains("CN=app"), "{kind}");
        assert!(der.windows(11).any(|part| part == b"app.example"), "{kind}");
    }
    let transit = Transit::with(json!({"type": "ecdsa-p256"})).await;
    for (body, why) in [
        (
            json!({"csr": "nonsense"}),
            "not a certificate signing request",
        ),
        (json!({"version": 2}), "no such version"),
        (json!({"version": -1}), "no such version"),
    ] {
        assert!(transit.refused("keys/k/csr", body).await.contains(why));
    }
    transit.done("keys/sealing", json!({})).await;
    let why = transit.refused("keys/sealing/csr", json!({})).await;
    assert!(why.contains("does not support signing"), "{why}");
}

#[tokio::test]
async fn the_chain_of_a_version_is_kept_and_shown_and_another_s_is_refused() {
    let (ca, issuer) = authority();
    for kind in ["ed25519", "ecdsa-p256", "rsa-2048"] {
        let transit = Transit::with(json!({"type": kind})).await;
        let leaf = certified(&csr(&transit, json!({})).await, &issuer);
        let chain = format!("{leaf}{ca}");
        let body = json!({ "certificate_chain": chain });
        transit.done("keys/k/set-certificate", body.clone()).await;
        transit.rotate(1).await;
        let shown = transit.get("keys/k").await;
        let pem = |text: &str| text.replace("\r\n", "\n");
        let kept = text(&shown["keys"]["1"]["certificate_chain"]);
        assert_eq!(pem(&kept), pem(&chain), "{kind}");
        assert_eq!(shown["keys"]["2"].get("certificate_chain"), None);
        // The second version is another key.
        for (chain, version, why) in [
            (chain.clone(), 2, "does not match the selected key version"),
            (ca.clone(), 1, "not a valid leaf"),
            (format!("{leaf}{leaf}"), 1, "no CA"),
            ("nonsense".to_owned(), 1, "did not contain any valid"),
        ] {
            let body = json!({"certificate_chain": chain, "version": version});
            let refused = transit.refused("keys/k/set-certificate", body).await;
            assert!(refused.contains(why), "{kind}: {refused}");
        }
        let body = json!({"certificate_chain": chain, "version": 1});
        transit.done("keys/k/set-certificate", body).await;
    }
}
