//! Files and folders, piece by piece and on all processors. Symbolic links are not followed, and what
//! git keeps for itself is left out.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::matcher::{Matcher, What};
use crate::error::{Outcome, file, plain};

/// Bytes of a file at a time.
const PIECE: usize = 4 << 20;
/// More than anything that is looked for.
const OVERLAP: usize = 16 << 10;
/// On a line with this, shapes are not told; stored values always are.
const ALLOW: &[u8] = b"vaultctl:allow";

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    /// A path; in git with its commit.
    pub(super) file: String,
    pub(super) line: u64,
    pub(super) what: What,
}

#[derive(Default)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// What could not be read.
    pub(super) problems: Vec<String>,
}

impl Report {
    fn join(mut self, mut other: Report) -> Report {
        self.findings.append(&mut other.findings);
        self.problems.append(&mut other.problems);
        self.files += other.files;
        self.bytes += other.bytes;
        self
    }

    /// Looks at a piece whose first byte is on a line; what begins behind `sure` is the next piece's.
    pub(super) fn look(
        &mut self,
        matcher: &Matcher,
        name: &str,
        first_line: u64,
        text: &[u8],
        sure: usize,
    ) {
        let (mut line, mut counted) = (first_line, 0);
        matcher.scan(text, |at, what| {
            if at >= sure || (matches!(what, What::Shape(_)) && is_allowed(text, at)) {
                return;
            }
            line += lines(&text[counted..at]);
            counted = at;
            self.findings.push(Finding {
                file: name.to_owned(),
                line,
                what,
            });
        });
    }
}

fn is_allowed(text: &[u8], at: usize) -> bool {
    let start = text[..at].iter().rposition(|byte| *byte == b'\n');
    let end = text[at..].iter().position(|byte| *byte == b'\n');
    let line = &text[start.unwrap_or(0)..end.map_or(text.len(), |end| at + end)];
    line.windows(ALLOW.len()).any(|part| part == ALLOW)
}

fn lines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

pub(super) fn scan(matcher: &Matcher, paths: &[PathBuf]) -> Outcome<Report> {
    let mut whole = Report::default();
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            read(matcher, "-", std::io::stdin().lock(), &mut whole)
                .map_err(|error| plain(format!("cannot read stdin: {error}")))?;
            continue;
        }
        let kind = path.metadata().map_err(|e| file("read", path, &e))?;
        match kind.is_dir() {
            true => walk(path, &mut files, &mut whole.problems),
            false => files.push(path.clone()),
        }
    }
    let next = AtomicUsize::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut report = Report::default();
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let name = path.display().to_string();
            let outcome = File::open(path).and_then(|open| read(matcher, &name, open, &mut report));
            if let Err(error) = outcome {
                report.problems.push(format!("{name}: {error}"));
            }
        }
        report
    };
    thread::scope(|scope| -> Outcome {
        let running: Vec<_> = (0..workers.min(files.len().max(1)))
            .map(|_| scope.spawn(work))
            .collect();
        for worker in running {
            let report = worker
                .join()
                .map_err(|_| plain("a scanning thread stopped"))?;
            whole = std::mem::take(&mut whole).join(report);
        }
        Ok(())
    })?;
    whole.findings.sort();
    whole.problems.sort();
    Ok(whole)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>, problems: &mut Vec<String>) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return problems.push(format!("{}: {error}", folder.display())),
    };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && entry.file_name() != ".git" => {
                walk(&entry.path(), files, problems);
            }
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

fn read(
    matcher: &Matcher,
    name: &str,
    mut source: impl Read,
    report: &mut Report,
) -> std::io::Result<()> {
    report.files += 1;
    let mut text = Vec::new();
    let mut line = 1;
    loop {
        let ended = fill(&mut source, &mut text)?;
        let sure = match ended {
            true => text.len(),
            false => text.len() - OVERLAP,
        };
        report.look(matcher, name, line, &text, sure);
        report.bytes += sure as u64;
        if ended {
            return Ok(());
        }
        line += lines(&text[..sure]);
        text.drain(..sure);
    }
}

/// Reads up to the size of a piece; true at the end.
fn fill(source: &mut impl Read, text: &mut Vec<u8>) -> std::io::Result<bool> {
    let wanted = PIECE - text.len();
    match source.take(wanted as u64).read_to_end(text) {
        Ok(read) => Ok(read < wanted),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error),
    }
}
