//! A certificate into its place: written, taken up, seen to be served; or everything as it was.
//!
//! Promises: what is in place when this ends was seen to be served, where there is something to look
//! at; or the files from before are back, and the program was told again. A process that is killed on
//! the way leaves a note, and the next one ends what it began.

use std::path::Path;

use jiff::Timestamp;

use super::files::Placed;
use super::leaf::{Leaf, certificates, der};
use super::record::{Entry, Unfinished};
use crate::error::{Failure, Outcome, file, local};
use crate::session::Session;

/// Ends what was begun, and if it is time, or something is amiss, gets a new certificate.
pub(crate) async fn keep(session: &Session, entry: &mut Entry) -> Outcome<Option<Leaf>> {
    heal(entry).await?;
    let is_due = entry.record.is_due(Timestamp::now()) || !is_in_place(entry);
    if is_due || is_replaced(session, entry).await {
        return renew(session, entry, false).await.map(Some);
    }
    Ok(None)
}

/// Gets a new certificate, and installs it. With `force`, a key that is not ours is replaced.
pub(crate) async fn renew(session: &Session, entry: &mut Entry, force: bool) -> Outcome<Leaf> {
    entry.record.spec.check()?;
    match heal(entry).await {
        Err(failure) if entry.record.unfinished.is_some() => return Err(failure),
        Err(failure) => eprintln!("warning: {failure}"),
        Ok(()) => {}
    }
    let place = &entry.record.spec.place;
    let looks = place.looks()?;
    place.check(&entry.record.files, force)?;
    let pair = entry.record.spec.wish.obtain(session).await?;
    let place = &entry.record.spec.place;
    let contents = place.layout.contents(&place.to, &pair, looks).await?;
    let files: Vec<Placed> = contents.iter().map(Placed::plan).collect();
    entry.record.unfinished = Some(Unfinished {
        leaf: pair.leaf,
        files: files.clone(),
        spec: entry.before.take(),
    });
    entry.save()?;
    let written = files.iter().zip(&contents);
    let written = written
        .map(|(placed, content)| placed.write(content))
        .collect::<Outcome<Vec<()>>>()
        .and_then(|_| files.iter().map(Placed::put).collect::<Outcome<Vec<()>>>());
    match written {
        Ok(_) => conclude(entry).await,
        Err(failure) => {
            take_back(entry)?;
            Err(failure)
        }
    }
}

/// Ends what a process before this one began.
pub(crate) async fn heal(entry: &mut Entry) -> Outcome {
    let Some(unfinished) = &entry.record.unfinished else {
        return Ok(());
    };
    if unfinished.files.iter().all(Placed::is_new) {
        eprintln!("{}: goes on where it was interrupted", entry.name);
        return conclude(entry).await.map(drop);
    }
    eprintln!("{}: takes back what was interrupted half way", entry.name);
    take_back(entry)
}

/// The files are new: whoever serves them has to.
async fn conclude(entry: &mut Entry) -> Outcome<Leaf> {
    let Some(unfinished) = entry.record.unfinished.clone() else {
        return Err(local("nothing was begun", "install it again"));
    };
    let why = match tell(entry).await {
        Err(failure) => Some(failure.to_string()),
        Ok(()) => look(entry).await.err().map(|failure| failure.to_string()),
    };
    if let Some(why) = why {
        return Err(roll_back(entry, &why).await);
    }
    let record = &mut entry.record;
    record.installed = Some(unfinished.leaf.clone());
    record.installed_at = Some(Timestamp::now());
    let files = unfinished.files.iter();
    record.files = files.map(|placed| placed.path.clone()).collect();
    record.unfinished = None;
    record.failure = None;
    entry.save()?;
    for placed in &unfinished.files {
        placed.settle()?;
    }
    Ok(unfinished.leaf)
}

/// While the server is away, nothing is.
async fn is_replaced(session: &Session, entry: &Entry) -> bool {
    let Some(leaf) = &entry.record.installed else {
        return false;
    };
    match entry.record.spec.wish.is_replaced(session, leaf).await {
        Ok(replaced) => replaced,
        Err(failure) => {
            eprintln!("{}: {failure}; what is there stays", entry.name);
            false
        }
    }
}

/// Whether the files are those that were installed last.
fn is_in_place(entry: &Entry) -> bool {
    let place = &entry.record.spec.place;
    let chain = chain_of(&place.layout.leaf_path(&place.to));
    let leaf = chain.and_then(|chain| Leaf::from_der(&chain[0])).ok();
    leaf == entry.record.installed && place.layout.key_path(&place.to).is_file()
}

/// Whether what is in place is served; if not, it is said once more to whoever should.
pub(crate) async fn see(entry: &Entry) -> Outcome {
    if look(entry).await.is_ok() {
        return Ok(());
    }
    tell(entry).await?;
    look(entry).await
}

/// The files from before, told to whoever serves them; the failure to report.
async fn roll_back(entry: &mut Entry, why: &str) -> Failure {
    if let Err(failure) = take_back(entry) {
        return Failure::NotServed {
            what: format!(
                "{}: {why}; and the files from before are not back: {failure}",
                entry.name
            ),
            next: Some("mend that, and run it again".to_owned()),
        };
    }
    let place = &entry.record.spec.place;
    let again = match place.layout.key_path(&place.to).exists() {
        false => "nothing was there before, and nothing is now".to_owned(),
        true => match tell(entry).await {
            Ok(()) => "the files from before are back, and it was reloaded again".to_owned(),
            Err(failure) => format!("the files from before are back, but: {failure}"),
        },
    };
    let what = format!("{}: {why}; {again}", entry.name);
    Failure::NotServed {
        what,
        next: Some(format!(
            "see what the program's log says; vaultctl pki verify-served {}",
            entry.name
        )),
    }
}

fn take_back(entry: &mut Entry) -> Outcome {
    let Some(unfinished) = entry.record.unfinished.clone() else {
        return Ok(());
    };
    for placed in &unfinished.files {
        placed.take_back()?;
    }
    if let Some(spec) = unfinished.spec {
        entry.record.spec = spec;
    }
    entry.record.unfinished = None;
    entry.save()
}

async fn tell(entry: &Entry) -> Outcome {
    let place = &entry.record.spec.place;
    let pem = place.layout.leaf_path(&place.to);
    entry.record.spec.reload.run(&pem).await
}

/// Whether what lies there is what is served.
async fn look(entry: &Entry) -> Outcome {
    let spec = &entry.record.spec;
    if spec.probe.targets.is_empty() {
        return Ok(());
    }
    let wanted = chain_of(&spec.place.layout.leaf_path(&spec.place.to))?;
    let seen = spec.probe.serves(&spec.wish.name, &wanted).await;
    seen.map(drop).map_err(|why| Failure::NotServed {
        what: format!("it is not served: {why}"),
        next: Some("reload the program that serves it, and see its log".to_owned()),
    })
}

/// The certificates of a file in DER, the leaf first.
pub(crate) fn chain_of(path: &Path) -> Outcome<Vec<Vec<u8>>> {
    let text = std::fs::read_to_string(path).map_err(|error| file("read", path, &error))?;
    let chain: Vec<Vec<u8>> = certificates(&text)
        .iter()
        .map(|certificate| der(certificate))
        .collect::<Outcome<_>>()?;
    match chain.is_empty() {
        true => Err(local(
            format!("{} holds no certificate", path.display()),
            "name a file in PEM",
        )),
        false => Ok(chain),
    }
}
