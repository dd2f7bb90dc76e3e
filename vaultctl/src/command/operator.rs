//! `operator`: the server's life, from its first key to a new one.

mod generate_root;
mod init;
mod rekey;
mod shares;
mod unseal;
mod verify;

use serde_json::{Value, json};
use vault_sdk::Call;

use crate::error::Outcome;
use crate::output::{Content, Format, Output};
use crate::prompt;
use crate::session::Session;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Initialise a new server and hand out the shares of its unseal key
    Init(init::Init),
    /// Give one share; the server unseals when enough were given
    Unseal(unseal::Unseal),
    /// Seal the server: it forgets its keys until it is unsealed again
    Seal,
    /// Seal, key terms and leader in one look
    Status,
    /// Hand out new shares, for a new root key and key term
    Rekey(rekey::Rekey),
    /// Encrypt what is written from now on with a new key; old data stays readable
    Rotate,
    /// The key term in use
    KeyStatus,
    /// Check every stored row; name what is damaged [exit 2 if anything is]
    Verify(verify::Verify),
    /// Make a new root token, with a quorum of shares
    GenerateRoot(generate_root::GenerateRoot),
    /// Give up leadership
    #[command(hide = true)]
    StepDown,
}

pub(crate) async fn run(
    session: &dyn Fn() -> Outcome<Session>,
    out: &Output,
    command: Command,
) -> Outcome {
    match command {
        Command::Init(args) => init::run(session, args).await,
        Command::Unseal(args) => unseal::run(&session()?, args).await,
        Command::Seal => seal(&session()?).await,
        Command::Status => status(&session()?).await,
        Command::Rekey(args) => rekey::run(&session()?, args).await,
        Command::Rotate => rotate(&session()?).await,
        Command::KeyStatus => {
            session()?
                .show(Call::get("sys/key-status"), Content::Open)
                .await
        }
        Command::Verify(args) => verify::run(&session()?, args).await,
        Command::GenerateRoot(args) => generate_root::run(session, out, args).await,
        Command::StepDown => {
            session()?
                .act(Call::put("sys/step-down", json!({})), "Stepped down.")
                .await
        }
    }
}

async fn seal(session: &Session) -> Outcome {
    let address = session.client.addr();
    prompt::confirm(
        session.yes || session.face.is_compat(),
        &format!("seal {address}: nobody gets a secret until it is unsealed"),
        "seal",
    )?;
    session
        .act(
            Call::put("sys/seal", json!({})),
            if session.out.compat {
                "Vault is sealed."
            } else {
                "The server is sealed."
            },
        )
        .await
}

async fn rotate(session: &Session) -> Outcome {
    session.send(Call::post("sys/rotate", json!({}))).await?;
    session
        .out
        .done("Rotated: new data is written under a new key term.")?;
    session
        .show(Call::get("sys/key-status"), Content::Open)
        .await
}

/// Everything that can be asked without, and then with, a token.
async fn status(session: &Session) -> Outcome {
    let seal = session
        .send(Call::get("sys/seal-status").no_token())
        .await?
        .body;
    let sealed = seal["sealed"].as_bool().unwrap_or(true);
    let leader = session
        .send(Call::get("sys/leader").no_token())
        .await
        .map(|a| a.body)
        .unwrap_or_default();
    let term = match session.client.token() {
        Some(_) if !sealed => session
            .send(Call::get("sys/key-status"))
            .await
            .map(|a| a.data().clone())
            .unwrap_or_default(),
        _ => Value::Null,
    };
    if session.out.format != Format::Table {
        return session
            .out
            .document(&json!({ "seal": seal, "leader": leader, "key_status": term }));
    }
    let mut rows = super::status::rows(&seal);
    for (name, value) in [
        ("HA Enabled", &leader["ha_enabled"]),
        ("Is Leader", &leader["is_self"]),
        ("Leader Address", &leader["leader_address"]),
        ("Key Term", &term["term"]),
        ("Key Installed", &term["install_time"]),
        ("Encryptions", &term["encryptions"]),
    ] {
        if !value.is_null() && value != "" {
            rows.push((name.to_owned(), value.clone()));
        }
    }
    session.out.rows(&rows, Content::Open)
}
