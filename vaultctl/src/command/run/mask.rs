//! `run --mask`: what the command prints, with `***` in place of secrets.
//!
//! Promises: a secret is found as it is, line by line, wrapped, in base64 at any alignment, and URL- or
//! JSON-escaped, wherever the output is cut into pieces; bytes that may begin one are held back until
//! that is decided. Not promised: values under 4 bytes, other encodings, or a secret printed with
//! something between its parts.

mod form;

use zeroize::{Zeroize, Zeroizing};

use form::{Form, Match};

const SHOWN: &[u8] = b"***";
/// Shorter values would make nonsense of every output, and so be known from it.
const LENGTH_MIN: usize = 4;
/// A line of a value with several, if it says something by itself.
const LINE_MIN: usize = 8;
/// This much of a secret at the very end of an output is masked, too.
const PART_MIN: usize = 8;

/// The secrets to look for.
pub(super) struct Mask {
    forms: Vec<Form>,
    /// By first byte: the forms that may begin so.
    starts: Vec<Vec<usize>>,
}

impl Mask {
    /// Also returns the names of those that are too short.
    pub(super) fn new(secrets: &[(String, String)]) -> (Mask, Vec<&str>) {
        let (mut forms, mut short) = (Vec::new(), Vec::new());
        for (name, value) in secrets {
            for part in parts(value) {
                match part.trim().len() {
                    0 => {}
                    1..LENGTH_MIN => short.push(name.as_str()),
                    _ => form::add(&mut forms, &part),
                }
            }
        }
        let mut starts = vec![Vec::new(); 256];
        for (number, form) in forms.iter().enumerate() {
            for byte in form.first_bytes() {
                starts[usize::from(byte)].push(number);
            }
        }
        (Mask { forms, starts }, short)
    }

    /// What begins at the start of a text, which is not empty.
    fn find(&self, text: &[u8], over: bool) -> Found {
        let mut longest = 0;
        for number in &self.starts[usize::from(text[0])] {
            match self.forms[*number].at_start_of(text) {
                Match::Whole(length) => longest = longest.max(length),
                Match::Cut if !over => return Found::Undecided,
                Match::Cut if text.len() >= PART_MIN => longest = text.len(),
                Match::Cut | Match::No => {}
            }
        }
        match longest {
            0 => Found::Nothing,
            length => Found::Secret(length),
        }
    }
}

enum Found {
    Nothing,
    Secret(usize),
    Undecided,
}

/// A value, the texts in it if it is a JSON tree, and its lines if it has several.
fn parts(value: &str) -> Vec<Zeroizing<String>> {
    let mut parts = vec![Zeroizing::new(value.to_owned())];
    if value.starts_with(['{', '[']) {
        let tree = serde_json::from_str(value);
        tree.iter().for_each(|tree| leaves(tree, &mut parts));
    }
    let lines = value.lines().map(str::trim);
    if value.trim().contains('\n') {
        let telling = lines.filter(|line| line.len() >= LINE_MIN);
        parts.extend(telling.map(|line| Zeroizing::new(line.to_owned())));
    }
    parts
}

fn leaves(tree: &serde_json::Value, found: &mut Vec<Zeroizing<String>>) {
    use serde_json::Value;
    match tree {
        Value::String(text) if text.len() >= LENGTH_MIN => {
            found.push(Zeroizing::new(text.clone()));
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::Object(fields) => fields.values().for_each(|item| leaves(item, found)),
        _ => {}
    }
}

/// One output on its way.
pub(super) struct Masking<'a> {
    mask: &'a Mask,
    held: Vec<u8>,
}

impl<'a> Masking<'a> {
    pub(super) fn new(mask: &'a Mask) -> Self {
        let held = Vec::new();
        Self { mask, held }
    }

    /// Takes what comes in, returns what may go out.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        self.settle(false)
    }

    /// The rest.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.settle(true)
    }

    fn settle(&mut self, over: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.held.len());
        let mut at = 0;
        while at < self.held.len() {
            match self.mask.find(&self.held[at..], over) {
                Found::Nothing => {
                    out.push(self.held[at]);
                    at += 1;
                }
                Found::Secret(length) => {
                    out.extend_from_slice(SHOWN);
                    at += length;
                }
                Found::Undecided => break,
            }
        }
        let rest = self.held[at..].to_vec();
        self.held.zeroize();
        self.held = rest;
        out
    }
}

