//! What a client signs to log in with a key (RFC 4252, 7; OpenSSH's `publickey-hostbound-v00`).

use super::truth;
use crate::wire::{Malformed, Reader, push_string};

/// An RSA key signs with SHA-256 (RFC 8332).
pub const RSA_SHA2_256: u32 = 2;
/// An RSA key signs with SHA-512 (RFC 8332).
pub const RSA_SHA2_512: u32 = 4;

const REQUEST: u8 = 50;
const SERVICE: &str = "ssh-connection";
const PLAIN: &str = "publickey";
const HOST_BOUND: &str = "publickey-hostbound-v00@openssh.com";
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// A login with a key: nothing else that an agent is asked to sign looks like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Userauth {
    /// As both sides computed it (RFC 4253, 7.2).
    pub session: Vec<u8>,
    /// Who logs in.
    pub user: String,
    /// The algorithm of the signature, or that of a certificate.
    pub algorithm: String,
    /// The encoding of the key, or of a certificate of it.
    pub key: Vec<u8>,
    /// The encoding of the host's key, if the login is bound to it.
    pub host_key: Option<Vec<u8>>,
}

impl Userauth {
    /// # Errors
    /// If it is none, or its algorithm is not one of its key (RSA with SHA-1 included).
    pub fn parse(data: &[u8]) -> Result<Userauth, Malformed> {
        let mut reader = Reader::new(data);
        let session = reader.string()?.to_vec();
        // From a hash of 160 to one of 512 bits.
        if !(20..=64).contains(&session.len()) || reader.u8()? != REQUEST {
            return Err(Malformed);
        }
        let user = reader.text()?.to_owned();
        if reader.text()? != SERVICE {
            return Err(Malformed);
        }
        let method = reader.text()?;
        if !truth(&mut reader)? {
            return Err(Malformed);
        }
        let algorithm = reader.text()?.to_owned();
        let key = reader.string()?.to_vec();
        let host_key = match method {
            PLAIN => None,
            HOST_BOUND => Some(reader.string()?.to_vec()),
            _ => return Err(Malformed),
        };
        reader.end()?;
        let login = Userauth {
            session,
            user,
            algorithm,
            key,
            host_key,
        };
        match login.is_consistent() {
            true => Ok(login),
            false => Err(Malformed),
        }
    }

    /// What is signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut data = Vec::new();
        push_string(&mut data, &self.session);
        data.push(REQUEST);
        let method = match self.host_key {
            Some(_) => HOST_BOUND,
            None => PLAIN,
        };
        for text in [&self.user, SERVICE, method] {
            push_string(&mut data, text.as_bytes());
        }
        data.push(1);
        push_string(&mut data, self.algorithm.as_bytes());
        push_string(&mut data, &self.key);
        if let Some(host_key) = &self.host_key {
            push_string(&mut data, host_key);
        }
        data
    }

    fn is_consistent(&self) -> bool {
        let Ok(of_key) = Reader::new(&self.key).text() else {
            return false;
        };
        let suffix = if of_key.ends_with(CERTIFICATE) {
            CERTIFICATE
        } else {
            ""
        };
        match of_key.strip_suffix(CERTIFICATE).unwrap_or(of_key) {
            "ssh-rsa" => matches!(
                self.algorithm.strip_suffix(suffix),
                Some("rsa-sha2-256" | "rsa-sha2-512")
            ),
            _ => self.algorithm == of_key,
        }
    }

    /// The algorithm to sign with, for [`crate::PrivateKey::sign_as`].
    pub fn signing_algorithm(&self) -> &str {
        let algorithm = &self.algorithm;
        algorithm.strip_suffix(CERTIFICATE).unwrap_or(algorithm)
    }

    /// The flags that ask for that algorithm.
    pub fn flags(&self) -> u32 {
        match self.signing_algorithm() {
            "rsa-sha2-512" => RSA_SHA2_512,
            "rsa-sha2-256" => RSA_SHA2_256,
            _ => 0,
        }
    }

    /// Whether the flags of a sign request ask for that algorithm.
    pub fn agrees_with(&self, flags: u32) -> bool {
        match self.flags() {
            0 => flags & !(RSA_SHA2_256 | RSA_SHA2_512) == 0,
            own => flags == own,
        }
    }
}
