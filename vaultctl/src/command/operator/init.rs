//! `operator init`.

use std::path::PathBuf;

use serde_json::{Value, json};
use vault_sdk::Call;

use super::shares::HandOut;
use crate::command::raw::strings;
use crate::error::{Failure, Outcome, file, local};
use crate::output::Format;
use crate::session::{Session, create_private, text};

#[derive(clap::Args)]
pub(crate) struct Init {
    #[command(flatten)]
    hand_out: HandOut,
    /// Write the root token to a new file (0600) instead of printing it
    #[arg(long, value_name = "FILE")]
    root_token_file: Option<PathBuf>,
    /// Only ask: exit 0 initialised, 2 not, 1 error
    #[arg(long)]
    status: bool,
}

pub(crate) async fn run(session: &dyn Fn() -> Outcome<Session>, args: Init) -> Outcome {
    if args.status {
        return status(session).await;
    }
    let session = session()?;
    if is_initialized(&session).await? {
        return Err(local(
            "the server is initialised already",
            "unseal it: vaultctl operator unseal",
        ));
    }
    let prepared = args.hand_out.prepare()?;
    if let Some(path) = args.root_token_file.as_ref().filter(|p| p.exists()) {
        return Err(local(
            format!("{} exists already", path.display()),
            "choose another --root-token-file",
        ));
    }
    let (shares, threshold) = args.hand_out.counts();
    let recovery = unseals_itself(&session).await?;
    let body = match recovery {
        true => json!({ "recovery_shares": shares, "recovery_threshold": threshold }),
        false => json!({ "secret_shares": shares, "secret_threshold": threshold }),
    };
    let mut answer = session
        .send(Call::put("sys/init", body).no_token())
        .await?
        .body;
    if recovery {
        for form in ["keys", "keys_base64"] {
            answer[form] = answer[format!("recovery_{form}")].take();
        }
    }
    let cluster = cluster(&session).await;
    let written = if args.hand_out.wraps() {
        prepared.write(&answer, cluster.as_deref()).map_err(lost)?
    } else {
        Vec::new()
    };
    let root = text(&answer, "root_token")?;
    if let Some(path) = &args.root_token_file {
        create_private(path, format!("{root}\n").as_bytes())
            .map_err(|e| file("write", path, &e))?;
    }
    if args.hand_out.wraps() {
        tell_wrapped(&session, &args, &written, root, threshold)
    } else {
        let made = Made {
            shares,
            threshold,
            recovery,
        };
        tell_plain(&session, &args, &answer, root, &made)
    }
}

struct Made {
    shares: usize,
    threshold: u8,
    /// The server unseals itself; these are for when it cannot.
    recovery: bool,
}

/// Whether its shares are recovery shares.
pub(super) async fn unseals_itself(session: &Session) -> Outcome<bool> {
    let status = session
        .send(Call::get("sys/seal-status").no_token())
        .await?;
    Ok(status.body["recovery_seal"] == true)
}

/// After `sys/init`, a share that was not written is gone.
fn lost(failure: Failure) -> Failure {
    local(
        format!("the server is initialised, but not all shares could be written: {failure}"),
        "nothing is stored yet: stop the server, remove its data, and initialise again",
    )
}

/// Exit code 0 initialised, 2 not initialised, 1 anything else.
async fn status(session: &dyn Fn() -> Outcome<Session>) -> Outcome {
    let asked = match session() {
        Ok(session) => is_initialized(&session).await.map(|yes| (session, yes)),
        Err(failure) => Err(failure),
    };
    match asked {
        Ok((session, true)) => session.out.line(if session.out.compat {
            "Vault is initialized"
        } else {
            "The server is initialised."
        }),
        Ok((session, false)) => {
            session.out.line(if session.out.compat {
                "Vault is not initialized"
            } else {
                "The server is not initialised."
            })?;
            Err(Failure::Silent(2))
        }
        Err(failure) => {
            failure.report(false);
            Err(Failure::Silent(1))
        }
    }
}

async fn is_initialized(session: &Session) -> Outcome<bool> {
    let answer = session.send(Call::get("sys/init").no_token()).await?;
    Ok(answer.body["initialized"].as_bool().unwrap_or(false))
}

/// The cluster's id, where the server already tells it.
pub(super) async fn cluster(session: &Session) -> Option<String> {
    let answer = session
        .send(Call::get("sys/seal-status").no_token())
        .await
        .ok()?;
    answer.body["cluster_id"]
        .as_str()
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
}

fn tell_wrapped(
    session: &Session,
    args: &Init,
    written: &[PathBuf],
    root: &str,
    threshold: u8,
) -> Outcome {
    let files: Vec<_> = written.iter().map(|p| p.display().to_string()).collect();
    if session.out.format != Format::Table {
        let mut document = json!({ "share_files": files, "threshold": threshold });
        if args.root_token_file.is_none() {
            document["root_token"] = root.into();
        }
        return session.out.document(&document);
    }
    let mut lines: Vec<String> = files.iter().map(|f| format!("Share file: {f}")).collect();
    lines.push(root_line(args, root));
    lines.push(format!(
        "\nHand each operator their file and remove it here; any {threshold} of them unseal the server:\n  vaultctl operator unseal NAME.share"
    ));
    session.out.line(&lines.join("\n"))
}

fn tell_plain(session: &Session, args: &Init, answer: &Value, root: &str, made: &Made) -> Outcome {
    if session.out.format != Format::Table {
        return session
            .out
            .document(&plain_document(args, answer, root, made));
    }
    let (kind, deed) = match made.recovery {
        true => ("Recovery", "unseal the server when it cannot do so itself"),
        false => ("Unseal", "unseal the server"),
    };
    let Made {
        shares, threshold, ..
    } = made;
    let keys = strings(&answer["keys_base64"]);
    let mut lines: Vec<String> = (1..)
        .zip(keys)
        .map(|(i, key): (u32, _)| format!("{kind} Key {i}: {key}"))
        .collect();
    lines.push(format!("\n{}", root_line(args, root)));
    lines.push(format!(
        "\nThe key is split into {shares} shares; any {threshold} of them {deed}. Give each to\nsomebody else: without {threshold} of them, everything stored can be lost. They are not shown again."
    ));
    session.out.line(&lines.join("\n"))
}

fn plain_document(args: &Init, answer: &Value, root: &str, made: &Made) -> Value {
    let (own, other) = match made.recovery {
        true => ("recovery_keys", "unseal_keys"),
        false => ("unseal_keys", "recovery_keys"),
    };
    let count = |keys: &str, what: &str| match keys {
        "unseal_keys" => format!("unseal_{what}"),
        _ => format!("recovery_keys_{what}"),
    };
    let mut document = json!({
        format!("{own}_b64"): answer["keys_base64"],
        format!("{own}_hex"): answer["keys"],
        count(own, "shares"): made.shares,
        count(own, "threshold"): made.threshold,
        format!("{other}_b64"): [],
        format!("{other}_hex"): [],
        count(other, "shares"): 0,
        count(other, "threshold"): 0,
    });
    if args.root_token_file.is_none() {
        document["root_token"] = root.into();
    }
    document
}

fn root_line(args: &Init, root: &str) -> String {
    match &args.root_token_file {
        Some(path) => format!("Initial Root Token: in {}", path.display()),
        None => format!("Initial Root Token: {root}"),
    }
}
