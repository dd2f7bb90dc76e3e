//! The Online Certificate Status Protocol (RFC 6960), as a responder that signs with the issuer's key.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use jiff::Timestamp;
use vault_crypto::CannotSign;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Result, BERReader, Tag};

use crate::der::{is_sound, write_extension, write_generalized, write_oid};
use crate::{Malformed, Name, PublicKey, Revoked, Signer, oid};

/// Questions of one request at most.
const QUESTIONS: usize = 20;
/// Bytes of a request at most.
const LONGEST: usize = 8 << 10;
/// Bytes of a nonce at most (RFC 9654).
const NONCE: usize = 128;

/// `OCSPResponseStatus` of an answer that says nothing about certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request is not one.
    Malformed,
    /// Something failed here.
    InternalError,
    /// Nobody here may answer for that issuer.
    Unauthorized,
}

impl Refusal {
    /// The whole answer in DER.
    pub fn to_der(self) -> Vec<u8> {
        let status = match self {
            Refusal::Malformed => 1,
            Refusal::InternalError => 2,
            Refusal::Unauthorized => 6,
        };
        yasna::construct_der(|writer| {
            writer.write_sequence(|writer| writer.next().write_enum(status));
        })
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Questions {
    /// At least one.
    pub certificates: Vec<CertificateId>,
    /// Repeated in the answer.
    nonce: Option<Vec<u8>>,
}

/// A certificate by its issuer and number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateId {
    /// As it came, for the answer.
    der: Vec<u8>,
    hash: ObjectIdentifier,
    name: Vec<u8>,
    key: Vec<u8>,
    /// Big endian, without leading zeros.
    pub serial: Vec<u8>,
}

impl CertificateId {
    /// Whether this is the issuer that is meant.
    pub fn is_of(&self, issuer: &Name, key: &PublicKey) -> bool {
        let Some(hash) = self.hash() else {
            return false;
        };
        let Ok((_, info)) = SubjectPublicKeyInfo::from_der(key.as_der()) else {
            return false;
        };
        digest(hash, issuer.as_der()).as_ref() == self.name
            && digest(hash, &info.subject_public_key.data).as_ref() == self.key
    }

    fn hash(&self) -> Option<&'static Algorithm> {
        let parts: &[u64] = self.hash.components();
        match parts {
            // Names the issuer only.
            [1, 3, 14, 3, 2, 26] => Some(&SHA1_FOR_LEGACY_USE_ONLY),
            parts if parts == oid::SHA256 => Some(&SHA256),
            _ => None,
        }
    }
}

impl Questions {
    /// # Errors
    /// If it is no request.
    pub fn from_der(der: &[u8]) -> Result<Questions, Malformed> {
        const NONE: Malformed = Malformed("not an OCSP request");
        if der.len() > LONGEST || !is_sound(der) {
            return Err(NONE);
        }
        let found = yasna::parse_der(der, |reader| {
            reader.read_sequence(|reader| {
                let found = reader.next().read_sequence(|reader| {
                    let _version = reader.read_optional(|reader| {
                        reader.read_tagged(Tag::context(0), |reader| reader.read_u8())
                    })?;
                    let _requestor = reader.read_optional(|reader| {
                        reader.read_tagged(Tag::context(1), |reader| reader.read_der())
                    })?;
                    let mut certificates = Vec::new();
                    reader.next().read_sequence_of(|reader| {
                        certificates.push(question(reader)?);
                        Ok(())
                    })?;
                    let extensions = reader
                        .read_optional(|reader| reader.read_tagged(Tag::context(2), nonce))?;
                    Ok((certificates, extensions.flatten()))
                })?;
                let _signature = reader.read_optional(|reader| {
                    reader.read_tagged(Tag::context(0), |reader| reader.read_der())
                })?;
                Ok(found)
            })
        });
        let (certificates, nonce) = found.map_err(|_| NONE)?;
        let fits = (1..=QUESTIONS).contains(&certificates.len());
        let fits = fits && nonce.as_ref().is_none_or(|nonce| nonce.len() <= NONCE);
        match fits {
            true => Ok(Questions {
                certificates,
                nonce,
            }),
            false => Err(NONE),
        }
    }
}

