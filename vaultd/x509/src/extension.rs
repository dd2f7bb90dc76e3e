//! Extensions of certificates (RFC 5280, 4.2).

use std::net::IpAddr;

use ipnet::IpNet;
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, DERWriterSeq, Tag};

use crate::der::{write_extension, write_implicit, write_oid};
use crate::oid;

/// Bits of `KeyUsage`, the first one lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage(pub u16);

impl KeyUsage {
    /// Names as Go's and Vault's users write them, in the order of the bits.
    pub const NAMES: [&'static str; 9] = [
        "DigitalSignature",
        "ContentCommitment",
        "KeyEncipherment",
        "DataEncipherment",
        "KeyAgreement",
        "CertSign",
        "CRLSign",
        "EncipherOnly",
        "DecipherOnly",
    ];
    /// What an authority does.
    pub const AUTHORITY: KeyUsage = KeyUsage(1 << 5 | 1 << 6);

    /// One usage by its name, in any case, with or without `KeyUsage` in front.
    pub fn named(name: &str) -> Option<KeyUsage> {
        let name = name.trim().to_ascii_lowercase();
        let name = name.strip_prefix("keyusage").unwrap_or(&name);
        let mut names = KeyUsage::NAMES.iter();
        let at = names.position(|known| known.eq_ignore_ascii_case(name))?;
        Some(KeyUsage(1 << at))
    }

    /// All usages of both.
    #[must_use]
    pub fn and(self, other: KeyUsage) -> KeyUsage {
        KeyUsage(self.0 | other.0)
    }

    fn der(self) -> Vec<u8> {
        let highest = 16 - self.0.leading_zeros() as usize;
        let reversed = self.0.reverse_bits().to_be_bytes();
        let bytes = &reversed[..highest.div_ceil(8)];
        yasna::construct_der(|writer| writer.write_bitvec_bytes(bytes, highest))
    }
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Anything.
    Any,
    /// TLS, as a server.
    ServerAuth,
    /// TLS, as a client.
    ClientAuth,
    /// Programs.
    CodeSigning,
    /// S/MIME.
    EmailProtection,
    /// IPsec.
    IpsecEndSystem,
    /// IPsec.
    IpsecTunnel,
    /// IPsec.
    IpsecUser,
    /// RFC 3161.
    TimeStamping,
    /// RFC 6960.
    OcspSigning,
    /// Microsoft.
    MicrosoftServerGatedCrypto,
    /// Netscape.
    NetscapeServerGatedCrypto,
    /// Microsoft.
    MicrosoftCommercialCodeSigning,
    /// Microsoft.
    MicrosoftKernelCodeSigning,
}

impl Purpose {
    const ALL: [(Purpose, &'static str, &'static [u64]); 14] = [
        (Purpose::Any, "any", &[2, 5, 29, 37, 0]),
        (
            Purpose::ServerAuth,
            "serverauth",
            &[1, 3, 6, 1, 5, 5, 7, 3, 1],
        ),
        (
            Purpose::ClientAuth,
            "clientauth",
            &[1, 3, 6, 1, 5, 5, 7, 3, 2],
        ),
        (
            Purpose::CodeSigning,
            "codesigning",
            &[1, 3, 6, 1, 5, 5, 7, 3, 3],
        ),
        (
            Purpose::EmailProtection,
            "emailprotection",
            &[1, 3, 6, 1, 5, 5, 7, 3, 4],
        ),
        (
            Purpose::IpsecEndSystem,
            "ipsecendsystem",
            &[1, 3, 6, 1, 5, 5, 7, 3, 5],
        ),
        (
            Purpose::IpsecTunnel,
            "ipsectunnel",
            &[1, 3, 6, 1, 5, 5, 7, 3, 6],
        ),
        (
            Purpose::IpsecUser,
            "ipsecuser",
            &[1, 3, 6, 1, 5, 5, 7, 3, 7],
        ),
        (
            Purpose::TimeStamping,
            "timestamping",
            &[1, 3, 6, 1, 5, 5, 7, 3, 8],
        ),
        (
            Purpose::OcspSigning,
            "ocspsigning",
            &[1, 3, 6, 1, 5, 5, 7, 3, 9],
        ),
        (
            Purpose::MicrosoftServerGatedCrypto,
            "microsoftservergatedcrypto",
            &[1, 3, 6, 1, 4, 1, 311, 10, 3, 3],
        ),
        (
            Purpose::NetscapeServerGatedCrypto,
            "netscapeservergatedcrypto",
            &[2, 16, 840, 1, 113_730, 4, 1],
        ),
        (
            Purpose::MicrosoftCommercialCodeSigning,
            "microsoftcommercialcodesigning",
            &[1, 3, 6, 1, 4, 1, 311, 2, 1, 22],
        ),
        (
            Purpose::MicrosoftKernelCodeSigning,
            "microsoftkernelcodesigning",
            &[1, 3, 6, 1, 4, 1, 311, 61, 1, 1],
        ),
    ];

