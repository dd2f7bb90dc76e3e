//! The API of TOTP as a table.

use crate::core::request::Verb;
use crate::core::route::Row;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    List,
    Create,
    Read,
    Delete,
    Generate,
    Validate,
}

const CREATE: &str = "generate exported key_size url key issuer account_name period algorithm \
    digits skew qr_size";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Verb::List, "keys", Call::List, "after limit", "List the keys."),
    Row::new(Verb::Write, "keys/{name}", Call::Create, CREATE, "Generate a key, or take one over."),
    Row::new(Verb::Read, "keys/{name}", Call::Read, "", "Read the settings of a key."),
    Row::new(Verb::Delete, "keys/{name}", Call::Delete, "", "Delete a key."),
    Row::new(Verb::Read, "code/{name}", Call::Generate, "", "The code of now."),
    Row::new(Verb::Write, "code/{name}", Call::Validate, "code", "Check a code; it is accepted once."),
];
