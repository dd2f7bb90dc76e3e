//! `completion SHELL` and `man`.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::error::{Outcome, file, plain};
use crate::output::stdout;

#[derive(clap::Args)]
pub(crate) struct Completion {
    /// bash, zsh, fish, elvish or powershell
    shell: Shell,
}

#[derive(clap::Args)]
pub(crate) struct Man {
    /// Write one page for each command into this directory
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn completion(args: &Completion) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "vaultctl", &mut text);
    stdout(&text)
}

pub(crate) fn man(args: &Man) -> Outcome {
    let Some(directory) = &args.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command())
            .render(&mut page)
            .map_err(|e| plain(format!("cannot make the page: {e}")))?;
        return stdout(&page);
    };
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
        .map_err(|e| file("write manual pages to", directory, &e))
}
