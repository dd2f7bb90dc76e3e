//! `kv edit`: a secret in `$EDITOR`.
//!
//! Promises: the plaintext file lives in memory-backed storage only, mode 0600 in a 0700
//! directory, and is overwritten and removed afterwards; a write that came in between is never
//! lost (compare-and-set). Not promised: what the editor itself keeps (swap and backup files
//! stay in the same directory and go with it; an editor's history elsewhere does not).

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Place, secret, write};
use crate::error::{Outcome, file, local};
use crate::output::pretty;
use crate::prompt;
use crate::session::{Session, create_private};

#[derive(clap::Args)]
pub(crate) struct Edit {
    #[command(flatten)]
    place: Place,
}

pub(super) async fn edit(session: &Session, args: Edit) -> Outcome {
    let place = args.place.find(session).await?;
    let (old, version) = match secret::fetch(session, &place, None).await {
        Ok(secret) => (secret.data.clone(), secret.version()),
        Err(crate::error::Failure::Remote { what, .. }) if what.starts_with("no value found") => {
            (Map::new(), 0)
        }
        Err(other) => return Err(other),
    };
    let room = Room::open()?;
    let new = loop {
        let text = room.edit(&old)?;
        match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(new)) => break new,
            Ok(_) => eprintln!("The text has to be a JSON object."),
            Err(e) => eprintln!(
                "That is not JSON: line {}, column {}.",
                e.line(),
                e.column()
            ),
        }
        prompt::confirm(false, "open the editor again", "again")?;
    };
    drop(room);
    if new == old {
        return session.out.done("Unchanged, nothing was written.");
    }
    let cas = (place.version == 2).then_some(version);
    let answer = write::store(session, &place, new, cas).await?;
    write::tell(session, &place, answer)
}

/// A private directory in memory with one file in it.
struct Room {
    directory: PathBuf,
    file: PathBuf,
}

impl Room {
    fn open() -> Outcome<Self> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let places = [Some(PathBuf::from("/dev/shm")), runtime];
        let base = places.into_iter().flatten().find(|p| p.is_dir());
        let base = base.ok_or_else(|| {
            local(
                "there is no memory-backed directory to edit in",
                "set XDG_RUNTIME_DIR to one",
            )
        })?;
        let mut name = [0; 8];
        getrandom::fill(&mut name)
            .map_err(|e| crate::error::plain(format!("no randomness: {e}")))?;
        let directory = base.join(format!("vaultctl-{}", hex::encode(name)));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .map_err(|e| file("create", &directory, &e))?;
        let file = directory.join("secret.json");
        Ok(Self { directory, file })
    }

    /// Opens the editor, on the old values or on what was typed before; the text it left.
    fn edit(&self, old: &Map<String, Value>) -> Outcome<Zeroizing<String>> {
        if !self.file.exists() {
            let text = Zeroizing::new(format!("{}\n", pretty(&Value::Object(old.clone()))));
            create_private(&self.file, text.as_bytes())
                .map_err(|e| file("write", &self.file, &e))?;
        }
        run_editor(&self.file)?;
        fs::read_to_string(&self.file)
            .map(Zeroizing::new)
            .map_err(|e| file("read", &self.file, &e))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Ok(length) = fs::metadata(&self.file).map(|m| m.len()) {
            let _ = fs::write(&self.file, vec![0; usize::try_from(length).unwrap_or(0)]);
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn run_editor(path: &Path) -> Outcome {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.trim().is_empty()));
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    // `EDITOR="code --wait"` is usual; nothing more of a shell's grammar is understood.
    let mut words = editor.split_whitespace().map(OsString::from);
    let program = words.next().unwrap_or_else(|| "vi".into());
    let mut command = Command::new(&program);
    command.args(words).arg(path);
    for name in ["BAO_TOKEN", "VAULT_TOKEN"] {
        command.env_remove(name);
    }
    let status = command.status().map_err(|e| {
        local(
            format!("cannot start the editor {}: {e}", program.to_string_lossy()),
            "set EDITOR",
        )
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(local("the editor failed; nothing was written", "try again"))
    }
}
