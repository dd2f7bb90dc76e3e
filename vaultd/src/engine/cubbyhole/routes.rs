//! The API of the cubbyhole as a table.

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
    Row::new(Verb::Read, "{path..}", Call::Read, "", "Read values."),
    Row::new(
        Verb::Write,
        "{path..}",
        Call::Write,
        "*",
        "Write values in place of those that are there.",
    )
    .creates(),
    Row::new(Verb::Delete, "{path..}", Call::Delete, "", "Delete values."),
    Row::new(
        Verb::List,
        "{path..?}",
        Call::List,
        "after limit",
        "List values and folders.",
    ),
];