fn question(reader: BERReader<'_, '_>) -> ASN1Result<CertificateId> {
    reader.read_sequence(|reader| {
        let der = reader.next().read_der()?;
        let id = yasna::parse_der(&der, |reader| {
            reader.read_sequence(|reader| {
                let hash = reader.next().read_sequence(|reader| {
                    let oid = reader.next().read_oid()?;
                    let _null = reader.read_optional(|reader| reader.read_der())?;
                    Ok(oid)
                })?;
                let name = reader.next().read_bytes()?;
                let key = reader.next().read_bytes()?;
                let (serial, _) = reader.next().read_bigint_bytes()?;
                let zeros = serial.iter().take_while(|byte| **byte == 0).count();
                let serial = serial[zeros..].to_vec();
                Ok((hash, name, key, serial))
            })
        });
        let (hash, name, key, serial) = id?;
        let _extensions = reader.read_optional(|reader| {
            reader.read_tagged(Tag::context(0), |reader| reader.read_der())
        })?;
        Ok(CertificateId {
            der,
            hash,
            name,
            key,
            serial,
        })
    })
}

fn nonce(reader: BERReader<'_, '_>) -> ASN1Result<Option<Vec<u8>>> {
    let mut found = None;
    reader.read_sequence_of(|reader| {
        reader.read_sequence(|reader| {
            let name = reader.next().read_oid()?;
            let _critical = reader.read_optional(|reader| reader.read_bool())?;
            let value = reader.next().read_bytes()?;
            if name.components() == oid::OCSP_NONCE {
                found = Some(value);
            }
            Ok(())
        })
    })?;
    Ok(found)
}

/// What is known of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Issued here and not revoked.
    Good,
    /// Revoked.
    Revoked(Revoked),
    /// Not issued here.
    Unknown,
}

/// Answers in DER, signed by the issuer of all of them.
///
/// # Errors
/// If the library cannot sign.
pub fn answer(
    questions: &Questions,
    statuses: &[Status],
    responder: &PublicKey,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    signer: &Signer<'_>,
) -> Result<Vec<u8>, CannotSign> {
    let signed = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            // ResponderID by key.
            writer.next().write_tagged(Tag::context(2), |writer| {
                writer.write_bytes(&responder.id());
            });
            write_generalized(writer.next(), this_update);
            writer.next().write_sequence(|writer| {
                for (id, status) in questions.certificates.iter().zip(statuses) {
                    writer.next().write_sequence(|writer| {
                        writer.next().write_der(&id.der);
                        write_status(writer, status);
                        write_generalized(writer.next(), this_update);
                        if let Some(next) = next_update {
                            writer.next().write_tagged(Tag::context(0), |writer| {
                                write_generalized(writer, next);
                            });
                        }
                    });
                }
            });
            if let Some(nonce) = &questions.nonce {
                writer.next().write_tagged(Tag::context(1), |writer| {
                    writer.write_sequence(|writer| {
                        write_extension(writer.next(), oid::OCSP_NONCE, false, nonce);
                    });
                });
            }
        });
    });
    let basic = signer.envelope(&signed, |_| {})?;
    Ok(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_enum(0);
            writer.next().write_tagged(Tag::context(0), |writer| {
                writer.write_sequence(|writer| {
                    write_oid(writer.next(), oid::OCSP_BASIC);
                    writer.next().write_bytes(&basic);
                });
            });
        });
    }))
}

fn write_status(writer: &mut yasna::DERWriterSeq<'_>, status: &Status) {
    match status {
        Status::Good => writer
            .next()
            .write_tagged_implicit(Tag::context(0), |writer| writer.write_null()),
        Status::Unknown => writer
            .next()
            .write_tagged_implicit(Tag::context(2), |writer| writer.write_null()),
        Status::Revoked(revoked) => {
            writer
                .next()
                .write_tagged_implicit(Tag::context(1), |writer| {
                    writer.write_sequence(|writer| {
                        write_generalized(writer.next(), revoked.at);
                        let reason = i64::from(revoked.reason.code());
                        if reason != 0 {
                            writer.next().write_tagged(Tag::context(0), |writer| {
                                writer.write_enum(reason);
                            });
                        }
                    });
                });
        }
    }
}
