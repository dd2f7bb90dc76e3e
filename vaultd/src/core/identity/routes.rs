//! The API of `identity/` as a table.

use super::oidc;
use crate::core::request::Verb::{Delete, List, Read, Write};
use crate::core::route::{Access, Row};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    EntityWrite,
    EntityRead,
    EntityReadByName,
    EntityDelete,
    EntityDeleteByName,
    EntityBatchDelete,
    EntityList,
    EntityListNames,
    EntityMerge,
    AliasWrite,
    AliasRead,
    AliasDelete,
    AliasList,
    GroupWrite,
    GroupRead,
    GroupReadByName,
    GroupDelete,
    GroupDeleteByName,
    GroupList,
    GroupListNames,
    GroupAliasWrite,
    GroupAliasRead,
    GroupAliasDelete,
    GroupAliasList,
    LookupEntity,
    LookupGroup,
    Oidc(oidc::Call),
}

const ENTITY: &str = "id name metadata policies disabled";
const MERGE: &str = "from_entity_ids to_entity_id force conflicting_alias_ids_to_keep";
const ALIAS: &str = "id name mount_accessor canonical_id entity_id custom_metadata metadata local";
const GROUP: &str = "id name type metadata policies member_group_ids member_entity_ids";
const GROUP_ALIAS: &str = "id name mount_accessor canonical_id metadata";
const LOOKUP: &str = "id name entity_id group_id alias_id alias_name alias_mount_accessor type";
const OIDC_KEY: &str = "rotation_period verification_ttl allowed_client_ids algorithm";
const PAGE: &str = "after limit";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Write, "entity", Call::EntityWrite, ENTITY, "Create or change an entity"),
    Row::new(List, "entity/id", Call::EntityList, PAGE, "List entities by id"),
    Row::new(Read, "entity/id/{id}", Call::EntityRead, "", "Read an entity"),
    Row::new(Write, "entity/id/{id}", Call::EntityWrite, ENTITY, "Change an entity"),
    Row::new(Delete, "entity/id/{id}", Call::EntityDelete, "", "Delete an entity; its tokens are refused from then on"),
    Row::new(Write, "entity/batch-delete", Call::EntityBatchDelete, "entity_ids", "Delete several entities"),
    Row::new(List, "entity/name", Call::EntityListNames, PAGE, "List entities by name"),
    Row::new(Read, "entity/name/{name..}", Call::EntityReadByName, "", "Read an entity by its name"),
    Row::new(Write, "entity/name/{name..}", Call::EntityWrite, ENTITY, "Create or change an entity by its name"),
    Row::new(Delete, "entity/name/{name..}", Call::EntityDeleteByName, "", "Delete an entity by its name"),
    Row::new(Write, "entity/merge", Call::EntityMerge, MERGE, "Make several entities one"),
    Row::new(Write, "entity-alias", Call::AliasWrite, ALIAS, "Create or change an entity's alias"),
    Row::new(List, "entity-alias/id", Call::AliasList, PAGE, "List the aliases of entities"),
    Row::new(Read, "entity-alias/id/{id}", Call::AliasRead, "", "Read an entity's alias"),
    Row::new(Write, "entity-alias/id/{id}", Call::AliasWrite, ALIAS, "Change an entity's alias"),
    Row::new(Delete, "entity-alias/id/{id}", Call::AliasDelete, "", "Delete an entity's alias"),
    Row::new(Write, "group", Call::GroupWrite, GROUP, "Create or change a group"),
    Row::new(List, "group/id", Call::GroupList, PAGE, "List groups by id"),
    Row::new(Read, "group/id/{id}", Call::GroupRead, "", "Read a group"),
    Row::new(Write, "group/id/{id}", Call::GroupWrite, GROUP, "Change a group"),
    Row::new(Delete, "group/id/{id}", Call::GroupDelete, "", "Delete a group"),
    Row::new(List, "group/name", Call::GroupListNames, PAGE, "List groups by name"),
    Row::new(Read, "group/name/{name..}", Call::GroupReadByName, "", "Read a group by its name"),
    Row::new(Write, "group/name/{name..}", Call::GroupWrite, GROUP, "Create or change a group by its name"),
    Row::new(Delete, "group/name/{name..}", Call::GroupDeleteByName, "", "Delete a group by its name"),
    Row::new(Write, "group-alias", Call::GroupAliasWrite, GROUP_ALIAS, "Create or change the alias of an external group"),
    Row::new(List, "group-alias/id", Call::GroupAliasList, PAGE, "List the aliases of groups"),
    Row::new(Read, "group-alias/id/{id}", Call::GroupAliasRead, "", "Read a group's alias"),
    Row::new(Write, "group-alias/id/{id}", Call::GroupAliasWrite, GROUP_ALIAS, "Change a group's alias"),
    Row::new(Delete, "group-alias/id/{id}", Call::GroupAliasDelete, "", "Delete a group's alias"),
    Row::new(Write, "lookup/entity", Call::LookupEntity, LOOKUP, "Find an entity by id, name or alias"),
    Row::new(Write, "lookup/group", Call::LookupGroup, LOOKUP, "Find a group by id, name or alias"),
    Row::new(Read, "oidc/config", Call::Oidc(oidc::Call::ConfigRead), "", "Read the issuer of identity tokens"),
    Row::new(Write, "oidc/config", Call::Oidc(oidc::Call::ConfigWrite), "issuer", "Set the issuer of identity tokens"),
    Row::new(List, "oidc/key", Call::Oidc(oidc::Call::KeyList), PAGE, "List signing keys"),
    Row::new(Read, "oidc/key/{name}", Call::Oidc(oidc::Call::KeyRead), "", "Read a signing key's settings"),
    Row::new(Write, "oidc/key/{name}", Call::Oidc(oidc::Call::KeyWrite), OIDC_KEY, "Create or change a signing key"),
    Row::new(Delete, "oidc/key/{name}", Call::Oidc(oidc::Call::KeyDelete), "", "Delete a signing key"),
    Row::new(Write, "oidc/key/{name}/rotate", Call::Oidc(oidc::Call::KeyRotate), "verification_ttl", "Replace a signing key"),
    Row::new(List, "oidc/role", Call::Oidc(oidc::Call::RoleList), PAGE, "List roles of identity tokens"),
    Row::new(Read, "oidc/role/{name}", Call::Oidc(oidc::Call::RoleRead), "", "Read a role"),
    Row::new(Write, "oidc/role/{name}", Call::Oidc(oidc::Call::RoleWrite), "key client_id template ttl", "Create or change a role"),
    Row::new(Delete, "oidc/role/{name}", Call::Oidc(oidc::Call::RoleDelete), "", "Delete a role"),
    Row::new(Read, "oidc/token/{name}", Call::Oidc(oidc::Call::Token), "", "A signed token about the caller's entity"),
    Row::new(Write, "oidc/introspect", Call::Oidc(oidc::Call::Introspect), "token client_id", "Whether a token is good"),
    Row::new(Read, "oidc/.well-known/openid-configuration", Call::Oidc(oidc::Call::Discovery), "", "Where verifiers find what they need").access(Access::Open),
    Row::new(Read, "oidc/.well-known/keys", Call::Oidc(oidc::Call::PublicKeys), "", "The public keys").access(Access::Open),
];
