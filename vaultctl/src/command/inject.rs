//! `inject`: a template, with the values that it refers to.

use std::path::PathBuf;

use super::run::{environment, fetch};
use crate::atomic;
use crate::error::{Outcome, file, local};
use crate::manifest::mode;
use crate::output::{self, Content};
use crate::session::Session;
use crate::template::Template;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A text with {{ MOUNT/PATH#KEY }} in it, or - for stdin
    template: PathBuf,
    /// Replace this file, in one step [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The mode of that file
    #[arg(long, default_value = "0600", value_name = "MODE")]
    mode: String,
}

pub(crate) async fn run(session: &Session, args: Args) -> Outcome {
    if args.out.is_none() && session.out.hides(Content::Stored) {
        return Err(local(
            "this would show the values on the terminal",
            "name a file: --out FILE, or add --reveal",
        ));
    }
    let mode = mode(&args.mode)?;
    let template = read(&args.template)?;
    let paths = template.references().map(|r| (r.path.clone(), None));
    let read = fetch::all(session, &paths.collect()).await?;
    let text = template.fill(|reference| {
        let value = reference.value_in(&read[&reference.path].data)?;
        Ok(environment::text(value))
    })?;
    match &args.out {
        None => output::stdout(text.as_bytes()),
        Some(path) => atomic::replace(path, text.as_bytes(), mode),
    }
}

/// A file, or stdin.
pub(super) fn read(path: &std::path::Path) -> Outcome<Template> {
    let text = match path.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(path),
    };
    let text = text.map_err(|error| file("read", path, &error))?;
    Template::parse(&text, &path.display().to_string())
}
