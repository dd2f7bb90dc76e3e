//! A credential that a method needs for asking others, as it is stored. Never shown, wiped after use.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// `None` for an empty text.
    pub fn new(text: String) -> Option<Secret> {
        (!text.is_empty()).then_some(Secret(text))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}
