//! The ways in which a secret may be written, and how a text is compared with one of them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use zeroize::Zeroizing;

/// Line ends that may stand between two bytes of a secret: output is wrapped, and terminals write
/// `\r\n` for `\n`.
const BREAK_MAX: usize = 8;

#[derive(Clone, Copy, PartialEq)]
enum Escapes {
    None,
    /// RFC 3986, 2.1, and `+` for a space as in forms.
    Url,
    /// RFC 8259, 7.
    Json,
}

/// One way: the text itself, and which escapes are seen through.
#[derive(PartialEq)]
pub(super) struct Form {
    text: Zeroizing<String>,
    escapes: Escapes,
}

pub(super) enum Match {
    No,
    /// As far as the text goes.
    Cut,
    /// With its length.
    Whole(usize),
}

/// All ways to write a value.
pub(super) fn add(forms: &mut Vec<Form>, value: &str) {
    let mut form = |text: &str, escapes| {
        let text = match escapes {
            Escapes::None => text.replace(['\r', '\n'], ""),
            _ => text.to_owned(),
        };
        let text = Zeroizing::new(text);
        let form = Form { text, escapes };
        if !forms.contains(&form) {
            forms.push(form);
        }
    };
    let trimmed = value.trim();
    form(trimmed, Escapes::None);
    if trimmed.contains(|c: char| !c.is_ascii_alphanumeric()) {
        form(trimmed, Escapes::Url);
        form(trimmed, Escapes::Json);
        // JSON inside of JSON.
        let inner = Zeroizing::new(serde_json::to_string(trimmed).unwrap_or_default());
        let inner = &inner[1.min(inner.len())..inner.len().saturating_sub(1)];
        form(inner, Escapes::Json);
        form(&ascii(inner), Escapes::Json);
    }
    for shift in 0..3 {
        let shifted = Zeroizing::new([&[0; 2][..shift], value.as_bytes()].concat());
        for encoded in [STANDARD.encode(&*shifted), URL_SAFE.encode(&*shifted)] {
            let encoded = Zeroizing::new(encoded);
            // The first characters belong to what stands before, the last to what follows.
            let first = (shift * 8).div_ceil(6);
            let certain = shifted.len() * 8 / 6;
            form(&encoded[first..certain], Escapes::None);
            form(encoded[first..].trim_end_matches('='), Escapes::None);
            form(&encoded[first..], Escapes::None);
        }
    }
}

/// As encoders write a JSON text that keep to ASCII.
fn ascii(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len() * 2));
    for c in text.chars() {
        match c.is_ascii() {
            true => out.push(c),
            false => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                out.push_str(&format!("\\u{unit:04x}"));
            }),
        }
    }
    out
}

impl Form {
    /// The bytes that it may begin with.
    pub(super) fn first_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.text.bytes().take(1).collect();
        match self.escapes {
            Escapes::None => {}
            Escapes::Url => bytes.extend(b"%+"),
            Escapes::Json => bytes.push(b'\\'),
        }
        bytes.dedup();
        bytes
    }

    pub(super) fn at_start_of(&self, text: &[u8]) -> Match {
        let mut at = 0;
        for wanted in self.text.chars() {
            if at > 0 && self.escapes == Escapes::None {
                let breaks = text[at..].iter().take_while(|b| matches!(b, b'\r' | b'\n'));
                match breaks.count() {
                    count if count > BREAK_MAX => return Match::No,
                    count => at += count,
                }
            }
            let rest = &text[at..];
            let eaten = match self.escapes {
                Escapes::None => plain(wanted, rest),
                Escapes::Url => url(wanted, rest),
                Escapes::Json => json(wanted, rest),
            };
            match eaten {
                Match::Whole(length) => at += length,
                other => return other,
            }
        }
        Match::Whole(at)
    }
}

fn plain(wanted: char, text: &[u8]) -> Match {
    let mut bytes = [0; 4];
    let bytes = wanted.encode_utf8(&mut bytes).as_bytes();
    let length = bytes.len().min(text.len());
    match bytes[..length] == text[..length] {
        false => Match::No,
        true if length < bytes.len() => Match::Cut,
        true => Match::Whole(length),
    }
}

fn url(wanted: char, text: &[u8]) -> Match {
    let mut bytes = [0; 4];
    let mut at = 0;
    for byte in wanted.encode_utf8(&mut bytes).bytes() {
        match text.get(at) {
            None => return Match::Cut,
            Some(b'%') => match text.get(at + 1..at + 3) {
                None => return Match::Cut,
                Some(digits) if hex(digits) == Some(byte.into()) => at += 3,
                Some(_) => return Match::No,
            },
            Some(b'+') if byte == b' ' => at += 1,
            Some(found) if *found == byte => at += 1,
            Some(_) => return Match::No,
        }
    }
    Match::Whole(at)
}

fn json(wanted: char, text: &[u8]) -> Match {
    if text.first() != Some(&b'\\') {
        return plain(wanted, text);
    }
    let found = match text.get(1) {
        None => return Match::Cut,
        Some(b'u') => return json_code(wanted, text),
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(other) => char::from(*other),
    };
    match found == wanted {
        true => Match::Whole(2),
        false => Match::No,
    }
}

/// `\uXXXX`, or two of them.
fn json_code(wanted: char, text: &[u8]) -> Match {
    let mut units = [0; 2];
    let mut at = 0;
    for unit in wanted.encode_utf16(&mut units) {
        match text.get(at..at + 6) {
            None if text[at..]
                .iter()
                .take(2)
                .eq(br"\u"[..text[at..].len().min(2)].iter()) =>
            {
                return Match::Cut;
            }
            Some(code) if code.starts_with(br"\u") && hex(&code[2..]) == Some((*unit).into()) => {
                at += 6;
            }
            _ => return Match::No,
        }
    }
    Match::Whole(at)
}

fn hex(digits: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok()?;
    u32::from_str_radix(digits, 16).ok()
}
