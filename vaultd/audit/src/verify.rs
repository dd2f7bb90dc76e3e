//! The reader's side: says how far a file can be believed. Never panics, never stores more
//! than one line.

use std::io::{BufRead, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use vault_crypto::{PublicKey, sha256};

use crate::chain::Link;
use crate::line::{Line, MAX_LINE};
use crate::mark::{self, Mark, VERSION};

/// What the caller knows from elsewhere. All of it is optional, and each part finds more.
#[derive(Default)]
pub struct Options {
    /// Without it the key of the first checkpoint is believed: compare its fingerprint.
    pub public_key: Option<PublicKey>,
    /// Whose log this should be.
    pub cluster: Option<String>,
    /// Head of the file before this one, after a rotation.
    pub previous: Option<Link>,
    /// A sequence number that was once in this file: finds truncation behind a checkpoint.
    pub at_least: Option<u64>,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The line is not what its chain value was computed from.
    Edited,
    /// Lines before this one are not there.
    Missing,
    /// The line is at another place than it was written to, or is there twice.
    Reordered,
    /// A checkpoint does not sign what comes before it.
    BadSignature,
    /// A checkpoint by another key.
    WrongKey,
    /// A checkpoint of another cluster.
    WrongCluster,
    /// The last line is not complete.
    Torn,
    /// Not a line of an audit file.
    NotOurs,
    /// The file does not begin as an audit file, or not where the one before ended.
    BadStart,
    /// The file ends before the sequence number it once had.
    Truncated,
    /// The file could not be read on.
    Unreadable,
}

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: u64,
    /// What it is.
    pub kind: Kind,
    /// In words.
    pub text: String,
}

/// What was found, up to the first problem.
#[derive(Debug)]
pub struct Report {
    /// Requests and responses.
    pub entries: u64,
    /// Valid signatures.
    pub checkpoints: u64,
    /// Everything up to this sequence number is proven by a signature.
    pub last_checkpoint_seq: Option<u64>,
    /// Lines after it: intact in themselves, but nobody has signed them yet.
    pub unsigned_tail: u64,
    /// Torn lines that were cut off when the server came back.
    pub repairs: u64,
    /// Records that this device missed, by its own account.
    pub lost: u64,
    /// Sequence number of the first line.
    pub first_seq: Option<u64>,
    /// Sequence number of the last good line.
    pub last_seq: Option<u64>,
    /// Where the file before ended; zeros for the first one.
    pub previous: Link,
    /// Chain value of the last good line: `Options::previous` of the next file.
    pub head: Link,
    /// The cluster that the checkpoints name.
    pub cluster: Option<String>,
    /// The key that signed.
    pub key: Option<[u8; 32]>,
    /// `None`: nothing wrong.
    pub problem: Option<Problem>,
}

impl Report {
    /// `SHA256:` and the unpadded base64 of the public key's hash, for comparing by eye.
    pub fn fingerprint(&self) -> Option<String> {
        self.key
            .map(|key| format!("SHA256:{}", STANDARD_NO_PAD.encode(sha256(&key))))
    }
}

/// Reads an audit file to its end or to the first problem.
pub fn verify(mut reader: impl BufRead, options: &Options) -> Report {
    let mut verifier = Verifier::new(options);
    let mut line = Vec::new();
    let problem = loop {
        match next_line(&mut reader, &mut line) {
            Ok(Ending::End) => break verifier.end(),
            Ok(Ending::Whole) => {
                if let Err(problem) = verifier.line(&line) {
                    break Some(distinguish(problem, verifier.wanted(), &mut reader));
                }
            }
            Ok(Ending::Torn) => {
                break Some(verifier.problem(Kind::Torn, "the last line is not complete: it is being written, or a crash cut it off (vaultd \
                     repairs that at its next start)"));
            }
            Ok(Ending::TooLong) => {
                break Some(verifier.problem(Kind::NotOurs, "the line is too long to be ours"));
            }
            Err(error) => {
                break Some(
                    verifier.problem(Kind::Unreadable, &format!("cannot read on: {error}")),
                );
            }
        }
    };
    Report {
        problem,
        ..verifier.report
    }
}

