//! Who is in which group: derived from the stored groups, made anew when one of them changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::policy::PolicyName;
use arc_swap::ArcSwap;

use super::index::GROUPS;
use super::model::{Entity, Group};
use crate::barrier::Barrier;
use crate::core::fault::Fault;
use crate::core::mount::reserved;

/// Holds the newest picture of the groups.
pub struct Memberships {
    groups: ArcSwap<Groups>,
    changes: AtomicU64,
}

impl Default for Memberships {
    fn default() -> Memberships {
        Memberships {
            groups: ArcSwap::default(),
            changes: AtomicU64::new(1),
        }
    }
}

/// Every group, as of one moment. Never edited.
#[derive(Default)]
pub struct Groups {
    /// 0: made before anything was read.
    version: u64,
    by_id: HashMap<String, Arc<Group>>,
    of_entity: HashMap<String, Vec<Arc<Group>>>,
    parents: HashMap<String, Vec<Arc<Group>>>,
    /// By accessor, then by the method's name.
    external: HashMap<String, HashMap<String, Arc<Group>>>,
}

/// The groups of one entity, each once, sorted by id.
#[derive(Default, Clone)]
pub struct Membership {
    pub direct: Vec<Arc<Group>>,
    /// Through other groups only.
    pub inherited: Vec<Arc<Group>>,
}

impl Memberships {
    /// A group was committed. The answer must wait for this call.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    pub fn version(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The groups as of the last change that was answered, or newer.
    pub async fn groups(&self, barrier: &Arc<Barrier>) -> Result<Arc<Groups>, Fault> {
        let version = self.version();
        let known = self.groups.load_full();
        if known.version == version {
            return Ok(known);
        }
        let groups = Arc::new(Groups::load(barrier, version).await?);
        self.groups.store(Arc::clone(&groups));
        Ok(groups)
    }
}

impl Groups {
    async fn load(barrier: &Arc<Barrier>, version: u64) -> Result<Groups, Fault> {
        let parse = |bytes: &[u8]| serde_json::from_slice::<Group>(bytes).ok();
        let ids = GROUPS
            .ids(&mut barrier.begin().view(reserved::IDENTITY))
            .await?;
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            all.extend(
                barrier
                    .memo(reserved::IDENTITY, &GROUPS.row(&id), parse)
                    .await?,
            );
        }
        Ok(Groups::of(all, version))
    }

    fn of(all: Vec<Arc<Group>>, version: u64) -> Groups {
        let mut groups = Groups {
            version,
            ..Groups::default()
        };
        for group in all {
            for entity in &group.entities {
                let of_entity = groups.of_entity.entry(entity.clone()).or_default();
                of_entity.push(Arc::clone(&group));
            }
            for child in &group.groups {
                let parents = groups.parents.entry(child.clone()).or_default();
                parents.push(Arc::clone(&group));
            }
            if let Some(alias) = &group.alias {
                let names = groups.external.entry(alias.accessor.clone()).or_default();
                names.insert(alias.name.clone(), Arc::clone(&group));
            }
            groups.by_id.insert(group.id.clone(), group);
        }
        groups
    }

    pub fn get(&self, id: &str) -> Option<&Arc<Group>> {
        self.by_id.get(id)
    }

    pub fn parents(&self, id: &str) -> &[Arc<Group>] {
        self.parents.get(id).map_or(&[], Vec::as_slice)
    }

    /// Direct groups by listing and by the word of its methods; then all that hold those.
    pub fn of_entity(&self, entity: &Entity) -> Membership {
        let mut direct: BTreeMap<&str, &Arc<Group>> = BTreeMap::new();
        let ids = std::iter::once(&entity.id).chain(&entity.merged);
        for group in ids.filter_map(|id| self.of_entity.get(id)).flatten() {
            direct.insert(&group.id, group);
        }
        for alias in &entity.aliases {
            let names = self.external.get(&alias.accessor);
            let found = alias.groups.iter().filter_map(|name| names?.get(name));
            direct.extend(found.map(|group| (group.id.as_str(), group)));
        }
        let mut inherited: BTreeMap<&str, &Arc<Group>> = BTreeMap::new();
        let mut open: Vec<&str> = direct.keys().copied().collect();
        while let Some(id) = open.pop() {
            for parent in self.parents(id) {
                let known = direct.contains_key(&*parent.id) || inherited.contains_key(&*parent.id);
                if !known {
                    inherited.insert(&parent.id, parent);
                    open.push(&parent.id);
                }
            }
        }
        Membership {
            direct: direct.into_values().cloned().collect(),
            inherited: inherited.into_values().cloned().collect(),
        }
    }
}

