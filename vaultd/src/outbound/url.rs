//! URLs of HTTP servers (RFC 3986, RFC 9110): only what a request can be sent to.

use std::fmt::Write as _;

use http::Uri;
use serde::{Deserialize, Serialize};

use super::Failure;

/// `http` or `https`, a host, and no user name. Fragments are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Url {
    text: String,
    uri: Uri,
}

impl Url {
    pub fn parse(text: &str) -> Result<Url, Failure> {
        let uri: Uri = text.parse().map_err(|_| Failure::Url)?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let plain_host = !uri.host().unwrap_or("").is_empty() && !authority.contains('@');
        if !known || !plain_host || text.contains('#') || text.len() > 2048 {
            return Err(Failure::Url);
        }
        Ok(Url {
            text: text.to_owned(),
            uri,
        })
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Nothing leaves the machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.bare_host();
        host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// The host, an IPv6 address without its brackets.
    pub fn bare_host(&self) -> &str {
        let host = self.uri.host().unwrap_or("");
        host.trim_start_matches('[').trim_end_matches(']')
    }

    pub fn port(&self) -> u16 {
        self.uri
            .port_u16()
            .unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// Host and port, as given.
    pub fn authority(&self) -> &str {
        self.uri
            .authority()
            .map_or("", |authority| authority.as_str())
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        self.uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
    }

    /// This URL with more of a path; one slash between the two.
    pub fn join(&self, path: &str) -> Result<Url, Failure> {
        let base = self.text.trim_end_matches('/');
        Url::parse(&format!("{base}/{}", path.trim_start_matches('/')))
    }
}

impl TryFrom<String> for Url {
    type Error = Failure;

    fn try_from(text: String) -> Result<Url, Failure> {
        Url::parse(&text)
    }
}

impl From<Url> for String {
    fn from(url: Url) -> String {
        url.text
    }
}

/// Everything but unreserved characters as `%XX`.
pub fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `application/x-www-form-urlencoded`, and as well a query.
pub fn form(fields: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{}={}", percent(name), percent(value));
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_a_request_can_be_sent_to_is_a_url() {
        let url = Url::parse("https://[::1]:8443/a?b=c").unwrap();
        assert_eq!(
            (url.bare_host(), url.port(), url.target()),
            ("::1", 8443, "/a?b=c")
        );
        assert!(url.is_tls() && url.is_loopback());
        let plain = Url::parse("http://idp.example").unwrap();
        assert_eq!((plain.port(), plain.target()), (80, "/"));
        assert!(!plain.is_tls() && !plain.is_loopback());
        for odd in [
            "",
            "idp.example",
            "/path",
            "ftp://idp.example/",
            "file:///etc/passwd",
            "https://",
            "https:///path",
            "https://user@idp.example/",
            "https://user:password@idp.example/",
            "https://idp.example/#fragment",
            "https://idp.example/a b",
            "https://idp.example/\r\nX: y",
        ] {
            assert!(Url::parse(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn one_slash_between_base_and_path() {
        for base in ["https://h/a", "https://h/a/"] {
            let joined = Url::parse(base).unwrap().join("/b?c=d").unwrap();
            assert_eq!(joined.as_str(), "https://h/a/b?c=d");
        }
    }

    #[test]
    fn forms_are_escaped() {
        assert_eq!(
            form(&[("a b", "c&d=é"), ("x", "y")]),
            "a%20b=c%26d%3D%C3%A9&x=y"
        );
    }
}
