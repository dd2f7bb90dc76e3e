//! The encoding of RFC 4251, 5: read strictly, to the last byte.

/// The bytes do not say what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed SSH data")]
pub struct Malformed;

/// What is left to be read.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the start.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// The next bytes, so many.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Big endian.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    /// Big endian.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?.try_into().map_err(|_| Malformed)?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// Big endian.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        let bytes = self.take(8)?.try_into().map_err(|_| Malformed)?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// Bytes with their length in front.
    pub fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    /// The same, in UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.string()?).map_err(|_| Malformed)
    }

    /// A positive number, big endian, without the sign's zero.
    pub fn number(&mut self) -> Result<&'a [u8], Malformed> {
        match self.string()? {
            [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => Ok(rest),
            [0, ..] | [] => Err(Malformed),
            [first, ..] if first & 0x80 != 0 => Err(Malformed),
            number => Ok(number),
        }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), Malformed> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

/// Appends bytes with their length.
pub fn push_string(into: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(bytes);
}

/// Appends a positive number, big endian; zeros in front are left out.
pub fn push_number(into: &mut Vec<u8>, number: &[u8]) {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros..];
    let signed = number.first().is_some_and(|first| first & 0x80 != 0);
    let length = number.len() + usize::from(signed);
    into.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    if signed {
        into.push(0);
    }
    into.extend_from_slice(number);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_or_too_long_is_refused() {
        let mut bytes = Vec::new();
        push_string(&mut bytes, b"abc");
        for end in 0..bytes.len() {
            assert_eq!(Reader::new(&bytes[..end]).string(), Err(Malformed));
        }
        assert_eq!(Reader::new(&bytes).string(), Ok(&b"abc"[..]));
        assert_eq!(Reader::new(&[0xff; 9]).string(), Err(Malformed));
        assert_eq!(Reader::new(b"a").end(), Err(Malformed));
    }

    #[test]
    fn numbers_have_one_spelling() {
        let read = |bytes: &[u8]| {
            let mut encoded = Vec::new();
            push_string(&mut encoded, bytes);
            Reader::new(&encoded).number().map(<[u8]>::to_vec)
        };
        assert_eq!(read(&[1]), Ok(vec![1]));
        assert_eq!(read(&[0, 0x80]), Ok(vec![0x80]));
        for odd in [&[][..], &[0], &[0, 1], &[0x80], &[0, 0, 0x80]] {
            assert_eq!(read(odd), Err(Malformed), "{odd:?}");
        }
    }
}
