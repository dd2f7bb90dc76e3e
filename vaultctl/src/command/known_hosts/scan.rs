//! The keys that a host shows, asked for by ssh-keyscan. What comes over the network proves nothing.

use std::process::Stdio;

use tokio::process::Command;
use vault_ssh::Key;

use crate::error::{Outcome, local, remote};

pub(super) async fn keys(host: &str) -> Outcome<Vec<Key>> {
    let (address, port) = match host
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"))
    {
        Some((address, port)) => (address, port),
        None => (host, "22"),
    };
    if address.starts_with('-') || port.parse::<u16>().is_err() {
        return Err(local("that is no host", "write HOST, or '[HOST]:PORT'"));
    }
    let output = Command::new("ssh-keyscan")
        .args(["-T", "10", "-p", port, address])
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| {
            local(
                format!("cannot start ssh-keyscan: {error}"),
                "install it (Debian: openssh-client)",
            )
        })?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = said.lines().filter(|line| !line.starts_with('#'));
    let keys = lines.filter_map(|line| Key::from_line(line.split_once(' ')?.1).ok());
    let keys: Vec<Key> = keys.collect();
    match keys.is_empty() {
        true => Err(remote(
            format!("{host} shows no key"),
            "check that sshd listens there",
        )),
        false => Ok(keys),
    }
}
