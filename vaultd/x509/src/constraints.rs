//! For which names an authority may issue (RFC 5280, 4.2.1.10).

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use x509_parser::extensions::{GeneralName, GeneralSubtree};
use yasna::{DERWriterSeq, Tag};

use crate::der::write_implicit;
use crate::{AltName, Malformed};

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
    /// `None` for kinds of names that are not issued here.
    fn read(tree: &GeneralSubtree<'_>) -> Result<Option<Subtree>, Malformed> {
        const BAD: Malformed = Malformed("a name constraint cannot be parsed");
        Ok(Some(match &tree.base {
            GeneralName::DNSName(text) => Subtree::Dns((*text).to_owned()),
            GeneralName::RFC822Name(text) => Subtree::Email((*text).to_owned()),
            GeneralName::URI(text) => Subtree::Uri((*text).to_owned()),
            GeneralName::IPAddress(bytes) => Subtree::Ip(net(bytes).ok_or(BAD)?),
            _ => return Ok(None),
        }))
    }

    /// Whether this says anything of such names.
    fn is_about(&self, name: &AltName) -> bool {
        matches!(
            (self, name),
            (Subtree::Dns(_), AltName::Dns(_))
                | (Subtree::Email(_), AltName::Email(_))
                | (Subtree::Ip(_), AltName::Ip(_))
                | (Subtree::Uri(_), AltName::Uri(_))
        )
    }

    fn holds(&self, name: &AltName) -> bool {
        match (self, name) {
            (Subtree::Dns(tree), AltName::Dns(name)) => {
                let name = name.strip_prefix("*.").unwrap_or(name);
                tree.is_empty()
                    || is_host(tree, name)
                    || is_below(tree.trim_start_matches('.'), name)
            }
            (Subtree::Email(tree), AltName::Email(name)) => {
                let host = name.rsplit_once('@').map_or("", |(_, host)| host);
                match tree.contains('@') {
                    true => tree == name,
                    false => is_of_host(tree, host),
                }
            }
            (Subtree::Uri(tree), AltName::Uri(name)) => is_of_host(tree, host(name)),
            (Subtree::Ip(net), AltName::Ip(address)) => net.contains(address),
            _ => false,
        }
    }

    /// As `holds`, and a wildcard that could stand for something in here.
    fn touches(&self, name: &AltName) -> bool {
        let covers = match (self, name) {
            (Subtree::Dns(tree), AltName::Dns(name)) => {
                name.strip_prefix("*.").is_some_and(|base| {
                    let above = tree.split_once('.').map_or("", |(_, above)| above);
                    is_host(base, above)
                })
            }
            _ => false,
        };
        covers || self.holds(name)
    }

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
    pub(crate) fn read(
        found: &x509_parser::extensions::NameConstraints<'_>,
    ) -> Result<NameConstraints, Malformed> {
        let trees = |trees: &Option<Vec<GeneralSubtree<'_>>>| {
            let trees = trees.iter().flatten().map(Subtree::read);
            let read: Result<Vec<_>, Malformed> = trees.collect();
            Ok(read?.into_iter().flatten().collect())
        };
        Ok(NameConstraints {
            permitted: trees(&found.permitted_subtrees)?,
            excluded: trees(&found.excluded_subtrees)?,
        })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.permitted.is_empty() && self.excluded.is_empty()
    }

    /// Whether who checks the certificate will take this name.
    #[must_use]
    pub fn allow(&self, name: &AltName) -> bool {
        let mut about = self.permitted.iter().filter(|tree| tree.is_about(name));
        let is_permitted = match about.next() {
            None => true,
            Some(first) => first.holds(name) || about.any(|tree| tree.holds(name)),
        };
        is_permitted && !self.excluded.iter().any(|tree| tree.touches(name))
    }

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

/// Address and mask.
fn net(bytes: &[u8]) -> Option<IpNet> {
    if let Ok(bytes) = <[u8; 8]>::try_from(bytes) {
        let [a, b, c, d, mask @ ..] = bytes;
        let net = Ipv4Net::with_netmask([a, b, c, d].into(), mask.into()).ok()?;
        return Some(IpNet::V4(net));
    }
    let (address, mask) = bytes.split_at_checked(16)?;
    let address = <[u8; 16]>::try_from(address).ok()?;
    let mask = <[u8; 16]>::try_from(mask).ok()?;
    let net = Ipv6Net::with_netmask(address.into(), mask.into()).ok()?;
    Some(IpNet::V6(net))
}

fn is_host(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn is_below(domain: &str, name: &str) -> bool {
    let start = name.len().checked_sub(domain.len());
    start
        .and_then(|start| name.split_at_checked(start))
        .is_some_and(|(before, end)| before.ends_with('.') && is_host(end, domain))
}

/// A host, or with a dot in front all that is below one.
fn is_of_host(tree: &str, host: &str) -> bool {
    match tree.strip_prefix('.') {
        Some(domain) => is_below(domain, host),
        None => is_host(tree, host),
    }
}

/// The host of a URI; empty if it has none, or an address.
fn host(uri: &str) -> &str {
    let authority = uri.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    match host.parse::<IpAddr>() {
        Ok(_) => "",
        Err(_) => host,
    }
}
