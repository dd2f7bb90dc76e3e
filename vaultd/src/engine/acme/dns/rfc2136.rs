//! Updates of a zone (RFC 2136), signed by a shared key (TSIG, RFC 8945), and questions to servers, all
//! over TCP.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Deed;
use super::message::{
    self, ANY, IN, Malformed, Message, NONE, SOA, TSIG, TXT, header, name, record,
};
use crate::core::errand::Means;
use crate::core::fault::Fault;
use crate::engine::acme::trouble::Trouble;
use crate::engine::secret::Secret;

const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds that the clocks may differ.
const FUDGE: u16 = 300;
const UPDATE: u16 = 5 << 11;
const RECURSION: u16 = 1 << 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Algorithm {
    #[serde(rename = "hmac-sha256")]
    Sha256,
    #[serde(rename = "hmac-sha512")]
    Sha512,
}

impl Algorithm {
    pub(super) fn parse(text: &str) -> Result<Algorithm, Fault> {
        match text {
            "hmac-sha256" => Ok(Algorithm::Sha256),
            "hmac-sha512" => Ok(Algorithm::Sha512),
            _ => Err(Fault::invalid(
                "key_algorithm: use hmac-sha256 or hmac-sha512",
            )),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "hmac-sha256",
            Algorithm::Sha512 => "hmac-sha512",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

/// A server that takes updates.
#[derive(Serialize, Deserialize)]
pub(super) struct Server {
    /// `HOST:PORT`
    pub address: String,
    /// The server is asked if it is not said.
    pub zone: Option<String>,
    pub key_name: String,
    pub algorithm: Algorithm,
    pub key: Secret,
    /// Seconds.
    pub ttl: u32,
}

fn malformed(address: &str) -> Trouble {
    Trouble::passing(
        format!("{address} does not answer as DNS does"),
        "check server and check of dns/NAME",
    )
}

/// Sends one message, and reads one.
async fn exchange(address: &str, sent: &[u8]) -> Result<Vec<u8>, Trouble> {
    let failed = |what: String| {
        Trouble::passing(
            format!("asking the DNS server {address}: {what}"),
            "check server and check of dns/NAME, and that this server reaches it over TCP",
        )
    };
    let talk = async {
        let mut tcp = TcpStream::connect(address).await?;
        let length = u16::try_from(sent.len()).unwrap_or(u16::MAX).to_be_bytes();
        tcp.write_all(&[&length, sent].concat()).await?;
        let mut length = [0; 2];
        tcp.read_exact(&mut length).await?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        tcp.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match tokio::time::timeout(PATIENCE, talk).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failed(error.kind().to_string())),
        Err(_) => Err(failed("no answer in time".to_owned())),
    }
}

fn fresh_id(means: &Means<'_>) -> u16 {
    let mut id = [0; 2];
    means.random.fill(&mut id);
    u16::from_be_bytes(id)
}

async fn ask(address: &str, owner: &str, kind: u16, means: &Means<'_>) -> Result<Message, Trouble> {
    let id = fresh_id(means);
    let question = name(owner).and_then(|owner| record(&owner, (kind, IN), None));
    let question = question.map_err(|Malformed| malformed(address))?;
    let sent = [header(id, RECURSION, [1, 0, 0, 0]), question].concat();
    let answer = Message::parse(&exchange(address, &sent).await?);
    match answer {
        Ok(message) if message.id == id => Ok(message),
        _ => Err(malformed(address)),
    }
}

/// Whether a server answers with a text at a name.
pub(super) async fn has_text(
    address: &str,
    owner: &str,
    value: &str,
    means: &Means<'_>,
) -> Result<bool, Trouble> {
    let answer = ask(address, owner, TXT, means).await?;
    let texts = answer.records.iter().filter(|one| one.kind == TXT);
    Ok(texts
        .filter_map(|one| message::texts(&one.data).ok())
        .any(|text| text == value))
}

impl Server {
    /// The zone that holds a name: the owner of the SOA record that comes with the answer.
    async fn zone(&self, owner: &str, means: &Means<'_>) -> Result<String, Trouble> {
        if let Some(zone) = &self.zone {
            return Ok(zone.clone());
        }
        let answer = ask(&self.address, owner, SOA, means).await?;
        let soa = answer.records.into_iter().find(|one| one.kind == SOA);
        soa.map(|soa| soa.owner).ok_or_else(|| {
            Trouble::refused(
                format!("{} has no zone for {owner}", self.address),
                "set server of dns/NAME to the one that has the zone, or zone to its name",
            )
        })
    }

    /// Adds or removes one text; others at that name stay.
    pub(super) async fn update(
        &self,
        deed: Deed,
        owner: &str,
        value: &str,
        means: &Means<'_>,
    ) -> Result<(), Trouble> {
        let zone = self.zone(owner, means).await?;
        let seconds = u64::try_from(means.now.as_second()).unwrap_or(0);
        let signed = self
            .message(deed, (&zone, owner, value), fresh_id(means), seconds)
            .map_err(|Malformed| malformed(&self.address))?;
        let answer = exchange(&self.address, &signed.bytes).await?;
        self.judge(&answer, &signed)
    }

    fn message(
        &self,
        deed: Deed,
        (zone, owner, value): (&str, &str, &str),
        id: u16,
        seconds: u64,
    ) -> Result<Signed, Malformed> {
        let data = message::text(value)?;
        let change = match deed {
            Deed::Add => record(&name(owner)?, (TXT, IN), Some((self.ttl, &data)))?,
            Deed::Remove => record(&name(owner)?, (TXT, NONE), Some((0, &data)))?,
        };
        let zone = record(&name(zone)?, (SOA, IN), None)?;
        let body = [zone, change].concat();
        let plain = [header(id, UPDATE, [1, 0, 1, 0]), body.clone()].concat();
        let variables = self.variables(seconds, FUDGE, 0, &[])?;
        let tag = self.tag(&[&plain, &variables]);
        let rdata = [
            &name(self.algorithm.name())?[..],
            &seconds.to_be_bytes()[2..],
            &FUDGE.to_be_bytes(),
            &u16::try_from(tag.len())
                .map_err(|_| Malformed)?
                .to_be_bytes(),
            &tag,
            &id.to_be_bytes(),
            &[0; 4],
        ]
        .concat();
        let signature = record(&name(&self.key_name)?, (TSIG, ANY), Some((0, &rdata)))?;
        Ok(Signed {
            id,
            bytes: [header(id, UPDATE, [1, 0, 1, 1]), body, signature].concat(),
            tag,
        })
    }

    /// What is signed beside the message (RFC 8945, 4.3.3).
    fn variables(
        &self,
        seconds: u64,
        fudge: u16,
        error: u16,
        other: &[u8],
    ) -> Result<Vec<u8>, Malformed> {
        let length = u16::try_from(other.len()).map_err(|_| Malformed)?;
        Ok([
            &name(&self.key_name)?[..],
            &ANY.to_be_bytes(),
            &0_u32.to_be_bytes(),
            &name(self.algorithm.name())?,
            &seconds.to_be_bytes()[2..],
            &fudge.to_be_bytes(),
            &error.to_be_bytes(),
            &length.to_be_bytes(),
            other,
        ]
        .concat())
    }

    fn tag(&self, parts: &[&[u8]]) -> Vec<u8> {
        let key = hmac::Key::new(self.algorithm.hmac(), self.key.expose());
        hmac::sign(&key, &parts.concat()).as_ref().to_vec()
    }

    /// A success counts only with the server's own signature.
    fn judge(&self, answer: &[u8], sent: &Signed) -> Result<(), Trouble> {
        let message = Message::parse(answer).map_err(|Malformed| malformed(&self.address))?;
        if message.id != sent.id {
            return Err(malformed(&self.address));
        }
        let (word, hint) = match message.code() {
            0 => {
                return match self.is_signed(&message, answer, sent) {
                    true => Ok(()),
                    false => Err(Trouble::refused(
                        format!("the answer of {} is not signed by the key", self.address),
                        "check server, key_name and key_secret of dns/NAME",
                    )),
                };
            }
            5 => (
                "REFUSED",
                "allow the key to update TXT records below _acme-challenge in the zone",
            ),
            9 => (
                "NOTAUTH",
                "check key_name, key_algorithm and key_secret of dns/NAME, and both clocks",
            ),
            10 => (
                "NOTZONE",
                "set zone of dns/NAME to the zone that holds the names",
            ),
            2 => (
                "SERVFAIL",
                "see the DNS server's log: it may not be able to write its zone",
            ),
            _ => ("an error", "see the DNS server's log"),
        };
        Err(Trouble::refused(
            format!(
                "the DNS server {} answers with {word} ({})",
                self.address,
                message.code()
            ),
            hint,
        ))
    }

    fn is_signed(&self, message: &Message, answer: &[u8], sent: &Signed) -> bool {
        self.check(message, answer, sent).unwrap_or(false)
    }

    fn check(&self, message: &Message, answer: &[u8], sent: &Signed) -> Result<bool, Malformed> {
        let Some(last) = message.records.last().filter(|one| one.kind == TSIG) else {
            return Ok(false);
        };
        let algorithm = name(self.algorithm.name())?;
        let rest = last.data.strip_prefix(&algorithm[..]).ok_or(Malformed)?;
        let number = |at: usize| -> Result<u16, Malformed> {
            let bytes = rest.get(at..at + 2).ok_or(Malformed)?;
            Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
        };
        let mut seconds = [0; 8];
        seconds[2..].copy_from_slice(rest.get(..6).ok_or(Malformed)?);
        let (fudge, size) = (number(6)?, usize::from(number(8)?));
        let tag = rest.get(10..10 + size).ok_or(Malformed)?;
        let (error, length) = (number(12 + size)?, usize::from(number(14 + size)?));
        let other = rest.get(16 + size..16 + size + length).ok_or(Malformed)?;
        // The message as it was before the signature was added.
        let mut plain = answer.get(..last.at).ok_or(Malformed)?.to_vec();
        let count = u16::from_be_bytes([plain[10], plain[11]]);
        plain[10..12].copy_from_slice(&count.wrapping_sub(1).to_be_bytes());
        let before = u16::try_from(sent.tag.len()).map_err(|_| Malformed)?;
        let variables = self.variables(u64::from_be_bytes(seconds), fudge, error, other)?;
        let key = hmac::Key::new(self.algorithm.hmac(), self.key.expose());
        let signed = [&before.to_be_bytes()[..], &sent.tag, &plain, &variables].concat();
        Ok(error == 0 && hmac::verify(&key, &signed, tag).is_ok())
    }
}

/// A signed message, with what its answer is bound to.
struct Signed {
    id: u16,
    bytes: Vec<u8>,
    tag: Vec<u8>,
}
