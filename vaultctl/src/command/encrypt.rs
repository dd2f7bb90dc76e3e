//! `encrypt` and `decrypt`: values that may live in git, since only the server opens them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use vault_sdk::Call;

use crate::atomic;
use crate::encrypted_file::{EncryptedFile, Recipient};
use crate::error::{Outcome, local};
use crate::mount::locate;
use crate::output::{Content, Rows, stdout};
use crate::session::{Session, text};
use crate::values_file::{self, Values};

/// Appended to the name of what was encrypted.
const ENDING: &str = ".vault";

#[derive(clap::Args)]
pub(crate) struct Encrypt {
    /// .env, JSON or YAML; or a file that was encrypted before, with values added in plain; `-` is stdin
    file: PathBuf,
    /// The secret that the values are for: MOUNT/PATH
    #[arg(long = "for", value_name = "PATH")]
    path: Option<String>,
    /// The public key of that secret, for use without a server
    #[arg(long, value_name = "KEY", requires = "path")]
    public_key: Option<String>,
    /// Write here [default: FILE.vault; stdin: stdout; a file that was encrypted before: itself]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(crate) struct Decrypt {
    /// A file made by encrypt; `-` is stdin
    file: PathBuf,
}

pub(crate) async fn encrypt(
    session: &dyn Fn() -> Outcome<Session>,
    out: &crate::output::Output,
    args: Encrypt,
) -> Outcome {
    let (file, usual) = match values_file::read(&args.file)? {
        Values::Encrypted(file) => {
            if let Some(path) = &args.path
                && path.trim_matches('/') != file.recipient.path
            {
                return Err(local(
                    format!("{} is for {}", args.file.display(), file.recipient.path),
                    "leave --for out, or make a new file from the values in plain",
                ));
            }
            (file, Some(args.file.clone()))
        }
        Values::Plain(values) => {
            let recipient = recipient(session, &args).await?;
            let mut usual = args.file.clone().into_os_string();
            usual.push(ENDING);
            (EncryptedFile::of(recipient, &values)?, Some(usual.into()))
        }
    };
    let is_stdin = args.file.as_os_str() == "-";
    let Some(target) = args.out.or(usual.filter(|_| !is_stdin)) else {
        return stdout(file.text.as_bytes());
    };
    atomic::replace(&target, file.text.as_bytes(), mode_of(&target))?;
    out.done(&format!(
        "{} encrypted for {} in {}",
        file.added.len(),
        file.recipient.path,
        target.display()
    ))?;
    if !is_stdin && target != args.file {
        eprintln!(
            "note: {} still holds the values in plain: remove it, and keep it out of git",
            args.file.display()
        );
    }
    Ok(())
}

/// The mode that the file has; one that is new may be read by all, as what is in git.
fn mode_of(path: &Path) -> u32 {
    let known = path.metadata().map(|known| known.permissions().mode());
    known.map_or(0o644, |mode| mode & 0o7777)
}

async fn recipient(session: &dyn Fn() -> Outcome<Session>, args: &Encrypt) -> Outcome<Recipient> {
    let path = args.path.as_deref().ok_or_else(|| {
        local(
            "for which secret?",
            "say so: --for MOUNT/PATH, such as --for secret/apps/web",
        )
    })?;
    if let Some(key) = &args.public_key {
        return Recipient::new(path.trim_matches('/'), key);
    }
    let session = session()?;
    let place = locate(&session, None, path).await?;
    place.needs_v2()?;
    let answer = session.send(Call::get(place.v2("encryption-key"))).await?;
    let data = answer.data();
    Recipient::new(text(data, "path")?, text(data, "public_key")?)
}

pub(crate) async fn decrypt(session: &Session, args: Decrypt) -> Outcome {
    let file = encrypted(&args.file)?;
    let values = opened(session, &file).await?;
    let rows: Rows = values.into_iter().collect();
    session.out.rows(&rows, Content::Stored)
}

fn encrypted(path: &Path) -> Outcome<EncryptedFile> {
    match values_file::read(path)? {
        Values::Encrypted(file) => Ok(file),
        Values::Plain(_) => Err(local(
            format!("{} was not made by vaultctl encrypt", path.display()),
            "give a file with a line VAULTD_PATH=…",
        )),
    }
}

/// The values of a file, if the token may have the server open them.
pub(crate) async fn opened(session: &Session, file: &EncryptedFile) -> Outcome<Map<String, Value>> {
    let place = locate(session, None, &file.recipient.path).await?;
    place.needs_v2()?;
    let body = json!({ "values": file.values });
    let call = Call::post(place.v2("decrypt"), body).repeatable();
    let answer = session.send(call).await?;
    Ok(answer.data()["values"]
        .as_object()
        .cloned()
        .unwrap_or_default())
}
