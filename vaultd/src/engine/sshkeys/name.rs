//! Names of keys, forges, servers and targets; hosts, accounts and repositories.

use crate::core::fault::Fault;
use crate::core::name;

/// 1 to 128 of letters, digits, `_`, `-` and `.`, with a letter, digit or `_` at both ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    pub(super) fn parse(text: &str) -> Result<Name, Fault> {
        Ok(Name(
            name::check(text, "key, forge, server or target")?.to_owned(),
        ))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What may stand in a comment of a public key: one line, no control characters.
pub(super) fn comment(text: String) -> Result<String, Fault> {
    match text.chars().any(char::is_control) || text.len() > 200 {
        false => Ok(text),
        true => Err(Fault::invalid(
            "invalid comment: at most 200 bytes in one line, without control characters",
        )),
    }
}

/// A host as SSH's known_hosts names it: `git.example.com`, `192.0.2.1`, `[host]:2222`.
pub(super) fn host(text: &str) -> Result<String, Fault> {
    let refused = || {
        Fault::invalid("invalid host: a name or an address, or [host]:port if the port is not 22")
    };
    let (bare, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (bare, port) = rest.split_once("]:").ok_or_else(refused)?;
            (bare, Some(port))
        }
        None => (text, None),
    };
    if let Some(port) = port {
        let number: u16 = port.parse().map_err(|_| refused())?;
        if number == 0 || number.to_string() != port {
            return Err(refused());
        }
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:_".contains(&byte);
    match !bare.is_empty() && bare.len() <= 200 && !bare.starts_with('-') && bare.bytes().all(fits)
    {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(refused()),
    }
}

/// A host, or `*.example.com` for all hosts below a domain.
pub(super) fn host_or_domain(text: &str) -> Result<String, Fault> {
    match text.strip_prefix("*.") {
        Some(domain) if !domain.contains(['[', ':']) => Ok(format!("*.{}", host(domain)?)),
        _ => host(text),
    }
}

/// The domains that a host is in, the nearest first, as patterns.
pub(super) fn domains(host: &str) -> impl Iterator<Item = String> {
    let dots = host.match_indices('.').map(|(at, _)| at);
    dots.filter(|_| !host.contains(['[', ':']))
        .map(|at| format!("*{}", &host[at..]))
}

/// The name of a host at a port.
pub(super) fn at_port(address: &str, port: u16) -> String {
    match port {
        22 => address.to_ascii_lowercase(),
        _ => format!("[{}]:{port}", address.to_ascii_lowercase()),
    }
}

/// An account on a server (as `useradd` allows it).
pub(super) fn account(text: &str) -> Result<String, Fault> {
    let first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let inner = |byte: u8| first(byte) || byte == b'-' || byte == b'.';
    let bytes = text.as_bytes();
    let fits = bytes.first().is_some_and(|byte| first(*byte)) && bytes.iter().all(|b| inner(*b));
    match fits && bytes.len() <= 32 {
        true => Ok(text.to_owned()),
        false => Err(Fault::invalid(
            "invalid user: use 1 to 32 letters, digits, '_', '-' or '.'",
        )),
    }
}

/// A host of known_hosts as an address and a port.
pub(super) fn address_of(host: &str) -> (&str, u16) {
    let parts = host
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"));
    match parts {
        Some((address, port)) => (address, port.parse().unwrap_or(22)),
        None => (host, 22),
    }
}

/// `owner/name`, with more owners at GitLab.
pub(super) fn repository(text: &str) -> Result<String, Fault> {
    let text = text.trim_end_matches(".git");
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let part =
        |part: &str| !part.is_empty() && !part.starts_with(['.', '-']) && part.bytes().all(inner);
    match text.contains('/') && text.split('/').all(part) && text.len() <= 300 {
        true => Ok(text.to_owned()),
        false => Err(Fault::invalid(
            "invalid repository: expected OWNER/NAME as in its address at the forge",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_in_its_domains() {
        let found: Vec<_> = domains("git.corp.example").collect();
        assert_eq!(found, ["*.corp.example", "*.example"]);
        assert_eq!(domains("[git.corp]:22").count(), 0);
        assert!(host_or_domain("*.corp.example").is_ok());
        for odd in ["*", "*.", "*.*", "a.*.b", "*.[a]:22", "*corp"] {
            assert!(host_or_domain(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn nothing_that_a_shell_or_a_file_name_reads_otherwise() {
        for odd in ["", ".", "..", "a/b", "-a", "a-", "a b", "a\n", "é", "$(id)"] {
            assert!(Name::parse(odd).is_err(), "{odd:?}");
        }
        for odd in [
            "",
            "-oProxyCommand=x",
            "a b",
            "a\nb",
            "[a]",
            "[a]:0",
            "[a]:022",
            "a,b",
            "*",
        ] {
            assert!(host(odd).is_err(), "{odd:?}");
        }
        for good in ["git.example.com", "::1", "[127.0.0.1]:2222", "[::1]:22"] {
            assert!(host(good).is_ok(), "{good:?}");
        }
    }
}
