//! Names besides the distinguished one (RFC 5280, 4.2.1.6).

use std::net::IpAddr;

use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, Tag};

use crate::der::write_implicit;

/// A name with a form of its own (RFC 5280, 4.2.1.6): its value is `UTF8String`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OtherName {
    /// What kind of name.
    pub oid: ObjectIdentifier,
    /// The name.
    pub value: String,
}

/// A name of the subject besides its distinguished one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AltName {
    /// A host, in ASCII.
    Dns(String),
    /// A mailbox, in ASCII.
    Email(String),
    /// An address.
    Ip(IpAddr),
    /// RFC 3986, in ASCII.
    Uri(String),
    /// Any other.
    Other(OtherName),
}

impl AltName {
    pub(crate) fn write(&self, writer: DERWriter<'_>) {
        match self {
            AltName::Email(text) => write_implicit(writer, 1, text.as_bytes()),
            AltName::Dns(text) => write_implicit(writer, 2, text.as_bytes()),
            AltName::Uri(text) => write_implicit(writer, 6, text.as_bytes()),
            AltName::Ip(IpAddr::V4(address)) => write_implicit(writer, 7, &address.octets()),
            AltName::Ip(IpAddr::V6(address)) => write_implicit(writer, 7, &address.octets()),
            AltName::Other(name) => writer.write_tagged_implicit(Tag::context(0), |writer| {
                writer.write_sequence(|writer| {
                    writer.next().write_oid(&name.oid);
                    writer.next().write_tagged(Tag::context(0), |writer| {
                        writer.write_utf8_string(&name.value);
                    });
                });
            }),
        }
    }
}
