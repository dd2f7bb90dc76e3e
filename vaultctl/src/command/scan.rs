//! `scan`: finds stored values, and tokens by their shape, in files and in git. Findings are told by
//! place and name, never by value.
//!
//! Exit codes: 0 nothing found, 3 something found, 1 and 2 as everywhere.

mod files;
mod git;
mod known;
mod matcher;
mod shapes;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;

use crate::error::{Failure, Outcome, local};
use crate::output::{Format, Output, clean};
use crate::session::Session;
use files::{Finding, Report};
use known::Known;
use matcher::Matcher;

const FOUND: u8 = 3;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Files and folders; `-` is stdin
    #[arg(required_unless_present_any = ["git", "staged", "install_hook"])]
    paths: Vec<PathBuf>,
    /// What these commits add, such as main..HEAD
    #[arg(long, value_name = "RANGE", conflicts_with_all = ["paths", "staged"])]
    git: Option<String>,
    /// What is staged for the next commit
    #[arg(long, conflicts_with = "paths")]
    staged: bool,
    /// Have git scan before each commit in this repository
    #[arg(long, conflicts_with_all = ["paths", "git", "staged"])]
    install_hook: bool,
    /// Look for values of secrets whose path begins so, mount included
    #[arg(long)]
    prefix: Option<String>,
    /// Look for values of this secret too, which the token may read but not list
    #[arg(long, value_name = "PATH")]
    secret: Vec<String>,
    /// Look for shapes of tokens only; asks no server
    #[arg(long, conflicts_with_all = ["prefix", "secret", "offline_ok"])]
    shapes_only: bool,
    /// If the server cannot be asked, say so and look for shapes only
    #[arg(long)]
    offline_ok: bool,
}

pub(crate) async fn run(
    session: &dyn Fn() -> Outcome<Session>,
    out: &Output,
    args: Args,
) -> Outcome {
    if args.install_hook {
        return out.done(&git::install_hook()?);
    }
    let matcher = Matcher::new(known(session, &args).await?);
    let report = if args.staged {
        git::staged(&matcher)?
    } else if let Some(range) = &args.git {
        git::commits(&matcher, range)?
    } else {
        files::scan(&matcher, &args.paths)?
    };
    tell(out, &matcher, report)
}

async fn known(session: &dyn Fn() -> Outcome<Session>, args: &Args) -> Outcome<Option<Known>> {
    if args.shapes_only {
        return Ok(None);
    }
    let fetched = match session() {
        Ok(session) => known::fetch(&session, args.prefix.as_deref(), &args.secret).await,
        Err(failure) => Err(failure),
    };
    match fetched {
        Ok(known) => Ok(Some(known)),
        Err(failure) if args.offline_ok => {
            eprintln!(
                "warning: looking for shapes of tokens only, not for stored values: {}",
                clean(&failure.to_string())
            );
            Ok(None)
        }
        Err(failure) if failure.code() == 2 => Err(Failure::Remote {
            what: format!("stored values cannot be looked for: {failure}"),
            next: Some(
                "log in: vaultctl login, or look for shapes of tokens only: --shapes-only".into(),
            ),
        }),
        Err(failure) => Err(failure),
    }
}

fn tell(out: &Output, matcher: &Matcher, report: Report) -> Outcome {
    let mut told = BTreeSet::new();
    let findings: Vec<&Finding> = report
        .findings
        .iter()
        // One value in several forms on one line is one finding.
        .filter(|finding| told.insert((&finding.file, finding.line, matcher.subject(finding.what))))
        .collect();
    match out.format {
        Format::Table => {
            for finding in &findings {
                let what = matcher.describe(finding.what);
                let place = format!("{}:{}", finding.file, finding.line);
                crate::output::stdout(format!("{}: {what}\n", clean(&place)).as_bytes())?;
            }
        }
        _ => {
            let list: Vec<_> = findings
                .iter()
                .map(|finding| {
                    let mut shown = matcher.json(finding.what);
                    shown["file"] = finding.file.as_str().into();
                    shown["line"] = finding.line.into();
                    shown
                })
                .collect();
            out.document(&json!({"findings": list, "files": report.files, "bytes": report.bytes}))?;
        }
    }
    for problem in &report.problems {
        eprintln!("warning: {}", clean(problem));
    }
    eprintln!(
        "{} found in {} {} ({:.1} MB); {}",
        findings.len(),
        report.files,
        if report.files == 1 { "file" } else { "files" },
        report.bytes as f64 / 1e6,
        matcher.scope()
    );
    if !findings.is_empty() {
        eprintln!(
            "  next: take it out, then replace the value where it is used: what was committed or shown \
             once is known. A token of vaultd: vaultctl leaked"
        );
        return Err(Failure::Silent(FOUND));
    }
    match report.problems.is_empty() {
        true => Ok(()),
        false => Err(local(
            "not everything could be scanned",
            "make the files above readable, or leave them out",
        )),
    }
}
