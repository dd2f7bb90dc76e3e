//! OpenSSH certificates of users (PROTOCOL.certkeys).

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;

use crate::key::{Key, VERIFIED};
use crate::wire::{Malformed, Reader};

/// Ends the name of an algorithm of certificates.
pub const SUFFIX: &str = "-cert-v01@openssh.com";
const USER: u32 = 1;

/// What a certificate says. Its authority's signature has been checked; whether the authority is
/// trusted has not.
#[derive(Debug)]
pub struct Certificate {
    /// Whose it is.
    pub key: Key,
    /// Who signed it.
    pub authority: Key,
    /// As the authority numbered it.
    pub serial: u64,
    /// What `sshd` logs.
    pub key_id: String,
    /// Users, or hosts.
    pub principals: Vec<String>,
    /// Seconds since 1970; the end is not included.
    valid_after: u64,
    valid_before: u64,
    of_a_user: bool,
    options: Vec<(String, Vec<u8>)>,
}

impl Certificate {
    /// Whether the encoding of a key is that of a certificate.
    pub fn is_one(blob: &[u8]) -> bool {
        let algorithm = Reader::new(blob).text();
        algorithm.is_ok_and(|algorithm| algorithm.ends_with(SUFFIX))
    }

    /// From its encoding; the authority's signature is checked.
    ///
    /// # Errors
    /// If it is none, or the signature is false.
    pub fn from_blob(blob: &[u8]) -> Result<Certificate, Malformed> {
        let mut reader = Reader::new(blob);
        let algorithm = reader.text()?.strip_suffix(SUFFIX).ok_or(Malformed)?;
        // The names of security keys have their own domain, before and after.
        let algorithm = match algorithm.starts_with("sk-") {
            true => format!("{algorithm}@openssh.com"),
            false => algorithm.to_owned(),
        };
        let _nonce = reader.string()?;
        let key = Key::read(&algorithm, &mut reader)?;
        let serial = reader.u64()?;
        let of_a_user = reader.u32()? == USER;
        let key_id = reader.text()?.to_owned();
        let principals = strings(reader.string()?)?;
        let (valid_after, valid_before) = (reader.u64()?, reader.u64()?);
        let options = pairs(reader.string()?)?;
        let _extensions = pairs(reader.string()?)?;
        let _reserved = reader.string()?;
        let authority = Key::from_blob(reader.string()?)?;
        let signed = &blob[..blob.len() - reader.left()];
        let signature = reader.string()?;
        reader.end()?;
        authority.verify(signed, signature)?;
        Ok(Certificate {
            key,
            authority,
            serial,
            key_id,
            principals,
            valid_after,
            valid_before,
            of_a_user,
            options,
        })
    }

    /// From a line such as `ssh-ed25519-cert-v01@openssh.com AAAA… comment`.
    ///
    /// # Errors
    /// As [`Certificate::from_blob`].
    pub fn from_line(line: &str) -> Result<Certificate, Malformed> {
        let blob = line.split_ascii_whitespace().nth(1).ok_or(Malformed)?;
        Certificate::from_blob(&STANDARD.decode(blob).map_err(|_| Malformed)?)
    }

    pub(crate) fn is_of_a_user(&self) -> bool {
        self.of_a_user
    }

    /// Seconds that are left; 0 for ever.
    ///
    /// # Errors
    /// Why it does not count now.
    pub fn seconds_left(&self, now: i64) -> Result<u64, &'static str> {
        let now = u64::try_from(now).unwrap_or(0);
        if !self.of_a_user {
            return Err("it is not a certificate of a user");
        }
        if now < self.valid_after {
            return Err("it is not valid yet");
        }
        match self.valid_before {
            u64::MAX => Ok(0),
            end if now < end => Ok(end - now),
            _ => Err("it has expired"),
        }
    }

    /// When it ends, in seconds since 1970; not included. The largest number is never.
    pub fn valid_before(&self) -> u64 {
        self.valid_before
    }

    /// Whether its critical options allow this login. What is not known is not allowed.
    ///
    /// # Errors
    /// What forbids it.
    pub fn allows(&self, remote: IpAddr, flags: u8) -> Result<(), &'static str> {
        for (name, value) in &self.options {
            match name.as_str() {
                "source-address" if within(value, remote) => {}
                "source-address" => return Err("it is bound to other addresses"),
                "verify-required" if flags & VERIFIED != 0 => {}
                "verify-required" => return Err("its key has to ask for a PIN"),
                "force-command" => return Err("it is for one command on a host only"),
                _ => return Err("it has a critical option that is not known"),
            }
        }
        Ok(())
    }
}

/// A comma-separated list of addresses and networks, as a string in a string.
fn within(value: &[u8], remote: IpAddr) -> bool {
    let mut reader = Reader::new(value);
    let Ok(list) = reader.text() else {
        return false;
    };
    let holds = |item: &str| {
        let net = item.parse::<IpNet>();
        let net = net.or_else(|_| item.parse::<IpAddr>().map(IpNet::from));
        net.is_ok_and(|net| net.contains(&remote.to_canonical()))
    };
    reader.is_empty() && list.split(',').any(|item| holds(item.trim()))
}

fn strings(bytes: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut found = Vec::new();
    while !reader.is_empty() {
        found.push(reader.text()?.to_owned());
    }
    Ok(found)
}

/// Names with values, each name once and in order.
fn pairs(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    while !reader.is_empty() {
        let (name, value) = (reader.text()?.to_owned(), reader.string()?.to_vec());
        if found.last().is_some_and(|(last, _)| *last >= name) {
            return Err(Malformed);
        }
        found.push((name, value));
    }
    Ok(found)
}
