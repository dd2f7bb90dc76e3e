//! The canonical path, as a table of what is accepted and what is refused.

#![allow(clippy::unwrap_used, clippy::allow_attributes)]

use vault_proto::{ApiPath, PathError};

/// Raw, and what it becomes.
const ACCEPTED: &[(&str, &str)] = &[
    ("sys/health", "sys/health"),
    ("secret/data/a", "secret/data/a"),
    ("secret/metadata/a/", "secret/metadata/a/"),
    ("kv/data/...", "kv/data/..."),
    ("kv/data/..../x", "kv/data/..../x"),
    ("kv/data/user..aaa", "kv/data/user..aaa"),
    ("kv/data/..a", "kv/data/..a"),
    ("kv/data/a..", "kv/data/a.."),
    ("kv/data/.hidden", "kv/data/.hidden"),
    ("kv/data/a%20b", "kv/data/a b"),
    ("kv/data/a b", "kv/data/a b"),
    ("kv/data/a%25b", "kv/data/a%b"),
    ("kv/data/a%252fb", "kv/data/a%2fb"),
    ("kv/data/%252e%252e/b", "kv/data/%2e%2e/b"),
    ("kv/data/a@b:c%22", "kv/data/a@b:c\""),
    ("kv/data/a+b", "kv/data/a+b"),
    ("kv/data/%C3%BC", "kv/data/ü"),
    ("kv/data/%e6%97%a5", "kv/data/日"),
    ("kv/data/ü", "kv/data/ü"),
    ("path/to/secret%20engine/x", "path/to/secret engine/x"),
    ("a*b/+/c", "a*b/+/c"),
    ("kv%2Fdata/a%2fb", "kv/data/a/b"),
    ("kv/data/a%2f", "kv/data/a/"),
];

const REFUSED: &[(&str, PathError)] = &[
    ("", PathError::Empty),
    ("/", PathError::DoubleSlash),
    ("//", PathError::DoubleSlash),
    ("/sys/health", PathError::DoubleSlash),
    ("a//b", PathError::DoubleSlash),
    ("a/b//", PathError::DoubleSlash),
    ("/cubbyhole/test", PathError::DoubleSlash),
    (".", PathError::DotSegment),
    ("..", PathError::DotSegment),
    ("./a", PathError::DotSegment),
    ("../a", PathError::DotSegment),
    ("a/.", PathError::DotSegment),
    ("a/..", PathError::DotSegment),
    ("a/./b", PathError::DotSegment),
    ("a/../b", PathError::DotSegment),
    ("a/b/../", PathError::DotSegment),
    ("a/b/./", PathError::DotSegment),
    ("kv/metadata/a/%2e%2e/b/x", PathError::DotSegment),
    ("kv/metadata/a/%2E%2E/b/x", PathError::DotSegment),
    ("kv/metadata/a/%2E%2e/b/x", PathError::DotSegment),
    ("kv/metadata/a/%2E./b", PathError::DotSegment),
    ("kv/metadata/a/.%2e/b", PathError::DotSegment),
    ("kv/metadata/a/%2e/b", PathError::DotSegment),
    ("kv/metadata/a/%2e%2e", PathError::DotSegment),
    ("kv/metadata/a/..%2fb", PathError::DotSegment),
    ("kv/metadata/a%2f..%2fb", PathError::DotSegment),
    ("kv/metadata/a/%2e%2e%2fb", PathError::DotSegment),
    ("kv/metadata/a/%2fb", PathError::DoubleSlash),
    ("kv/metadata/a%2F%2fb", PathError::DoubleSlash),
    ("%2fsys/health", PathError::DoubleSlash),
    ("kv/a%00b", PathError::Control),
    ("kv/a\0b", PathError::Control),
    ("kv/a%0ab", PathError::Control),
    ("kv/a%0d%0ab", PathError::Control),
    ("kv/a%1b", PathError::Control),
    ("kv/a\tb", PathError::Control),
    ("kv/a%7f", PathError::Control),
    ("kv/a%c2%85", PathError::Control),
    ("kv/a%5cb", PathError::Backslash),
    ("kv/..\\b", PathError::Backslash),
    ("kv/a%ff", PathError::NotUtf8),
    ("kv/a%c0%ae", PathError::NotUtf8),
    ("kv/a%c3", PathError::NotUtf8),
    ("kv/a%ed%a0%80", PathError::NotUtf8),
    ("kv/a%", PathError::BadEscape),
    ("kv/a%2", PathError::BadEscape),
    ("kv/a%zz", PathError::BadEscape),
    ("kv/a%+1", PathError::BadEscape),
];

#[test]
fn accepted_paths_become_canonical() {
    for (raw, canonical) in ACCEPTED {
        let path = ApiPath::parse(raw).unwrap();
        assert_eq!(path.as_str(), *canonical, "{raw}");
        assert_eq!(path.is_folder(), canonical.ends_with('/'), "{raw}");
    }
}

#[test]
fn ambiguous_paths_are_refused() {
    for (raw, reason) in REFUSED {
        assert_eq!(ApiPath::parse(raw), Err(*reason), "{raw:?}");
    }
}

#[test]
fn long_paths_are_refused() {
    assert!(ApiPath::parse(&"a".repeat(4096)).is_ok());
    assert_eq!(ApiPath::parse(&"a".repeat(4097)), Err(PathError::TooLong));
    assert_eq!(
        ApiPath::from_plain(&"a".repeat(4097)),
        Err(PathError::TooLong)
    );
}

#[test]
fn encoding_is_undone_by_parsing() {
    for (_, canonical) in ACCEPTED {
        let path = ApiPath::from_plain(canonical).unwrap();
        assert_eq!(ApiPath::parse(&path.encode()).unwrap(), path, "{canonical}");
    }
}

/// Every text over a small but nasty alphabet.
#[test]
fn what_is_accepted_is_canonical_and_stays_so() {
    let alphabet = ["a", ".", "/", "%2e", "%2f", "%25", "%00", "\\", "ü", "%"];
    let mut texts = vec![String::new()];
    for _ in 0..5 {
        texts = texts
            .iter()
            .flat_map(|text| alphabet.iter().map(move |next| format!("{text}{next}")))
            .collect();
        for text in &texts {
            let Ok(path) = ApiPath::parse(text) else {
                continue;
            };
            let clean = |segment: &str| !matches!(segment, "" | "." | "..");
            assert!(path.segments().all(clean), "{text}");
            assert!(!path.as_str().contains(['\0', '\\']), "{text}");
            assert_eq!(ApiPath::parse(&path.encode()).as_ref(), Ok(&path), "{text}");
        }
    }
}

#[test]
fn errors_never_repeat_the_path() {
    for (raw, _) in REFUSED.iter().filter(|(raw, _)| raw.len() > 6) {
        let text = ApiPath::parse(raw).unwrap_err().to_string();
        assert!(!text.contains(raw), "{raw}");
    }
}
