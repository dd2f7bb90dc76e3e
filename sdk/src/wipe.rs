//! Wiping of JSON trees that may hold secrets.

use std::ops::{Deref, DerefMut};

use serde_json::Value;
use zeroize::Zeroize;

/// Overwrites every text in the tree. Keys are names, not secrets, and stay.
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A JSON tree that is wiped on drop.
#[derive(Clone, Default)]
pub(crate) struct Wiped(Value);

impl Wiped {
    /// Hands the tree on; the receiver wipes it from now on.
    pub(crate) fn take(mut self) -> Value {
        std::mem::take(&mut self.0)
    }
}

impl From<Value> for Wiped {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl Deref for Wiped {
    type Target = Value;
    fn deref(&self) -> &Value {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Value {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::wipe;
    use serde_json::json;

    #[test]
    fn no_text_is_left_at_any_depth() {
        let mut tree = json!({ "a": "MARKER", "b": [{ "c": "MARKER" }, "MARKER", 1] });
        wipe(&mut tree);
        assert_eq!(tree, json!({ "a": "", "b": [{ "c": "" }, "", 1] }));
    }
}
