//! `ssh check`: what an sshd's settings allow that they need not, and what the CA needs of them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::error::{Failure, Outcome, file, local};
use crate::output::{Format, Output};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What `sshd -T` printed, or an sshd_config; - is stdin [default: sshd -T of this machine]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// A setting that has to be another.
struct Finding {
    setting: &'static str,
    now: String,
    change: String,
    why: &'static str,
}

pub(super) fn run(out: &Output, args: &Args) -> Outcome {
    let text = match &args.file {
        None => effective()?,
        Some(path) if path.as_os_str() == "-" => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| local(format!("cannot read stdin: {error}"), "give text"))?;
            text
        }
        Some(path) => std::fs::read_to_string(path).map_err(|error| file("read", path, &error))?,
    };
    let settings = Settings::read(&text)?;
    if settings.includes {
        eprintln!("warning: Include is not followed; sshd -T | vaultctl ssh check - sees it all");
    }
    let findings = settings.findings();
    if out.format == Format::Json {
        let all = findings.iter().map(|one| {
            json!({"setting": one.setting, "now": one.now, "change": one.change, "why": one.why})
        });
        out.document(&json!(all.collect::<Vec<_>>()))?;
    } else if findings.is_empty() {
        out.done("Nothing to change.")?;
    } else {
        for one in &findings {
            out.line(&format!("{}  # now {}: {}", one.change, one.now, one.why))?;
        }
    }
    match findings.is_empty() {
        true => Ok(()),
        false => Err(Failure::Silent(1)),
    }
}

fn effective() -> Outcome<String> {
    let next = "run it as root, or name a file: sshd -T | vaultctl ssh check -";
    // It is in no ordinary user's PATH.
    let said = ["sshd", "/usr/sbin/sshd"].into_iter().find_map(|program| {
        let mut command = Command::new(program);
        command.arg("-T").stdin(Stdio::null()).output().ok()
    });
    let said = said.ok_or_else(|| local("there is no sshd here", next))?;
    match said.status.success() {
        true => Ok(String::from_utf8_lossy(&said.stdout).into_owned()),
        false => {
            let why = String::from_utf8_lossy(&said.stderr).trim().to_owned();
            Err(local(format!("sshd -T failed: {why}"), next))
        }
    }
}

/// Keywords in lower case with their first value, which is the one that counts.
struct Settings {
    first: BTreeMap<String, String>,
    includes: bool,
}

impl Settings {
    /// Up to the first `Match`: what follows is for some only.
    fn read(text: &str) -> Outcome<Settings> {
        let mut first = BTreeMap::new();
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            let (key, value) = line.split_once([' ', '\t', '=']).unwrap_or((line, ""));
            let key = key.to_ascii_lowercase();
            if key == "match" {
                break;
            }
            let value = value.trim_matches([' ', '\t', '=', '"']).to_owned();
            first.entry(key).or_insert(value);
        }
        if first.is_empty() {
            return Err(local(
                "there are no settings in it",
                "give the output of sshd -T",
            ));
        }
        let includes = first.contains_key("include");
        Ok(Settings { first, includes })
    }

    fn value(&self, name: &str, default: &str) -> String {
        let found = self.first.get(name).map(|value| value.to_ascii_lowercase());
        found.unwrap_or_else(|| default.to_owned())
    }

    fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (setting, default, wanted, why) in FIXED {
            let now = self.value(&setting.to_ascii_lowercase(), default);
            if !wanted.split('|').any(|one| one == now) {
                let change = format!("{setting} {}", wanted.split('|').next().unwrap_or(""));
                found.push(Finding {
                    setting,
                    now,
                    change,
                    why,
                });
            }
        }
        for (setting, change, why) in NEEDED {
            let now = self.value(&setting.to_ascii_lowercase(), "none");
            if now == "none" || now.is_empty() {
                let (now, change) = ("none".to_owned(), change.to_string());
                found.push(Finding {
                    setting,
                    now,
                    change,
                    why,
                });
            }
        }
        for (setting, weak, why) in LISTS {
            let now = self.value(&setting.to_ascii_lowercase(), "");
            // Behind a minus it is taken away from the defaults.
            let listed = if now.starts_with('-') {
                ""
            } else {
                now.as_str()
            };
            let is_weak = |name: &&str| weak.iter().any(|part| matches(part, name));
            let bad: Vec<&str> = listed
                .trim_start_matches(['+', '^'])
                .split(',')
                .filter(is_weak)
                .collect();
            if !bad.is_empty() {
                let change = format!("{setting} -{}", bad.join(","));
                found.push(Finding {
                    setting,
                    now: bad.join(","),
                    change,
                    why,
                });
            }
        }
        found
    }
}

/// `*x` ends so, `x*` begins so, `*x*` has it, `x` is it.
fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == pattern,
    }
}

