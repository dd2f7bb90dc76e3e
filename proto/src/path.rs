//! The one place where a request path becomes canonical text.
//!
//! Promises: percent-encoding is undone exactly once, and what could be read
//! in two ways (dot segments, empty segments, control characters) is refused
//! instead of repaired. Nothing after this point decodes or cleans a path.
//! `%2f` is a slash: clients that escape each argument as a whole send it.

use std::fmt;

/// Longest path in bytes, as sent and as decoded.
pub const MAX_LEN: usize = 4096;

/// A canonical path: no leading slash, no empty and no dot segments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiPath {
    text: String,
}

/// Why a path is refused. The texts never repeat the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// Nothing after `/v1/`.
    Empty,
    /// More than [`MAX_LEN`] bytes.
    TooLong,
    /// A segment is `.` or `..`, however it was spelled.
    DotSegment,
    /// Two slashes in a row; a server answers with a redirect.
    DoubleSlash,
    /// A `%` that is not followed by two hex digits.
    BadEscape,
    /// A character below U+0020, DEL, or U+0080 to U+009F.
    Control,
    /// A backslash, which some programs take for a slash.
    Backslash,
    /// The decoded bytes are not UTF-8.
    NotUtf8,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the path is empty; name what to read or write",
            Self::TooLong => "the path is longer than 4096 bytes; shorten it",
            Self::DotSegment => {
                "the path contains a '.' or '..' segment; write the path without it"
            }
            Self::DoubleSlash => "the path contains '//'; use single slashes",
            Self::BadEscape => {
                "the path contains a '%' without two hex digits; write a literal '%' as '%25'"
            }
            Self::Control => "the path contains a control character; remove it",
            Self::Backslash => "the path contains a backslash; use '/' between segments",
            Self::NotUtf8 => "the path is not UTF-8; encode it as UTF-8",
        })
    }
}

impl std::error::Error for PathError {}

impl ApiPath {
    /// Reads the raw URL path after `/v1/`, still percent-encoded, without
    /// the query.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        if raw.len() > MAX_LEN {
            return Err(PathError::TooLong);
        }
        let mut bytes = Vec::with_capacity(raw.len());
        let mut rest = raw.bytes();
        while let Some(byte) = rest.next() {
            if byte != b'%' {
                bytes.push(byte);
                continue;
            }
            let high = rest.next().and_then(hex_digit);
            let low = rest.next().and_then(hex_digit);
            let (Some(high), Some(low)) = (high, low) else {
                return Err(PathError::BadEscape);
            };
            bytes.push(high << 4 | low);
        }
        String::from_utf8(bytes)
            .map_err(|_| PathError::NotUtf8)
            .and_then(Self::check)
    }

    /// Takes a path as a person writes it, with nothing percent-encoded.
    /// One leading slash is allowed and dropped.
    pub fn from_plain(text: &str) -> Result<Self, PathError> {
        Self::check(text.strip_prefix('/').unwrap_or(text).to_owned())
    }

    fn check(text: String) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(PathError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(PathError::Control);
        }
        if text.contains('\\') {
            return Err(PathError::Backslash);
        }
        for segment in text.strip_suffix('/').unwrap_or(&text).split('/') {
            match segment {
                "" => return Err(PathError::DoubleSlash),
                "." | ".." => return Err(PathError::DotSegment),
                _ => {}
            }
        }
        Ok(Self { text })
    }

    /// The canonical text, without a leading slash, with the trailing slash
    /// when there is one.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the path names a folder.
    pub fn is_folder(&self) -> bool {
        self.text.ends_with('/')
    }

    /// The canonical text without the trailing slash.
    pub fn without_slash(&self) -> &str {
        self.text.strip_suffix('/').unwrap_or(&self.text)
    }

    /// The decoded segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.without_slash().split('/')
    }

    /// The text for a URL: the inverse of [`ApiPath::parse`].
    pub fn encode(&self) -> String {
        let mut url = String::with_capacity(self.text.len());
        for byte in self.text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    url.push(char::from(byte));
                }
                _ => url.push_str(&format!("%{byte:02X}")),
            }
        }
        url
    }
}

impl fmt::Display for ApiPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
