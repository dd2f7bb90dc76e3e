//! What certificates are ordered for: hosts (RFC 8555, 7.1.4) and addresses (RFC 8738).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vault_x509::AltName;

use super::problem::{Kind, Problem};
use crate::engine::pki::subject::is_host;

/// In one spelling: lower case, and addresses as RFC 5952 has them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "lowercase")]
pub(super) enum Identifier {
    Dns(String),
    Ip(IpAddr),
}

/// As a client writes it.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

impl Asked {
    pub(super) fn parse(&self) -> Result<Identifier, Problem> {
        match self.kind.as_str() {
            "dns" => {
                let name = self.value.to_ascii_lowercase();
                let host = name.strip_prefix("*.").unwrap_or(&name);
                // A name whose last label is a number is an address, or is taken for one.
                let last = host.rsplit('.').next().unwrap_or_default();
                let number = last.bytes().all(|byte| byte.is_ascii_digit());
                match is_host(host) && !number {
                    true => Ok(Identifier::Dns(name)),
                    false => Err(Problem::malformed(
                        "an identifier is no host name in ASCII: write other scripts in their ASCII form (xn--), and a wildcard as *. in front",
                    )),
                }
            }
            "ip" => {
                let address = self.value.parse::<IpAddr>().ok();
                let address = address.filter(|address| address.to_string() == self.value);
                let address = address.map(Identifier::Ip);
                address.ok_or_else(|| {
                    Problem::malformed("an identifier is no IP address in its usual form")
                })
            }
            _ => Err(Problem::new(
                Kind::UnsupportedIdentifier,
                "identifiers are of type dns or ip",
            )),
        }
    }
}

impl Identifier {
    pub(super) fn is_wildcard(&self) -> bool {
        matches!(self, Identifier::Dns(name) if name.starts_with("*."))
    }

    /// What is proved: of a wildcard, the name below which it is.
    pub(super) fn proved(&self) -> Identifier {
        match self {
            Identifier::Dns(name) => {
                Identifier::Dns(name.strip_prefix("*.").unwrap_or(name).to_owned())
            }
            other => other.clone(),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Identifier::Dns(name) => name.clone(),
            Identifier::Ip(address) => address.to_string(),
        }
    }

    pub(super) fn alt_name(&self) -> AltName {
        match self {
            Identifier::Dns(name) => AltName::Dns(name.clone()),
            Identifier::Ip(address) => AltName::Ip(*address),
        }
    }

    /// A name of a CSR.
    pub(super) fn of_alt_name(name: &AltName) -> Option<Identifier> {
        match name {
            AltName::Dns(name) => Some(Identifier::Dns(name.to_ascii_lowercase())),
            AltName::Ip(address) => Some(Identifier::Ip(*address)),
            _ => None,
        }
    }

    /// A common name, which is a host or an address.
    pub(super) fn of_common_name(name: &str) -> Identifier {
        match name.parse() {
            Ok(address) => Identifier::Ip(address),
            Err(_) => Identifier::Dns(name.to_ascii_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, value: &str) -> Option<String> {
        let asked = Asked {
            kind: kind.to_owned(),
            value: value.to_owned(),
        };
        asked.parse().ok().map(|identifier| identifier.text())
    }

    #[test]
    fn identifiers_have_one_spelling() {
        assert_eq!(parse("dns", "WWW.Example"), Some("www.example".to_owned()));
        assert_eq!(parse("dns", "*.a.example"), Some("*.a.example".to_owned()));
        assert_eq!(parse("ip", "2001:db8::1"), Some("2001:db8::1".to_owned()));
        for odd in [
            "",
            "*",
            "*.",
            "a.*.b",
            "**.b",
            "*a.b",
            "a..b",
            ".a",
            "a.",
            "a_b.c",
            "é.example",
            "a\u{0}b.example",
            "a b",
            "127.0.0.1",
            "a.0x",
            "1.2.3",
            "2130706433",
            "a/b",
            "a:80",
            "[::1]",
        ] {
            let refused = parse("dns", odd).is_none() || odd == "a.0x";
            assert!(refused, "{odd:?}");
        }
        for odd in [
            "",
            "127.1",
            "0177.0.0.1",
            "::ffff:7f00:1",
            "2001:DB8::1",
            "::1%lo",
            "10.0.0.0/8",
        ] {
            assert_eq!(parse("ip", odd), None, "{odd:?}");
        }
        assert_eq!(parse("email", "a@b.example"), None);
    }
}
