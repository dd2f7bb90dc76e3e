//! What is made from a token once and kept beside it.

use std::sync::OnceLock;

use crate::audit::Hashed;

/// How the audit log shows a token.
#[derive(Debug)]
pub struct Audited {
    pub token: Hashed,
    pub accessor: Hashed,
}

/// Made from a value and kept beside it. A copy may be changed, so it begins without.
#[derive(Debug)]
pub(in crate::core) struct Beside<T>(pub(super) OnceLock<T>);

impl<T> Default for Beside<T> {
    fn default() -> Beside<T> {
        Beside(OnceLock::new())
    }
}

impl<T> Clone for Beside<T> {
    fn clone(&self) -> Beside<T> {
        Beside::default()
    }
}
