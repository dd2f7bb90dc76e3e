//! The API of KV v1 as a table.

use crate::core::request::Verb;
use crate::core::route::Row;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Read,
    Write,
    Delete,
    List,
}

pub const ROWS: &[Row<Call>] = &[
    Row::new(Verb::Read, "{path..}", Call::Read, "", "Read a secret."),
    Row::new(
        Verb::Write,
        "{path..}",
        Call::Write,
        "*",
        "Write a secret in place of the one that is there.",
    )
    .creates(),
    Row::new(
        Verb::Delete,
        "{path..}",
        Call::Delete,
        "",
        "Delete a secret.",
    ),
    Row::new(
        Verb::List,
        "{path..?}",
        Call::List,
        "after limit",
        "List secrets and folders.",
    ),
];
