//! Lines of a known_hosts file (sshd(8)).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vault_ssh::Key;

use crate::error::{Outcome, local};

/// One host and one key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) host: String,
    /// `ssh-ed25519 AAAA…`
    pub(super) key: String,
    pub(super) authority: bool,
}

/// Hashed names cannot be read back, so that a file with them is refused as a whole.
pub(super) fn parse(text: &str) -> Outcome<Vec<Line>> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let odd = |what: &str| {
            local(
                format!("line {number}: {what}"),
                "expected: HOST[,HOST] ssh-ed25519 AAAA…, with @cert-authority in front or not",
            )
        };
        let (authority, rest) = match line.strip_prefix('@') {
            Some(marked) => match marked.strip_prefix("cert-authority ") {
                Some(rest) => (true, rest.trim_start()),
                None => return Err(odd("only @cert-authority is understood")),
            },
            None => (false, line),
        };
        let (hosts, key) = rest.split_once(' ').ok_or_else(|| odd("there is no key"))?;
        let key = Key::from_line(key).map_err(|_| odd("the key is none"))?;
        for host in hosts.split(',') {
            if host.starts_with('|') || host.starts_with('!') {
                return Err(odd("hashed and negated names cannot be kept"));
            }
            found.push(Line {
                host: host.to_owned(),
                key: key.line(),
                authority,
            });
        }
    }
    Ok(found)
}

/// What is to be sent for each host.
pub(super) fn bodies(lines: &[Line]) -> BTreeMap<String, Value> {
    let mut bodies: BTreeMap<String, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
    for line in lines {
        let (keys, authorities) = bodies.entry(line.host.clone()).or_default();
        match line.authority {
            true => authorities.push(&line.key),
            false => keys.push(&line.key),
        }
    }
    let body = |(keys, authorities)| json!({ "keys": keys, "authorities": authorities });
    bodies
        .into_iter()
        .map(|(host, lists)| (host, body(lists)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIApACPMQ+ShCJ8ey4VvYrUTrzUtPGc1lwWOKQfCYlccc";

    #[test]
    fn a_file_is_read_as_ssh_reads_it_or_refused() {
        let text = format!("# ours\n\na,[b]:2222 {KEY} comment\n@cert-authority *.corp {KEY}\n");
        let Ok(lines) = parse(&text) else {
            panic!("refused");
        };
        let found: Vec<_> = lines
            .iter()
            .map(|line| (line.host.as_str(), line.authority))
            .collect();
        assert_eq!(found, [("a", false), ("[b]:2222", false), ("*.corp", true)]);
        assert_eq!(bodies(&lines)["*.corp"]["authorities"][0], KEY);
        for odd in [
            "|1|x|y KEY",
            "@revoked a KEY",
            "a",
            "a ssh-ed25519 AAAA",
            "!a KEY",
        ] {
            assert!(parse(&odd.replace("KEY", KEY)).is_err(), "{odd}");
        }
    }
}
