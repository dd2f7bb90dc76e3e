//! The API of KV v2 as a table.

use crate::core::request::Verb;
use crate::core::route::{Access, Row};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    ReadConfig,
    WriteConfig,
    Read,
    Write,
    Patch,
    Subkeys,
    EncryptionKey,
    Decrypt,
    DeleteLatest,
    Delete,
    Undelete,
    Destroy,
    ReadMetadata,
    WriteMetadata,
    PatchMetadata,
    DeleteMetadata,
    List,
    ListDetailed,
}

const CONFIG: &str = "max_versions cas_required delete_version_after max_stale";
const METADATA: &str = "max_versions cas_required delete_version_after custom_metadata";
const PAGE: &str = "after limit";

pub const ROWS: &[Row<Call>] = &[
    Row::new(
        Verb::Read,
        "config",
        Call::ReadConfig,
        "",
        "Read the settings of the engine.",
    ),
    Row::new(
        Verb::Write,
        "config",
        Call::WriteConfig,
        CONFIG,
        "Change the settings of the engine.",
    ),
    Row::new(
        Verb::Read,
        "data/{path..}",
        Call::Read,
        "version",
        "Read a version of a secret, by default the latest.",
    ),
    Row::new(
        Verb::Write,
        "data/{path..}",
        Call::Write,
        "data options",
        "Write a new version of a secret.",
    )
    .creates(),
    Row::new(
        Verb::Patch,
        "data/{path..}",
        Call::Patch,
        "data options",
        "Write a new version from the latest and the given changes.",
    ),
    Row::new(
        Verb::Delete,
        "data/{path..}",
        Call::DeleteLatest,
        "",
        "Delete the latest version; it can be undeleted.",
    ),
    Row::new(
        Verb::Write,
        "delete/{path..}",
        Call::Delete,
        "versions",
        "Delete versions; they can be undeleted.",
    ),
    Row::new(
        Verb::Write,
        "undelete/{path..}",
        Call::Undelete,
        "versions",
        "Bring deleted versions back.",
    ),
    Row::new(
        Verb::Write,
        "destroy/{path..}",
        Call::Destroy,
        "versions",
        "Remove the values of versions for good.",
    ),
    Row::new(
        Verb::Read,
        "subkeys/{path..}",
        Call::Subkeys,
        "version depth",
        "Read the structure of a secret without its values.",
    ),
    Row::new(
        Verb::Read,
        "encryption-key/{path..}",
        Call::EncryptionKey,
        "",
        "The public key that values of a secret can be encrypted to.",
    )
    .access(Access::AnyToken),
    Row::new(
        Verb::Write,
        "decrypt/{path..}",
        Call::Decrypt,
        "values",
        "Open values that were encrypted to the public key of a secret.",
    ),
    Row::new(
        Verb::List,
        "metadata/{path..?}",
        Call::List,
        PAGE,
        "List secrets and folders.",
    ),
    Row::new(
        Verb::List,
        "detailed-metadata/{path..?}",
        Call::ListDetailed,
        PAGE,
        "List secrets with their metadata, and folders.",
    ),
    Row::new(
        Verb::Read,
        "metadata/{path..}",
        Call::ReadMetadata,
        "",
        "Read the metadata and versions of a secret.",
    ),
    Row::new(
        Verb::Write,
        "metadata/{path..}",
        Call::WriteMetadata,
        METADATA,
        "Set the metadata of a secret.",
    )
    .creates(),
    Row::new(
        Verb::Patch,
        "metadata/{path..}",
        Call::PatchMetadata,
        METADATA,
        "Change parts of the metadata of a secret.",
    ),
    Row::new(
        Verb::Delete,
        "metadata/{path..}",
        Call::DeleteMetadata,
        "",
        "Remove a secret with all its versions for good.",
    ),
];
