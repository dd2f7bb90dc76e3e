//! `pki`: certificates of the `pki` engine for services of this machine.
//!
//! Exit code 4: the new certificate is not what is served. After `install` and `renew` everything is as
//! it was before.

pub(crate) mod expiring;
mod revoke;
mod served;

use std::path::PathBuf;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::atomic::Fresh;
use crate::certificate::install;
use crate::certificate::layout::Layout;
use crate::certificate::leaf::{Leaf, Pair};
use crate::certificate::record::Records;
use crate::certificate::request::Wish;
use crate::certificate::spec::{Place, Spec, from_here};
use crate::error::{Failure, Outcome, local};
use crate::output::{Content, Rows};
use crate::session::Session;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// A certificate for a key that is made here: printed, or with --to written
    Issue(Box<Issue>),
    /// Issue, write, reload, and see from outside that it is served; else take it back [exit 4]
    Install(Box<Install>),
    /// A new certificate in place of one that was installed
    Renew(Renew),
    /// Whether a service serves the certificate that it should [exit 4: it does not]
    VerifyServed(served::Args),
    /// What ends soon: authorities and certificates, of all mounts that you may read
    Expiring(expiring::Args),
    /// Revoke a certificate, by its number, its file, or as who has its key
    Revoke(revoke::Args),
    /// Stop renewing a certificate; its files stay
    Forget {
        name: String,
        #[command(flatten)]
        records: Records,
    },
}

#[derive(clap::Args)]
pub(crate) struct Issue {
    #[command(flatten)]
    wish: Wish,
    /// For whom the files are
    #[arg(long, value_enum, requires = "to")]
    layout: Option<Layout>,
    /// Where: a folder, or with haproxy a file [default: print it]
    #[arg(long, value_name = "PATH", requires = "layout", value_parser = from_here)]
    to: Option<PathBuf>,
    /// Owner of the files: USER, USER:GROUP or :GROUP [default: who runs this]
    #[arg(long, value_name = "OWNER", requires = "to")]
    owner: Option<String>,
    /// Mode of the file with the key [default: 0600]
    #[arg(long, value_name = "MODE", requires = "to")]
    mode: Option<String>,
    /// Replace a key that is there
    #[arg(long)]
    force: bool,
}

#[derive(clap::Args)]
pub(crate) struct Install {
    #[command(flatten)]
    spec: Spec,
    /// What it is called here [default: its name]
    #[arg(long = "as", value_name = "NAME")]
    label: Option<String>,
    /// Replace a key that was not written by this
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    records: Records,
}

#[derive(clap::Args)]
pub(crate) struct Renew {
    /// As they are called here
    #[arg(required_unless_present = "all")]
    names: Vec<String>,
    /// Every one that is installed here
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Only what has less than a third of its life left, or was interrupted
    #[arg(long)]
    if_due: bool,
    #[command(flatten)]
    records: Records,
}

pub(crate) async fn run(session: &Session, command: Command) -> Outcome {
    match command {
        Command::Issue(args) => issue(session, *args).await,
        Command::Install(args) => install(session, *args).await,
        Command::Renew(args) => renew(session, args).await,
        Command::VerifyServed(args) => served::run(session, args).await,
        Command::Expiring(args) => expiring::run(session, &args).await,
        Command::Revoke(args) => revoke::run(session, args).await,
        Command::Forget { name, records } => {
            records.open(&name, None)?.forget()?;
            session.out.done(&format!("{name} is not renewed any more"))
        }
    }
}

