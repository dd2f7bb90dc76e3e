//! A worker that takes up a new API key without a restart.
//!
//! ```text
//! vaultctl kv put secret/apps/worker api_key=-
//! cargo run -p vault-sdk --example worker
//! ```
//!
//! From the environment: `VAULT_ADDR`, `VAULT_CACERT`, and either
//! `VAULT_ROLE_ID` with `VAULT_SECRET_ID` or `VAULT_SECRET_ID_FILE`, or
//! `VAULT_TOKEN`. The server tells it of a change; `POLL_SECONDS` is how often
//! it looks by itself as well (30).

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use vault_sdk::{Client, Event, Loaded, SecretString, Secrets, Startup};

#[derive(Secrets)]
#[secrets(mount = "secret", path = "apps/worker")]
struct Keys {
    api_key: SecretString,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("worker: {failure}");
            if let Some(hint) = failure.downcast_ref().and_then(vault_sdk::Error::hint) {
                eprintln!("worker: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let interval = match std::env::var("POLL_SECONDS") {
        Ok(seconds) => seconds
            .parse()
            .map_err(|_| "POLL_SECONDS must be a whole number")?,
        Err(_) => 30,
    };
    let patience = Startup::WaitForUnseal(Duration::from_secs(300));
    let vault = Client::connect_from_env(patience).await?;
    let mut events = vault.events();
    let mut live = vault.watch::<Keys>(Duration::from_secs(interval)).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut work = tokio::time::interval(Duration::from_secs(1));
    println!("ready: version {}", version(&live.load()));
    loop {
        tokio::select! {
            // Each piece of work takes the newest key; none is interrupted.
            _ = work.tick() => call_api(&live.load().api_key),
            keys = live.changed() => println!("reloaded: version {}", version(&keys)),
            Some(event) = events.next() => report(&event),
            _ = terminate.recv() => return Ok(()),
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

fn version(keys: &Loaded<Keys>) -> u64 {
    keys.versions
        .get("secret/apps/worker")
        .copied()
        .unwrap_or(0)
}

/// The token is renewed unasked; an operator wants to know when it fails.
fn report(event: &Event) {
    match event {
        Event::Degraded { left, cause } => {
            eprintln!("worker: the token ends in {left:?}: {cause}");
        }
        Event::Expired => eprintln!("worker: the token has ended"),
        _ => {}
    }
}

/// Stands for real work; `expose` is the one place where the key is visible.
fn call_api(key: &SecretString) {
    let _authorization = key.expose();
}
