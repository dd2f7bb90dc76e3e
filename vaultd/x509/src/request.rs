//! Requests for certificates (PKCS #10, RFC 2986).

use std::net::IpAddr;

use vault_crypto::{CannotSign, pem};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509CertificationRequest};
use yasna::Tag;
use yasna::models::ObjectIdentifier;

use crate::der::{is_sound, write_oid};
use crate::{AltName, Extensions, Malformed, Name, OtherName, PublicKey, Signer, oid};

/// What was asked for. The signature of its own key has been checked.
pub struct Request {
    /// Who asks.
    pub subject: Name,
    /// The first common name.
    pub common_name: Option<String>,
    /// Whose signature it bears.
    pub key: PublicKey,
    /// Names besides the subject.
    pub names: Vec<AltName>,
    /// Extensions besides names: the DER of each, and whether it is of a kind that is known.
    pub extensions: Vec<Asked>,
    /// Whether an authority is asked for.
    pub authority: bool,
}

/// An extension that was asked for.
pub struct Asked {
    /// Which one.
    pub oid: ObjectIdentifier,
    /// All of it.
    pub der: Vec<u8>,
}

/// Bytes of a request at most.
const LONGEST: usize = 64 << 10;
/// Names of a request at most.
const NAMES: usize = 500;

impl Request {
    /// From PEM.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_pem(text: &str) -> Result<Request, Malformed> {
        const NONE: Malformed = Malformed("the csr is not a certificate signing request in PEM");
        if text.len() > 2 * LONGEST {
            return Err(Malformed("the csr is too long"));
        }
        match pem::read(text) {
            Ok(("CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST", der)) => Request::from_der(&der),
            _ => Err(NONE),
        }
    }

    /// From DER.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_der(der: &[u8]) -> Result<Request, Malformed> {
        if der.len() > LONGEST {
            return Err(Malformed("the csr is too long"));
        }
        let Ok((rest, request)) = X509CertificationRequest::from_der(der) else {
            return Err(Malformed("the csr is not a certificate signing request"));
        };
        if !rest.is_empty() {
            return Err(Malformed("the csr is not a certificate signing request"));
        }
        let info = &request.certification_request_info;
        let key = PublicKey::from_der(info.subject_pki.raw)?;
        let signature = &request.signature_value.data;
        if !key.verifies(&request.signature_algorithm, info.raw, signature) {
            return Err(Malformed(
                "the csr's signature is not of its own key, or made with SHA-1",
            ));
        }
        let mut found = Request {
            subject: Name::from_der(info.subject.as_raw())?,
            common_name: common_name(&request)?,
            key,
            names: Vec::new(),
            extensions: Vec::new(),
            authority: false,
        };
        found.read_extensions(&request)?;
        Ok(found)
    }

    fn read_extensions(&mut self, request: &X509CertificationRequest<'_>) -> Result<(), Malformed> {
        use x509_parser::cri_attributes::ParsedCriAttribute;
        for attribute in request.certification_request_info.iter_attributes() {
            let ParsedCriAttribute::ExtensionRequest(asked) = attribute.parsed_attribute() else {
                continue;
            };
            for extension in &asked.extensions {
                match extension.parsed_extension() {
                    ParsedExtension::SubjectAlternativeName(names) => {
                        if self.names.len() + names.general_names.len() > NAMES {
                            return Err(Malformed("the csr asks for too many names"));
                        }
                        for name in &names.general_names {
                            self.names.push(alt_name(name)?);
                        }
                    }
                    ParsedExtension::ParseError { .. } => {
                        return Err(Malformed("an extension of the csr is malformed"));
                    }
                    parsed => {
                        if let ParsedExtension::BasicConstraints(constraints) = parsed {
                            self.authority |= constraints.ca;
                        }
                        let parts: Option<Vec<u64>> = extension.oid.iter().map(Iterator::collect);
                        let parts = parts.ok_or(Malformed("an extension's name is too long"))?;
                        let der =
                            crate::der::raw_extension(&parts, extension.critical, extension.value);
                        let oid = ObjectIdentifier::from_slice(&parts);
                        self.extensions.push(Asked { oid, der });
                    }
                }
            }
        }
        Ok(())
    }
}

fn common_name(request: &X509CertificationRequest<'_>) -> Result<Option<String>, Malformed> {
    let subject = &request.certification_request_info.subject;
    let Some(attribute) = subject.iter_common_name().next() else {
        return Ok(None);
    };
    let text = attribute.as_str();
    let text = text.map_err(|_| Malformed("the csr's common name is no text"))?;
    match text.chars().any(char::is_control) {
        true => Err(Malformed("the csr's common name has control characters")),
        false => Ok(Some(text.to_owned())),
    }
}

fn alt_name(name: &GeneralName<'_>) -> Result<AltName, Malformed> {
    let text = |text: &str| match text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err(Malformed(
            "a name of the csr has characters that no name has",
        )),
    };
    match name {
        GeneralName::DNSName(name) => Ok(AltName::Dns(text(name)?)),
        GeneralName::RFC822Name(name) => Ok(AltName::Email(text(name)?)),
        GeneralName::URI(name) => Ok(AltName::Uri(text(name)?)),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            let address = address.map_err(|_| Malformed("an IP address has 4 or 16 bytes"))?;
            Ok(AltName::Ip(address))
        }
        GeneralName::OtherName(oid, value) => {
            let parts: Option<Vec<u64>> = oid.iter().map(Iterator::collect);
            let parts = parts.ok_or(Malformed("the kind of a name is too long"))?;
            const BAD: Malformed = Malformed("an other name of the csr is no UTF8String");
            let sound = Some(value).filter(|value| is_sound(value)).ok_or(BAD)?;
            let value = yasna::parse_der(sound, |reader| {
                reader.read_tagged(Tag::context(0), |reader| reader.read_utf8string())
            });
            let value = value.map_err(|_| BAD)?;
            let oid = ObjectIdentifier::from_slice(&parts);
            Ok(AltName::Other(OtherName { oid, value }))
        }
        _ => Err(Malformed(
            "the csr has a name that is no host, address, mailbox, URI or other name",
        )),
    }
}

/// A request for the signer's key, in DER.
///
/// # Errors
/// If the library cannot sign.
pub fn write_request(
    subject: &Name,
    key: &PublicKey,
    extensions: &Extensions,
    signer: &Signer<'_>,
) -> Result<Vec<u8>, CannotSign> {
    let signed = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u8(0);
            writer.next().write_der(subject.as_der());
            writer.next().write_der(key.as_der());
            writer
                .next()
                .write_tagged_implicit(Tag::context(0), |writer| {
                    writer.write_set(|writer| {
                        let Some(wanted) = extensions.requested() else {
                            return;
                        };
                        writer.next().write_sequence(|writer| {
                            write_oid(writer.next(), oid::EXTENSION_REQUEST);
                            writer
                                .next()
                                .write_set(|writer| writer.next().write_der(&wanted));
                        });
                    });
                });
        });
    });
    signer.envelope(&signed, |_| {})
}
