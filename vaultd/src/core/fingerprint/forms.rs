//! How a value may stand in a file: as it is, or as base64, URL-escaped or in JSON; and which values
//! are too easy to guess to tell a fingerprint of them.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use vault_crypto::Fingerprinter;
use zeroize::Zeroizing;

/// Shorter values have no fingerprint.
const LENGTH_MIN: usize = 16;
/// So have values of fewer bits, estimated.
const BITS_MIN: f64 = 56.0;
/// Of a longer form only the end counts.
const LENGTH_MAX: usize = 256;
/// Different bytes that the first window has.
const VARIETY: usize = 4;
/// Lines of a value of several lines.
const LINES: usize = 2;

type Form = (&'static str, Zeroizing<Vec<u8>>);

/// Whether a value is short or repetitive, or made of words.
pub fn is_guessable(text: &str) -> bool {
    text.len() < LENGTH_MIN || bits(text) < BITS_MIN
}

/// An estimate: Shannon's entropy of the text's own characters, and for lower-case words at most two bits for
/// each letter, about what a word of a list of some thousand has.
fn bits(text: &str) -> f64 {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || b" -_.,'".contains(&byte);
    let most = match text.bytes().all(is_word) {
        true => 2.0 * text.bytes().filter(u8::is_ascii_lowercase).count() as f64,
        false => f64::MAX,
    };
    let mut counts = [0u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let total = text.len() as f64;
    let share = |count: &u32| f64::from(*count) / total;
    let per_byte: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| -share(count) * share(count).log2())
        .sum();
    (per_byte * total).min(most)
}

/// Every form of a value, each at least [`LENGTH_MIN`] bytes.
pub fn forms(text: &str) -> Vec<Form> {
    let mut whole: Vec<(&'static str, Vec<u8>)> = vec![("plain", text.as_bytes().to_vec())];
    for line in lines(text) {
        whole.push(("line", line.as_bytes().to_vec()));
    }
    let json = serde_json::to_string(text).unwrap_or_default();
    whole.push(("json", json.trim_matches('"').as_bytes().to_vec()));
    whole.push(("url", url(text, b"0123456789ABCDEF")));
    whole.push(("url", url(text, b"0123456789abcdef")));
    for offset in 0..3 {
        for url_safe in [false, true] {
            whole.push(("base64", base64(text, offset, url_safe)));
        }
    }
    let mut seen = BTreeSet::new();
    whole.retain(|(_, bytes)| seen.insert(vault_crypto::sha256(bytes)));
    let whole = whole
        .into_iter()
        .map(|(name, bytes)| (name, Zeroizing::new(bytes)));
    whole
        .filter_map(|(name, bytes)| Some((name, region(&bytes)?)))
        .collect()
}

/// What is looked for of a form: not more than its end, from where the bytes begin to differ, so that
/// a file of zeros is no work.
fn region(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let end = &bytes[bytes.len().saturating_sub(LENGTH_MAX)..];
    let start = end
        .windows(Fingerprinter::WINDOW)
        .position(|window| window.iter().collect::<BTreeSet<_>>().len() >= VARIETY)?;
    let region = &end[start..];
    (region.len() >= LENGTH_MIN).then(|| Zeroizing::new(region.to_vec()))
}

/// Of several lines the longest ones that are no header; of lines of one length those in the middle,
/// since keys in PEM begin alike.
fn lines(text: &str) -> Vec<&str> {
    if !text.contains('\n') {
        return Vec::new();
    }
    let mut lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.retain(|line| !line.starts_with("-----") && !is_guessable(line));
    let longest = lines.iter().map(|line| line.len()).max().unwrap_or(0);
    lines.retain(|line| line.len() == longest);
    let skip = (lines.len() / 2).min(lines.len().saturating_sub(LINES));
    lines.into_iter().skip(skip).take(LINES).collect()
}

/// RFC 3986.
fn url(text: &str, digits: &[u8; 16]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            out.push(b'%');
            out.push(digits[usize::from(byte >> 4)]);
            out.push(digits[usize::from(byte & 15)]);
        }
    }
    out
}

