//! Patterns in which `*` stands for any text, and nothing else for anything but itself.

/// Whether the whole text matches. Takes time in the product of both lengths at most.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or("");
    for piece in pieces {
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text_and_nothing_else_does() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "a"),
            ("a*", "a"),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a*c", "ac"),
            ("a*b*c", "axbxbc"),
            (
                "repo:org/*:ref:refs/heads/*",
                "repo:org/app:ref:refs/heads/main",
            ),
            ("**", "x"),
            ("a.c", "a.c"),
            ("é*", "éa"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", "A"),
            ("a*c", "a"),
            ("a*a", "a"),
            ("a*bc*bc", "abc"),
            ("a.c", "abc"),
            ("?", "a"),
            ("[a]", "a"),
            ("a*", "ba"),
            ("*a", "ab"),
            (
                "repo:org/*:ref:refs/heads/main",
                "repo:org/app:ref:refs/heads/main2",
            ),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
