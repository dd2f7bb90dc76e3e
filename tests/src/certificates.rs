//! Authorities and certificates of clients, made for one test.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use rcgen::CertificateParams;
use rcgen::{
    BasicConstraints, Certificate, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::http::Endpoint;

/// Can sign certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
    /// Those between this one and its root, this one first.
    above: Vec<CertificateDer<'static>>,
}

/// A certificate that a client shows, with its key.
pub struct Identity {
    pub certificate: Certificate,
    pub key: KeyPair,
    serial: Vec<u8>,
    above: Vec<CertificateDer<'static>>,
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params
}

fn authority(name: &str, adjust: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    adjust(&mut params);
    params
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        Authority::with(name, |_| {})
    }

    pub fn with(name: &str, adjust: impl FnOnce(&mut CertificateParams)) -> Authority {
        let (params, key) = (authority(name, adjust), KeyPair::generate().unwrap());
        Authority {
            certificate: params.self_signed(&key).unwrap(),
            issuer: Issuer::new(params, key),
            above: Vec::new(),
        }
    }

    /// An authority that this one vouches for.
    pub fn below(&self, name: &str, adjust: impl FnOnce(&mut CertificateParams)) -> Authority {
        let (params, key) = (authority(name, adjust), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let mut above = vec![certificate.der().clone()];
        above.extend(self.above.clone());
        Authority {
            certificate,
            issuer: Issuer::new(params, key),
            above,
        }
    }

    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub fn client(&self, name: &str) -> Identity {
        self.client_with(name, |_| {})
    }

    pub fn client_with(&self, name: &str, adjust: impl FnOnce(&mut CertificateParams)) -> Identity {
        self.client_for(KeyPair::generate().unwrap(), name, adjust)
    }

    pub fn client_for(
        &self,
        key: KeyPair,
        name: &str,
        adjust: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let mut params = named(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let serial = serial_of(&key);
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        adjust(&mut params);
        Identity {
            certificate: params.signed_by(&key, &self.issuer).unwrap(),
            key,
            serial,
            above: self.above.clone(),
        }
    }

    /// The private key in PEM.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A revocation list in PEM.
    pub fn crl(&self, revoked: &[&Identity]) -> String {
        self.crl_until(revoked, 64_000_000_000)
    }

    /// One that says that the next one comes at this time, in seconds since 1970.
    pub fn crl_until(&self, revoked: &[&Identity], next: u64) -> String {
        let revoked_certs = revoked.iter().map(|identity| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&identity.serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(1970, 1, 1) + Duration::from_secs(next),
            crl_number: SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// A serial number that follows from the key, so that it is known without reading the certificate.
fn serial_of(key: &KeyPair) -> Vec<u8> {
    let mut serial = vec![0x40];
    serial.extend(key.public_key_raw().iter().rev().take(15));
    serial
}

impl Identity {
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// An endpoint that shows this certificate. `ca` is the PEM file of the server's own authority.
    pub fn at(&self, endpoint: &Endpoint, ca: &Path) -> Endpoint {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(ca).unwrap())
            .unwrap();
        let mut chain = vec![self.certificate.der().clone()];
        chain.extend(self.above.clone());
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        Endpoint {
            address: endpoint.address.clone(),
            tls: Some(Arc::new(config)),
        }
    }
}
