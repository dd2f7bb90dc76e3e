//! `vaultd server`, `vaultd dev`, `vaultd check-config`; and `vault server …` for those who call it so.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Parser, Subcommand};
use tokio::runtime::Builder;
use zeroize::Zeroizing;

use crate::config::{Config, ListenerConfig, StorageConfig, TlsConfig};
use crate::core::operator;
use crate::http::tls::{OWN_LIFE, Rules};
use crate::server::Server;
use crate::stack::{self, Watched};

#[derive(Parser)]
#[command(name = "vaultd", version, about = "A sealed server for secrets that speaks the Vault HTTP API", long_about = None)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server; it starts sealed
    Server {
        /// Config file: TOML, or HCL or JSON as Vault has it
        #[arg(long, required_unless_present = "dev")]
        config: Option<PathBuf>,
        /// Run in memory, initialised and unsealed
        #[arg(long)]
        dev: bool,
        #[arg(long = "dev-root-token-id", hide = true)]
        root_token: Option<String>,
        #[arg(long = "dev-listen-address", hide = true)]
        listen: Option<String>,
        #[arg(long = "dev-tls", hide = true)]
        tls: bool,
        #[arg(long = "dev-no-store-token", hide = true)]
        no_store: bool,
        #[arg(long = "log-level", hide = true)]
        log_level: Option<String>,
    },
    /// Run in memory, initialised and unsealed, with KV at secret/: for trying things out
    Dev {
        /// Address to listen on
        #[arg(long, default_value = "127.0.0.1:8200")]
        listen: String,
        /// Root token to use instead of a random one
        #[arg(long = "root-token")]
        root_token: Option<String>,
        /// Serve TLS with a certificate of its own
        #[arg(long)]
        tls: bool,
    },
    /// Check a config file and say what it means
    CheckConfig {
        #[arg(long)]
        config: PathBuf,
    },
}

/// Exit codes: 0 ok, 1 anything wrong.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let args = single_dashes(args);
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match run(args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vaultd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Go's flags have one dash: `-config=F` is `--config=F`.
fn single_dashes(args: Vec<OsString>) -> Vec<OsString> {
    args.into_iter()
        .enumerate()
        .map(|(at, arg)| match arg.to_str() {
            Some("-h") => arg,
            Some(text)
                if at > 0 && text.starts_with('-') && !text.starts_with("--") && text.len() > 2 =>
            {
                OsString::from(format!("-{text}"))
            }
            _ => arg,
        })
        .collect()
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::CheckConfig { config } => {
            let parsed = Config::load(&config)?;
            println!("{} is fine", config.display());
            for listener in &parsed.listeners {
                println!(
                    "listens on {} ({})",
                    listener.address,
                    describe(&listener.tls)
                );
            }
            Ok(())
        }
        Command::Server {
            config: Some(path),
            dev: false,
            ..
        } => {
            let config = Config::load(&path)?;
            runtime()?.block_on(serve(config))
        }
        Command::Server {
            root_token,
            listen,
            tls,
            config,
            ..
        } => {
            let extra = config.map(|path| Config::load(&path)).transpose()?;
            runtime()?.block_on(dev(
                &listen.unwrap_or_else(|| "127.0.0.1:8200".to_owned()),
                root_token,
                tls,
                extra,
            ))
        }
        Command::Dev {
            listen,
            root_token,
            tls,
        } => runtime()?.block_on(dev(&listen, root_token, tls, None)),
    }
}

fn describe(tls: &TlsConfig) -> &'static str {
    match tls {
        TlsConfig::Off => "plain HTTP, loopback only",
        TlsConfig::Files { .. } => "TLS with the configured certificate",
        TlsConfig::Own { .. } => "TLS with a certificate of its own",
        TlsConfig::Obtained { .. } => "TLS with a certificate from an engine",
    }
}

fn runtime() -> Result<Watched> {
    stack::watched(Builder::new_multi_thread().enable_all()).context("async runtime")
}

async fn serve(config: Config) -> Result<()> {
    crate::log::start(&config.log_level, config.log_json);
    for refused in crate::memory::protect() {
        tracing::warn!("{refused}");
    }
    let server = Server::start(&config).await?;
    announce(&server);
    server.run().await
}

fn announce(server: &Server) {
    for (address, tls) in &server.addresses {
        let scheme = if *tls { "https" } else { "http" };
        tracing::info!("listening on {scheme}://{address}");
    }
    if let Some(ca) = &server.ca_file {
        tracing::info!(
            "clients trust {}: export VAULT_CACERT={}",
            ca.display(),
            ca.display()
        );
    }
}

async fn dev(
    listen: &str,
    root_token: Option<String>,
    tls: bool,
    extra: Option<Config>,
) -> Result<()> {
    let address: SocketAddr = listen.parse().context("--listen: expected IP:PORT")?;
    let mut config = Config {
        storage: StorageConfig::Memory,
        audit_folder: Some(std::env::temp_dir()),
        log_level: "warn".to_owned(),
        ..Config::default()
    };
    let tls = if tls {
        TlsConfig::Own {
            rules: Rules::default(),
            life: OWN_LIFE,
        }
    } else {
        TlsConfig::Off
    };
    if matches!(tls, TlsConfig::Off) && !address.ip().is_loopback() {
        bail!("dev mode without --tls listens on loopback only");
    }
    config.listeners.push(ListenerConfig { address, tls });
    if let Some(extra) = extra {
        config.listeners.extend(extra.listeners);
        config.acme = extra.acme;
    }
    crate::log::start(&config.log_level, config.log_json);
    let server = Server::start(&config).await?;
    let made = operator::start_dev(&server.core, root_token.map(Zeroizing::new)).await?;
    let (address, tls) = server.addresses[0];
    let scheme = if tls { "https" } else { "http" };
    println!("vaultd in dev mode: everything is in memory and is lost at exit.\n");
    println!("    export VAULT_ADDR='{scheme}://{address}'");
    if let Some(ca) = &server.ca_file {
        println!("    export VAULT_CACERT='{}'", ca.display());
    }
    println!(
        "\nUnseal Key: {}",
        STANDARD.encode(made.shares[0].as_slice())
    );
    println!("Root Token: {}\n", *made.root_token);
    server.run().await
}
