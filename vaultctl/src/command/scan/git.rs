//! What commits add, as git's own diff tells it; and the hook that scans before each commit.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::files::Report;
use super::matcher::Matcher;
use crate::error::{Failure, Outcome, file, local, plain};

/// One line, so that a hook of one's own can hold it too.
const HOOK_LINE: &str = "vaultctl scan --staged --offline-ok";
/// As plain as git can: no colours, no programs from its configuration, added lines only.
const DIFF: &[&str] = &[
    "-U0",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--text",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

pub(super) fn staged(matcher: &Matcher) -> Outcome<Report> {
    let mut git = git();
    git.args(["diff", "--cached"]).args(DIFF);
    added(matcher, git)
}

/// Each commit by itself: what one adds and the next takes out stays in the history.
pub(super) fn commits(matcher: &Matcher, range: &str) -> Outcome<Report> {
    if range.starts_with('-') {
        return Err(local(
            "a range does not begin with '-'",
            "write commits, such as main..HEAD",
        ));
    }
    let mut git = git();
    // Of a merge: what is in none of its parents.
    git.args([
        "log",
        "-p",
        "--diff-merges=dense-combined",
        "--format=commit %h",
    ])
    .args(DIFF)
    .args([range, "--"]);
    added(matcher, git)
}

fn git() -> Command {
    let mut git = Command::new("git");
    git.args(["-c", "core.quotePath=false"]);
    git
}

fn added(matcher: &Matcher, mut git: Command) -> Outcome<Report> {
    git.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = git.spawn().map_err(|error| no_git(&error))?;
    let mut diff = Diff::new(matcher);
    if let Some(out) = child.stdout.take() {
        let mut lines = BufReader::with_capacity(1 << 20, out);
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .map_err(|error| plain(format!("cannot read what git says: {error}")))?
            > 0
        {
            diff.line(&line);
            line.clear();
        }
    }
    diff.end_hunk();
    let ended = child.wait().map_err(|error| no_git(&error))?;
    if !ended.success() {
        return Err(local(
            "git failed, see above",
            "run it inside a repository, with commits that exist",
        ));
    }
    Ok(diff.report)
}

fn no_git(error: &std::io::Error) -> Failure {
    local(
        format!("cannot run git: {error}"),
        "install git, or scan files: vaultctl scan PATH",
    )
}

/// Reads a diff line by line. Lines of a hunk are counted, so that no content is taken for a head.
struct Diff<'a> {
    matcher: &'a Matcher,
    report: Report,
    commit: String,
    file: String,
    /// Columns before each line: one, and one for each more parent of a merge.
    parents: usize,
    /// Lines of the hunk that are to come: on the new side, and on each old one.
    left: Vec<u64>,
    first_line: u64,
    text: Vec<u8>,
}

impl<'a> Diff<'a> {
    fn new(matcher: &'a Matcher) -> Self {
        Self {
            matcher,
            report: Report::default(),
            commit: String::new(),
            file: String::new(),
            parents: 1,
            left: Vec::new(),
            first_line: 1,
            text: Vec::new(),
        }
    }

    fn line(&mut self, line: &[u8]) {
        if self.left.iter().any(|left| *left > 0) {
            return self.content(line);
        }
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']);
        if text.starts_with("@@") {
            self.end_hunk();
            self.begin_hunk(text);
        } else if let Some(commit) = text.strip_prefix("commit ") {
            self.end_hunk();
            self.commit = commit.to_owned();
        } else if let Some(file) = text.strip_prefix("+++ ") {
            self.end_hunk();
            self.report.files += 1;
            let file = file.trim_end_matches('\t').trim_matches('"');
            self.file = file.strip_prefix("b/").unwrap_or(file).to_owned();
        }
    }

    /// `@@ -1,2 +3,4 @@`, with one more `@` and old side for each more parent.
    fn begin_hunk(&mut self, head: &str) {
        self.parents = head.bytes().take_while(|byte| *byte == b'@').count() - 1;
        let sides = head.split(' ').skip(1).take(self.parents + 1);
        self.left.clear();
        for side in sides {
            let (start, count) = side.split_once(',').unwrap_or((side, "1"));
            if let Some(start) = start.strip_prefix('+') {
                self.first_line = start.parse().unwrap_or(1);
            }
            self.left.push(count.parse().unwrap_or(0));
        }
    }

    fn content(&mut self, line: &[u8]) {
        // "\ No newline at end of file"
        if line.starts_with(b"\\") {
            return;
        }
        let (marks, rest) = line.split_at(line.len().min(self.parents));
        let removed = marks.contains(&b'-');
        for (side, left) in self.left.iter_mut().enumerate() {
            let here = match marks.get(side) {
                // The last one is the new side.
                None => !removed,
                Some(b'-') => true,
                Some(b'+') => false,
                Some(_) => !removed,
            };
            *left = left.saturating_sub(u64::from(here));
        }
        if !removed {
            self.text.extend_from_slice(rest);
        }
    }

    fn end_hunk(&mut self) {
        let name = match self.commit.as_str() {
            "" => self.file.clone(),
            commit => format!("{commit}:{}", self.file),
        };
        let text = std::mem::take(&mut self.text);
        self.report.bytes += text.len() as u64;
        self.report
            .look(self.matcher, &name, self.first_line, &text, text.len());
    }
}

/// Writes the hook; says what was done.
pub(super) fn install_hook() -> Outcome<String> {
    let asked = git()
        .args(["rev-parse", "--git-path", "hooks/pre-commit"])
        .output()
        .map_err(|error| no_git(&error))?;
    if !asked.status.success() {
        return Err(local(
            "this is no git repository",
            "change to one, and run it again",
        ));
    }
    let path = String::from_utf8_lossy(&asked.stdout);
    let path = PathBuf::from(path.trim_end_matches('\n'));
    match std::fs::read_to_string(&path) {
        Ok(text) if text.contains(HOOK_LINE) => {
            return Ok(format!("{} scans already", path.display()));
        }
        Ok(_) => {
            return Err(local(
                format!("there is a hook already: {}", path.display()),
                format!("add this line to it: {HOOK_LINE} || exit"),
            ));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(file("read", &path, &error)),
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| file("make", folder, &e))?;
    }
    let text = format!(
        "#!/bin/sh\n# Looks for secrets in what is about to be committed.\nexec {HOOK_LINE}\n"
    );
    std::fs::write(&path, text).map_err(|e| file("write", &path, &e))?;
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, mode).map_err(|e| file("make executable", &path, &e))?;
    Ok(format!(
        "{} scans before each commit; git commit --no-verify goes past it",
        path.display()
    ))
}
