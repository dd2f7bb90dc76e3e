//! Names of things here, and the names that a certificate is for.

use std::fmt;
use std::net::IpAddr;

use instant_acme::Identifier;
use serde::{Deserialize, Serialize};

use crate::core::fault::Fault;
use crate::core::name;

/// Of an account, a way to write DNS records or a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn parse(text: &str) -> Result<Name, Fault> {
        Ok(Name(
            name::check(text, "account, dns or certificate")?.to_owned(),
        ))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) enum Host {
    /// In lower case, in ASCII.
    Dns(String),
    /// Every name one level below.
    Wildcard(String),
    Ip(IpAddr),
}

impl Host {
    pub(super) fn parse(text: &str) -> Result<Host, Fault> {
        if let Ok(address) = text.parse() {
            return Ok(Host::Ip(address));
        }
        if !text.is_ascii() {
            return Err(Fault::invalid(
                "names: write international names in their ASCII form (xn--…)",
            ));
        }
        let lower = text.to_ascii_lowercase();
        let (bare, wildcard) = match lower.strip_prefix("*.") {
            Some(bare) => (bare, true),
            None => (lower.as_str(), false),
        };
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(inner)
        };
        // A last label of digits is an address that was mistyped.
        let last = bare.rsplit('.').next().unwrap_or_default();
        let is_name = bare.len() <= 253
            && bare.contains('.')
            && bare.split('.').all(label)
            && !last.bytes().all(|byte| byte.is_ascii_digit());
        match (is_name, wildcard) {
            (true, true) => Ok(Host::Wildcard(bare.to_owned())),
            (true, false) => Ok(Host::Dns(bare.to_owned())),
            (false, _) => Err(Fault::invalid(
                "names: expected DNS names such as www.example.com or *.example.com, or IP addresses",
            )),
        }
    }

    pub(super) fn identifier(&self) -> Identifier {
        match self {
            Host::Ip(address) => Identifier::Ip(*address),
            name => Identifier::Dns(name.to_string()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Dns(name) => out.write_str(name),
            Host::Wildcard(name) => write!(out, "*.{name}"),
            Host::Ip(address) => write!(out, "{address}"),
        }
    }
}

impl TryFrom<String> for Host {
    type Error = Fault;

    fn try_from(text: String) -> Result<Host, Fault> {
        Host::parse(&text)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> String {
        host.to_string()
    }
}

/// What a client that validates an address asks for in the TLS handshake (RFC 8738).
pub(super) fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let digits = address.octets().into_iter().rev();
            let nibbles = digits.flat_map(|byte| [byte & 15, byte >> 4]);
            let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_names_that_an_authority_can_validate() {
        for (text, shown) in [
            ("WWW.Example.com", "www.example.com"),
            ("*.example.com", "*.example.com"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(Host::parse(text).unwrap().to_string(), shown);
        }
        let long = format!("{}.example", "a".repeat(64));
        for odd in [
            "",
            "localhost",
            "*",
            "*.*.example.com",
            "a.*.example.com",
            "-a.example",
            "a-.example",
            "a..example",
            "a_b.example",
            "a.example.",
            "bücher.example",
            "192.0.2.256",
            "a b.example",
            "a.example\0",
            &long,
        ] {
            assert!(Host::parse(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn addresses_as_reverse_names() {
        let reversed = |text: &str| reverse(text.parse().unwrap());
        assert_eq!(reversed("192.0.2.1"), "1.2.0.192.in-addr.arpa");
        assert!(reversed("2001:db8::1").starts_with("1.0.0.0.0.0"));
        assert!(reversed("2001:db8::1").ends_with("8.b.d.0.1.0.0.2.ip6.arpa"));
    }
}