async fn issue(session: &Session, args: Issue) -> Outcome {
    let (Some(layout), Some(to)) = (args.layout, args.to) else {
        let pair = args.wish.obtain(session).await?;
        return session.out.rows(&rows(&pair), Content::Stored);
    };
    let place = Place {
        layout,
        to,
        owner: args.owner,
        mode: args.mode,
    };
    let looks = place.looks()?;
    place.check(&[], args.force)?;
    let pair = args.wish.obtain(session).await?;
    let contents = place.layout.contents(&place.to, &pair, looks).await?;
    let mut fresh = Vec::new();
    for content in &contents {
        if let Some(folder) = content.path.parent() {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|error| crate::error::file("create", folder, &error))?;
        }
        fresh.push(Fresh::write(&content.path, &content.bytes, content.looks)?);
    }
    for written in &mut fresh {
        written.put()?;
    }
    fresh.into_iter().for_each(Fresh::keep);
    let paths: Vec<String> = contents
        .iter()
        .map(|content| content.path.display().to_string())
        .collect();
    session.out.done(&format!(
        "{} ends {}: {}",
        pair.leaf.serial,
        pair.leaf.not_after,
        paths.join(", ")
    ))
}

async fn install(session: &Session, args: Install) -> Outcome {
    let name = args.label.unwrap_or_else(|| args.spec.wish.label());
    args.spec.check()?;
    let mut entry = args.records.open(&name, Some(args.spec))?;
    let seen = !entry.record.spec.probe.targets.is_empty();
    match install::renew(session, &mut entry, args.force).await {
        Ok(leaf) => tell(session, &name, &leaf, seen),
        Err(failure) => {
            if entry.record.installed.is_none() && entry.record.unfinished.is_none() {
                entry.forget()?;
            }
            Err(failure)
        }
    }
}

fn rows(pair: &Pair) -> Rows {
    let text = |text: &str| Value::String(text.to_owned());
    vec![
        ("serial_number".to_owned(), text(&pair.leaf.serial)),
        (
            "expiration".to_owned(),
            text(&pair.leaf.not_after.to_string()),
        ),
        ("certificate".to_owned(), text(&pair.chain.concat())),
        ("private_key".to_owned(), text(&pair.key)),
    ]
}

async fn renew(session: &Session, args: Renew) -> Outcome {
    let names = match args.all {
        true => args.records.names()?,
        false => args.names,
    };
    let mut worst: Option<Failure> = None;
    let mut is_idle = true;
    for name in &names {
        match renew_one(session, &args.records, name, args.if_due).await {
            Ok(renewed) => is_idle &= !renewed,
            Err(failure) => {
                // The rest is done all the same; the last failure is told at the end.
                if let Some(before) = worst.replace(failure) {
                    before.report(false);
                }
            }
        }
    }
    match worst {
        Some(failure) => Err(failure),
        None if names.is_empty() => session.out.done("No certificate is kept here."),
        None if is_idle => session.out.done("Nothing is due."),
        None => Ok(()),
    }
}

/// Whether there is another one now.
async fn renew_one(
    session: &Session,
    records: &Records,
    name: &str,
    if_due: bool,
) -> Outcome<bool> {
    let mut entry = records.open(name, None)?;
    let done = match if_due {
        true => install::keep(session, &mut entry).await,
        false => install::renew(session, &mut entry, false).await.map(Some),
    };
    match done {
        Ok(Some(leaf)) => tell(
            session,
            name,
            &leaf,
            !entry.record.spec.probe.targets.is_empty(),
        )
        .map(|()| true),
        Ok(None) => Ok(false),
        Err(failure) => {
            entry.failed(&failure.to_string());
            Err(failure)
        }
    }
}

fn tell(session: &Session, name: &str, leaf: &Leaf, seen: bool) -> Outcome {
    let how = match seen {
        true => "is served",
        false => "is in place (nobody looked whether it is served: give --probe HOST:PORT)",
    };
    match session.out.format {
        crate::output::Format::Table => session.out.done(&format!(
            "{name}: {} {how}; it ends {}",
            leaf.serial, leaf.not_after
        )),
        _ => session
            .out
            .document(&json!({ "name": name, "certificate": leaf, "served": seen })),
    }
}

/// A private key in a file.
fn private_key(path: &PathBuf) -> Outcome<Zeroizing<String>> {
    let text =
        std::fs::read_to_string(path).map_err(|error| crate::error::file("read", path, &error))?;
    let text = Zeroizing::new(text);
    match vault_crypto::PrivateKey::from_pem(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(local(
            format!("{}: {error}", path.display()),
            "name the file with the key of the certificate",
        )),
    }
}
