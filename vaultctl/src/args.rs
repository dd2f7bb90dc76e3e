//! The command tree.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command::{
    audit, auth, bundle, cert, check, ci, completion, deploykey, doctor, encrypt, export, get,
    git_credential, import, inject, kv, lease, lock, login, operator, pki, policy, raw, receipt,
    render, run, scan, search, secrets, server, ssh, ssh_agent, token, whoami, why,
};
use crate::output::Format;

const HELP: &str = "\
{about}

Usage: vaultctl [OPTIONS] COMMAND ...      help on one command: vaultctl COMMAND --help

Start
  status, doctor           is the server there, sealed, trusted? check everything
  login, logout, whoami    get a token (approle userpass cert ssh jwt oidc, --ci); give it back
Secrets
  kv                       get put patch delete undelete destroy list metadata rollback edit diff
  get REF                  one value: vaultctl get secret/app#password
  run -s REF -- CMD        CMD with secrets in its environment; --ci-role --file --mask --watch
  run --cache, bundle      start CMD during an outage too; revoke what hosts keep for that
  export, inject, render   secrets for eval, .env, JSON, GitHub, systemd; in a template; in files
  check, lock, receipt     may all be read? pin versions; what a job was given, signed
  search TEXT              names in all mounts, as far as you may list
  read write patch delete list   any API path; unwrap opens a wrapping token
  encrypt decrypt import   values in git that only the server opens; .env JSON YAML SOPS GPG in
  scan PATH|-|--git RANGE  stored values and tokens in files and commits; leaked: hand in a token
Access
  token                    create lookup renew revoke capabilities
  policy                   read write list delete fmt test (offline: --path)
  why REQUEST-ID           which rule refused it, and what would allow it
  ci                       setup (let the jobs of a project log in), explain (why not), ssh
  ssh USER@HOST            log in with a certificate; sign trust-host sshd-config check known-hosts
  pki, cert agent          issue install renew verify-served revoke, expiring; keep them renewed
  deploykey, ssh-agent     SSH keys that rotate; an agent for one; ci ssh -- git clone finds them
  secrets, auth, lease     enable disable list tune move; lookup renew revoke
Server
  operator                 init unseal seal status rekey rotate verify generate-root
  audit                    verify tail list enable disable
  completion, man, version of this program

