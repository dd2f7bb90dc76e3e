//! A look at a JSON text before it is parsed: deep nesting and floods of values cost memory later.

use crate::core::fault::Fault;

/// Deeper than any secret; below the recursion limit of the parser.
const DEPTH_MAX: usize = 100;
/// Values and keys in a body with a token, and in one without.
const ITEMS_MAX: usize = 1 << 20;
const ITEMS_MAX_ANONYMOUS: usize = 1000;

/// One pass without allocation.
pub fn check(text: &[u8], anonymous: bool) -> Result<(), Fault> {
    let items_max = if anonymous {
        ITEMS_MAX_ANONYMOUS
    } else {
        ITEMS_MAX
    };
    let (mut depth, mut items, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                items += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' | b':' => items += 1,
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(Fault::invalid(format!(
                "failed to parse JSON input: nested deeper than {DEPTH_MAX} levels"
            )));
        }
        if items > items_max {
            return Err(Fault::invalid(format!(
                "failed to parse JSON input: more than {items_max} values"
            )));
        }
    }
    if has_lone_surrogate(text) {
        return Err(Fault::invalid(
            "failed to parse JSON input: half of a surrogate pair",
        ));
    }
    Ok(())
}

/// Values are kept as text; half of a pair would be kept and could not be read back.
fn has_lone_surrogate(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        rest = &rest[at..];
        let low = |at: usize| matches!(escaped_unit(&rest[at..]), Some(0xDC00..=0xDFFF));
        let length = match escaped_unit(rest) {
            Some(0xD800..=0xDBFF) if rest.len() >= 12 && low(6) => 12,
            Some(0xD800..=0xDFFF) => return true,
            Some(_) => 6,
            None => 2,
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    false
}

/// The code unit of a `\uXXXX` that the text begins with.
fn escaped_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn json_depth_and_floods_are_refused() {
        let deep = [b'['; 100_000];
        assert!(check(&deep, false).is_err());
        let objects = br#"{"a":"#.repeat(100_000);
        assert!(check(&objects, false).is_err());
        let flood = format!("[{}1]", "\"\",".repeat(5000));
        assert!(check(flood.as_bytes(), true).is_err());
        check(flood.as_bytes(), false).unwrap();
        check(br#"{"a":"[[[[\"[["}"#, true).unwrap();
    }

    #[test]
    fn halves_of_surrogate_pairs_are_refused() {
        for half in [
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\ud800""#,
            r#""\ud83dx\ude00""#,
            r#"{"\uDFFF":1}"#,
        ] {
            assert!(check(half.as_bytes(), false).is_err(), "{half}");
        }
        for whole in [
            r#""\ud83d\ude00\u00e9""#,
            r#""\\ud800""#,
            r#""\\\\ud800 \"""#,
            r#""\u12"#,
            "\"\\",
        ] {
            check(whole.as_bytes(), false).unwrap();
        }
    }
}
