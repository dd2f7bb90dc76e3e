//! What is made from a value once and kept beside it.

use std::ops::Deref;
use std::sync::OnceLock;

/// Made from a value and kept beside it. A copy may be changed, so it begins without.
#[derive(Debug)]
pub struct Beside<T>(OnceLock<T>);

impl<T> Deref for Beside<T> {
    type Target = OnceLock<T>;

    fn deref(&self) -> &OnceLock<T> {
        &self.0
    }
}

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
