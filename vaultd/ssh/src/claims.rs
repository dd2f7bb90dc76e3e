//! Making certificates (PROTOCOL.certkeys).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::certificate::SUFFIX;
use crate::key::Key;
use crate::private::PrivateKey;
use crate::wire::push_string;

/// For whom a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Logs in.
    User,
    /// Is logged in to.
    Host,
}

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub struct Claims {
    /// Whose it is.
    pub key: Key,
    /// For whom.
    pub subject: Subject,
    /// Never 0, which cannot be revoked.
    pub serial: u64,
    /// What `sshd` logs.
    pub key_id: String,
    /// Users, or hosts; at least one.
    pub principals: Vec<String>,
    /// Seconds since 1970.
    pub valid_after: u64,
    /// The same; not included.
    pub valid_before: u64,
    /// Restrictions: name and value. `sshd` refuses those that it does not know.
    pub critical_options: BTreeMap<String, String>,
    /// Permissions: name and value, which is mostly empty.
    pub extensions: BTreeMap<String, String>,
}

/// Such a certificate is never made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadClaims {
    /// OpenSSH takes a certificate without principals for one of everybody.
    #[error("a certificate needs at least one principal")]
    NoPrincipals,
    /// Principals that are empty, or that a list of names takes apart.
    #[error("a principal must not be empty, nor have a comma, a blank or a control character")]
    Principal,
    /// A line of a log or of a file of keys would end there.
    #[error("{0} must not have control characters")]
    Control(&'static str),
    /// Nothing could revoke it.
    #[error("a certificate needs a serial number other than 0")]
    Serial,
    /// It would be over before it begins.
    #[error("a certificate must end after it begins")]
    Times,
    /// RSA below 2048 bits.
    #[error("an RSA key needs at least 2048 bits")]
    WeakKey,
    /// The authority has no such algorithm, or the library failed.
    #[error("the CA's key does not sign with that algorithm")]
    Algorithm,
}

impl Claims {
    /// The encoding of the certificate. The nonce is random, so that nobody knows before what is signed.
    /// RSA authorities sign with `rsa-sha2-256` or `rsa-sha2-512`, others with their one algorithm.
    ///
    /// # Errors
    /// If OpenSSH would refuse it, or take it for more than it says.
    pub fn sign(
        &self,
        authority: &PrivateKey,
        algorithm: &str,
        nonce: &[u8; 32],
    ) -> Result<Vec<u8>, BadClaims> {
        self.check()?;
        let mut blob = Vec::with_capacity(1024);
        push_string(&mut blob, self.algorithm().as_bytes());
        push_string(&mut blob, nonce);
        // The key's own fields follow its algorithm's name.
        let key = self.key.blob();
        blob.extend_from_slice(&key[4 + self.key.algorithm().len()..]);
        blob.extend_from_slice(&self.serial.to_be_bytes());
        let subject: u32 = match self.subject {
            Subject::User => 1,
            Subject::Host => 2,
        };
        blob.extend_from_slice(&subject.to_be_bytes());
        push_string(&mut blob, self.key_id.as_bytes());
        let mut principals = Vec::new();
        for principal in &self.principals {
            push_string(&mut principals, principal.as_bytes());
        }
        push_string(&mut blob, &principals);
        blob.extend_from_slice(&self.valid_after.to_be_bytes());
        blob.extend_from_slice(&self.valid_before.to_be_bytes());
        push_string(&mut blob, &pairs(&self.critical_options));
        push_string(&mut blob, &pairs(&self.extensions));
        push_string(&mut blob, b"");
        push_string(&mut blob, &authority.public().blob());
        let signature = authority.sign_as(algorithm, &blob);
        push_string(&mut blob, &signature.map_err(|_| BadClaims::Algorithm)?);
        Ok(blob)
    }

    /// The line of a file `*-cert.pub`, without a comment.
    ///
    /// # Errors
    /// As [`Claims::sign`].
    pub fn sign_line(
        &self,
        authority: &PrivateKey,
        algorithm: &str,
        nonce: &[u8; 32],
    ) -> Result<String, BadClaims> {
        let blob = self.sign(authority, algorithm, nonce)?;
        Ok(format!("{} {}", self.algorithm(), STANDARD.encode(blob)))
    }

    /// The names of security keys have their own domain, before and after.
    fn algorithm(&self) -> String {
        let plain = self.key.algorithm().trim_end_matches("@openssh.com");
        format!("{plain}{SUFFIX}")
    }

    fn check(&self) -> Result<(), BadClaims> {
        let controls = |text: &str| text.chars().any(char::is_control);
        let odd = |name: &String| name.is_empty() || name.contains([',', ' ']) || controls(name);
        if self.principals.is_empty() {
            return Err(BadClaims::NoPrincipals);
        }
        if self.principals.iter().any(odd) {
            return Err(BadClaims::Principal);
        }
        if controls(&self.key_id) {
            return Err(BadClaims::Control("a key id"));
        }
        let options = self.critical_options.iter().chain(&self.extensions);
        for (name, value) in options {
            if name.is_empty() || controls(name) || controls(value) {
                return Err(BadClaims::Control("options and extensions"));
            }
        }
        match self.serial {
            0 => Err(BadClaims::Serial),
            _ if self.valid_before <= self.valid_after => Err(BadClaims::Times),
            _ if !self.key.is_strong() => Err(BadClaims::WeakKey),
            _ => Ok(()),
        }
    }
}

/// In order of their names; a value is a string in a string, and none is no string at all.
fn pairs(options: &BTreeMap<String, String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in options {
        push_string(&mut bytes, name.as_bytes());
        let mut inner = Vec::new();
        if !value.is_empty() {
            push_string(&mut inner, value.as_bytes());
        }
        push_string(&mut bytes, &inner);
    }
    bytes
}

#[cfg(test)]
mod tests;
