//! What a certificate says.

use jiff::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{Malformed, Name, NameConstraints, PublicKey};

/// What an authority has to know of a certificate.
pub struct Facts {
    /// Whose it is.
    pub subject: Name,
    /// Who signed it, by its own word.
    pub issuer: Name,
    /// As it is in DER: big endian.
    pub serial: Vec<u8>,
    /// Whose it is.
    pub public: PublicKey,
    /// The last moment.
    pub not_after: Timestamp,
    /// It may sign others.
    pub is_authority: bool,
    /// How many authorities may be below it.
    pub path_length: Option<u32>,
    /// For which names it may sign.
    pub constraints: NameConstraints,
}

impl Facts {
    /// Reads one certificate (RFC 5280) and nothing after it. Its signature is not looked at.
    ///
    /// # Errors
    /// If it is none, or has a key that is not known here.
    pub fn from_der(der: &[u8]) -> Result<Facts, Malformed> {
        const BAD: Malformed = Malformed("a certificate cannot be parsed");
        let Ok(([], certificate)) = X509Certificate::from_der(der) else {
            return Err(BAD);
        };
        let not_after = certificate.validity().not_after.timestamp();
        let path_length = match certificate.basic_constraints() {
            Ok(Some(constraints)) => constraints.value.path_len_constraint,
            _ => None,
        };
        let constraints = match certificate.name_constraints() {
            Ok(Some(found)) => NameConstraints::read(found.value)?,
            Ok(None) => NameConstraints::default(),
            Err(_) => return Err(BAD),
        };
        Ok(Facts {
            subject: Name::from_der(certificate.subject().as_raw()).map_err(|_| BAD)?,
            issuer: Name::from_der(certificate.issuer().as_raw()).map_err(|_| BAD)?,
            serial: certificate.raw_serial().to_vec(),
            public: PublicKey::from_der(certificate.public_key().raw)?,
            not_after: Timestamp::from_second(not_after)
                .map_err(|_| Malformed("a certificate ends at no time"))?,
            is_authority: certificate.is_ca(),
            path_length,
            constraints,
        })
    }

    /// Whether the certificate in DER is signed with this one's key, and says so.
    #[must_use]
    pub fn signed(&self, der: &[u8]) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            return false;
        };
        certificate.issuer().as_raw() == self.subject.as_der()
            && self.public.verifies(
                &certificate.signature_algorithm,
                certificate.tbs_certificate.as_ref(),
                &certificate.signature_value.data,
            )
    }
}
