//! `doctor`: everything between this shell and the server, with a fix for what is wrong.
//!
//! Exit codes: 0 nothing failed, 1 something did.

mod ends;
mod local;
mod remote;

use std::io::Write;

use serde_json::{Value, json};

use crate::args::Globals;
use crate::argv::Face;
use crate::error::{Failure, Outcome};
use crate::output::{Format, clean};
use crate::session::{Session, address, output};

#[derive(clap::Args)]
pub(crate) struct Args {}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Pass,
    Warn,
    Fail,
}

/// One thing that was looked at.
struct Check {
    name: &'static str,
    verdict: Verdict,
    text: String,
    fix: Option<String>,
}

impl Check {
    fn pass(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Pass,
            text: text.into(),
            fix: None,
        }
    }

    fn warn(name: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Warn,
            text: text.into(),
            fix: Some(fix.into()),
        }
    }

    fn fail(name: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Fail,
            text: text.into(),
            fix: Some(fix.into()),
        }
    }

    fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Pass => "PASS",
            Verdict::Warn => "WARN",
            Verdict::Fail => "FAIL",
        }
    }

    fn print(&self) {
        use anstyle::{AnsiColor, Style};
        let color = match self.verdict {
            Verdict::Pass => AnsiColor::Green,
            Verdict::Warn => AnsiColor::Yellow,
            Verdict::Fail => AnsiColor::Red,
        };
        let style = Style::new().fg_color(Some(color.into()));
        let mut out = anstream::stdout();
        let text = clean(&self.text);
        let _ = writeln!(
            out,
            "{style}{}{style:#}  {:<12} {text}",
            self.word(),
            self.name
        );
        if let Some(fix) = &self.fix {
            let _ = writeln!(out, "                   fix: {}", clean(fix));
        }
    }

    fn json(&self) -> Value {
        json!({ "check": self.name, "verdict": self.word(), "text": self.text, "fix": self.fix })
    }
}

pub(crate) async fn run(globals: &Globals, face: Face, _args: Args) -> Outcome {
    let mut checks = local::checks(globals);
    checks.extend(ends::files(globals));
    checks.extend(remote::network(&address(globals)).await);
    checks.extend(ends::listener(&address(globals)).await);
    match Session::open(globals, face) {
        Ok(session) => {
            checks.extend(remote::server(&session).await);
            checks.extend(ends::authorities(&session).await);
        }
        Err(failure) => {
            let next = failure.json()["next"]
                .as_str()
                .unwrap_or("correct the settings")
                .to_owned();
            checks.push(Check::fail("settings", failure.to_string(), next));
        }
    }
    let failed = checks.iter().any(|c| c.verdict == Verdict::Fail);
    let out = output(globals, face)?;
    if out.format == Format::Table {
        checks.iter().for_each(Check::print);
    } else {
        out.document(&json!({ "healthy": !failed, "checks": checks.iter().map(Check::json).collect::<Vec<_>>() }))?;
    }
    if failed {
        Err(Failure::Silent(1))
    } else {
        Ok(())
    }
}