/// The characters that are the same whatever comes before and after, if so many bytes come before.
fn base64(text: &str, offset: usize, url_safe: bool) -> Vec<u8> {
    let mut bytes = Zeroizing::new(vec![0; offset]);
    bytes.extend_from_slice(text.as_bytes());
    let encoded = match url_safe {
        true => URL_SAFE_NO_PAD.encode(&*bytes),
        false => STANDARD_NO_PAD.encode(&*bytes),
    };
    let first = [0, 2, 3][offset % 3];
    let sure = bytes.len() * 8 / 6;
    encoded.as_bytes()[first.min(sure)..sure].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(text: &str, form: &str, haystack: &[u8]) -> bool {
        forms(text).iter().any(|(name, bytes)| {
            *name == form && haystack.windows(bytes.len()).any(|part| part == &***bytes)
        })
    }

    #[test]
    fn words_repetitions_and_short_values_are_guessable() {
        for text in [
            "hunter2",
            "Tr0ub4dor&3",
            "correct horse battery staple",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abababababababababababababababab1",
            "0000000000000000",
        ] {
            assert!(is_guessable(text), "{text}");
        }
        for text in ["h4Kq9ZxW2mP7vB3s", "5f2b8c1e9a7d4f60b3e8a1c29d7f4e05"] {
            assert!(!is_guessable(text), "{text}");
        }
    }

    #[test]
    fn a_value_is_found_in_base64_at_each_offset_and_alphabet() {
        let value = "s3cr?t>va~lue/with+odd?chars>";
        for before in ["", "u", "us", "use", "user:"] {
            let inner = format!("{before}{value}:after");
            assert!(has(
                value,
                "base64",
                STANDARD_NO_PAD.encode(&inner).as_bytes()
            ));
            assert!(has(
                value,
                "base64",
                URL_SAFE_NO_PAD.encode(&inner).as_bytes()
            ));
        }
        assert!(!has(
            value,
            "base64",
            STANDARD_NO_PAD.encode("something else").as_bytes()
        ));
    }

    #[test]
    fn a_value_is_found_url_escaped_and_in_json() {
        let value = "p@ss/w0rd&more=\"q\" x9Z7";
        assert!(has(
            value,
            "url",
            b"?pw=p%40ss%2Fw0rd%26more%3D%22q%22%20x9Z7&a"
        ));
        assert!(has(
            value,
            "url",
            b"?pw=p%40ss%2fw0rd%26more%3d%22q%22%20x9Z7&a"
        ));
        assert!(has(value, "json", br#"{"a":"p@ss/w0rd&more=\"q\" x9Z7"}"#));
    }

    #[test]
    fn a_key_in_pem_is_found_by_lines_from_its_middle_whatever_the_indent() {
        let line = |c: char| format!("{c}Vb3kQ9xZ7mT2pL8wR4sY6nH1jD5gF0cA{c}eUiOaEyXqWvMbNz{c}");
        let body: Vec<String> = ('a'..='h').map(line).collect();
        let pem = format!("-----BEGIN X-----\n{}\n-----END X-----", body.join("\n"));
        let lines: Vec<_> = forms(&pem)
            .into_iter()
            .filter(|(form, _)| *form == "line")
            .collect();
        assert_eq!(lines.len(), LINES);
        assert!(lines.iter().all(|(_, text)| ***text != *body[0].as_bytes()));
        assert!(has(&pem, "line", body.join("\n    ").as_bytes()));
    }

    #[test]
    fn what_is_looked_for_begins_where_bytes_differ_and_is_bounded() {
        let value = format!("{}h4Kq9ZxW2mP7vB3sL6", "0".repeat(40));
        assert!(
            forms(&value)
                .iter()
                .all(|(_, bytes)| { bytes[..8].iter().collect::<BTreeSet<_>>().len() >= VARIETY })
        );
        let long = "h4Kq9ZxW2mP7vB3s".repeat(100);
        assert!(
            forms(&long)
                .iter()
                .all(|(_, bytes)| bytes.len() <= LENGTH_MAX)
        );
    }
}
