//! A web app that gets its database password when it starts.
//!
//! ```text
//! vaultctl kv put secret/apps/web db_user=web db_password=-
//! cargo run -p vault-sdk --example web_app
//! ```
//!
//! From the environment: `VAULT_ADDR`, `VAULT_CACERT`, and either
//! `VAULT_ROLE_ID` with `VAULT_SECRET_ID` or `VAULT_SECRET_ID_FILE`, or
//! `VAULT_TOKEN`. `LISTEN` is where the app listens (127.0.0.1:3000).

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use vault_sdk::{Client, SecretString, Secrets, Startup};

/// Everything secret that this app needs, in one place.
#[derive(Secrets)]
#[secrets(mount = "secret", path = "apps/web")]
struct App {
    db_user: String,
    db_password: SecretString,
    /// Error reports are optional, and so is their address.
    #[secret(path = "apps/shared", key = "sentry_dsn", optional)]
    sentry: Option<SecretString>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("web_app: {failure}");
            if let Some(hint) = failure.downcast_ref().and_then(vault_sdk::Error::hint) {
                eprintln!("web_app: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    // After a reboot the app may be up before the server is unsealed.
    let patience = Startup::WaitForUnseal(Duration::from_secs(300));
    let vault = Client::connect_from_env(patience).await?;

    // One error names everything that is missing.
    let app = vault.load_with::<App>(&Default::default()).await?;
    let listen = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(&listen).await?;
    println!(
        "ready: http://{} with version {} of secret/apps/web, as {}, error reports {}",
        listener.local_addr()?,
        app.versions.get("secret/apps/web").copied().unwrap_or(0),
        app.db_user,
        if app.sentry.is_some() { "on" } else { "off" },
    );

    let pool = Arc::new(Pool::open(&app.db_user, &app.db_password));
    let router = Router::new()
        .route("/healthz", get(healthz))
        .with_state(pool);
    axum::serve(listener, router)
        .with_graceful_shutdown(terminated())
        .await?;

    // A token that was made for this process ends with it.
    vault.shutdown().await?;
    Ok(())
}

async fn healthz(State(pool): State<Arc<Pool>>) -> &'static str {
    match pool.is_open() {
        true => "ok\n",
        false => "no database\n",
    }
}

async fn terminated() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => std::future::pending().await,
    }
}

/// Stands for a real pool of connections.
struct Pool {
    open: bool,
}

impl Pool {
    fn open(user: &str, password: &SecretString) -> Self {
        // `expose` is the one place where the password is visible.
        Self {
            open: !user.is_empty() && !password.expose().is_empty(),
        }
    }

    fn is_open(&self) -> bool {
        self.open
    }
}
