//! Messages of DNS (RFC 1035), as much as updates and questions need.

/// The bytes are no message, or a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

pub(super) const SOA: u16 = 6;
pub(super) const TXT: u16 = 16;
pub(super) const TSIG: u16 = 250;
pub(super) const IN: u16 = 1;
pub(super) const NONE: u16 = 254;
pub(super) const ANY: u16 = 255;

/// Jumps that compressed names may take.
const JUMPS_MAX: usize = 32;
const HEADER: usize = 12;

/// A name as it is sent, in lower case.
pub(super) fn name(text: &str) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(text.len() + 2);
    for label in text.trim_end_matches('.').split('.') {
        let fits = label.bytes().all(|byte| byte.is_ascii_graphic());
        match u8::try_from(label.len()) {
            Ok(length @ 1..=63) if fits => out.push(length),
            _ => return Err(Malformed),
        }
        out.extend(label.to_ascii_lowercase().bytes());
    }
    out.push(0);
    if out.len() > 255 {
        Err(Malformed)
    } else {
        Ok(out)
    }
}

/// One text as the data of a record.
pub(super) fn text(value: &str) -> Result<Vec<u8>, Malformed> {
    let length = u8::try_from(value.len()).map_err(|_| Malformed)?;
    Ok([&[length], value.as_bytes()].concat())
}

/// A record, or with `data` `None` a question.
pub(super) fn record(
    owner: &[u8],
    (kind, class): (u16, u16),
    data: Option<(u32, &[u8])>,
) -> Result<Vec<u8>, Malformed> {
    let mut out = owner.to_vec();
    out.extend(kind.to_be_bytes());
    out.extend(class.to_be_bytes());
    if let Some((ttl, data)) = data {
        out.extend(ttl.to_be_bytes());
        out.extend(
            u16::try_from(data.len())
                .map_err(|_| Malformed)?
                .to_be_bytes(),
        );
        out.extend(data);
    }
    Ok(out)
}

/// A header with the numbers of entries in the four sections.
pub(super) fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let words = [id, flags].into_iter().chain(counts);
    words.flat_map(u16::to_be_bytes).collect()
}

/// What a server answered.
pub(super) struct Message {
    pub id: u16,
    pub flags: u16,
    pub records: Vec<Record>,
}

pub(super) struct Record {
    /// In lower case, without the last dot.
    pub owner: String,
    pub kind: u16,
    pub data: Vec<u8>,
    /// Where it begins in the message.
    pub at: usize,
}

impl Message {
    pub(super) fn parse(bytes: &[u8]) -> Result<Message, Malformed> {
        let mut reader = Reader { bytes, at: 0 };
        let (id, flags) = (reader.word()?, reader.word()?);
        let mut counts = [0; 4];
        for count in &mut counts {
            *count = usize::from(reader.word()?);
        }
        for _ in 0..counts[0] {
            reader.name()?;
            reader.take(4)?;
        }
        let mut records = Vec::new();
        for _ in 0..counts[1..].iter().sum() {
            records.push(reader.record()?);
        }
        Ok(Message { id, flags, records })
    }

    pub(super) fn code(&self) -> u16 {
        self.flags & 15
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], Malformed> {
        let end = self.at.checked_add(count).ok_or(Malformed)?;
        let found = self.bytes.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(found)
    }

    fn word(&mut self) -> Result<u16, Malformed> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn record(&mut self) -> Result<Record, Malformed> {
        let at = self.at;
        let owner = self.name()?;
        let kind = self.word()?;
        self.take(6)?;
        let length = usize::from(self.word()?);
        let data = self.take(length)?.to_vec();
        Ok(Record {
            owner,
            kind,
            data,
            at,
        })
    }

    /// Pointers lead backwards only.
    fn name(&mut self) -> Result<String, Malformed> {
        let (mut labels, mut at, mut end) = (Vec::new(), self.at, None);
        for _ in 0..JUMPS_MAX + 128 {
            let length = *self.bytes.get(at).ok_or(Malformed)?;
            match length {
                0 => {
                    self.at = end.unwrap_or(at + 1);
                    return Ok(labels.join("."));
                }
                1..=63 => {
                    let next = at + 1 + usize::from(length);
                    let label = self.bytes.get(at + 1..next).ok_or(Malformed)?;
                    labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
                    at = next;
                }
                192.. => {
                    let low = *self.bytes.get(at + 1).ok_or(Malformed)?;
                    let to = usize::from(u16::from_be_bytes([length & 63, low]));
                    if to >= at || to < HEADER {
                        return Err(Malformed);
                    }
                    end.get_or_insert(at + 2);
                    at = to;
                }
                _ => return Err(Malformed),
            }
        }
        Err(Malformed)
    }
}

/// The texts of a record's data.
pub(super) fn texts(data: &[u8]) -> Result<String, Malformed> {
    let (mut rest, mut out) = (data, Vec::new());
    while let Some((length, after)) = rest.split_first() {
        let length = usize::from(*length);
        out.extend(after.get(..length).ok_or(Malformed)?);
        rest = &after[length..];
    }
    String::from_utf8(out).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_labels() {
        assert_eq!(name("A.bc.").unwrap(), b"\x01a\x02bc\0");
        let (label, whole) = ("a".repeat(64), "a.".repeat(128));
        for odd in ["", ".", "a..b", "a b", "é", &label, &whole] {
            assert_eq!(name(odd), Err(Malformed), "{odd:?}");
        }
    }

    #[test]
    fn an_answer_with_compressed_names() {
        let question = record(&name("x.example").unwrap(), (TXT, IN), None).unwrap();
        let data = text("hello").unwrap();
        let answer = record(&[0xc0, 12], (TXT, IN), Some((60, &data))).unwrap();
        let whole = [header(7, 0x8000, [1, 1, 0, 0]), question, answer].concat();
        let message = Message::parse(&whole).unwrap();
        assert_eq!((message.id, message.code()), (7, 0));
        assert_eq!(message.records[0].owner, "x.example");
        assert_eq!(texts(&message.records[0].data).unwrap(), "hello");
        for end in 0..whole.len() {
            assert!(Message::parse(&whole[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn names_that_lead_in_circles_end() {
        let circle = [header(7, 0, [0, 1, 0, 0]), vec![0xc0, 12, 0, 16, 0, 1]].concat();
        assert!(Message::parse(&circle).is_err());
        let mut odd = header(7, 0, [0xffff; 4]);
        odd.extend([0x40; 64]);
        assert!(Message::parse(&odd).is_err());
    }
}
