//! Which key opens a host, and which keys that host has: one question to the server.

use serde_json::Value;
use vault_sdk::{Call, Client};
use vault_ssh::Key;

use crate::error::{Failure, Outcome, remote};
use crate::session::text;

/// What the key is wanted for. Without a name, for this host and repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Wanted {
    pub(crate) key: Option<String>,
    /// As known_hosts names it: `[host]:port` if the port is not 22.
    pub(crate) host: Option<String>,
    pub(crate) user: Option<String>,
    /// `org/name`
    pub(crate) repository: Option<String>,
    /// A key that may only read is of no use.
    pub(crate) write: bool,
}

/// The key, and where it may be used.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) key: String,
    pub(crate) version: u64,
    pub(crate) public: Key,
    pub(crate) comment: String,
    /// Of the hosts, and of authorities that signed for them.
    pub(crate) hosts: Vec<Key>,
    /// Lines of a known_hosts file.
    pub(crate) known_hosts: Vec<String>,
    /// Keys that would do as well.
    pub(crate) others: Vec<String>,
}

pub(crate) async fn find(client: &Client, mount: &str, wanted: &Wanted) -> Outcome<Found> {
    let mount = mount.trim_matches('/');
    let mut call = Call::get(format!("{mount}/lookup"));
    for (name, value) in [
        ("key", &wanted.key),
        ("host", &wanted.host),
        ("user", &wanted.user),
        ("repository", &wanted.repository),
    ] {
        if let Some(value) = value {
            call = call.query(name, value);
        }
    }
    if wanted.write {
        call = call.query("write", true);
    }
    let answer = client.send(call).await.map_err(|error| match error {
        vault_sdk::Error::NotFound { .. } => missing(wanted),
        other => Failure::from(other),
    })?;
    read(answer.data())
}

fn missing(wanted: &Wanted) -> Failure {
    let what = match (&wanted.key, &wanted.host, &wanted.repository) {
        (Some(key), ..) => format!("there is no key {key}"),
        (None, Some(host), Some(repository)) => {
            format!("no managed key is for {repository} at {host}")
        }
        (None, Some(host), None) => format!("no managed key is for {host}"),
        _ => "there is no such key".to_owned(),
    };
    remote(
        what,
        "see the keys with vaultctl deploykey list; give one a target with vaultctl deploykey targets add",
    )
}

fn read(data: &Value) -> Outcome<Found> {
    let texts = |name: &str| -> Vec<String> {
        let items = data[name].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let known_hosts = texts("known_hosts");
    let public = text(data, "public_key")?;
    let odd = |_| remote("the server's answer holds no SSH key", "check VAULT_ADDR");
    let comment = public.splitn(3, ' ').nth(2).unwrap_or_default().to_owned();
    Ok(Found {
        key: text(data, "key")?.to_owned(),
        version: data["version"].as_u64().unwrap_or(0),
        public: Key::from_line(public).map_err(odd)?,
        comment,
        hosts: known_hosts
            .iter()
            .filter_map(|line| host_key(line))
            .collect(),
        known_hosts,
        others: texts("others"),
    })
}

/// The key of a line of known_hosts.
fn host_key(line: &str) -> Option<Key> {
    let mut words = line.split_ascii_whitespace();
    let first = words.next()?;
    if first.starts_with('@') {
        if first != "@cert-authority" {
            return None;
        }
        words.next()?;
    }
    let rest: Vec<&str> = words.collect();
    Key::from_line(&rest.join(" ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_line_is_that_of_the_host_or_of_its_authority() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIApACPMQ+ShCJ8ey4VvYrUTrzUtPGc1lwWOKQfCYlccc";
        let found = Key::from_line(key).ok();
        assert!(found.is_some());
        assert_eq!(host_key(&format!("github.com {key}")), found);
        assert_eq!(host_key(&format!("@cert-authority *.corp {key} ca")), found);
        for odd in ["", "host", "@revoked host", "# text"] {
            assert_eq!(host_key(odd), None, "{odd}");
        }
        assert_eq!(host_key(&format!("@revoked host {key}")), None);
    }
}