impl Drop for Masking<'_> {
    fn drop(&mut self) {
        self.held.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    const SECRET: &str = "hunter2 & \"früh\"/\\x";
    const KEY: &str =
        "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIH\nq83vEjRWeJCrze8=\n-----END KEY-----\n";

    /// In pieces of this many bytes.
    fn masked(value: &str, output: &str, piece: usize) -> String {
        let secrets = [("S".to_owned(), value.to_owned())];
        let (mask, _) = Mask::new(&secrets);
        let mut masking = Masking::new(&mask);
        let mut out = Vec::new();
        for bytes in output.as_bytes().chunks(piece) {
            out.extend(masking.pass(bytes));
        }
        out.extend(masking.finish());
        String::from_utf8(out).unwrap_or_default()
    }

    #[track_caller]
    fn hidden(value: &str, printed: &str) {
        for piece in [1, 2, 3, 7, 10_000] {
            let out = masked(value, &format!("before {printed} after"), piece);
            assert_eq!(out, "before *** after", "{printed} in pieces of {piece}");
        }
    }

    #[test]
    fn a_value_is_hidden_wherever_the_output_is_cut() {
        hidden(SECRET, SECRET);
        hidden("aaab", "aaab");
        assert_eq!(masked("aaab", "aaaab", 1), "a***");
        assert_eq!(masked("aaab", "aaa", 1), "aaa");
    }

    #[test]
    fn json_escapes_are_seen_through() {
        let text = |value: &str| serde_json::to_string(value).unwrap_or_default();
        let strip = |text: String| text[1..text.len() - 1].to_owned();
        hidden(SECRET, &strip(text(SECRET)));
        hidden(SECRET, r#"hunter2 \u0026 \"fr\u00FCh\"\/\\x"#);
        hidden("ab😀cd", r"ab\ud83d\ude00cd");
        let twice = strip(text(&strip(text(SECRET))));
        hidden(SECRET, &twice);
        hidden("früh", r"fr\\u00fch");
        hidden("two\nlines", r"two\nlines");
    }

    #[test]
    fn url_escapes_are_seen_through() {
        hidden(SECRET, "hunter2%20%26%20%22fr%C3%BCh%22%2F%5Cx");
        hidden(SECRET, "hunter2+%26+%22fr%c3%bch%22/%5cx");
    }

    #[test]
    fn base64_is_hidden_at_all_three_alignments() {
        for (before, length) in [("", 0), ("x", 1), ("xy", 2), ("xyz", 3)] {
            for after in ["", "z", "zz", "\n"] {
                let all = format!("{before}{SECRET}{after}");
                for encoded in [STANDARD.encode(&all), URL_SAFE_NO_PAD.encode(&all)] {
                    let out = masked(SECRET, &encoded, 5);
                    assert!(out.contains("***"), "{encoded}");
                    // What is left holds the neighbours, and at most a few bits of the secret.
                    let left = out.len() - 3;
                    assert!(left <= length * 2 + 1 + after.len() * 2 + 4, "{out}");
                }
            }
        }
        let encoded = STANDARD.encode(SECRET);
        hidden(SECRET, &encoded);
    }

    #[test]
    fn wrapped_base64_and_values_of_several_lines_are_hidden() {
        let encoded = STANDARD.encode(KEY.repeat(3));
        let lines: Vec<_> = encoded.as_bytes().chunks(76).collect();
        let wrapped = lines.join(&b"\r\n"[..]);
        let wrapped = String::from_utf8(wrapped).unwrap_or_default();
        hidden(&KEY.repeat(3), &wrapped);
        hidden(KEY.trim(), KEY.trim());
        hidden(KEY, &KEY.trim().replace('\n', "\r\n"));
        let indented = masked(KEY, &KEY.replace('\n', "\n    "), 4);
        assert!(
            !indented.contains("MC4CAQ") && !indented.contains("q83v"),
            "{indented}"
        );
    }

    #[test]
    fn a_secret_that_is_cut_off_by_the_end_is_hidden_and_short_ones_are_named() {
        assert_eq!(masked("correct horse", "so: correct hor", 3), "so: ***");
        let secrets = [
            ("PIN".to_owned(), "123".to_owned()),
            ("E".to_owned(), String::new()),
        ];
        assert_eq!(Mask::new(&secrets).1, ["PIN"]);
    }

    #[test]
    fn texts_inside_a_tree_are_secrets_too() {
        let tree = r#"{"user":"someone","deep":["battery staple"]}"#;
        assert_eq!(masked(tree, "battery staple", 2), "***");
    }
}
