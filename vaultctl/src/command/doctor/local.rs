//! What can be seen without the network.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{Resource, getrlimit};

use super::Check;
use crate::args::Globals;
use crate::session::{TokenSource, address, setting, token};

pub(super) fn checks(globals: &Globals) -> Vec<Check> {
    let mut checks = vec![
        clashes(|name| std::env::var(name).ok()),
        scheme(&address(globals)),
        trust(globals),
    ];
    checks.extend(proxy());
    checks.push(token_file());
    checks.push(core_dumps());
    checks
}

/// The same setting under both names, with different values.
fn clashes(read: impl Fn(&str) -> Option<String>) -> Check {
    let names = [
        "ADDR",
        "TOKEN",
        "CACERT",
        "NAMESPACE",
        "SKIP_VERIFY",
        "TLS_SERVER_NAME",
    ];
    let differs =
        |name: &&&str| match (read(&format!("BAO_{name}")), read(&format!("VAULT_{name}"))) {
            (Some(bao), Some(vault)) => bao != vault,
            _ => false,
        };
    let found: Vec<_> = names
        .iter()
        .filter(differs)
        .map(|n| format!("BAO_{n}/VAULT_{n}"))
        .collect();
    if found.is_empty() {
        return Check::pass(
            "environment",
            "BAO_* and VAULT_* do not contradict each other",
        );
    }
    Check::warn(
        "environment",
        format!("set twice and differently: {}", found.join(", ")),
        "unset one of each; BAO_* is used",
    )
}

fn scheme(address: &str) -> Check {
    let fix = "set VAULT_ADDR to something like https://vault.example.org:8200";
    let Ok(uri) = address.parse::<http::Uri>() else {
        return Check::fail("address", "the address is not a URL", fix);
    };
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") if !host.is_empty() => Check::pass("address", address),
        Some("http") if is_loopback(host) => Check::pass(
            "address",
            format!("{address} (plain text, this machine only)"),
        ),
        Some("http") => Check::fail(
            "address",
            format!("{address}: tokens and secrets would cross the network in plain text"),
            "use https://",
        ),
        _ => Check::fail("address", format!("{address} has no scheme"), fix),
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn trust(globals: &Globals) -> Check {
    if globals.tls_skip_verify || setting("SKIP_VERIFY").is_some_and(|v| v != "0" && v != "false") {
        return Check::warn(
            "trust",
            "the server's certificate is not checked",
            "unset VAULT_SKIP_VERIFY and set VAULT_CACERT",
        );
    }
    let path = globals
        .ca_cert
        .clone()
        .or_else(|| setting("CACERT").map(Into::into));
    let Some(path) = path else {
        return Check::pass("trust", "the system's CAs (VAULT_CACERT is not set)");
    };
    match std::fs::read_to_string(&path) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => {
            Check::pass("trust", format!("only {}", path.display()))
        }
        Ok(_) => Check::fail(
            "trust",
            format!("{} holds no certificate", path.display()),
            "point VAULT_CACERT at the CA file (PEM)",
        ),
        Err(e) => Check::fail(
            "trust",
            format!("{}: {e}", path.display()),
            "point VAULT_CACERT at the CA file (PEM)",
        ),
    }
}

fn proxy() -> Option<Check> {
    let names = [
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
        "VAULT_PROXY_ADDR",
        "VAULT_HTTP_PROXY",
    ];
    let found: Vec<_> = names
        .into_iter()
        .filter(|n| std::env::var_os(n).is_some_and(|v| !v.is_empty()))
        .collect();
    if found.is_empty() {
        return None;
    }
    Some(Check::warn(
        "proxy",
        format!(
            "{} is set and not used: connections go straight to the server",
            found.join(", ")
        ),
        "unset it, or make the server reachable",
    ))
}

fn token_file() -> Check {
    match token() {
        Err(failure) => Check::fail("token", failure.to_string(), "log in again: vaultctl login"),
        Ok((_, TokenSource::None)) => {
            Check::warn("token", "there is none", "log in: vaultctl login")
        }
        Ok((_, TokenSource::Environment(name))) => Check::pass("token", format!("from {name}")),
        Ok((_, TokenSource::File(path))) => file_mode(&path),
    }
}

fn file_mode(path: &Path) -> Check {
    match std::fs::metadata(path) {
        Ok(meta) if meta.mode() & 0o077 != 0 => {
            let text = format!(
                "{} can be read by others (mode {:o})",
                path.display(),
                meta.mode() & 0o777
            );
            Check::fail("token", text, format!("chmod 600 {}", path.display()))
        }
        Ok(_) => Check::pass("token", format!("from {}", path.display())),
        Err(e) => Check::fail(
            "token",
            format!("{}: {e}", path.display()),
            "log in again: vaultctl login",
        ),
    }
}

fn core_dumps() -> Check {
    match getrlimit(Resource::Core).current {
        Some(0) => Check::pass("core dumps", "off"),
        _ => Check::warn(
            "core dumps",
            "programs that hold secrets may leave them in a core file (vaultctl itself does not)",
            "ulimit -c 0",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn contradicting_settings_are_named_without_their_values() {
        let check = clashes(|name| match name {
            "BAO_TOKEN" => Some("one-secret".into()),
            "VAULT_TOKEN" => Some("two-secret".into()),
            _ => None,
        });
        assert_eq!(check.verdict, Verdict::Warn);
        assert!(check.text.contains("BAO_TOKEN") && !check.text.contains("secret"));
    }

    #[test]
    fn plain_text_is_for_loopback_only() {
        let verdict = |a| scheme(a).verdict;
        assert_eq!(verdict("https://vault:8200"), Verdict::Pass);
        assert_eq!(verdict("http://127.0.0.1:8200"), Verdict::Pass);
        assert_eq!(verdict("http://[::1]:8200"), Verdict::Pass);
        assert_eq!(verdict("http://vault:8200"), Verdict::Fail);
        assert_eq!(verdict("vault:8200"), Verdict::Fail);
    }
}
