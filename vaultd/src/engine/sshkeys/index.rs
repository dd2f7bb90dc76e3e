//! Keys by what they open, so that they are found without looking at all keys.

use super::key::Key;
use super::name::Name;
use super::place::Place;
use crate::barrier::View;
use crate::core::fault::Fault;

/// The directory of the keys for an account that a host asks for by its AuthorizedKeysCommand.
pub(super) fn of_command(host: &str, user: &str) -> String {
    format!("command/{host}/{user}")
}

/// The directory of the keys for an account on a server.
pub(super) fn of_server(server: &str, user: &str) -> String {
    format!("accounts/{server}/{user}")
}

/// The directory of the deploy keys of a repository. Forges tell no upper case from lower.
pub(super) fn of_repository(forge: &str, repository: &str) -> String {
    let repository = repository.to_ascii_lowercase().replace('/', ":");
    format!("repositories/{forge}/{repository}")
}

fn directory(place: &Place) -> String {
    match place {
        Place::Repository {
            forge, repository, ..
        } => of_repository(forge, repository),
        Place::Server { server, user, .. } => of_server(server, user),
        Place::Command { host, user, .. } => of_command(host, user),
    }
}

pub(super) async fn add(place: &Place, name: &Name, view: &mut View<'_>) -> Result<(), Fault> {
    let row = format!("{}/{}", directory(place), name.as_str());
    Ok(view.put(&row, &true).await?)
}

/// Unless another target of the key is there too.
pub(super) async fn remove(
    id: &str,
    key: &Key,
    name: &Name,
    view: &mut View<'_>,
) -> Result<(), Fault> {
    let Some(target) = key.targets.get(id) else {
        return Ok(());
    };
    let directory = directory(&target.place);
    let mut others = key.targets.iter().filter(|(other, _)| *other != id);
    if others.any(|(_, other)| self::directory(&other.place) == directory) {
        return Ok(());
    }
    Ok(view
        .delete(&format!("{directory}/{}", name.as_str()))
        .await?)
}

/// The names of the keys in a directory.
pub(super) async fn names(directory: &str, view: &mut View<'_>) -> Result<Vec<Name>, Fault> {
    let names = view.list(directory).await?;
    names.iter().map(|name| Name::parse(name)).collect()
}
