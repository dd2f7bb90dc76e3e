//! What git starts in place of `ssh`: it asks the job's own process for the right agent, and becomes
//! `ssh`.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::words::Words;
use crate::command::ssh_agent::lookup::Wanted;
use crate::error::{Failure, Outcome, local, plain, remote};

/// What ssh itself ends with.
const FAILED: u8 = 255;

/// What the job's process answers.
#[derive(Serialize, Deserialize)]
pub(super) enum Answer {
    Ready {
        agent: PathBuf,
        known_hosts: PathBuf,
    },
    Refused {
        what: String,
        next: Option<String>,
    },
}

pub(crate) fn run(control: &Path, words: &[OsString]) -> Outcome {
    become_ssh(control, words).map_err(|failure| {
        // git says only that it could not read from the other side.
        failure.report(false);
        Failure::Silent(FAILED)
    })
}

fn become_ssh(control: &Path, words: &[OsString]) -> Outcome {
    let parsed = Words::parse(words)
        .ok_or_else(|| local("ssh was started without a host", "see how git was called"))?;
    let (agent, known_hosts) = match ask(control, &wanted(&parsed)?)? {
        Answer::Ready { agent, known_hosts } => (agent, known_hosts),
        Answer::Refused { what, next } => return Err(Failure::Remote { what, next }),
    };
    let error = Command::new("ssh")
        .args(options(&agent, &known_hosts))
        .args(words)
        .env("SSH_AUTH_SOCK", &agent)
        .exec();
    Err(not_started(&error))
}

fn not_started(error: &std::io::Error) -> Failure {
    local(
        format!("cannot start ssh: {error}"),
        "install it (Debian: openssh-client)",
    )
}

/// The first value of an option counts, so that these win over a configuration.
fn options(agent: &Path, known_hosts: &Path) -> Vec<OsString> {
    let files = [
        file_option("IdentityAgent", agent),
        file_option("UserKnownHostsFile", known_hosts),
    ];
    let fixed = [
        "GlobalKnownHostsFile=/dev/null",
        "KnownHostsCommand=none",
        "StrictHostKeyChecking=yes",
        "VerifyHostKeyDNS=no",
        "UpdateHostKeys=no",
        // A key of the agent is offered before those of files.
        "IdentitiesOnly=no",
        "PreferredAuthentications=publickey",
        "BatchMode=yes",
        "ForwardAgent=no",
        // A connection that another key opened is not ours.
        "ControlMaster=no",
        "ControlPath=none",
    ];
    let all = files.into_iter().chain(fixed.map(OsString::from));
    all.flat_map(|option| ["-o".into(), option]).collect()
}

fn file_option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(format!("{name}=\""));
    // `%` begins what ssh replaces.
    let bytes = path.as_os_str().as_bytes();
    for piece in bytes.split_inclusive(|byte| *byte == b'%') {
        option.push(OsStr::from_bytes(piece));
        if piece.ends_with(b"%") {
            option.push("%");
        }
    }
    option.push("\"");
    option
}

/// Where ssh would go with these words, its configuration included.
fn wanted(words: &Words) -> Outcome<Wanted> {
    let output = Command::new("ssh").arg("-G").args(&words.place).output();
    let output = output.map_err(|error| not_started(&error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(plain(format!("ssh does not understand its words: {said}")));
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |name: &str| {
        let mut lines = said.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let host = value("hostname").ok_or_else(|| plain("ssh -G names no host"))?;
    Ok(Wanted {
        key: None,
        host: Some(match value("port") {
            None | Some("22") => host.to_owned(),
            Some(port) => format!("[{host}]:{port}"),
        }),
        user: value("user").map(str::to_owned),
        repository: words.repository(),
        write: words.writes(),
    })
}

fn ask(control: &Path, wanted: &Wanted) -> Outcome<Answer> {
    let lost = |error: std::io::Error| {
        remote(
            format!("vaultctl ci ssh does not answer: {error}"),
            "it may have ended: start git within vaultctl ci ssh -- …",
        )
    };
    let mut stream = UnixStream::connect(control).map_err(lost)?;
    let question = serde_json::to_string(wanted).map_err(|error| plain(error.to_string()))?;
    writeln!(stream, "{question}").map_err(lost)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(lost)?;
    serde_json::from_str(&line).map_err(|_| lost(std::io::ErrorKind::UnexpectedEof.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_ssh_and_replaces_nothing() {
        let option = file_option("IdentityAgent", Path::new("/run/a b/50%/agent"));
        assert_eq!(option, r#"IdentityAgent="/run/a b/50%%/agent""#);
    }
}
