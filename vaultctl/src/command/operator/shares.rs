//! Who gets the shares, and where the shares come from: plain words, or share files.
//!
//! Promise: with `--operator`, a plain share is never printed and never written.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vault_crypto::{Cost, System};
use zeroize::Zeroizing;

use crate::command::key_value;
use crate::command::raw::{stdin_line, strings};
use crate::error::{Outcome, file, local, plain};
use crate::progress::Progress;
use crate::prompt;
use crate::share_file::{Operator, ShareFile};

/// How new shares are handed out.
#[derive(clap::Args)]
pub(crate) struct HandOut {
    /// Number of plain shares (of recovery shares, if the server unseals itself)
    #[arg(
        long,
        short = 'n',
        alias = "recovery-shares",
        default_value_t = 5,
        conflicts_with = "operator"
    )]
    key_shares: u8,
    /// Number of plain shares needed to unseal
    #[arg(
        long,
        short = 't',
        alias = "recovery-threshold",
        default_value_t = 3,
        conflicts_with = "operator"
    )]
    key_threshold: u8,
    /// Wrap one share for this operator, by their own passphrase; once for each
    #[arg(
        long,
        value_name = "NAME",
        requires = "threshold",
        requires = "share_dir"
    )]
    operator: Vec<Operator>,
    /// Operators needed to unseal
    #[arg(long, value_name = "K", requires = "operator")]
    threshold: Option<u8>,
    /// Where NAME.share is written for each operator
    #[arg(long, value_name = "DIR", requires = "operator")]
    share_dir: Option<PathBuf>,
    #[command(flatten)]
    passphrases: Passphrases,
}

/// Passphrases from files, for machines.
#[derive(clap::Args)]
pub(crate) struct Passphrases {
    /// Read an operator's passphrase from a file instead of asking; once for each. With one share
    /// file, just FILE
    #[arg(long, value_name = "NAME=FILE", value_parser = named_or_any)]
    passphrase_file: Vec<(String, String)>,
}

/// A file without a name is for whoever's share it is.
fn named_or_any(text: &str) -> Result<(String, String), String> {
    match text.contains('=') {
        true => key_value(text),
        false => Ok((String::new(), text.to_owned())),
    }
}

impl Passphrases {
    pub(crate) fn from_files(passphrase_file: Vec<(String, String)>) -> Self {
        Self { passphrase_file }
    }

    /// The passphrase that opens this share file.
    pub(crate) fn of(&self, file: &ShareFile) -> Outcome<Zeroizing<String>> {
        match self.path(file.operator()) {
            Some(path) => prompt::passphrase_file(path),
            None => prompt::hidden(
                &format!("Passphrase for {}", file.name()),
                "run this on a terminal, or give --passphrase-file NAME=FILE",
            ),
        }
    }

    fn path(&self, operator: &str) -> Option<&Path> {
        self.passphrase_file
            .iter()
            .find(|(name, _)| name.is_empty() || name == operator)
            .map(|(_, path)| Path::new(path))
    }
}

impl HandOut {
    /// Shares and threshold, as the server is asked for them.
    pub(crate) fn counts(&self) -> (usize, u8) {
        match self.threshold {
            Some(threshold) => (self.operator.len(), threshold),
            None => (self.key_shares.into(), self.key_threshold),
        }
    }

    pub(crate) fn wraps(&self) -> bool {
        !self.operator.is_empty()
    }

