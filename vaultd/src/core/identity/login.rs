//! From a proven login to its entity: found by what the mount calls it, or made.

use std::collections::BTreeMap;

use jiff::Timestamp;
use vault_crypto::Random;

use super::model::{Entity, EntityAlias, made_up_name};
use super::name::alias_name;
use super::store::{entity_by_factor, put_entity};
use crate::barrier::Tx;
use crate::core::fault::Fault;
use crate::core::login::Alias;
use crate::core::mount::{Mount, reserved};

/// Groups of one login that are kept.
const GROUPS_MAX: usize = 1000;

/// The entity of a login; none if the method names nobody. Of many first logins at once, the
/// commit of one makes the entity; the others conflict, run again and find it.
pub async fn enter(
    tx: &mut Tx,
    mount: &Mount,
    alias: Alias,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Option<Entity>, Fault> {
    if alias.name.is_empty() {
        return Ok(None);
    }
    let name = alias_name(&alias.name)?;
    let mut view = tx.view(reserved::IDENTITY);
    let old = entity_by_factor(&mut view, &mount.accessor, &name).await?;
    if old.as_ref().is_some_and(|entity| entity.disabled) {
        return Err(Fault::Forbidden("permission denied".to_owned()));
    }
    let mut entity = match &old {
        Some(entity) => entity.clone(),
        None => {
            let mut entity = Entity::new(made_up_name("entity", random)?, random, now);
            let alias = EntityAlias::new(name.clone(), &mount.accessor, random, now);
            entity.aliases.push(alias);
            entity
        }
    };
    let own = entity
        .aliases
        .iter_mut()
        .find(|own| own.accessor == mount.accessor && own.name == name)
        .ok_or(Fault::Internal("an alias leads to a stranger"))?;
    let (metadata, groups) = (bounded(alias.metadata), distinct(alias.groups));
    if own.metadata != metadata || own.groups != groups {
        own.metadata = metadata;
        own.groups = groups;
        own.updated = now;
    }
    if old.as_ref() != Some(&entity) {
        put_entity(&mut view, old.as_ref(), &entity).await?;
    }
    Ok(Some(entity))
}

/// What a method says may be long; what is kept is not.
fn bounded(metadata: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let short = |(key, value): &(String, String)| key.len() <= 128 && value.len() <= 512;
    metadata.into_iter().filter(short).take(64).collect()
}

fn distinct(mut groups: Vec<String>) -> Vec<String> {
    groups.retain(|name| alias_name(name).is_ok());
    groups.sort();
    groups.dedup();
    groups.truncate(GROUPS_MAX);
    groups
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::super::membership::Memberships;
    use super::super::model::{Group, GroupAlias, GroupKind};
    use super::super::name::Name;
    use super::super::store::put_group;
    use super::*;
    use crate::barrier::bed::Bed;
    use crate::core::mount::Kind;
    use vault_crypto::Seeded;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    async fn log_in(bed: &Bed, mount: &Mount, groups: &[&str], seed: u64) -> Entity {
        let alias = Alias {
            groups: groups.iter().map(|name| (*name).to_owned()).collect(),
            ..Alias::named("ann")
        };
        let mut tx = bed.barrier.begin();
        let entity = enter(&mut tx, mount, alias, &Seeded::new(seed), NOW)
            .await
            .unwrap()
            .unwrap();
        tx.commit().await.unwrap();
        entity
    }

    #[tokio::test]
    async fn what_a_method_vouches_for_counts_until_the_next_login() {
        let bed = Bed::new().await;
        let mount = Mount::new(100, Kind::Userpass, "auth/u/", "", &Seeded::new(1));
        let name = Name::parse("admins").unwrap();
        let mut group = Group::new(name, GroupKind::External, &Seeded::new(2), NOW);
        group.policies = vec!["admin".parse().unwrap()];
        group.alias = Some(GroupAlias {
            id: "0a1b2c3d-0000-4000-8000-0123456789ab".to_owned(),
            name: "cn=admins".to_owned(),
            accessor: mount.accessor.clone(),
            created: NOW,
            updated: NOW,
        });
        let mut tx = bed.barrier.begin();
        put_group(&mut tx.view(reserved::IDENTITY), None, &group)
            .await
            .unwrap();
        tx.commit().await.unwrap();

        let memberships = Memberships::default();
        let groups = memberships.groups(&bed.barrier).await.unwrap();
        let policies = |entity: &Entity| groups.of_entity(entity).policies(entity).len();
        let first = log_in(&bed, &mount, &["cn=admins", "cn=admins", "\n"], 3).await;
        assert_eq!(first.aliases[0].groups, ["cn=admins"]);
        assert_eq!(policies(&first), 1);
        let rows = bed.rows().await;
        let again = log_in(&bed, &mount, &["cn=admins"], 4).await;
        assert_eq!(again, first);
        assert_eq!(bed.rows().await, rows, "the same login writes nothing");
        let without = log_in(&bed, &mount, &[], 5).await;
        assert_eq!((without.id == first.id, policies(&without)), (true, 0));
    }

    #[tokio::test]
    async fn a_method_that_names_nobody_makes_nobody() {
        let bed = Bed::new().await;
        let mount = Mount::new(100, Kind::Userpass, "auth/u/", "", &Seeded::new(1));
        let mut tx = bed.barrier.begin();
        let none = enter(&mut tx, &mount, Alias::default(), &Seeded::new(2), NOW).await;
        assert!(none.unwrap().is_none() && !tx.has_writes());
        let odd = Alias::named("a\0b");
        assert!(
            enter(&mut tx, &mount, odd, &Seeded::new(2), NOW)
                .await
                .is_err()
        );
    }
}
