//! `server …`: starts `vaultd`, for scripts that call one program for both.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::error::{Outcome, local};

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Replaces this process by `vaultd server …`: the one beside this program, else from `PATH`.
pub(crate) fn run(args: Args) -> Outcome {
    let beside = std::env::current_exe().ok().and_then(|exe| {
        let real = exe.canonicalize().unwrap_or(exe);
        let candidate = real.with_file_name("vaultd");
        candidate.is_file().then_some(candidate)
    });
    let program = beside.unwrap_or_else(|| PathBuf::from("vaultd"));
    let error = Command::new(&program).arg("server").args(args.words).exec();
    Err(local(
        format!("cannot start {}: {error}", program.display()),
        "put vaultd beside vaultctl or on PATH",
    ))
}
