//! Lines of `authorized_keys` on a server, changed by a script over SSH.
//!
//! Promises: every other line stays as it is, and so do mode and owner; the file is replaced in one
//! step, so that no login sees half of it; a file that somebody else changes at the same moment is left
//! alone, and the step is tried again; doing it twice is doing it once.

use std::sync::Arc;

use vault_ssh::PrivateKey;

use super::handshake::{Destination, Handshake, Outcome, With};
use super::target::Trouble;

/// A POSIX shell runs it only once all of it is there: what is cut off calls nothing.
const SCRIPT: &str = r#"vaultd() {
    set -eu
    verb=$1 user=$2 path=$3 marker=$4 blob=$5 line=$6
    case $path in
    /*) file=$path ;;
    *)
        if [ "$user" = "${LOGNAME-}" ]; then home=$HOME
        else home=$(getent passwd "$user" | cut -d: -f6); fi
        [ -n "$home" ] || { echo vaultd:no-user; exit 1; }
        file=$home/$path ;;
    esac
    [ ! -e "$file" ] || file=$(readlink -f "$file")
    folder=${file%/*}
    if [ ! -d "$folder" ]; then
        [ "$verb" = add ] || { echo vaultd:done; exit 0; }
        mkdir -m 700 "$folder"
        [ "$user" = "${LOGNAME-}" ] || chown "$user:" "$folder"
    fi
    umask 077
    old=$(mktemp "$folder/.vaultd.XXXXXX")
    new=$(mktemp "$folder/.vaultd.XXXXXX")
    trap 'rm -f "$old" "$new"' EXIT
    trap 'exit 1' HUP INT PIPE TERM
    if [ -e "$file" ]; then cp -p "$file" "$old"
    elif [ "$user" != "${LOGNAME-}" ]; then chown "$user:" "$old"; fi
    cp -p "$old" "$new"
    grep -vF -e "$blob" -e " vaultd:$marker" "$old" >"$new" || [ $? -eq 1 ]
    if [ "$verb" = add ]; then
        [ -z "$(tail -c 1 "$new")" ] || echo >>"$new"
        printf '%s\n' "$line" >>"$new"
    fi
    if cmp -s "$old" "$new"; then echo vaultd:done; exit 0; fi
    sync "$new" 2>/dev/null || :
    if [ -e "$file" ]; then cmp -s "$file" "$old" || { echo vaultd:changed; exit 1; }
    elif [ -s "$old" ]; then echo vaultd:changed; exit 1; fi
    mv -f "$new" "$file"
    echo vaultd:done
}
"#;

/// A line, there or not.
pub(super) struct Edit {
    pub to: Destination,
    pub pins: Vec<String>,
    pub admin: Arc<PrivateKey>,
    /// Whose file it is.
    pub user: String,
    pub path: String,
    /// Of the version.
    pub marker: String,
    /// `ssh-ed25519 AAAA…`
    pub public: String,
    pub options: String,
}

/// A whole line of the file.
pub(super) fn line(options: &str, public: &str, marker: &str) -> String {
    match options {
        "" => format!("{public} vaultd:{marker}"),
        options => format!("{options} {public} vaultd:{marker}"),
    }
}

impl Edit {
    pub(super) async fn add(&self) -> Result<(), Trouble> {
        self.run("add").await
    }

    pub(super) async fn remove(&self) -> Result<(), Trouble> {
        self.run("remove").await
    }

    async fn run(&self, verb: &str) -> Result<(), Trouble> {
        let blob = self.public.split(' ').nth(1).unwrap_or_default();
        let line = line(&self.options, &self.public, &self.marker);
        let words = [verb, &self.user, &self.path, &self.marker, blob, &line].map(quoted);
        let handshake = Handshake {
            to: self.to.clone(),
            pins: self.pins.clone(),
            with: With::Key(Arc::clone(&self.admin)),
            command: "sh -s".to_owned(),
            input: format!("{SCRIPT}vaultd {}\n", words.join(" ")).into_bytes(),
        };
        let output = match handshake.run().await? {
            Outcome::In(output) => String::from_utf8_lossy(&output).into_owned(),
            Outcome::Known | Outcome::Refused => {
                return Err(Trouble::new(
                    "the server refuses the key that vaultd administers it with",
                    "put the public half of the server's key onto it, for the server's user",
                ));
            }
        };
        let says = |word: &str| output.lines().any(|line| line == word);
        match () {
            () if says("vaultd:done") => Ok(()),
            () if says("vaultd:changed") => Err(Trouble::new(
                "somebody else changes the file of keys at the same moment",
                "nothing: it is tried again",
            )),
            () if says("vaultd:no-user") => Err(Trouble::new(
                "the server has no such user",
                "make the user, or change the target",
            )),
            () => Err(Trouble::new(
                "the server's user cannot change the file of keys",
                "let the user that vaultd logs in as write to that file and its folder, and give it a \
                 shell; a forced command does not do",
            )),
        }
    }
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;

    fn run(home: &Path, verb: &str, options: &str) -> String {
        let line = line(options, "ssh-ed25519 AAAAkey", "m1");
        let words = [verb, "me", ".ssh/authorized_keys", "m1", "AAAAkey", &line].map(quoted);
        let script = format!("{SCRIPT}vaultd {}\n", words.join(" "));
        let out = Command::new("sh")
            .args(["-c", &script])
            .env("HOME", home)
            .env("LOGNAME", "me")
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    #[test]
    fn every_other_line_and_the_mode_stay() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".ssh/authorized_keys");
        let read = || fs::read_to_string(&file).unwrap();
        let options = r#"restrict,command="echo 'it'\''s' \"$HOME\"""#;
        assert_eq!(run(home.path(), "remove", ""), "vaultd:done");
        assert!(!file.exists());
        assert_eq!(run(home.path(), "add", options), "vaultd:done");
        let own = format!("{options} ssh-ed25519 AAAAkey vaultd:m1\n");
        assert_eq!(read(), own);
        let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);

        let others = "# mine\n\nssh-rsa BBBB  me@home \tand more\nssh-rsa CCCC";
        fs::write(&file, others).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        for _ in 0..2 {
            assert_eq!(run(home.path(), "add", options), "vaultd:done");
            assert_eq!(read(), format!("{others}\n{own}"));
        }
        for _ in 0..2 {
            assert_eq!(run(home.path(), "remove", ""), "vaultd:done");
            assert_eq!(read(), format!("{others}\n"));
        }
        assert_eq!(mode(), 0o640);
        let left = fs::read_dir(home.path().join(".ssh")).unwrap().count();
        assert_eq!(left, 1, "nothing is left behind");
    }

    #[test]
    fn a_link_stays_a_link() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".ssh")).unwrap();
        let real = home.path().join("keys");
        fs::write(&real, "").unwrap();
        let file = home.path().join(".ssh/authorized_keys");
        std::os::unix::fs::symlink(&real, &file).unwrap();
        assert_eq!(run(home.path(), "add", ""), "vaultd:done");
        assert!(fs::symlink_metadata(&file).unwrap().is_symlink());
        assert!(fs::read_to_string(&real).unwrap().contains("AAAAkey"));
    }

    #[test]
    fn a_script_that_was_cut_off_does_nothing() {
        let home = tempfile::tempdir().unwrap();
        for end in (0..SCRIPT.len()).step_by(97) {
            let cut = Command::new("sh")
                .args(["-c", &SCRIPT[..end]])
                .env("HOME", home.path())
                .output();
            assert!(cut.unwrap().stdout.is_empty());
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
