//! `ssh USER@HOST`: a key made for this one connection, a certificate for it, and the system's ssh.
//!
//! Promises: the key never touches a disk and is gone when ssh ends; ssh does not get the token; its
//! exit code is ours. Host keys are checked as ssh is configured to; with `--host-ca` those that the CA
//! vouches for are trusted, for this host alone.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use vault_crypto::{KeyKind, System};
use vault_sdk::Call;
use vault_ssh::PrivateKey;

use crate::command::run::child::{self, Signals};
use crate::command::run::files::Folder;
use crate::error::{Outcome, local, plain, remote};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Connect {
    /// Role of the SSH CA that signs [default: VAULT_SSH_ROLE]
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// For Vault's sake: there is no other way in
    #[arg(long = "mode", hide = true, value_parser = ["ca"])]
    _mode: Option<String>,
    /// Where the SSH CA is mounted
    #[arg(
        long,
        alias = "mount-point",
        default_value = "ssh",
        value_name = "PATH"
    )]
    mount: String,
    /// For this principal, if it is not the user's name on the host; may be repeated
    #[arg(long, alias = "valid-principals", value_name = "NAME")]
    principal: Vec<String>,
    /// How long the certificate is to be good for new connections [default: the role's]
    #[arg(long, value_name = "TIME")]
    ttl: Option<String>,
    /// Trust the host if the CA mounted here vouches for it
    #[arg(long, alias = "host-key-mount-point", value_name = "PATH")]
    host_ca: Option<String>,
    /// The host; after it options and command, which all go to ssh
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "[USER@]HOST [SSH-ARGUMENT]"
    )]
    destination: Vec<OsString>,
}

pub(super) async fn run(session: Session, args: Connect) -> Outcome {
    let role = super::role(args.role)?;
    let settings = Settings::of(&args.destination)?;
    let key = PrivateKey::generate(KeyKind::Ed25519, &System);
    let key = key.map_err(|bad| plain(format!("no key was made: {bad}")))?;
    let private = key.to_openssh("", &System);
    let private = private.map_err(|bad| plain(format!("no key was made: {bad}")))?;
    let principals = match args.principal.is_empty() {
        true => vec![settings.user.clone()],
        false => args.principal,
    };
    let mut asked = json!({
        "public_key": key.public().line(),
        "valid_principals": principals,
    });
    if let Some(ttl) = args.ttl {
        asked["ttl"] = Value::from(ttl);
    }
    let path = super::below(&args.mount, &format!("sign/{role}"));
    let answer = session.send(Call::post(path, asked)).await?;
    let certificate = answer.data()["signed_key"].as_str();
    let certificate = certificate.ok_or_else(|| {
        remote(
            "the answer holds no certificate",
            "check that an SSH CA is mounted there",
        )
    })?;
    let mut files = vec![
        ("key".to_owned(), private.to_string()),
        ("key-cert.pub".to_owned(), certificate.to_owned()),
    ];
    if let Some(mount) = &args.host_ca {
        let lines = super::authorities(&session, mount).await?;
        let trusted = lines.iter().map(|line| settings.vouched(line));
        files.push(("known_hosts".to_owned(), trusted.collect()));
    }
    drop(session);
    let (folder, paths) = Folder::with(&files)?;
    let mut command = child::command(&[OsString::from("ssh")])?;
    command.envs(std::env::vars_os().filter(|(name, _)| !is_token(name)));
    command
        .arg("-i")
        .arg(&paths[0])
        .args(["-o", "IdentitiesOnly=yes"]);
    if let Some(path) = paths.get(2) {
        let known = format!(
            "UserKnownHostsFile={} {}",
            path.display(),
            settings.known_hosts
        );
        command.arg("-o").arg(known);
    }
    command.args(&args.destination);
    let mut signals = Signals::new()?;
    let mut ssh = child::spawn(&mut command)?;
    let ended = child::wait(&mut ssh, &mut signals).await;
    drop(folder);
    Err(ended)
}

fn is_token(name: &OsString) -> bool {
    name == "VAULT_TOKEN" || name == "BAO_TOKEN"
}

/// What ssh makes of its configuration for these arguments.
struct Settings {
    user: String,
    host: String,
    port: String,
    known_hosts: String,
}

impl Settings {
    fn of(arguments: &[OsString]) -> Outcome<Settings> {
        let mut command = Command::new("ssh");
        command.arg("-G").args(arguments).stdin(Stdio::null());
        let said = command.output().map_err(|error| {
            local(
                format!("cannot start ssh: {error}"),
                "install OpenSSH's client (Debian: apt-get install openssh-client)",
            )
        })?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let value = |name: &str| {
            let lines = text.lines();
            let mut pairs = lines.filter_map(|line| line.split_once(' '));
            pairs
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
        };
        match (value("user"), value("hostname"), value("port")) {
            (Some(user), Some(host), Some(port)) if said.status.success() => Ok(Settings {
                user,
                host,
                port,
                known_hosts: value("userknownhostsfile").unwrap_or_default(),
            }),
            _ => Err(local(
                format!(
                    "ssh refuses these arguments: {}",
                    String::from_utf8_lossy(&said.stderr).trim()
                ),
                "write vaultctl ssh [OPTIONS] USER@HOST, then what is for ssh",
            )),
        }
    }

    /// A line of known_hosts, for this host alone.
    fn vouched(&self, key: &str) -> String {
        let host = match self.port.as_str() {
            "22" => self.host.clone(),
            port => format!("[{}]:{port},{}", self.host, self.host),
        };
        format!("@cert-authority {host} {key}\n")
    }
}
