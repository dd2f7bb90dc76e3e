//! Names asked of a resolver (RFC 1035): addresses and texts, nothing else. The resolver does the work;
//! whether it is believed is the operator's choice. Without one of its own, the system's is asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use vault_crypto::Random;

/// For one question to one server.
const PATIENCE: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;
const PORT: u16 = 53;
/// Addresses of one name that are looked at.
const ADDRESSES: usize = 16;
const CONFIG: &str = "/etc/resolv.conf";

/// Why a name says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unresolved {
    #[error("the host has no address")]
    Nothing,
    #[error("the resolver does not answer, or not to the question")]
    Silent,
    #[error("not a name that can be asked for")]
    Name,
}

#[derive(Clone)]
pub struct Resolver {
    /// In place of the system's.
    pub server: Option<SocketAddr>,
    pub random: Arc<dyn Random>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Address = 1,
    Alias = 5,
    Text = 16,
    Address6 = 28,
}

impl Resolver {
    /// All addresses of a host.
    ///
    /// # Errors
    /// If it has none, or nobody says.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let mut found = Vec::new();
        match self.server {
            None => {
                let asked = tokio::time::timeout(2 * PATIENCE, tokio::net::lookup_host((host, 0)));
                let all = asked.await.map_err(|_| Unresolved::Silent)?;
                found.extend(all.map_err(|_| Unresolved::Nothing)?.map(|one| one.ip()));
                found.dedup();
            }
            Some(server) => {
                for kind in [Kind::Address, Kind::Address6] {
                    for data in self.ask(server, host, kind).await? {
                        let four = <[u8; 4]>::try_from(&data[..]).map(Ipv4Addr::from);
                        let six = <[u8; 16]>::try_from(&data[..]).map(Ipv6Addr::from);
                        found.extend(four.map(IpAddr::V4).ok());
                        found.extend(six.map(IpAddr::V6).ok());
                    }
                }
            }
        }
        match found.len() {
            0 => Err(Unresolved::Nothing),
            1..=ADDRESSES => Ok(found),
            _ => Err(Unresolved::Name),
        }
    }

    /// All texts of a name, the strings of each put together.
    ///
    /// # Errors
    /// If nobody says. A name without texts has none.
    pub async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, Unresolved> {
        let servers = match self.server {
            Some(server) => vec![server],
            None => of_system(),
        };
        let mut outcome = Err(Unresolved::Silent);
        for server in servers {
            outcome = self.ask(server, name, Kind::Text).await;
            if outcome.is_ok() {
                break;
            }
        }
        Ok(outcome?.iter().filter_map(|data| text(data)).collect())
    }

    async fn ask(
        &self,
        server: SocketAddr,
        name: &str,
        kind: Kind,
    ) -> Result<Vec<Vec<u8>>, Unresolved> {
        for _ in 0..ATTEMPTS {
            let mut id = [0; 2];
            self.random.fill(&mut id);
            let question = question(id, name, kind).ok_or(Unresolved::Name)?;
            let asked = tokio::time::timeout(PATIENCE, exchange(server, &question, kind));
            if let Ok(Some(found)) = asked.await {
                return Ok(found);
            }
        }
        Err(Unresolved::Silent)
    }
}

/// Servers of `resolv.conf(5)`.
fn of_system() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string(CONFIG).unwrap_or_default();
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let named = words.next() == Some("nameserver");
        let address = words.next().filter(|_| named)?;
        Some(SocketAddr::new(address.parse().ok()?, PORT))
    };
    text.lines().filter_map(address).collect()
}

/// A message with one question; recursion is wanted.
fn question(id: [u8; 2], name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut message = [&id[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok();
        let length = length.filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, kind as u8, 0, 1]);
    (name.len() <= 253).then_some(message)
}

/// Over UDP; if the answer does not fit, over TCP.
async fn exchange(server: SocketAddr, question: &[u8], kind: Kind) -> Option<Vec<Vec<u8>>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(question).await.ok()?;
    let mut buffer = vec![0; 4096];
    // What does not answer the question is somebody else's.
    loop {
        let length = socket.recv(&mut buffer).await.ok()?;
        match read(&buffer[..length], question, kind) {
            Read::Other => continue,
            Read::Answer(found) => return Some(found),
            Read::Refused => return None,
            Read::Cut => break,
        }
    }
    let mut stream = TcpStream::connect(server).await.ok()?;
    let length = u16::try_from(question.len()).ok()?.to_be_bytes();
    stream
        .write_all(&[&length[..], question].concat())
        .await
        .ok()?;
    let length = stream.read_u16().await.ok()?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await.ok()?;
    match read(&message, question, kind) {
        Read::Answer(found) => Some(found),
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// Not an answer to this question.
    Other,
    Refused,
    /// Too long for a datagram.
    Cut,
    Answer(Vec<Vec<u8>>),
}