    /// By its name, in any case, with or without `ExtKeyUsage` in front.
    pub fn named(name: &str) -> Option<Purpose> {
        let name = name.trim().to_ascii_lowercase();
        let name = name.strip_prefix("extkeyusage").unwrap_or(&name);
        let found = Purpose::ALL.iter().find(|(_, known, _)| *known == name);
        found.map(|(purpose, _, _)| *purpose)
    }

    fn oid(self) -> &'static [u64] {
        let found = Purpose::ALL.iter().find(|(purpose, _, _)| *purpose == self);
        found.map_or(&[2, 5, 29, 37, 0], |(_, _, oid)| oid)
    }
}

/// A purpose that has no name here.
pub type PurposeOid = ObjectIdentifier;

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
    fn write(&self, writer: DERWriter<'_>) {
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

/// Where more is to be learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Urls {
    /// Certificates of the issuer.
    pub issuers: Vec<String>,
    /// Its revocation lists.
    pub lists: Vec<String>,
    /// What has changed since a list.
    pub deltas: Vec<String>,
    /// Its OCSP responders.
    pub responders: Vec<String>,
}

/// All extensions of a certificate. What is empty is left out.
#[derive(Clone, Debug, Default)]
pub struct Extensions {
    /// `None` leaves basic constraints out; `Some(None)` is no authority.
    pub authority: Option<Option<Authority>>,
    /// Critical.
    pub key_usage: KeyUsage,
    /// Purposes that have a name.
    pub purposes: Vec<Purpose>,
    /// Others.
    pub more_purposes: Vec<PurposeOid>,
    /// Of the subject. Critical if it has no other name.
    pub names: Vec<AltName>,
    /// Of an authority. Critical.
    pub constraints: NameConstraints,
    /// Under which it was issued.
    pub policies: Vec<ObjectIdentifier>,
    /// Where to learn more.
    pub urls: Urls,
    /// Extensions that are taken over as they are: their DER.
    pub raw: Vec<Vec<u8>>,
}

/// An authority, and how many others may be below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    /// `None`: as many as you like.
    pub path_length: Option<u8>,
}

