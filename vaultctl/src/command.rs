//! One file for each noun; this one only chooses.

pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod bundle;
pub(crate) mod cert;
pub(crate) mod check;
pub(crate) mod ci;
pub(crate) mod completion;
pub(crate) mod deploykey;
pub(crate) mod doctor;
pub(crate) mod encrypt;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod git_credential;
pub(crate) mod import;
pub(crate) mod inject;
pub(crate) mod known_hosts;
pub(crate) mod kv;
pub(crate) mod leaked;
pub(crate) mod lease;
pub(crate) mod lock;
pub(crate) mod login;
pub(crate) mod mounts;
pub(crate) mod operator;
pub(crate) mod pki;
pub(crate) mod policy;
pub(crate) mod raw;
pub(crate) mod receipt;
pub(crate) mod render;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod search;
pub(crate) mod secrets;
pub(crate) mod server;
pub(crate) mod ssh;
pub(crate) mod ssh_agent;
pub(crate) mod status;
pub(crate) mod token;
pub(crate) mod whoami;
pub(crate) mod why;

use crate::args::{Cli, Command};
use crate::argv::Face;
use crate::error::{Failure, Outcome, local};
use crate::session::{Session, output};

/// Does what the command line says.
pub(crate) async fn run(cli: Cli, face: Face) -> Outcome {
    let globals = &cli.globals;
    let session = || Session::open(globals, face);
    match cli.command {
        Command::Status => status::run(globals, face).await,
        Command::Doctor(args) => doctor::run(globals, face, args).await,
        Command::Login(args) => login::run(&session()?, args).await,
        Command::Logout => login::logout(&session()?).await,
        Command::Whoami => whoami::run(&session()?).await,
        Command::Kv(command) => kv::run(&session()?, command).await,
        Command::Get(args) => get::run(&session()?, args).await,
        Command::Run(args) => run::run(session().map_err(before_start)?, *args).await,
        Command::Export(args) => export::run(&session()?, args).await,
        Command::Inject(args) => inject::run(&session()?, args).await,
        Command::Render(args) => render::run(&session()?, args).await,
        Command::Lock(args) => lock::run(&session()?, args).await,
        Command::Receipt(command) => receipt::run(&output(globals, face)?, command),
        Command::Check(args) => check::run(&session()?, args).await,
        Command::Read(args) => raw::read(&session()?, args).await,
        Command::Write(args) => raw::write(&session()?, args).await,
        Command::Patch(args) => raw::patch(&session()?, args).await,
        Command::Delete(args) => raw::delete(&session()?, args).await,
        Command::List(args) => raw::list(&session()?, args).await,
        Command::Search(args) => search::run(&session()?, args).await,
        Command::Bundle(command) => bundle::run(&session()?, command).await,
        Command::Scan(args) => scan::run(&session, &output(globals, face)?, args).await,
        Command::Leaked => leaked::run(&session()?).await,
        Command::Encrypt(args) => encrypt::encrypt(&session, &output(globals, face)?, args).await,
        Command::Decrypt(args) => encrypt::decrypt(&session()?, args).await,
        Command::Import(args) => import::run(&session()?, args).await,
        Command::Why(args) => why::run(&session()?, args).await,
        Command::Unwrap(args) => raw::unwrap(&session()?, args).await,
        Command::Token(command) => token::run(&session()?, command).await,
        Command::Policy(command) => policy::run(&session, globals, face, command).await,
        Command::Secrets(command) => secrets::run(&session()?, command).await,
        Command::Auth(command) => auth::run(&session()?, command).await,
        Command::Ci(command) => ci::run(&session()?, command).await,
        Command::Deploykey(args) => deploykey::run(&session()?, args).await,
        Command::GitCredential(args) => git_credential::run(&session()?, &args).await,
        Command::SshAgent(args) => ssh_agent::run(session, *args).await,
        Command::Pki(command) => pki::run(&session()?, command).await,
        Command::Cert(command) => cert::run(globals, face, command).await,
        Command::Lease(command) => lease::run(&session()?, command).await,
        Command::Operator(command) => {
            operator::run(&session, &output(globals, face)?, command).await
        }
        Command::Audit(command) => audit::run(&session, &output(globals, face)?, command).await,
        Command::Ssh(args) => ssh::run(&session, &output(globals, face)?, *args).await,
        Command::Completion(args) => completion::completion(&args),
        Command::Man(args) => completion::man(&args),
        Command::Version => output(globals, face)?.line(&face.version_line()),
        Command::Print(what) => whoami::print(&output(globals, face)?, &what),
        Command::Inner(command) => run::inner::run(command),
        Command::Server(args) => server::run(args),
    }
}

/// What goes wrong before `run` starts its command exits 125, so that it cannot be mistaken for
/// the command's own code.
fn before_start(failure: Failure) -> Failure {
    run::as_start(failure)
}

/// `KEY=VALUE` options.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    if key.is_empty() {
        return Err("write KEY=VALUE".into());
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// Version numbers like `1,2,5`.
pub(crate) fn numbers(text: &str) -> Outcome<Vec<u64>> {
    let parsed = text.split(',').map(|n| n.trim().parse());
    parsed
        .collect::<Result<_, _>>()
        .map_err(|_| local("versions are whole numbers", "write them like 1,2,5"))
}
