//! What is done outside, one step of one target at a time. It is read from what is stored, carried out
//! without a transaction, and what came of it is stored: a stop in between has it done again.

use std::sync::Arc;

use jiff::Timestamp;
use vault_ssh::PrivateKey;

use super::authorized_keys::Edit;
use super::forge::{Api, Entry, Forge};
use super::handshake::{Destination, Handshake, Outcome, With};
use super::key::{self, Key, KeyType, Pair};
use super::known_hosts;
use super::name::{self, Name};
use super::place::Place;
use super::servers::Server;
use super::target::{Step, Target, Trouble};
use crate::barrier::View;
use crate::core::errand::{Means, Room};
use crate::core::fault::Fault;

/// One thing to do.
pub struct Errand {
    pub(super) key: Name,
    pub(super) task: Task,
    /// What must not be touched by two at once.
    pub lanes: Vec<String>,
}

pub(super) enum Task {
    /// A new version.
    Generate(KeyType),
    /// Time has come for the key to go on.
    Advance,
    At {
        target: String,
        version: u64,
        step: Step,
        deed: Box<Deed>,
    },
}

pub(super) enum Deed {
    /// What it would need is not there.
    Impossible(Trouble),
    /// Nothing is outside.
    Nothing,
    Forge {
        forge: Forge,
        repository: String,
        title: String,
        line: String,
        read_only: bool,
    },
    Server(Edit),
    Login {
        handshake: Handshake,
        /// The login has to open a repository.
        is_git: bool,
        /// The same version opens another repository of that forge still.
        is_shared: bool,
    },
}

/// What came of it.
pub enum Done {
    Pair(Pair),
    Nothing,
    Step(Result<(), Trouble>),
}

impl Done {
    /// Why it failed, in words that hold nothing secret.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Done::Step(Err(trouble)) => Some(&trouble.cause),
            _ => None,
        }
    }
}

impl Errand {
    /// What it is about, for records.
    pub fn path(&self) -> String {
        let key = key::row(&self.key);
        match &self.task {
            Task::Generate(_) => format!("{key}/generate"),
            Task::Advance => format!("{key}/advance"),
            Task::At {
                target,
                version,
                step,
                ..
            } => format!("{key}/targets/{target}/{}/{version}", step.name()),
        }
    }

    /// Somebody else sees it.
    pub fn is_outside(&self) -> bool {
        let deed = match &self.task {
            Task::At { deed, .. } => deed,
            Task::Generate(_) | Task::Advance => return false,
        };
        !matches!(**deed, Deed::Nothing | Deed::Impossible(_))
    }

    /// No transaction is open meanwhile.
    pub async fn carry_out(&self, means: &Means<'_>) -> Result<Done, Fault> {
        match &self.task {
            Task::Advance => Ok(Done::Nothing),
            Task::Generate(kind) => {
                let (kind, random) = (*kind, Arc::clone(means.random));
                let made = tokio::task::spawn_blocking(move || Pair::generate(kind, &*random));
                let made = made.await.map_err(|_| Fault::Internal("making a key"))?;
                Ok(Done::Pair(made?))
            }
            Task::At { step, deed, .. } => Ok(Done::Step(deed.carry_out(*step, means).await)),
        }
    }
}

impl Deed {
    async fn carry_out(&self, step: Step, means: &Means<'_>) -> Result<(), Trouble> {
        match (self, step) {
            (Deed::Impossible(trouble), _) => Err(trouble.clone()),
            (Deed::Nothing, _) => Ok(()),
            (
                Deed::Forge {
                    forge,
                    repository,
                    title,
                    line,
                    read_only,
                },
                step,
            ) => {
                let api = Api::open(means.outbound, forge, repository, means.now).await?;
                match step {
                    Step::Remove => api.take(line).await,
                    _ => {
                        let entry = Entry {
                            title: title.clone(),
                            line,
                            read_only: *read_only,
                        };
                        api.put(&entry).await
                    }
                }
            }
            (Deed::Server(edit), Step::Remove) => edit.remove().await,
            (Deed::Server(edit), _) => edit.add().await,
            (
                Deed::Login {
                    handshake,
                    is_git,
                    is_shared,
                },
                step,
            ) => {
                let outcome = handshake.run().await?;
                match step {
                    Step::Refuse => refused(&outcome, *is_shared),
                    _ => proved(&outcome, *is_git),
                }
            }
        }
    }
}

/// `git-upload-pack` begins with the length of its first line (gitprotocol-common).
fn is_advert(output: &[u8]) -> bool {
    let length = output.get(..4);
    length.is_some_and(|length| length.iter().all(u8::is_ascii_hexdigit))
}

fn proved(outcome: &Outcome, is_git: bool) -> Result<(), Trouble> {
    match outcome {
        Outcome::In(output) if is_git && !is_advert(output) => Err(Trouble::new(
            "the host takes the key, but does not open the repository with it",
            "check the target's repository, and that the key is not known there for something else",
        )),
        Outcome::In(_) => Ok(()),
        Outcome::Known | Outcome::Refused => Err(Trouble::new(
            "the host refuses the key that was put there",
            "check that host and API are of the same forge, or that the host asks vaultd, and that it takes \
             keys of this type for this user; it is tried again",
        )),
    }
}

