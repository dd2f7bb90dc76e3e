//! What a name of a key, a role or another thing that people make may look like.

use super::fault::Fault;

/// 1 to 128 letters, digits, `_`, `-` and `.`, with a letter, digit or `_` at both ends: so it means the
/// same in a path, a shell and a list. `what` is what is named.
pub fn check<'n>(text: &'n str, what: &str) -> Result<&'n str, Fault> {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(word) && bytes.last().is_some_and(word);
    let inner = bytes.iter().all(|byte| word(byte) || b"-.".contains(byte));
    match ends && inner && bytes.len() <= 128 {
        true => Ok(text),
        false => Err(Fault::invalid(format!(
            "invalid {what} name: use 1 to 128 letters, digits, '_', '-' or '.', with a letter, digit or \
             '_' at both ends"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_be_read_otherwise_are_refused() {
        for good in ["a", "_", "web-1", "a.b_c", "A9", &"a".repeat(128)] {
            assert_eq!(check(good, "key").ok(), Some(good));
        }
        let long = "a".repeat(129);
        for odd in [
            "", ".", "..", "-a", "a-", "a/b", "a b", "a\n", "a\u{e9}", "$(a)", &long,
        ] {
            assert!(check(odd, "key").is_err(), "{odd:?}");
        }
    }
}
