//! Names besides the distinguished one, and constraints on them (RFC 5280, 4.2.1.6 and 4.2.1.10).

use std::net::IpAddr;

use ipnet::IpNet;
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, DERWriterSeq, Tag};

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

/// Names that a name constraint is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subtree {
    /// A domain and all below it.
    Dns(String),
    /// A mailbox, or all of a host.
    Email(String),
    /// A network.
    Ip(IpNet),
    /// A host of URIs.
    Uri(String),
}

impl Subtree {
    fn write(&self, writer: &mut DERWriterSeq<'_>) {
        writer.next().write_sequence(|writer| match self {
            Subtree::Email(text) => write_implicit(writer.next(), 1, text.as_bytes()),
            Subtree::Dns(text) => write_implicit(writer.next(), 2, text.as_bytes()),
            Subtree::Uri(text) => write_implicit(writer.next(), 6, text.as_bytes()),
            Subtree::Ip(IpNet::V4(net)) => {
                let bytes = [net.network().octets(), net.netmask().octets()].concat();
                write_implicit(writer.next(), 7, &bytes);
            }
            Subtree::Ip(IpNet::V6(net)) => {
                let bytes = [net.network().octets(), net.netmask().octets()].concat();
                write_implicit(writer.next(), 7, &bytes);
            }
        });
    }
}

/// For which names an authority may issue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    /// Only below these; of a kind of name that has none here, any.
    pub permitted: Vec<Subtree>,
    /// Never below these.
    pub excluded: Vec<Subtree>,
}

impl NameConstraints {
    pub(crate) fn der(&self) -> Vec<u8> {
        yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                for (number, trees) in [(0, &self.permitted), (1, &self.excluded)] {
                    if trees.is_empty() {
                        continue;
                    }
                    writer
                        .next()
                        .write_tagged_implicit(Tag::context(number), |writer| {
                            writer.write_sequence(|writer| {
                                for tree in trees {
                                    tree.write(writer);
                                }
                            });
                        });
                }
            });
        })
    }
}