    /// Finds out, before the server makes anything, whether the shares can be handed out, and
    /// asks every operator for a passphrase.
    pub(crate) fn prepare(&self) -> Outcome<Prepared> {
        let (shares, threshold) = self.counts();
        if threshold == 0 || usize::from(threshold) > shares {
            return Err(local(
                format!("{threshold} of {shares} shares cannot unseal"),
                "the threshold is at least 1 and at most the number of shares",
            ));
        }
        if threshold == 1 && shares > 1 {
            return Err(local(
                "with a threshold of 1, every share alone would be the key",
                "choose a threshold of at least 2, or make one share only",
            ));
        }
        let Some(directory) = &self.share_dir else {
            return Ok(Prepared {
                targets: Vec::new(),
            });
        };
        std::fs::create_dir_all(directory).map_err(|e| file("create", directory, &e))?;
        let mut seen = BTreeMap::new();
        for operator in &self.operator {
            let path = operator.file(directory);
            // Case-blind file systems would make one file of two names.
            if seen
                .insert(operator.to_string().to_lowercase(), ())
                .is_some()
            {
                return Err(local(
                    format!("operator {operator} is named twice"),
                    "name every operator once",
                ));
            }
            if path.exists() {
                return Err(local(
                    format!("{} exists already", path.display()),
                    "move it away, or choose another --share-dir",
                ));
            }
        }
        if let Some((name, _)) = self
            .passphrases
            .passphrase_file
            .iter()
            .find(|(n, _)| !seen.contains_key(&n.to_lowercase()))
        {
            return Err(local(
                format!("--passphrase-file names {name:?}, who is no --operator"),
                "give NAME=FILE for each operator",
            ));
        }
        let ask = |operator: &Operator| {
            let passphrase = match self.passphrases.path(&operator.to_string()) {
                Some(path) => {
                    let passphrase = prompt::passphrase_file(path)?;
                    prompt::check_passphrase(&passphrase).map_err(|why| {
                        local(
                            format!("{}: {why}", path.display()),
                            "put a longer passphrase there",
                        )
                    })?;
                    passphrase
                }
                None => prompt::new_passphrase(&operator.to_string())?,
            };
            Ok(Target {
                path: operator.file(directory),
                operator: operator.clone(),
                passphrase,
            })
        };
        Ok(Prepared {
            targets: self.operator.iter().map(ask).collect::<Outcome<_>>()?,
        })
    }
}

/// Operators whose passphrases are known and whose files can be written.
pub(crate) struct Prepared {
    targets: Vec<Target>,
}

struct Target {
    operator: Operator,
    path: PathBuf,
    passphrase: Zeroizing<String>,
}

impl Prepared {
    /// Wraps and writes the server's new shares; the paths written.
    pub(crate) fn write(&self, answer: &Value, cluster: Option<&str>) -> Outcome<Vec<PathBuf>> {
        let shares = Zeroizing::new(strings(&answer["keys_base64"]));
        if shares.len() != self.targets.len() {
            return Err(plain(format!(
                "the server handed out {} shares for {} operators",
                shares.len(),
                self.targets.len()
            )));
        }
        let progress = Progress::bar("wrapping shares", self.targets.len() as u64);
        let mut written = Vec::new();
        for (target, share) in self.targets.iter().zip(shares.iter()) {
            let cluster = cluster.map(str::to_owned);
            let wrapped = ShareFile::wrap(
                &target.operator,
                share,
                cluster,
                &target.passphrase,
                Cost::OPERATOR,
                &System,
            )?;
            wrapped.write(&target.path)?;
            ShareFile::read(&target.path)?;
            written.push(target.path.clone());
            progress.step();
        }
        Ok(written)
    }
}

/// A share given to the server, and how to call it in messages.
pub(crate) struct Given {
    pub(crate) share: Zeroizing<String>,
    pub(crate) name: String,
}

/// Takes a share from a share file, `-`, `@file`, a word, or the terminal.
pub(crate) fn take(word: Option<&str>, passphrases: &Passphrases) -> Outcome<Given> {
    let plain_share = |share: String| Given {
        share: Zeroizing::new(share.trim().to_owned()),
        name: "the share".into(),
    };
    match word {
        None => prompt::hidden(
            "Unseal Key (will be hidden)",
            "give a share file, - or @FILE",
        )
        .map(|s| plain_share(s.to_string())),
        Some("-") => stdin_line().map(plain_share),
        Some(word) if word.starts_with('@') => {
            let path = Path::new(&word[1..]);
            std::fs::read_to_string(path)
                .map(plain_share)
                .map_err(|e| file("read", path, &e))
        }
        Some(word) if word.ends_with(".share") || Path::new(word).is_file() => {
            let share_file = ShareFile::read(Path::new(word))?;
            let passphrase = passphrases.of(&share_file)?;
            let progress = Progress::spinner("stretching the passphrase");
            let share = share_file.open(&passphrase)?;
            drop(progress);
            Ok(Given {
                share,
                name: share_file.name(),
            })
        }
        Some(word) => {
            if std::io::stderr().is_terminal() {
                eprintln!(
                    "warning: a share on the command line stays in the shell history and in the process list; leave it out to be asked"
                );
            }
            Ok(plain_share(word.to_owned()))
        }
    }
}