Values: k=v  k=@file  k=- (stdin)  k (asks, hidden)  - or @file.json (JSON)
References: [vault://]mount/path[#key]

Options
  -o, --format FORMAT      table, json or yaml
      --field NAME         only this field
  -r, --reveal             show secrets on a terminal
      --address URL        default VAULT_ADDR, else https://127.0.0.1:8200
      --ca-cert FILE       default VAULT_CACERT
      --namespace, --wrap-ttl, --header, --client-cert, --client-key
      --tls-server-name, --tls-skip-verify
  -y, --yes                do not ask before destroying something
  -h, --help  -V, --version

Environment: BAO_* first, then VAULT_* (ADDR, TOKEN, CACERT, NAMESPACE, FORMAT, ...)
Exit: 0 done, 1 wrong here, 2 wrong there or sealed; scan: 3 found; pki: 4 not served; run: CMD's
";

/// Command line of vaultd, a Vault-compatible secrets manager.
#[derive(Parser)]
#[command(name = "vaultctl", version, help_template = HELP, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Print as this
    #[arg(
        short = 'o',
        long,
        alias = "output",
        global = true,
        value_name = "FORMAT"
    )]
    pub(crate) format: Option<Format>,
    /// Print only this field
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) field: Option<String>,
    /// Show secrets on a terminal
    #[arg(short, long, global = true)]
    pub(crate) reveal: bool,
    /// Server [default: VAULT_ADDR, then https://127.0.0.1:8200]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) address: Option<String>,
    /// Trust only this CA file (PEM) [default: VAULT_CACERT]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Client certificate (PEM)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) client_cert: Option<PathBuf>,
    /// Key of the client certificate (PEM)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) client_key: Option<PathBuf>,
    /// Expect this name in the server's certificate
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,
    /// Do not check the server's certificate: anyone can read what you send
    #[arg(long, global = true)]
    pub(crate) tls_skip_verify: bool,
    /// Namespace [default: VAULT_NAMESPACE]
    #[arg(long, alias = "ns", global = true, value_name = "PATH")]
    pub(crate) namespace: Option<String>,
    /// Have the answer wrapped in a token that lives this long
    #[arg(long, global = true, value_name = "TTL")]
    pub(crate) wrap_ttl: Option<String>,
    /// Send this header too
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,
    /// Do not ask before destroying something
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// Accepted for Vault's sake: nothing here waits for a person who is not there
    #[arg(long, global = true, hide = true)]
    pub(crate) non_interactive: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Whether the server is initialised and unsealed [exit 0 unsealed, 1 error, 2 sealed]
    Status,
    /// Check everything between you and the server
    Doctor(doctor::Args),
    /// Get a token and keep it in ~/.vault-token
    Login(login::Args),
    /// Revoke the token and remove it from this machine
    Logout,
    /// The token in use: name, policies, time left
    Whoami,
    /// Secrets, versioned
    #[command(subcommand)]
    Kv(kv::Command),
    /// Print one value, or all values of one secret
    Get(get::Args),
    /// Start a command with secrets in its environment
    Run(Box<run::Args>),
    /// Secrets for a shell, a file or another program [-o env, dotenv, json, yaml, github, systemd-creds]
    Export(export::Args),
    /// Fill in a template: {{ MOUNT/PATH#KEY }}
    Inject(inject::Args),
    /// Write the files of vault.toml, all or none, and reload what uses them
    Render(render::Args),
    /// Pin the versions of what vault.toml refers to, in vault.lock
    Lock(lock::Args),
    /// What a job was given, signed by the server
    #[command(subcommand)]
    Receipt(receipt::Command),
    /// Whether all that is referred to may be read, without reading it [exit 0 yes, 2 no]
    Check(check::Args),
    /// Read any API path
    Read(raw::Read),
    /// Write any API path
    Write(raw::Write),
    /// Change some fields at any API path
    Patch(raw::Write),
    /// Delete any API path
    Delete(raw::Delete),
    /// List any API path
    List(raw::List),
    /// Find secrets by name, in all KV mounts
    Search(search::Args),
    /// Find stored values, and tokens by their shape, in files and git [exit 3: found]
    Scan(scan::Args),
    /// Encrypt values for a secret, so that the file may live in git
    Encrypt(encrypt::Encrypt),
    /// Show what such a file holds, if you may
    Decrypt(encrypt::Decrypt),
    /// Files of values into secrets: .env, JSON, YAML, encrypted ones, SOPS, GPG
    Import(import::Args),
    /// What hosts keep for an outage: run --cache
    #[command(subcommand)]
    Bundle(bundle::Command),
    /// Hand in a token that was found: it is revoked
    Leaked,
    /// Why a request was denied: the rule, and the smallest one that would allow it
    Why(why::Args),
    /// Open a wrapping token, once
    Unwrap(raw::Unwrap),
    /// Tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Policies
    #[command(subcommand)]
    Policy(policy::Command),
    /// Secret engines and where they are mounted
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// Login methods and where they are mounted
    #[command(subcommand)]
    Auth(auth::Command),
    /// Let CI jobs log in with their identity tokens
    #[command(subcommand)]
    Ci(ci::Command),
    /// Log in to a host with a certificate made for it, or: sign, trust-host, sshd-config, fetch, check
    Ssh(Box<ssh::Args>),
    /// SSH keys that rotate without an outage: deploy keys of repositories, keys of accounts
    Deploykey(deploykey::Args),
    /// For git over HTTPS: a GitHub App's token for the repository that git asks for
    GitCredential(git_credential::Args),
    /// An agent for one managed SSH key: the server signs, or the key stays in memory
    SshAgent(Box<ssh_agent::Args>),
    /// Certificates on this machine: issued, installed, renewed, seen to be served
    #[command(subcommand)]
    Pki(pki::Command),
    /// The agent that keeps the certificates of this machine renewed
    #[command(subcommand)]
    Cert(cert::Command),
    /// Leases
    #[command(subcommand)]
    Lease(lease::Command),
    /// The server itself
    #[command(subcommand)]
    Operator(operator::Command),
    /// Audit logs
    #[command(subcommand)]
    Audit(audit::Command),
    /// Completion for a shell, to stdout
    Completion(completion::Completion),
    /// Manual pages
    Man(completion::Man),
    /// Version of this program
    Version,
    /// Print what is in use
    #[command(subcommand, hide = true)]
    Print(whoami::Print),
    /// What this program starts itself for
    #[command(subcommand, hide = true)]
    Inner(run::inner::Command),
    /// Start vaultd
    #[command(hide = true)]
    Server(server::Args),
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_sound() {
        super::Cli::command().debug_assert();
    }
}
