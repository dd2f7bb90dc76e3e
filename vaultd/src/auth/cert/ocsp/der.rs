//! DER (X.690) as far as OCSP needs it: one-byte tags, definite lengths in their shortest form.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BITS: u8 = 0x03;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0A;
pub(super) const TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;

/// The tag `[number]`, constructed.
pub(super) const fn context(number: u8) -> u8 {
    0xA0 | number
}

/// One element of these parts.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let short = &length[zeros.min(length.len() - 1)..];
    let mut out = vec![tag];
    if content.len() >= 0x80 {
        out.push(0x80 | short.len() as u8);
    }
    out.extend_from_slice(short);
    out.extend(content);
    out
}

/// A positive integer, given without leading zeros.
pub(super) fn positive(number: &[u8]) -> Vec<u8> {
    match number.first() {
        Some(first) if *first < 0x80 => element(INTEGER, &[number]),
        _ => element(INTEGER, &[&[0], number]),
    }
}

/// Reads one element after the other.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

/// What was read.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    /// With tag and length.
    pub whole: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub(super) fn is_done(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        let (tag, rest) = self.0.split_first()?;
        let (first, mut rest) = rest.split_first()?;
        let mut length = usize::from(*first);
        if *first >= 0x80 {
            let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7F))?;
            if !(1..=4).contains(&bytes.len()) || bytes[0] == 0 {
                return None;
            }
            length = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            if length < 0x80 {
                return None;
            }
            rest = after;
        }
        let (content, after) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - after.len()];
        self.0 = after;
        Some(Element {
            tag: *tag,
            content,
            whole,
        })
    }

    /// The next element, which has this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }

    /// The next element, if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Option<Element<'a>> {
        match self.0.first() {
            Some(found) if *found == tag => self.next(),
            _ => None,
        }
    }
}

impl<'a> Element<'a> {
    pub(super) fn inside(self) -> Reader<'a> {
        Reader(self.content)
    }

    /// The only element inside, which has this tag.
    pub(super) fn only(self, tag: u8) -> Option<Element<'a>> {
        let mut inside = self.inside();
        let found = inside.expect(tag)?;
        inside.is_done().then_some(found)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_was_written_is_read_and_other_spellings_are_not() {
        for length in [0, 1, 0x7F, 0x80, 0xFF, 0x100, 70_000] {
            let content = vec![7; length];
            let written = element(OCTETS, &[&content]);
            let mut reader = Reader::new(&written);
            let read = reader.expect(OCTETS).unwrap();
            assert!(read.content == content && read.whole == written && reader.is_done());
        }
        assert_eq!(positive(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(positive(&[0x7F]), [2, 1, 0x7F]);
        assert_eq!(positive(&[]), [2, 1, 0]);
        for odd in [
            &[][..],
            &[4],
            &[4, 1],
            &[4, 0x80],
            &[4, 0x81, 1, 0],
            &[4, 0x82, 0, 0x80],
            &[4, 0x85, 0, 0, 0, 0, 1, 0],
            &[4, 0x84, 0xFF, 0xFF, 0xFF, 0xFF],
        ] {
            assert!(Reader::new(odd).next().is_none(), "{odd:?}");
        }
    }
}
