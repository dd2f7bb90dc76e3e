//! What keeps secrets from being loaded, and how all of it is told at once.

use std::fmt;

use crate::Error;

/// One secret that could not be loaded.
#[derive(Debug)]
pub struct Problem {
    /// Such as `secret/apps/billing#db_password`.
    pub reference: String,
    /// What is wrong with it.
    pub cause: Cause,
}

/// Why a secret could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Nothing at this path.
    MissingPath,
    /// The path exists, the key does not.
    MissingKey,
    /// The policies do not allow to read it.
    Denied,
    /// The value is not what the field wants.
    WrongType(&'static str),
    /// Nothing fills this `{name}` of the path.
    Unfilled(String),
    /// What fills this `{name}` is not one segment of a path.
    BadFill(String),
    /// The keys do not make the wanted type.
    Shape(String),
    /// Any other failure, described.
    Failed {
        /// Without any value.
        text: String,
        /// Whether waiting may help.
        retryable: bool,
    },
}

impl Problem {
    pub(crate) fn is_retryable(&self) -> bool {
        matches!(
            self.cause,
            Cause::Failed {
                retryable: true,
                ..
            }
        )
    }
}

impl Cause {
    pub(crate) fn of(failure: &Error) -> Self {
        match failure {
            Error::Denied { .. } => Self::Denied,
            other if other.status() == Some(404) => Self::MissingPath,
            other => Self::Failed {
                text: other.to_string(),
                retryable: other.is_retryable(),
            },
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingPath => f.write_str("nothing at this path"),
            Self::MissingKey => f.write_str("the secret has no such key"),
            Self::Denied => f.write_str("permission denied"),
            Self::WrongType(wanted) => write!(f, "the value is not a {wanted}"),
            Self::Unfilled(name) => write!(
                f,
                "the path needs {{{name}}}; set the variable {}",
                name.to_uppercase()
            ),
            Self::BadFill(name) => write!(
                f,
                "the value for {{{name}}} must be one segment of a path, without '/'"
            ),
            Self::Shape(text) => f.write_str(text),
            Self::Failed { text, .. } => f.write_str(text),
        }
    }
}

pub(crate) fn describe(problems: &[Problem]) -> String {
    let mut text = match problems.len() {
        1 => "1 secret cannot be loaded:".to_owned(),
        n => format!("{n} secrets cannot be loaded:"),
    };
    for Problem { reference, cause } in problems {
        text.push_str(&format!("\n  {reference}: {cause}"));
    }
    text
}
