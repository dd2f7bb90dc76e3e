//! Names of subjects and issuers.

use x509_parser::prelude::{FromDer, X509Name};
use yasna::DERWriter;

use crate::der::write_oid;
use crate::{Malformed, oid};

/// What an attribute says about a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Two letters.
    Country,
    /// O
    Organization,
    /// OU
    OrganizationalUnit,
    /// L
    Locality,
    /// ST
    Province,
    /// A street with its number.
    Street,
    /// As in an address.
    PostalCode,
    /// CN
    CommonName,
    /// Of the subject, not of the certificate.
    SerialNumber,
    /// UID (RFC 4519)
    UserId,
}

impl Attribute {
    fn oid(self) -> &'static [u64] {
        match self {
            Attribute::Country => oid::COUNTRY,
            Attribute::Organization => oid::ORGANIZATION,
            Attribute::OrganizationalUnit => oid::ORGANIZATIONAL_UNIT,
            Attribute::Locality => oid::LOCALITY,
            Attribute::Province => oid::PROVINCE,
            Attribute::Street => oid::STREET,
            Attribute::PostalCode => oid::POSTAL_CODE,
            Attribute::CommonName => oid::COMMON_NAME,
            Attribute::SerialNumber => oid::SERIAL_NUMBER,
            Attribute::UserId => oid::USER_ID,
        }
    }
}

/// A distinguished name in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Vec<u8>);

impl Name {
    /// One set for each attribute that has values, in this order.
    pub fn new(attributes: &[(Attribute, Vec<String>)]) -> Name {
        Name(yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                let used = attributes.iter().filter(|(_, values)| !values.is_empty());
                for (attribute, values) in used {
                    writer.next().write_set_of(|writer| {
                        for value in values {
                            writer.next().write_sequence(|writer| {
                                write_oid(writer.next(), attribute.oid());
                                write_text(writer.next(), *attribute, value);
                            });
                        }
                    });
                }
            });
        }))
    }

    /// As it stands in a certificate or a request.
    ///
    /// # Errors
    /// If it is no name.
    pub fn from_der(der: &[u8]) -> Result<Name, Malformed> {
        match X509Name::from_der(der) {
            Ok(([], _)) => Ok(Name(der.to_vec())),
            _ => Err(Malformed("a name is not one of X.509")),
        }
    }

    /// Its encoding.
    pub fn as_der(&self) -> &[u8] {
        &self.0
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.len() <= 2
    }
}

/// Countries and serial numbers are `PrintableString` (RFC 5280, A.1), the rest is if it can be.
fn write_text(writer: DERWriter<'_>, attribute: Attribute, value: &str) {
    let printable = |byte: u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte);
    let must = matches!(attribute, Attribute::Country | Attribute::SerialNumber);
    match value.bytes().all(printable) {
        true => writer.write_printable_string(value),
        false if must && value.is_ascii() => writer.write_ia5_string(value),
        false => writer.write_utf8_string(value),
    }
}