impl Membership {
    pub fn all(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.direct.iter().chain(&self.inherited)
    }

    /// What the entity and its groups add to a token, sorted.
    pub fn policies(&self, entity: &Entity) -> Vec<PolicyName> {
        let groups = self.all().flat_map(|group| &group.policies);
        let all: BTreeSet<&PolicyName> = entity.policies.iter().chain(groups).collect();
        // No API stores it; a row that says so all the same makes nobody root.
        let named = all.into_iter().filter(|name| !name.is_root());
        named.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::super::model::{EntityAlias, GroupAlias, GroupKind};
    use super::super::name::Name;
    use super::*;
    use jiff::Timestamp;
    use vault_crypto::Seeded;

    fn group(id: &str, entities: &[&str], groups: &[&str]) -> Group {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Group {
            id: id.to_owned(),
            policies: vec![format!("p-{id}").parse().unwrap()],
            entities: texts(entities),
            groups: texts(groups),
            ..Group::new(
                Name::parse(id).unwrap(),
                GroupKind::Internal,
                &Seeded::new(1),
                Timestamp::UNIX_EPOCH,
            )
        }
    }

    fn entity(id: &str) -> Entity {
        let name = Name::parse("someone").unwrap();
        Entity {
            id: id.to_owned(),
            ..Entity::new(name, &Seeded::new(2), Timestamp::UNIX_EPOCH)
        }
    }

    fn ids(groups: &[Arc<Group>]) -> Vec<&str> {
        groups.iter().map(|group| group.id.as_str()).collect()
    }

    fn picture(groups: Vec<Group>) -> Groups {
        Groups::of(groups.into_iter().map(Arc::new).collect(), 1)
    }

    #[test]
    fn groups_are_inherited_upwards_only_and_each_once() {
        let groups = picture(vec![
            group("a", &["e"], &[]),
            group("b", &[], &["a"]),
            group("c", &[], &["a"]),
            group("d", &[], &["b", "c"]),
            group("below", &[], &[]),
            group("sibling", &["other"], &[]),
        ]);
        let found = groups.of_entity(&entity("e"));
        assert_eq!(ids(&found.direct), ["a"]);
        assert_eq!(ids(&found.inherited), ["b", "c", "d"]);
        assert_eq!(found.policies(&entity("e")).len(), 4);
        assert!(ids(&groups.of_entity(&entity("stranger")).direct).is_empty());
    }

    #[test]
    fn a_circle_that_got_into_storage_ends() {
        let groups = picture(vec![group("a", &["e"], &["b"]), group("b", &[], &["a"])]);
        let found = groups.of_entity(&entity("e"));
        assert_eq!(
            (ids(&found.direct), ids(&found.inherited)),
            (vec!["a"], vec!["b"])
        );
    }

    #[test]
    fn merged_entities_keep_their_groups() {
        let groups = picture(vec![group("a", &["old"], &[])]);
        let mut entity = entity("new");
        entity.merged.push("old".to_owned());
        assert_eq!(ids(&groups.of_entity(&entity).direct), ["a"]);
    }

    #[test]
    fn external_groups_ask_for_the_mount_too() {
        let mut external = group("x", &[], &[]);
        external.alias = Some(GroupAlias {
            id: String::new(),
            name: "admins".to_owned(),
            accessor: "auth_jwt_1".to_owned(),
            created: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
        });
        let groups = picture(vec![external]);
        let mut entity = entity("e");
        for (accessor, name, found) in [
            ("auth_jwt_2", "admins", 0),
            ("auth_jwt_1", "Admins", 0),
            ("auth_jwt_1", "admins", 1),
        ] {
            let random = Seeded::new(3);
            let mut alias = EntityAlias::new("e".into(), accessor, &random, Timestamp::UNIX_EPOCH);
            alias.groups.push(name.to_owned());
            entity.aliases = vec![alias];
            assert_eq!(groups.of_entity(&entity).direct.len(), found);
        }
    }
}
