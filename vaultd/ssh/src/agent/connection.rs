//! What an agent knows about a connection, and which signatures it may ask for: logins to the host
//! that it is bound to, in the session that it is bound to.

use super::userauth::Userauth;
use super::{Binding, SignRequest};
use crate::certificate::Certificate;
use crate::key::Key;
use crate::wire::Malformed;

/// The host at the other end of a session, as its signature proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its key.
    pub key: Key,
    /// Who signed its certificate, if it showed one.
    pub authority: Option<Key>,
    blob: Vec<u8>,
}

impl Host {
    fn from_blob(blob: &[u8]) -> Result<Host, Malformed> {
        let (key, authority) = match Certificate::is_one(blob) {
            true => {
                let certificate = Certificate::from_blob(blob)?;
                // Or whoever has one could pass for a host.
                if certificate.is_of_a_user() {
                    return Err(Malformed);
                }
                (certificate.key, Some(certificate.authority))
            }
            false => (Key::from_blob(blob)?, None),
        };
        Ok(Host {
            key,
            authority,
            blob: blob.to_vec(),
        })
    }

    /// Whether one of these is its key, or signed its certificate.
    pub fn is_one_of(&self, trusted: &[Key]) -> bool {
        let authority = self.authority.as_ref();
        let is_it = |key: &Key| *key == self.key || authority == Some(key);
        trusted.iter().any(is_it)
    }
}

/// One connection of a client.
#[derive(Debug, Default)]
pub struct Connection {
    bound: Option<(Host, Binding)>,
    /// Handed on to another host, or bound against the rules: signs nothing any more.
    spoiled: bool,
}

/// A login that may be signed, if the key is one for that host.
#[derive(Debug)]
pub struct Login<'a> {
    /// What it says.
    pub userauth: Userauth,
    /// Where to. A client older than OpenSSH 8.9, or not of OpenSSH, does not say.
    pub host: Option<&'a Host>,
    /// How the host proved that.
    pub binding: Option<&'a Binding>,
    /// What is to be signed.
    pub data: &'a [u8],
    /// As the client asked.
    pub flags: u32,
}

impl Connection {
    /// Binds it to a session, once. After anything else it signs nothing.
    ///
    /// # Errors
    /// If the host key did not sign the session, it is bound already, or it is handed on to a host.
    pub fn bind(&mut self, binding: &Binding) -> Result<(), Malformed> {
        let host = self.check(binding).inspect_err(|_| self.spoiled = true)?;
        self.bound = Some((host, binding.clone()));
        Ok(())
    }

    fn check(&self, binding: &Binding) -> Result<Host, Malformed> {
        if self.bound.is_some() || self.spoiled || binding.forwarding {
            return Err(Malformed);
        }
        let host = Host::from_blob(&binding.host_key)?;
        host.key.verify(&binding.session, &binding.signature)?;
        Ok(host)
    }

    /// Where it leads, if that was said.
    pub fn host(&self) -> Option<&Host> {
        self.bound.as_ref().map(|(host, _)| host)
    }

    /// Whether nothing is signed over it.
    pub fn is_spoiled(&self) -> bool {
        self.spoiled
    }

    /// # Errors
    /// If it is no login with that key, or one of another session or host.
    pub fn login<'a>(&'a self, wish: &'a SignRequest) -> Result<Login<'a>, Malformed> {
        let userauth = Userauth::parse(&wish.data)?;
        let of_this = match &self.bound {
            Some((host, binding)) => {
                let named = userauth.host_key.as_ref();
                userauth.session == binding.session && named.is_none_or(|named| *named == host.blob)
            }
            None => true,
        };
        if self.spoiled || !of_this || userauth.key != wish.key || !userauth.agrees_with(wish.flags)
        {
            return Err(Malformed);
        }
        Ok(Login {
            userauth,
            host: self.host(),
            binding: self.bound.as_ref().map(|(_, binding)| binding),
            data: &wish.data,
            flags: wish.flags,
        })
    }
}