/// The data of all records of that kind, for the name or what it is an alias of.
fn read(message: &[u8], question: &[u8], kind: Kind) -> Read {
    const HEAD: usize = 12;
    let asked = question.get(HEAD..).unwrap_or_default();
    let same = message.get(..2) == question.get(..2)
        && message
            .get(HEAD..HEAD + asked.len())
            .is_some_and(|part| part.eq_ignore_ascii_case(asked));
    let head = message.first_chunk::<HEAD>();
    let (Some(head), true) = (head, same) else {
        return Read::Other;
    };
    match (head[2] & 0x80, head[2] & 0x02, head[3] & 0x0f) {
        (0, _, _) => Read::Other,
        (_, 0x02, _) => Read::Cut,
        // There is no such name: it has nothing.
        (_, _, 3) => Read::Answer(Vec::new()),
        (_, _, 0) => {
            let count = u16::from_be_bytes([head[6], head[7]]);
            let found = records(message, HEAD + asked.len(), count, kind);
            found.map_or(Read::Refused, Read::Answer)
        }
        _ => Read::Refused,
    }
}

fn records(message: &[u8], start: usize, count: u16, kind: Kind) -> Option<Vec<Vec<u8>>> {
    let (mut wanted, _) = name(message, 12)?;
    let (mut at, mut found) = (start, Vec::new());
    for _ in 0..count {
        let (owner, after) = name(message, at)?;
        let fixed = message.get(after..after + 10)?;
        let (this, class) = (&fixed[..2], &fixed[2..4]);
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let data = message.get(after + 10..after + 10 + length)?;
        if owner == wanted && class == [0, 1] {
            if this == [0, kind as u8] {
                found.push(data.to_vec());
            } else if this == [0, Kind::Alias as u8] {
                wanted = name(message, after + 10)?.0;
            }
        }
        at = after + 10 + length;
    }
    Some(found)
}

/// A name in lower case, each label with its length in front, and where it ends.
fn name(message: &[u8], start: usize) -> Option<(Vec<u8>, usize)> {
    let (mut at, mut end, mut found) = (start, None, Vec::new());
    // Each jump leads backwards, so that it ends.
    let mut floor = start;
    loop {
        let length = *message.get(at)?;
        match length {
            0 => return Some((found, end.unwrap_or(at + 1))),
            1..=63 => {
                let label = message.get(at..=at + usize::from(length))?;
                found.extend(label.iter().map(u8::to_ascii_lowercase));
                at += usize::from(length) + 1;
            }
            0xc0.. => {
                let low = *message.get(at + 1)?;
                let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                end = end.or(Some(at + 2));
                if target >= floor {
                    return None;
                }
                (at, floor) = (target, target);
            }
            _ => return None,
        }
        if found.len() > 255 {
            return None;
        }
    }
}

/// Strings with their lengths in front, put together.
fn text(data: &[u8]) -> Option<Vec<u8>> {
    let (mut rest, mut found) = (data, Vec::new());
    while let Some((length, after)) = rest.split_first() {
        found.extend_from_slice(after.get(..usize::from(*length))?);
        rest = &after[usize::from(*length)..];
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn asked() -> Vec<u8> {
        question([7, 9], "a.Example", Kind::Text).unwrap()
    }

    fn answer(flags: [u8; 2], count: u8, records: &[u8]) -> Vec<u8> {
        let mut message = asked();
        (message[2], message[3], message[7]) = (flags[0], flags[1], count);
        [message, records.to_vec()].concat()
    }

    #[test]
    fn texts_of_a_name_and_of_its_alias_are_found() {
        // a.Example CNAME b (12 + 2 = offset of "Example"), then b.Example TXT.
        let alias = [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 0, 0, 4, 1, b'b', 0xc0, 14];
        let text_of_b = [
            1, b'B', 0xc0, 14, 0, 16, 0, 1, 0, 0, 0, 0, 0, 5, 2, b'x', b'y', 1, b'z',
        ];
        let other = [1, b'c', 0xc0, 14, 0, 16, 0, 1, 0, 0, 0, 0, 0, 2, 1, b'n'];
        let message = answer([0x81, 0x80], 3, &[&alias[..], &text_of_b, &other].concat());
        let Read::Answer(found) = read(&message, &asked(), Kind::Text) else {
            panic!("no answer");
        };
        let texts: Vec<_> = found.iter().filter_map(|data| text(data)).collect();
        assert_eq!(texts, [b"xyz".to_vec()]);
    }

    #[test]
    fn what_is_no_answer_is_told_from_one() {
        let read = |message: &[u8]| read(message, &asked(), Kind::Text);
        assert_eq!(read(&answer([0x81, 0x83], 0, &[])), Read::Answer(vec![]));
        assert_eq!(read(&answer([0x81, 0x82], 0, &[])), Read::Refused);
        assert_eq!(read(&answer([0x83, 0x80], 0, &[])), Read::Cut);
        assert_eq!(read(&answer([0x01, 0x00], 0, &[])), Read::Other);
        let mut other_id = answer([0x81, 0x80], 0, &[]);
        other_id[0] ^= 1;
        assert_eq!(read(&other_id), Read::Other);
        // A name that points at itself.
        let circle = [0xc0, 27, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(read(&answer([0x81, 0x80], 1, &circle)), Read::Refused);
        assert!(question([0; 2], "a..b", Kind::Text).is_none());
        assert!(question([0; 2], &"a".repeat(64), Kind::Text).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_fail(tail in prop::collection::vec(any::<u8>(), 0..120), count in 0_u8..5) {
            let _ = read(&answer([0x81, 0x80], count, &tail), &asked(), Kind::Text);
            let _ = read(&tail, &asked(), Kind::Text);
            let _ = text(&tail);
        }
    }
}
