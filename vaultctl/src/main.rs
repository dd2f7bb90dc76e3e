//! `vaultctl`: the command line of vaultd.
//!
//! Exit codes: 0 done, 1 found wrong on this machine (usage included), 2 the server said no or
//! could not be reached. `status`, `operator init --status` and `run` have their own, see there.

mod args;
mod argv;
mod atomic;
mod certificate;
mod command;
mod duration;
mod encrypted_file;
mod error;
mod explanation;
mod input;
mod lock_file;
mod manifest;
mod mount;
mod output;
mod progress;
mod prompt;
mod reference;
mod session;
mod share_file;
mod template;
mod values_file;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::Cli;
use argv::Face;

fn main() -> ExitCode {
    // A core dump of this process would hold secrets; execve gives the child its default back.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let raw: Vec<_> = std::env::args_os().collect();
    let face = Face::of(raw.first());
    if face.is_compat() && argv::asks_version(&raw) {
        return end(
            output::stdout(format!("{}\n", face.version_line()).as_bytes()),
            false,
        );
    }
    let tree = Cli::command();
    let rewritten = argv::rewrite(raw, &tree);
    let parsed = tree
        .try_get_matches_from(rewritten)
        .and_then(|m| Cli::from_arg_matches(&m));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // clap says 2, which scripts read as "remote" (and, after `status`, as "sealed").
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    let as_json = cli.globals.format == Some(output::Format::Json);
    end(start(cli, face), as_json)
}

fn end(outcome: error::Outcome, as_json: bool) -> ExitCode {
    let Err(failure) = outcome else {
        return ExitCode::SUCCESS;
    };
    failure.report(as_json);
    ExitCode::from(failure.code())
}

fn start(cli: Cli, face: Face) -> error::Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| error::plain(format!("cannot start the runtime: {e}")))?;
    runtime.block_on(command::run(cli, face))
}
