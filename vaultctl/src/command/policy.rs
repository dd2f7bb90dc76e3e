//! `policy read|write|list|delete|fmt|test`.

mod layout;
mod test;

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::json;
use vault_sdk::Call;

use super::raw::keys;
use crate::args::Globals;
use crate::argv::Face;
use crate::error::{Outcome, file, local, plain};
use crate::output::{Content, Format, stdout};
use crate::prompt;
use crate::session::Session;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print a policy
    Read { name: String },
    /// Make or replace a policy
    Write {
        name: String,
        /// HCL or JSON; `-` reads stdin
        file: PathBuf,
    },
    /// Names of all policies
    List,
    /// Delete a policy
    Delete { name: String },
    /// Lay out a policy file, in place
    Fmt {
        /// HCL; `-` reads stdin and writes stdout
        file: PathBuf,
    },
    /// Whether policies allow something, and which rule decides: exit 0 yes, 2 no
    ///
    /// With --path the policies are files and no server is asked. Otherwise the two words are
    /// PATH CAPABILITY, and the server answers for the token in use.
    Test(test::Args),
}

pub(crate) async fn run(
    session: &dyn Fn() -> Outcome<Session>,
    globals: &Globals,
    face: Face,
    command: Command,
) -> Outcome {
    match command {
        Command::Read { name } => read(&session()?, &name).await,
        Command::Write { name, file } => {
            let text = input(&file)?;
            let session = session()?;
            let call = Call::put(
                format!("sys/policies/acl/{name}"),
                json!({ "policy": text }),
            );
            session.act(call, &format!("Uploaded policy: {name}")).await
        }
        Command::List => {
            let session = session()?;
            let names = keys(session.send(Call::list("sys/policies/acl/")).await?.data());
            if session.out.format == Format::Table {
                session.out.line(&names.join("\n"))
            } else {
                session.out.names(&names)
            }
        }
        Command::Delete { name } => {
            let session = session()?;
            prompt::confirm(
                session.yes || session.face.is_compat(),
                &format!("delete the policy {name}"),
                &name,
            )?;
            session
                .act(
                    Call::delete(format!("sys/policies/acl/{name}")),
                    &format!("Deleted policy: {name}"),
                )
                .await
        }
        Command::Fmt { file } => format(&file),
        Command::Test(args) => test::run(session, globals, face, args).await,
    }
}

async fn read(session: &Session, name: &str) -> Outcome {
    let answer = session
        .send(Call::get(format!("sys/policies/acl/{name}")))
        .await?;
    let text = answer.data()["policy"].as_str().unwrap_or_default();
    match session.out.format {
        Format::Table => session.out.line(text.trim_end_matches('\n')),
        _ => session.out.answer(&answer.body, Content::Open),
    }
}

fn input(path: &Path) -> Outcome<String> {
    if path != Path::new("-") {
        return std::fs::read_to_string(path).map_err(|e| file("read", path, &e));
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|e| plain(format!("cannot read stdin: {e}")))?;
    Ok(text)
}

fn format(path: &Path) -> Outcome {
    let text = input(path)?;
    let laid_out = layout::layout(&text).map_err(|e| {
        local(
            format!("{}: {e}", path.display()),
            "close what is open, then try again",
        )
    })?;
    if path == Path::new("-") {
        return stdout(laid_out.as_bytes());
    }
    if laid_out != text {
        std::fs::write(path, laid_out).map_err(|e| file("write", path, &e))?;
        stdout(format!("{}\n", path.display()).as_bytes())?;
    }
    Ok(())
}
