//! The words that git gives to `ssh`: options, a destination, a command.

use std::ffi::{OsStr, OsString};

/// Options of ssh(1) with an argument.
const WITH_ARGUMENT: &str = "BbcDEeFIiJLlmOoPpQRSWw";

/// A command line of `ssh`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// Everything before the command, the destination included: what says where it goes.
    pub(super) place: Vec<OsString>,
    /// The command, as the other side gets it.
    pub(super) command: Option<String>,
}

impl Words {
    /// `None` without a destination.
    pub(super) fn parse(words: &[OsString]) -> Option<Words> {
        let mut at = 0;
        let mut has_destination = false;
        // As ssh does: options may follow the destination, and the first other word begins the command.
        while let Some(word) = words.get(at) {
            if word == "--" {
                at += 1;
                if !has_destination {
                    has_destination = words.get(at).is_some();
                    at += 1;
                }
                break;
            }
            if is_option(word) {
                at += if wants_argument(word) { 2 } else { 1 };
            } else if !has_destination {
                has_destination = true;
                at += 1;
            } else {
                break;
            }
        }
        let at = at.min(words.len());
        let command = words[at..].iter().map(|word| word.to_string_lossy());
        let command: Vec<_> = command.collect();
        has_destination.then(|| Words {
            place: words[..at].to_vec(),
            command: (!command.is_empty()).then(|| command.join(" ")),
        })
    }

    /// Whether the command is one of git's that changes a repository.
    pub(super) fn writes(&self) -> bool {
        let command = self.command.as_deref().unwrap_or_default();
        let upload = command.starts_with("git-lfs-") && command.ends_with(" upload");
        command.starts_with("git-receive-pack ") || upload
    }

    /// `org/name` if the command is one of git's.
    pub(super) fn repository(&self) -> Option<String> {
        let command = self.command.as_deref()?;
        let (program, rest) = command.split_once(' ')?;
        let rest = match program {
            "git-upload-pack" | "git-receive-pack" | "git-upload-archive" => rest.trim(),
            "git-lfs-authenticate" | "git-lfs-transfer" => rest.trim().split(' ').next()?,
            _ => return None,
        };
        let path = unquoted(rest)?;
        let path = path.trim_start_matches('/').trim_end_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        (!path.is_empty()).then(|| path.to_owned())
    }
}

fn is_option(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    bytes.len() > 1 && bytes[0] == b'-'
}

/// Whether the word after this one belongs to it: `-p 22`, `-vp 22`, but not `-p22`.
fn wants_argument(word: &OsStr) -> bool {
    let letters = word.as_encoded_bytes().iter().skip(1);
    let mut left = letters.map(|letter| char::from(*letter));
    left.any(|letter| WITH_ARGUMENT.contains(letter)) && left.next().is_none()
}

/// One word as git quotes it for a shell.
fn unquoted(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    let mut inside = false;
    while let Some(c) = chars.next() {
        match (c, inside) {
            ('\'', _) => inside = !inside,
            ('\\', false) => plain.push(chars.next()?),
            (' ', false) => return None,
            _ => plain.push(c),
        }
    }
    (!inside).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Option<Words> {
        Words::parse(&line.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn what_git_says_is_a_place_and_a_repository() {
        for (line, place, repository) in [
            (
                &["git@github.com", "git-upload-pack 'org/repo.git'"][..],
                1,
                Some("org/repo"),
            ),
            (
                &[
                    "-o",
                    "SendEnv=GIT_PROTOCOL",
                    "-p",
                    "2222",
                    "git@h",
                    "git-receive-pack '/org/repo'",
                ],
                5,
                Some("org/repo"),
            ),
            (
                &[
                    "-vp2222",
                    "-4",
                    "h",
                    "-l",
                    "git",
                    "git-upload-pack 'it'\\''s'",
                ],
                5,
                Some("it's"),
            ),
            (
                &["h", "git-lfs-authenticate org/repo.git download"],
                1,
                Some("org/repo"),
            ),
            (&["h", "uname", "-a"], 1, None),
            (&["h", "git-upload-pack 'a' 'b'"], 1, None),
            (&["h", "git-upload-pack 'a"], 1, None),
            (&["--", "h", "git-upload-pack 'a'"], 2, Some("a")),
            (&["-T", "h"], 2, None),
        ] {
            let found = parse(line);
            let found = found.as_ref();
            assert_eq!(
                found.map(|words| words.place.len()),
                Some(place),
                "{line:?}"
            );
            let named = found.and_then(Words::repository);
            assert_eq!(named.as_deref(), repository, "{line:?}");
        }
        for line in [&[][..], &["-v"], &["-p", "22"], &["-p"], &["--"]] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