enum Ending {
    Whole,
    Torn,
    TooLong,
    End,
}

fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Ending> {
    line.clear();
    let read = reader.take(MAX_LINE as u64).read_until(b'\n', line)?;
    Ok(match line.pop() {
        None => Ending::End,
        Some(b'\n') => Ending::Whole,
        Some(_) if read == MAX_LINE => Ending::TooLong,
        Some(_) => Ending::Torn,
    })
}

/// Lines that seem to be missing may only have been moved: look for the one that should
/// have come here.
fn distinguish(problem: Problem, wanted: u64, reader: &mut impl BufRead) -> Problem {
    if problem.kind != Kind::Missing {
        return problem;
    }
    let mut line = Vec::new();
    while let Ok(Ending::Whole) = next_line(reader, &mut line) {
        if Line::parse(&line).is_ok_and(|line| line.seq == wanted) {
            let text = format!("record {wanted} belongs here but comes later");
            return Problem {
                kind: Kind::Reordered,
                text,
                ..problem
            };
        }
    }
    problem
}

struct Verifier<'a> {
    options: &'a Options,
    lines: u64,
    report: Report,
}

impl<'a> Verifier<'a> {
    fn new(options: &'a Options) -> Verifier<'a> {
        let report = Report {
            entries: 0,
            checkpoints: 0,
            last_checkpoint_seq: None,
            unsigned_tail: 0,
            repairs: 0,
            lost: 0,
            first_seq: None,
            last_seq: None,
            previous: Link::GENESIS,
            head: Link::GENESIS,
            cluster: None,
            key: None,
            problem: None,
        };
        Verifier {
            options,
            lines: 0,
            report,
        }
    }

    /// At the line after those that were good.
    fn problem(&self, kind: Kind, text: &str) -> Problem {
        Problem {
            line: self.lines + 1,
            kind,
            text: text.to_owned(),
        }
    }

    /// The sequence number that the next line should have.
    fn wanted(&self) -> u64 {
        self.report.last_seq.map_or(1, |seq| seq.saturating_add(1))
    }

    fn line(&mut self, text: &[u8]) -> Result<(), Problem> {
        let Ok(line) = Line::parse(text) else {
            let text = "not a line of an audit file, or edited beyond recognition";
            return Err(self.problem(Kind::NotOurs, text));
        };
        let mark = match Mark::parse(line.fields) {
            None => None,
            Some(Some(mark)) => Some(mark),
            Some(None) => return Err(self.problem(Kind::Edited, "edited, or of another format")),
        };
        match &mark {
            Some(Mark::Start {
                version, previous, ..
            }) => self.start(&line, *version, previous)?,
            _ => self.in_order(&line)?,
        }
        if !line.follows(self.report.head) {
            let text = "the line's content does not match its chain value: it was edited, or \
                        lines were exchanged with another file";
            return Err(self.problem(Kind::Edited, text));
        }
        self.count(mark, &line)?;
        self.lines += 1;
        self.report.head = line.link;
        self.report.last_seq = Some(line.seq);
        Ok(())
    }

    fn start(&mut self, line: &Line<'_>, version: u32, previous: &str) -> Result<(), Problem> {
        if self.lines > 0 {
            self.in_order(line)?;
            return Err(self.problem(Kind::Reordered, "the start of a file inside of a file"));
        }
        if version != VERSION {
            let text = "written by a newer version: verify it with that version's vaultctl";
            return Err(self.problem(Kind::BadStart, text));
        }
        let Some(previous) = Link::parse(previous.as_bytes()) else {
            return Err(self.problem(Kind::BadStart, "the start line names no valid chain value"));
        };
        if self
            .options
            .previous
            .is_some_and(|wanted| wanted != previous)
        {
            let text = "does not continue the file before: one is missing, shortened or replaced";
            return Err(self.problem(Kind::BadStart, text));
        }
        if (previous == Link::GENESIS) != (line.seq == 1) {
            let text = "the start line's number does not fit what it continues";
            return Err(self.problem(Kind::BadStart, text));
        }
        self.report.previous = previous;
        self.report.head = previous;
        self.report.first_seq = Some(line.seq);
        Ok(())
    }

    fn in_order(&self, line: &Line<'_>) -> Result<(), Problem> {
        if self.lines == 0 {
            let text = "the file does not begin with a start line: its beginning is missing";
            return Err(self.problem(Kind::BadStart, text));
        }
        let wanted = self.wanted();
        if line.seq > wanted {
            let last = line.seq - 1;
            let text = format!("records {wanted} to {last} are missing before this line");
            return Err(self.problem(Kind::Missing, &text));
        }
        if line.seq < wanted {
            let text = format!("record {} is here a second time or was moved", line.seq);
            return Err(self.problem(Kind::Reordered, &text));
        }
        Ok(())
    }

    fn count(&mut self, mark: Option<Mark>, line: &Line<'_>) -> Result<(), Problem> {
        self.report.unsigned_tail += 1;
        match mark {
            None => self.report.entries += 1,
            Some(Mark::Start { .. }) => {}
            Some(Mark::Repair { .. }) => self.report.repairs += 1,
            Some(Mark::Gap { lost, .. }) => {
                self.report.lost = self.report.lost.saturating_add(lost);
            }
            Some(Mark::Checkpoint {
                time,
                cluster,
                key,
                signature,
            }) => {
                self.checkpoint(line.seq, &time, cluster, &key, &signature)?;
                self.report.checkpoints += 1;
                self.report.last_checkpoint_seq = Some(line.seq);
                self.report.unsigned_tail = 0;
            }
        }
        Ok(())
    }

    fn checkpoint(
        &mut self,
        seq: u64,
        time: &str,
        cluster: String,
        key: &str,
        signature: &str,
    ) -> Result<(), Problem> {
        let Some(key) = mark::key_of(key) else {
            return Err(self.problem(Kind::WrongKey, "the checkpoint names no valid key"));
        };
        let wanted = self
            .options
            .public_key
            .as_ref()
            .map(|key| *key.as_bytes())
            .or(self.report.key);
        if wanted.is_some_and(|wanted| wanted != key) {
            return Err(self.problem(Kind::WrongKey, "the checkpoint was signed by another key"));
        }
        let expected = self
            .options
            .cluster
            .as_ref()
            .or(self.report.cluster.as_ref());
        if expected.is_some_and(|expected| *expected != cluster) {
            return Err(self.problem(Kind::WrongCluster, "the checkpoint is of another cluster"));
        }
        let message = mark::signed(time, &cluster, seq, self.report.head);
        let holds = PublicKey::from_bytes(&key)
            .is_ok_and(|key| mark::signature_holds(&key, &message, signature));
        if !holds {
            let since = self.report.last_checkpoint_seq.map_or(1, |seq| seq + 1);
            let text = format!(
                "the signature does not hold: something from record {since} on was changed"
            );
            return Err(self.problem(Kind::BadSignature, &text));
        }
        self.report.key = Some(key);
        self.report.cluster = Some(cluster);
        Ok(())
    }

    fn end(&self) -> Option<Problem> {
        let last = self.report.last_seq.unwrap_or(0);
        match self.options.at_least {
            Some(seq) if seq > last => {
                let text = format!("the file ends at record {last} but once had record {seq}");
                Some(self.problem(Kind::Truncated, &text))
            }
            _ if self.lines == 0 => Some(self.problem(Kind::BadStart, "the file is empty")),
            _ => None,
        }
    }
}
