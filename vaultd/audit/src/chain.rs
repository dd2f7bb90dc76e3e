//! The writer's side: a chain is where the next line will be tied on.

use vault_crypto::{SigningKey, sha256};

use crate::line::Line;
use crate::mark::{self, Mark};

/// The chain value of one line (SHA-256, FIPS 180-4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link([u8; 32]);

impl Link {
    /// Before the first line of the first file.
    pub const GENESIS: Link = Link([0; 32]);

    /// The link of a line with this body (everything before `,"chain"`).
    pub fn after(self, body: &[u8]) -> Link {
        let mut text = Vec::with_capacity(32 + body.len());
        text.extend_from_slice(&self.0);
        text.extend_from_slice(body);
        Link(sha256(&text))
    }

    /// 64 lower-case hex digits; anything else is `None`, so that a link has one spelling.
    pub fn parse(text: &[u8]) -> Option<Link> {
        if text.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Link(bytes))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The end of one file's chain.
#[derive(Debug)]
pub struct Chain {
    head: Link,
    next: u64,
    scratch: Vec<u8>,
}

impl Chain {
    /// A chain whose next line follows `head` and has sequence number `next`.
    pub fn new(head: Link, next: u64) -> Chain {
        Chain {
            head,
            next,
            scratch: Vec::new(),
        }
    }

    /// Goes on after a line that is already in the file.
    pub fn resume(last: &Line<'_>) -> Chain {
        Chain::new(last.link, last.seq.saturating_add(1))
    }

    /// The chain value of the last line.
    pub fn head(&self) -> Link {
        self.head
    }

    /// The sequence number of the next line; the first is 1.
    pub fn next_seq(&self) -> u64 {
        self.next
    }

    /// Ties one JSON object (not empty, one line) to the chain and writes the finished line.
    pub fn append(&mut self, object: &[u8], out: &mut Vec<u8>) {
        debug_assert!(object.len() > 2 && object.ends_with(b"}") && !object.contains(&b'\n'));
        let fields = object.strip_suffix(b"}").unwrap_or(object);
        let mut digits = [0; 20];
        let seq = decimal(self.next, &mut digits);

        // Hashed as one piece: previous link ‖ body.
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.head.0);
        self.scratch.extend_from_slice(fields);
        self.scratch.extend_from_slice(b",\"seq\":");
        self.scratch.extend_from_slice(seq);
        self.head = Link(sha256(&self.scratch));
        self.next += 1;

        out.extend_from_slice(&self.scratch[32..]);
        out.extend_from_slice(b",\"chain\":\"");
        let at = out.len();
        out.resize(at + 64, 0);
        // The slice is 64 bytes long, so this cannot fail.
        let _ = hex::encode_to_slice(self.head.0, &mut out[at..]);
        out.extend_from_slice(b"\"}\n");
    }

    /// Appends a line of the format's own.
    pub fn mark(&mut self, mark: &Mark, out: &mut Vec<u8>) {
        self.append(&mark.to_bytes(), out);
    }

    /// Signs everything up to here. `time` is RFC 3339.
    pub fn checkpoint(&mut self, time: String, cluster: &str, key: &SigningKey, out: &mut Vec<u8>) {
        let message = mark::signed(&time, cluster, self.next, self.head);
        let mark = Mark::checkpoint(time, cluster, key, &message);
        self.mark(&mark, out);
    }
}

fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}