/// Setting, OpenSSH's default, what it may be (the first is advised), why.
const FIXED: &[(&str, &str, &str, &str)] = &[
    (
        "PermitRootLogin",
        "prohibit-password",
        "no",
        "log in as yourself, so that logs say who it was",
    ),
    (
        "PasswordAuthentication",
        "yes",
        "no",
        "passwords are guessed, and go around certificates",
    ),
    (
        "KbdInteractiveAuthentication",
        "yes",
        "no",
        "passwords again, by another name (leave it on for PAM one-time passwords)",
    ),
    ("PermitEmptyPasswords", "no", "no", "anybody logs in"),
    ("PubkeyAuthentication", "yes", "yes", "certificates need it"),
    (
        "StrictModes",
        "yes",
        "yes",
        "files that others can write decide who logs in",
    ),
    (
        "PermitUserEnvironment",
        "no",
        "no",
        "a user's variables change what a forced command does",
    ),
    (
        "HostbasedAuthentication",
        "no",
        "no",
        "one host's root logs in to others",
    ),
    (
        "IgnoreRhosts",
        "yes",
        "yes|shosts-only",
        "files of users name trusted hosts",
    ),
    (
        "X11Forwarding",
        "no",
        "no",
        "the server reaches the client's screen",
    ),
    (
        "AuthorizedKeysFile",
        ".ssh/authorized_keys .ssh/authorized_keys2",
        "none",
        "keys there never expire and are on no list of what is revoked (keep one break-glass key elsewhere)",
    ),
];

/// Setting, the line to add, why.
const NEEDED: &[(&str, &str, &str)] = &[
    (
        "TrustedUserCAKeys",
        "TrustedUserCAKeys /etc/ssh/vaultd/trusted_user_ca_keys",
        "without it no certificate is accepted",
    ),
    (
        "RevokedKeys",
        "RevokedKeys /etc/ssh/vaultd/revoked_keys",
        "without it revoked certificates are accepted until they expire",
    ),
    (
        "HostCertificate",
        "HostCertificate /etc/ssh/ssh_host_ed25519_key-cert.pub",
        "without it clients trust on first use",
    ),
];

const SHA1: &[&str] = &["ssh-rsa", "ssh-rsa-cert-v01@openssh.com", "ssh-dss*"];

/// Setting, algorithms that it must not have, why.
const LISTS: &[(&str, &[&str], &str)] = &[
    ("CASignatureAlgorithms", SHA1, "SHA-1 and DSA can be forged"),
    (
        "PubkeyAcceptedAlgorithms",
        SHA1,
        "SHA-1 and DSA can be forged",
    ),
    ("HostKeyAlgorithms", SHA1, "SHA-1 and DSA can be forged"),
    (
        "Ciphers",
        &["*-cbc", "*-cbc@*", "arcfour*", "3des*", "none"],
        "old ciphers leak plaintext",
    ),
    (
        "MACs",
        &["hmac-md5*", "hmac-sha1*", "umac-64*", "hmac-ripemd*"],
        "short or broken sums",
    ),
    (
        "KexAlgorithms",
        &["*-sha1", "diffie-hellman-group1-*"],
        "SHA-1 can be forged",
    ),
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    fn settings_of(text: &str) -> Vec<&'static str> {
        let settings = Settings::read(text).ok().unwrap();
        settings.findings().iter().map(|one| one.setting).collect()
    }

    const GOOD: &str = "permitrootlogin no\npasswordauthentication no\n\
        kbdinteractiveauthentication no\nauthorizedkeysfile none\n\
        trustedusercakeys /a\nrevokedkeys /b\nhostcertificate /c\n\
        casignaturealgorithms ssh-ed25519,rsa-sha2-512\nciphers aes256-gcm@openssh.com\n\
        macs hmac-sha2-256-etm@openssh.com\nkexalgorithms curve25519-sha256\n";

    #[test]
    fn each_weak_setting_is_found_and_a_good_one_is_not() {
        assert!(settings_of(GOOD).is_empty());
        let instead = |old: &str, new: &str| settings_of(&GOOD.replace(old, new));
        assert_eq!(
            instead("rootlogin no", "rootlogin yes"),
            ["PermitRootLogin"]
        );
        assert_eq!(
            instead("passwordauthentication no\n", ""),
            ["PasswordAuthentication"]
        );
        assert_eq!(
            instead("revokedkeys /b", "revokedkeys none"),
            ["RevokedKeys"]
        );
        assert_eq!(instead("512", "512,ssh-rsa"), ["CASignatureAlgorithms"]);
        assert_eq!(instead("aes256-gcm@openssh.com", "aes128-cbc"), ["Ciphers"]);
        assert_eq!(
            instead("curve25519-sha256", "diffie-hellman-group14-sha1"),
            ["KexAlgorithms"]
        );
        assert_eq!(instead("hmac-sha2-256-etm@", "hmac-sha1-etm@"), ["MACs"]);
    }

    #[test]
    fn the_first_value_counts_and_what_is_for_some_only_does_not() {
        let text = format!("PermitRootLogin=no\n# x\n{GOOD}Match user a\nPermitRootLogin yes\n");
        assert!(settings_of(&text).is_empty());
        assert!(Settings::read("# nothing\n").is_err());
        let minus = format!("Ciphers -*-cbc\n{GOOD}");
        assert!(settings_of(&minus).is_empty());
    }
}
