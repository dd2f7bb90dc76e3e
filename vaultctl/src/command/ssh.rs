//! `ssh`: logins with certificates of the SSH CA, and what hosts need to trust it.

mod check;
mod connect;
mod hosts;
mod sign;

use vault_sdk::Call;

use super::known_hosts;
use crate::error::{Outcome, local, remote};
use crate::output::Output;
use crate::session::Session;

#[derive(clap::Args)]
#[command(
    subcommand_negates_reqs = true,
    override_usage = "vaultctl ssh [OPTIONS] [USER@]HOST [SSH-ARGUMENT]...\n       vaultctl ssh COMMAND"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    connect: connect::Connect,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Have a public key signed: writes NAME-cert.pub beside NAME.pub
    Sign(sign::Args),
    /// Print the lines for known_hosts that trust the CA's hosts
    TrustHost(hosts::Trust),
    /// Print the lines for sshd_config that trust the CA's users
    SshdConfig(hosts::Config),
    /// Write the CA's keys and its list of what is revoked into a folder, both or none
    Fetch(hosts::Fetch),
    /// The pinned keys of hosts: print, list, add, import, scan, check, remove
    KnownHosts(known_hosts::Args),
    /// Say what an sshd has to change [exit 0 nothing, 1 something]
    Check(check::Args),
}

pub(crate) async fn run(
    session: &dyn Fn() -> Outcome<Session>,
    out: &Output,
    args: Args,
) -> Outcome {
    match args.command {
        None => connect::run(session()?, args.connect).await,
        Some(Command::Sign(args)) => sign::run(&session()?, args).await,
        Some(Command::TrustHost(args)) => hosts::trust(&session()?, args).await,
        Some(Command::SshdConfig(args)) => hosts::config(out, &args),
        Some(Command::Fetch(args)) => hosts::fetch(&session()?, args).await,
        Some(Command::KnownHosts(args)) => known_hosts::run(&session()?, args).await,
        Some(Command::Check(args)) => check::run(out, &args),
    }
}

/// A text that anybody may read: `call` of a path below the mount.
async fn public(session: &Session, call: Call) -> Outcome<String> {
    let answer = session.send(call.no_token()).await?;
    let text = answer.body.as_str().map(str::to_owned);
    text.ok_or_else(|| {
        remote(
            "the server answered something else than text",
            "check that an SSH CA is mounted there: vaultctl secrets list",
        )
    })
}

/// A path below a mount.
fn below(mount: &str, path: &str) -> String {
    format!("{}/{path}", mount.trim_matches('/'))
}

/// The public keys of all CAs of a mount, each a line that was understood.
async fn authorities(session: &Session, mount: &str) -> Outcome<Vec<String>> {
    let text = public(session, Call::get(below(mount, "public_keys"))).await?;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let odd = |line: &String| vault_ssh::Key::from_line(line).is_err();
    match lines.is_empty() || lines.iter().any(odd) {
        true => Err(remote(
            format!("{mount}/public_keys holds something that is no public key"),
            "check that the address is that of vaultd",
        )),
        false => Ok(lines),
    }
}

/// The role, from the option or the environment.
fn role(given: Option<String>) -> Outcome<String> {
    let found = given.or_else(|| std::env::var("VAULT_SSH_ROLE").ok());
    found.filter(|role| !role.is_empty()).ok_or_else(|| {
        local(
            "no role of the SSH CA is named",
            "give --role NAME, or set VAULT_SSH_ROLE; vaultctl list ssh/roles shows those there are",
        )
    })
}
