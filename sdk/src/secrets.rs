//! What `#[derive(Secrets)]` builds on: which secrets a type needs, and how
//! it is made from them.

use std::collections::HashMap;

use serde_json::Value;

use crate::problem::{Cause, Problem};
use crate::wipe::Wiped;
use crate::{Secret, typed};

/// One secret that a type needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretRef {
    /// Name of the field.
    pub field: &'static str,
    /// Mount of the engine.
    pub mount: &'static str,
    /// Path in the mount, with `{name}` for what the environment decides.
    pub path: &'static str,
    /// Key in the secret.
    pub key: &'static str,
    /// Whether it may be missing.
    pub optional: bool,
}

/// A type that is made of secrets. Derive it.
pub trait Secrets: Sized {
    /// All secrets in the order of the fields, with those of nested types.
    const MANIFEST: &'static [SecretRef];

    /// Takes the values in the order of the manifest. `None` when one is
    /// missing or wrong; `found` then knows which.
    #[doc(hidden)]
    fn take(found: &mut Found) -> Option<Self>;
}

/// A type of field. Implemented for texts, truth values, whole numbers, and
/// options of them.
pub trait FromSecret: Sized {
    /// What the value must be, for errors.
    const WANTED: &'static str;

    /// Reads the value; `None` when it does not fit.
    fn from_value(value: Value) -> Option<Self>;

    /// What a missing value becomes; `None` when it must not be missing.
    fn missing() -> Option<Self> {
        None
    }
}

impl FromSecret for Secret {
    const WANTED: &'static str = "text";
    fn from_value(value: Value) -> Option<Self> {
        (!value.is_null()).then(|| typed::to_secret(value))
    }
}

impl FromSecret for String {
    const WANTED: &'static str = "text";
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl FromSecret for bool {
    const WANTED: &'static str = "true or false";
    fn from_value(value: Value) -> Option<Self> {
        let value = Wiped::from(value);
        value.as_bool().or_else(|| value.as_str()?.parse().ok())
    }
}

/// The command line writes numbers as texts, so both are read.
macro_rules! whole_numbers {
    ($($number:ty)*) => {$(
        impl FromSecret for $number {
            const WANTED: &'static str = concat!("whole number (", stringify!($number), ")");
            fn from_value(value: Value) -> Option<Self> {
                let value = Wiped::from(value);
                match &*value {
                    Value::String(text) => text.parse().ok(),
                    Value::Number(number) => number.to_string().parse().ok(),
                    _ => None,
                }
            }
        }
    )*};
}
whole_numbers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

impl<T: FromSecret> FromSecret for Option<T> {
    const WANTED: &'static str = T::WANTED;
    fn from_value(value: Value) -> Option<Self> {
        T::from_value(value).map(Some)
    }
    fn missing() -> Option<Self> {
        Some(None)
    }
}

/// Values on their way into a type, in the order of its manifest.
pub struct Found {
    values: std::vec::IntoIter<(String, Result<Option<Wiped>, Cause>)>,
    pub(crate) problems: Vec<Problem>,
}

impl Found {
    pub(crate) fn new(values: Vec<(String, Result<Option<Wiped>, Cause>)>) -> Self {
        Self {
            values: values.into_iter(),
            problems: Vec::new(),
        }
    }

    /// The next value. Called once for each row of the manifest.
    #[doc(hidden)]
    pub fn field<T: FromSecret>(&mut self) -> Option<T> {
        let (reference, value) = self.values.next()?;
        let read = match value {
            Ok(Some(value)) => T::from_value(value.take()).ok_or(Cause::WrongType(T::WANTED)),
            Ok(None) => T::missing().ok_or(Cause::MissingKey),
            Err(cause) => Err(cause),
        };
        read.map_err(|cause| self.problems.push(Problem { reference, cause }))
            .ok()
    }
}

/// Length of all parts together, for the derived manifest.
#[doc(hidden)]
pub const fn total(parts: &[&[SecretRef]]) -> usize {
    let mut count = 0;
    let mut part = 0;
    while part < parts.len() {
        count += parts[part].len();
        part += 1;
    }
    count
}

/// All parts in one, for the derived manifest. `N` is their [`total`].
#[doc(hidden)]
pub const fn concat<const N: usize>(parts: &[&[SecretRef]]) -> [SecretRef; N] {
    let mut all = [SecretRef {
        field: "",
        mount: "",
        path: "",
        key: "",
        optional: false,
    }; N];
    let mut next = 0;
    let mut part = 0;
    while part < parts.len() {
        let mut row = 0;
        while row < parts[part].len() {
            all[next] = parts[part][row];
            next += 1;
            row += 1;
        }
        part += 1;
    }
    all
}

/// Fills `{name}` from the map, or else from the variable `NAME` of the
/// environment.
pub(crate) fn fill(
    template: &str,
    given: &HashMap<String, String>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Cause> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        // The derive refuses an opening brace without its partner.
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let value = given
            .get(name)
            .cloned()
            .or_else(|| environment(&name.to_uppercase()))
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Cause::Unfilled(name.to_owned()))?;
        // A value is one part of a path; it must not reach another path.
        if value.contains(['/', '\\', '{', '}']) || value == "." || value == ".." {
            return Err(Cause::BadFill(name.to_owned()));
        }
        filled.push_str(before);
        filled.push_str(&value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn placeholders_come_from_the_map_then_from_the_environment() {
        let given = HashMap::from([("team".to_owned(), "pay".to_owned())]);
        let environment = |name: &str| (name == "ENV").then(|| "prod".to_owned());
        let filled = fill("apps/{team}/{env}/db", &given, &environment).unwrap();
        assert_eq!(filled, "apps/pay/prod/db");
        assert!(matches!(
            fill("a/{zone}", &given, &environment),
            Err(Cause::Unfilled(name)) if name == "zone"
        ));
    }

    #[test]
    fn a_placeholder_cannot_leave_its_segment() {
        for value in ["../root", "a/b", "..", ".", "{x}"] {
            let given = HashMap::from([("env".to_owned(), value.to_owned())]);
            let filled = fill("apps/{env}/db", &given, &|_| None);
            assert!(matches!(filled, Err(Cause::BadFill(_))), "{value}");
        }
    }

    #[test]
    fn numbers_are_read_from_text_and_from_json() {
        assert_eq!(u16::from_value(json!("5432")), Some(5432));
        assert_eq!(u16::from_value(json!(5432)), Some(5432));
        assert_eq!(u16::from_value(json!(70_000)), None);
        assert_eq!(bool::from_value(json!("true")), Some(true));
        assert_eq!(Option::<u8>::missing(), Some(None));
    }
}
