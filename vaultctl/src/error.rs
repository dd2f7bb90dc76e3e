//! What can go wrong, with what to do next and which exit code says so.
//!
//! Promise: no text built here contains a token, a share or a value. Server texts pass through
//! [`crate::output::clean`] before they reach a terminal.

use std::fmt;

use crate::output::clean;

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Found on this machine: usage, files, prompts. Exit code 1.
    Local { what: String, next: Option<String> },
    /// The server answered, and the answer means "no". Exit code 2.
    Remote { what: String, next: Option<String> },
    /// A call failed. Exit code 2, or 1 when the client could not even be set up.
    Call(Box<vault_sdk::Error>),
    /// `run` could not start its command. Exit code 125, 126 or 127.
    Start {
        code: u8,
        what: String,
        next: Option<String>,
    },
    /// A certificate is not what is served. Exit code 4.
    NotServed { what: String, next: Option<String> },
    /// Everything is said already; only the code is left.
    Silent(u8),
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// A local failure with a next step.
pub(crate) fn local(what: impl Into<String>, next: impl Into<String>) -> Failure {
    Failure::Local {
        what: what.into(),
        next: Some(next.into()),
    }
}

/// A local failure that explains itself.
pub(crate) fn plain(what: impl Into<String>) -> Failure {
    Failure::Local {
        what: what.into(),
        next: None,
    }
}

/// A remote failure with a next step.
pub(crate) fn remote(what: impl Into<String>, next: impl Into<String>) -> Failure {
    Failure::Remote {
        what: what.into(),
        next: Some(next.into()),
    }
}

/// A file or directory that could not be used.
pub(crate) fn file(doing: &str, path: &std::path::Path, cause: &std::io::Error) -> Failure {
    let next = match cause.kind() {
        std::io::ErrorKind::NotFound => "check the path",
        std::io::ErrorKind::PermissionDenied => "check who owns it and its mode",
        std::io::ErrorKind::AlreadyExists => "choose another name or move the existing file away",
        _ => "check the file system",
    };
    local(format!("cannot {doing} {}: {cause}", path.display()), next)
}

impl Failure {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Local { .. } => 1,
            Self::Remote { .. } => 2,
            Self::Call(error) => match **error {
                vault_sdk::Error::Config(_) => 1,
                _ => 2,
            },
            Self::NotServed { .. } => 4,
            Self::Start { code, .. } | Self::Silent(code) => *code,
        }
    }

    /// The step that most likely helps.
    pub(crate) fn next(&self) -> Option<String> {
        match self {
            Self::Local { next, .. }
            | Self::Remote { next, .. }
            | Self::NotServed { next, .. }
            | Self::Start { next, .. } => next.clone(),
            Self::Call(error) => advice(error),
            Self::Silent(_) => None,
        }
    }

    /// The same failure, told by a JSON object on stderr.
    pub(crate) fn json(&self) -> serde_json::Value {
        let mut object = serde_json::json!({ "errors": [self.to_string()], "code": self.code() });
        if let Some(next) = self.next() {
            object["next"] = next.into();
        }
        if let Self::Call(error) = self
            && let vault_sdk::Error::Api {
                status,
                request_id: Some(id),
                ..
            } = &**error
        {
            object["status"] = (*status).into();
            object["request_id"] = id.clone().into();
        }
        object
    }

    /// Prints the failure and its next step to stderr.
    pub(crate) fn report(&self, as_json: bool) {
        if matches!(self, Self::Silent(_)) {
            return;
        }
        if as_json {
            anstream::eprintln!("{}", self.json());
            return;
        }
        let red = anstyle::Style::new()
            .bold()
            .fg_color(Some(anstyle::AnsiColor::Red.into()));
        anstream::eprintln!("{red}error:{red:#} {}", clean(&self.to_string()));
        if let Some(next) = self.next() {
            anstream::eprintln!("  next: {}", clean(&next));
        }
    }
}

/// A hint for a failed call, with the path where that helps.
fn advice(error: &vault_sdk::Error) -> Option<String> {
    match error {
        vault_sdk::Error::Denied {
            request_id: Some(id),
            ..
        } => Some(format!("see which rule refused it: vaultctl why {id}")),
        vault_sdk::Error::Denied { path, .. } => Some(format!(
            "see what your token may do there: vaultctl token capabilities {path}"
        )),
        vault_sdk::Error::Connect { .. } | vault_sdk::Error::Tls { .. } => error
            .hint()
            .map(|hint| format!("{hint}; vaultctl doctor checks it all")),
        other => other.hint().map(str::to_owned),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { what, .. }
            | Self::Remote { what, .. }
            | Self::NotServed { what, .. }
            | Self::Start { what, .. } => f.write_str(what),
            Self::Call(error) => write!(f, "{error}"),
            Self::Silent(_) => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<vault_sdk::Error> for Failure {
    fn from(error: vault_sdk::Error) -> Self {
        Self::Call(Box::new(error))
    }
}
