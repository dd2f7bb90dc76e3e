//! Entities, aliases and groups as clients read them.

use serde_json::{Map, Value, json};

use super::membership::{Groups, Membership};
use super::model::{Entity, EntityAlias, Group, GroupAlias};
use crate::core::mount::{Mount, MountTable};

/// An empty map or list is `null`, as clients expect.
fn or_null<T: serde::Serialize>(value: &T, empty: bool) -> Value {
    match empty {
        true => Value::Null,
        false => json!(value),
    }
}

/// The login mount with this accessor, if it is still there.
pub fn mount_of<'m>(mounts: &'m MountTable, accessor: &str) -> Option<&'m Mount> {
    let mut all = mounts.iter().map(|mount| &**mount);
    all.find(|mount| mount.kind.is_auth() && mount.accessor == accessor)
}

/// `mount_accessor`, and `mount_path` and `mount_type` of what is there now.
fn mount_fields(mounts: &MountTable, accessor: &str) -> Map<String, Value> {
    let mount = mount_of(mounts, accessor);
    let fields = [
        ("mount_accessor", accessor),
        ("mount_path", mount.map_or("", |mount| &mount.path)),
        (
            "mount_type",
            mount.map_or("", |mount| mount.kind.type_name()),
        ),
    ];
    fields
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .into_iter()
        .collect()
}

fn joined(value: Value, more: Map<String, Value>) -> Value {
    let mut map = more;
    if let Value::Object(own) = value {
        map.extend(own);
    }
    Value::Object(map)
}

pub fn entity(entity: &Entity, groups: &Membership, mounts: &MountTable) -> Value {
    let ids = |groups: &[std::sync::Arc<Group>]| -> Vec<String> {
        groups.iter().map(|group| group.id.clone()).collect()
    };
    let aliases = entity.aliases.iter();
    let aliases: Vec<_> = aliases
        .map(|alias| entity_alias(&entity.id, alias, mounts))
        .collect();
    let (direct, inherited) = (ids(&groups.direct), ids(&groups.inherited));
    let all = [direct.as_slice(), inherited.as_slice()].concat();
    json!({
        "id": entity.id,
        "name": entity.name,
        "aliases": aliases,
        "creation_time": entity.created.to_string(),
        "last_update_time": entity.updated.to_string(),
        "metadata": or_null(&entity.metadata, entity.metadata.is_empty()),
        "policies": entity.policies,
        "disabled": entity.disabled,
        "merged_entity_ids": or_null(&entity.merged, entity.merged.is_empty()),
        "group_ids": all,
        "direct_group_ids": direct,
        "inherited_group_ids": inherited,
        "namespace_id": "root",
        "mfa_secrets": {},
    })
}

pub fn entity_alias(owner: &str, alias: &EntityAlias, mounts: &MountTable) -> Value {
    let shown = json!({
        "id": alias.id,
        "name": alias.name,
        "canonical_id": owner,
        "metadata": or_null(&alias.metadata, alias.metadata.is_empty()),
        "custom_metadata": alias.custom_metadata,
        "merged_from_canonical_ids": or_null(&alias.merged_from, alias.merged_from.is_empty()),
        "creation_time": alias.created.to_string(),
        "last_update_time": alias.updated.to_string(),
        "local": false,
        "namespace_id": "root",
    });
    joined(shown, mount_fields(mounts, &alias.accessor))
}

/// `members` are those who are there now, under their own ids. Lists are sorted: to clients they are
/// sets, and one that compares an order finds no difference.
pub fn group(group: &Group, members: &[String], groups: &Groups, mounts: &MountTable) -> Value {
    let children = group.groups.iter().filter(|id| groups.get(id).is_some());
    let mut children: Vec<_> = children.collect();
    children.sort();
    let mut members: Vec<_> = members.iter().collect();
    members.sort();
    let parents = groups.parents(&group.id).iter();
    let parents: Vec<_> = parents.map(|parent| &parent.id).collect();
    let alias = group.alias.as_ref();
    json!({
        "id": group.id,
        "name": group.name,
        "type": group.kind.as_str(),
        "policies": or_null(&group.policies, group.policies.is_empty()),
        "metadata": or_null(&group.metadata, group.metadata.is_empty()),
        "member_entity_ids": or_null(&members, members.is_empty()),
        "member_group_ids": or_null(&children, children.is_empty()),
        "parent_group_ids": or_null(&parents, parents.is_empty()),
        "alias": alias.map_or(json!({}), |alias| group_alias(&group.id, alias, mounts)),
        "modify_index": group.modify_index,
        "creation_time": group.created.to_string(),
        "last_update_time": group.updated.to_string(),
        "namespace_id": "root",
    })
}

pub fn group_alias(owner: &str, alias: &GroupAlias, mounts: &MountTable) -> Value {
    let shown = json!({
        "id": alias.id,
        "name": alias.name,
        "canonical_id": owner,
        "metadata": null,
        "merged_from_canonical_ids": null,
        "creation_time": alias.created.to_string(),
        "last_update_time": alias.updated.to_string(),
        "namespace_id": "root",
    });
    joined(shown, mount_fields(mounts, &alias.accessor))
}

/// An alias in the listing of its owners.
pub fn alias_in_list(id: &str, name: &str, accessor: &str, mounts: &MountTable) -> Value {
    let shown = json!({"id": id, "name": name});
    joined(shown, mount_fields(mounts, accessor))
}