fn refused(outcome: &Outcome, is_shared: bool) -> Result<(), Trouble> {
    match outcome {
        Outcome::Refused => Ok(()),
        Outcome::In(_) | Outcome::Known if is_shared => Ok(()),
        Outcome::In(_) | Outcome::Known => Err(Trouble::new(
            "the host still takes the key that was removed",
            "look for it elsewhere on that host, and remove it; it is tried again",
        )),
    }
}

/// The step of a key's that is due at each target.
pub(super) async fn of_key(
    name: &Name,
    key: &Key,
    now: Timestamp,
    room: &Room<'_>,
    view: &mut View<'_>,
) -> Result<Vec<Errand>, Fault> {
    let mut errands = Vec::new();
    for (id, target) in &key.targets {
        let due = target.held.iter().filter(|(_, held)| held.is_due(now));
        // What is new goes first: nothing old goes before it.
        let Some((version, held)) =
            due.max_by_key(|(version, held)| (held.step.is_wanted(), **version))
        else {
            continue;
        };
        let mut lanes = vec![format!("{}/{id}", name.as_str())];
        if let (Place::Server { server, .. }, Step::Publish | Step::Remove) =
            (&target.place, held.step)
        {
            lanes.push(format!("server/{server}"));
        }
        if lanes.iter().any(|lane| (room.is_taken)(lane)) {
            continue;
        }
        let found = prepare(name, key, target, *version, held.step, view).await?;
        let deed = found.unwrap_or_else(Deed::Impossible);
        errands.push(Errand {
            key: name.clone(),
            task: Task::At {
                target: id.clone(),
                version: *version,
                step: held.step,
                deed: Box::new(deed),
            },
            lanes,
        });
    }
    Ok(errands)
}

fn missing(what: &str, name: &str) -> Trouble {
    Trouble::new(
        format!("there is no {what} {name} any more"),
        format!("write the {what} again, or delete the target"),
    )
}

async fn prepare(
    name: &Name,
    key: &Key,
    target: &Target,
    number: u64,
    step: Step,
    view: &mut View<'_>,
) -> Result<Result<Deed, Trouble>, Fault> {
    let Some(version) = key.versions.get(&number) else {
        return Err(Fault::Internal(
            "a target has a version that the key has not",
        ));
    };
    let is_edit = matches!(step, Step::Publish | Step::Remove);
    let (to, command, is_git) = match &target.place {
        Place::Repository {
            forge: forge_name,
            repository,
            read_only,
        } => {
            let Some(forge) = Forge::find(view, forge_name).await? else {
                return Ok(Err(missing("forge", forge_name)));
            };
            if is_edit {
                return Ok(Ok(Deed::Forge {
                    forge,
                    repository: repository.clone(),
                    title: format!("{} vaultd:{}", name.as_str(), version.marker),
                    line: version.public.clone(),
                    read_only: *read_only,
                }));
            }
            let command = format!("git-upload-pack '{repository}.git'");
            (forge.destination(), command, true)
        }
        Place::Server {
            server: server_name,
            user,
            path,
            options,
        } => {
            let Some(server) = Server::find(view, server_name).await? else {
                return Ok(Err(missing("server", server_name)));
            };
            if is_edit {
                let Some(admin) = admin(&server, view).await? else {
                    return Ok(Err(missing("key", &server.key)));
                };
                let to = server.destination(&server.user);
                return Ok(Ok(Deed::Server(Edit {
                    pins: known_hosts::lines(view, &to.host()).await?,
                    to,
                    admin: Arc::new(admin),
                    user: user.clone(),
                    path: path.clone().unwrap_or(server.path),
                    marker: version.marker.clone(),
                    public: version.public.clone(),
                    options: options.clone(),
                })));
            }
            (server.destination(user), "true".to_owned(), false)
        }
        Place::Command { host, user, .. } => {
            if is_edit {
                return Ok(Ok(Deed::Nothing));
            }
            let (address, port) = name::address_of(host);
            let to = Destination {
                address: address.to_owned(),
                port,
                user: user.clone(),
            };
            (to, "true".to_owned(), false)
        }
    };
    let with = match step {
        Step::Refuse => With::Offer(version.key()?),
        _ => With::Key(Arc::new(key::private(view, name, number).await?)),
    };
    let is_shared = key.targets.values().any(|other| {
        other.held.contains_key(&number) && !other.place.is_same(&target.place) && {
            let forge = |place: &Place| match place {
                Place::Repository { forge, .. } => Some(forge.clone()),
                _ => None,
            };
            is_git && forge(&other.place) == forge(&target.place)
        }
    });
    Ok(Ok(Deed::Login {
        handshake: Handshake {
            pins: known_hosts::lines(view, &to.host()).await?,
            to,
            with,
            command,
            // A client that wants nothing.
            input: b"0000".to_vec(),
        },
        is_git,
        is_shared,
    }))
}

async fn admin(server: &Server, view: &mut View<'_>) -> Result<Option<PrivateKey>, Fault> {
    let name = Name::parse(&server.key)?;
    let Some(found) = Key::find(view, &name).await? else {
        return Ok(None);
    };
    match key::private(view, &name, found.current).await {
        Err(Fault::Missing) => Ok(None),
        found => found.map(Some),
    }
}