impl Extensions {
    /// All of them with the identifiers of both keys.
    pub(crate) fn write(
        &self,
        writer: &mut DERWriterSeq<'_>,
        subject_key_id: &[u8],
        issuer_key_id: &[u8],
        anonymous: bool,
    ) {
        let mut extension = |oid: &[u64], critical: bool, value: Vec<u8>| {
            write_extension(writer.next(), oid, critical, &value);
        };
        if self.key_usage != KeyUsage::default() {
            extension(oid::KEY_USAGE, true, self.key_usage.der());
        }
        if !self.purposes.is_empty() || !self.more_purposes.is_empty() {
            extension(oid::EXTENDED_USAGE, false, self.purposes_der());
        }
        if let Some(authority) = self.authority {
            extension(oid::BASIC_CONSTRAINTS, true, basic_constraints(authority));
        }
        let id = yasna::construct_der(|writer| writer.write_bytes(subject_key_id));
        extension(oid::SUBJECT_KEY_ID, false, id);
        extension(
            oid::AUTHORITY_KEY_ID,
            false,
            authority_key_id(issuer_key_id),
        );
        if !self.urls.issuers.is_empty() || !self.urls.responders.is_empty() {
            extension(oid::AUTHORITY_ACCESS, false, self.urls.access());
        }
        if !self.names.is_empty() {
            extension(oid::ALT_NAME, anonymous, self.names_der());
        }
        if !self.policies.is_empty() {
            let policies = yasna::construct_der(|writer| {
                writer.write_sequence(|writer| {
                    for policy in &self.policies {
                        writer
                            .next()
                            .write_sequence(|writer| writer.next().write_oid(policy));
                    }
                });
            });
            extension(oid::POLICIES, false, policies);
        }
        if self.constraints != NameConstraints::default() {
            extension(oid::NAME_CONSTRAINTS, true, self.constraints.der());
        }
        for (oid, urls) in [
            (oid::CRL_POINTS, &self.urls.lists),
            (oid::FRESHEST_CRL, &self.urls.deltas),
        ] {
            if !urls.is_empty() {
                extension(oid, false, distribution_points(urls));
            }
        }
        for raw in &self.raw {
            writer.next().write_der(raw);
        }
    }

    /// What a request asks for: usages, constraints and names; `None` if nothing.
    pub(crate) fn requested(&self) -> Option<Vec<u8>> {
        let usage = self.key_usage != KeyUsage::default();
        if !usage && self.authority.is_none() && self.names.is_empty() && self.raw.is_empty() {
            return None;
        }
        Some(yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                if usage {
                    write_extension(writer.next(), oid::KEY_USAGE, true, &self.key_usage.der());
                }
                if let Some(authority) = self.authority {
                    let value = basic_constraints(authority);
                    write_extension(writer.next(), oid::BASIC_CONSTRAINTS, true, &value);
                }
                if !self.names.is_empty() {
                    write_extension(writer.next(), oid::ALT_NAME, false, &self.names_der());
                }
                for raw in &self.raw {
                    writer.next().write_der(raw);
                }
            });
        }))
    }

    fn names_der(&self) -> Vec<u8> {
        yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                for name in &self.names {
                    name.write(writer.next());
                }
            });
        })
    }

    fn purposes_der(&self) -> Vec<u8> {
        yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                for purpose in &self.purposes {
                    write_oid(writer.next(), purpose.oid());
                }
                for oid in &self.more_purposes {
                    writer.next().write_oid(oid);
                }
            });
        })
    }
}

fn basic_constraints(authority: Option<Authority>) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            let Some(authority) = authority else {
                return;
            };
            writer.next().write_bool(true);
            if let Some(length) = authority.path_length {
                writer.next().write_u8(length);
            }
        });
    })
}

pub fn authority_key_id(id: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| write_implicit(writer.next(), 0, id));
    })
}

fn distribution_points(urls: &[String]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            for url in urls {
                writer.next().write_sequence(|writer| {
                    writer.next().write_tagged(Tag::context(0), |writer| {
                        writer.write_tagged_implicit(Tag::context(0), |writer| {
                            writer.write_sequence(|writer| {
                                write_implicit(writer.next(), 6, url.as_bytes());
                            });
                        });
                    });
                });
            }
        });
    })
}

impl Urls {
    fn access(&self) -> Vec<u8> {
        let all = self
            .responders
            .iter()
            .map(|url| (oid::ACCESS_OCSP, url))
            .chain(self.issuers.iter().map(|url| (oid::ACCESS_ISSUERS, url)));
        yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                for (oid, url) in all {
                    writer.next().write_sequence(|writer| {
                        write_oid(writer.next(), oid);
                        write_implicit(writer.next(), 6, url.as_bytes());
                    });
                }
            });
        })
    }
}

impl NameConstraints {
    fn der(&self) -> Vec<u8> {
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
