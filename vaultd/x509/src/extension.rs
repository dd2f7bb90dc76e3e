//! Extensions of certificates (RFC 5280, 4.2).

use yasna::models::ObjectIdentifier;
use yasna::{DERWriterSeq, Tag};

use crate::der::{write_extension, write_implicit, write_oid};
use crate::{AltName, KeyUsage, NameConstraints, Purpose, PurposeOid, oid};

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
