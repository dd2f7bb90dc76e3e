//! `operator rekey`: new shares, for a new root key. The old shares stop working when it is done.

use serde_json::{Value, json};
use vault_sdk::Call;

use super::init::cluster;
use super::init::unseals_itself;
use super::shares::{self, HandOut, Passphrases, Prepared};
use super::unseal::refused;
use crate::command::raw::strings;
use crate::error::{Outcome, local, remote};
use crate::output::{Content, Format};
use crate::session::{Session, text};

/// Shares of a server that unseals itself have paths of their own.
async fn path(session: &Session, step: &str) -> Outcome<String> {
    let base = match unseals_itself(session).await? {
        true => "sys/rekey-recovery-key",
        false => "sys/rekey",
    };
    Ok(format!("{base}/{step}"))
}

#[derive(clap::Args)]
pub(crate) struct Rekey {
    /// An old share: a share file, - or @FILE; without it you are asked, hidden
    #[arg(long, value_name = "SHARE")]
    share: Vec<String>,
    /// Start, and go on until enough old shares were given
    #[arg(long)]
    init: bool,
    /// Give up and keep the old shares
    #[arg(long, conflicts_with = "init")]
    cancel: bool,
    /// How far it is
    #[arg(long, conflicts_with_all = ["init", "cancel"])]
    status: bool,
    /// Go on with this one, as --init printed
    #[arg(long)]
    nonce: Option<String>,
    #[command(flatten)]
    hand_out: HandOut,
    /// An old plain share, as Vault takes it
    #[arg(hide = true)]
    key: Option<String>,
    #[command(flatten)]
    old: OldPassphrases,
}

/// Passphrases of the old share files; the new ones are under --passphrase-file.
#[derive(clap::Args)]
struct OldPassphrases {
    /// Read an old passphrase from a file instead of asking; once for each
    #[arg(long, value_name = "NAME=FILE", value_parser = crate::command::key_value)]
    old_passphrase_file: Vec<(String, String)>,
}

pub(crate) async fn run(session: &Session, args: Rekey) -> Outcome {
    if args.cancel {
        return cancel(session).await;
    }
    if args.status {
        return tell_state(
            session,
            &session
                .send(Call::get(path(session, "init").await?))
                .await?
                .body,
        );
    }
    let passphrases = Passphrases::from_files(args.old.old_passphrase_file);
    let words: Vec<String> = args.share.into_iter().chain(args.key).collect();
    if !args.init {
        let state = session
            .send(Call::get(path(session, "init").await?))
            .await?
            .body;
        return give_one(session, &state, args.nonce, words.first(), &passphrases).await;
    }
    let prepared = args.hand_out.prepare()?;
    let wraps = args.hand_out.wraps();
    let (shares, threshold) = args.hand_out.counts();
    // Share files are written and given back before the old shares stop working.
    let body = json!({ "secret_shares": shares, "secret_threshold": threshold, "require_verification": wraps });
    let state = session
        .send(Call::put(path(session, "init").await?, body))
        .await?
        .body;
    if !wraps && words.is_empty() {
        return tell_state(session, &state);
    }
    let done = ceremony(session, &state, &words, &passphrases, prepared, wraps).await;
    if done.is_err() && cancel(session).await.is_ok() {
        eprintln!("note: the rekey was given up; the old shares stay valid");
    }
    done
}

async fn cancel(session: &Session) -> Outcome {
    let path = path(session, "init").await?;
    session
        .act(Call::delete(path), "Canceled; the old shares stay valid.")
        .await
}

/// Vault's way: one share for each command, from anywhere.
async fn give_one(
    session: &Session,
    state: &Value,
    nonce: Option<String>,
    word: Option<&String>,
    passphrases: &Passphrases,
) -> Outcome {
    if state["started"] == false {
        return Err(local(
            "no rekey has been started",
            "vaultctl operator rekey --init, with the new shares' options",
        ));
    }
    let nonce = nonce.map_or_else(|| text(state, "nonce").map(str::to_owned), Ok)?;
    let answer = give(session, &nonce, word, passphrases).await?;
    if answer["complete"] == true {
        tell_keys(session, &answer)
    } else {
        tell_state(session, &answer)
    }
}

async fn give(
    session: &Session,
    nonce: &str,
    word: Option<&String>,
    passphrases: &Passphrases,
) -> Outcome<Value> {
    let given = shares::take(word.map(String::as_str), passphrases)?;
    let body = json!({ "key": given.share.as_str(), "nonce": nonce });
    let path = path(session, "update").await?;
    let answer = session.send(Call::put(path, body)).await;
    Ok(answer
        .map_err(|failure| refused(failure, &given.name))?
        .body)
}

/// Everything at one desk: enough old shares in, new shares out.
async fn ceremony(
    session: &Session,
    state: &Value,
    words: &[String],
    passphrases: &Passphrases,
    prepared: Prepared,
    wraps: bool,
) -> Outcome {
    let nonce = text(state, "nonce")?;
    let mut words = words.iter();
    let answer = loop {
        let answer = give(session, nonce, words.next(), passphrases).await?;
        if answer["complete"] == true || !answer["keys_base64"].is_null() {
            break answer;
        }
        eprintln!(
            "{} of {} old shares given",
            answer["progress"], answer["required"]
        );
    };
    if !wraps {
        return tell_keys(session, &answer);
    }
    let cluster = cluster(session).await;
    let written = prepared.write(&answer, cluster.as_deref())?;
    confirm_new(session, &answer).await?;
    let files: Vec<_> = written.iter().map(|p| p.display().to_string()).collect();
    if session.out.format != Format::Table {
        return session
            .out
            .document(&json!({ "share_files": files, "threshold": answer["t"] }));
    }
    session.out.line(&format!(
        "Share file: {}\nThe old shares no longer work.",
        files.join("\nShare file: ")
    ))
}

/// Gives the new shares back to the server, which only then drops the old ones.
async fn confirm_new(session: &Session, answer: &Value) -> Outcome {
    if answer["verification_required"] != true {
        return Ok(());
    }
    let nonce = text(answer, "verification_nonce")?;
    for share in strings(&answer["keys_base64"]) {
        let body = json!({ "key": share, "nonce": nonce });
        if session
            .send(Call::put(path(session, "verify").await?, body))
            .await?
            .body["complete"]
            == true
        {
            return Ok(());
        }
    }
    Err(remote(
        "the server does not take the new shares",
        "nothing has changed; start again",
    ))
}

fn tell_state(session: &Session, state: &Value) -> Outcome {
    if session.out.format != Format::Table {
        return session.out.document(state);
    }
    let names = [
        ("Nonce", "nonce"),
        ("Started", "started"),
        ("Rekey Progress", "progress"),
        ("Required", "required"),
        ("New Shares", "n"),
        ("New Threshold", "t"),
    ];
    let rows = names
        .iter()
        .filter_map(|(name, key)| state.get(*key).map(|v| ((*name).to_owned(), v.clone())))
        .collect();
    session.out.rows(&rows, Content::Open)
}

fn tell_keys(session: &Session, answer: &Value) -> Outcome {
    if session.out.format != Format::Table {
        return session.out.document(answer);
    }
    let keys = strings(&answer["keys_base64"]);
    let lines: Vec<String> = (1..)
        .zip(keys)
        .map(|(i, key): (u32, _)| format!("Key {i}: {key}"))
        .collect();
    session.out.line(&format!(
        "{}\n\nThe old shares no longer work. These are not shown again.",
        lines.join("\n")
    ))
}
