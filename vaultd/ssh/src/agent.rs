//! The agent protocol (draft-ietf-sshm-ssh-agent), as far as an agent needs it that signs logins and
//! nothing else, with the binding of a connection to one session (OpenSSH's PROTOCOL.agent).
//!
//! A message is what follows the length in front of it; at most [`MESSAGE_MAX`] bytes.

mod connection;
#[cfg(feature = "socket")]
mod one_key;
#[cfg(feature = "socket")]
mod socket;
mod userauth;

#[cfg(test)]
mod tests;

pub use connection::{Connection, Host, Login};
#[cfg(feature = "socket")]
pub use one_key::OneKey;
#[cfg(feature = "socket")]
pub use socket::{Keys, Socket};
pub use userauth::{RSA_SHA2_256, RSA_SHA2_512, Userauth};

use crate::wire::{Malformed, Reader, push_string};

/// Longer messages are refused unread, as OpenSSH does.
pub const MESSAGE_MAX: usize = 256 << 10;

const FAILURE: u8 = 5;
const SUCCESS: u8 = 6;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const EXTENSION: u8 = 27;
const EXTENSION_FAILURE: u8 = 28;
const EXTENSION_RESPONSE: u8 = 29;

const QUERY: &str = "query";
const SESSION_BIND: &str = "session-bind@openssh.com";

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Which keys are there?
    Identities,
    /// Sign with one of them.
    Sign(SignRequest),
    /// This connection is for one session with one host.
    Bind(Binding),
    /// Which extensions are known?
    Query,
    /// An extension that is not known.
    Extension(String, Vec<u8>),
    /// A request that is not known: its number and the rest.
    Other(u8, Vec<u8>),
}

/// A wish for a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignRequest {
    /// The encoding of the public key, or of a certificate of it.
    pub key: Vec<u8>,
    /// What is to be signed.
    pub data: Vec<u8>,
    /// [`RSA_SHA2_256`] or [`RSA_SHA2_512`] for an RSA key.
    pub flags: u32,
}

/// The proof that a session is with the holder of a host key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The encoding of the host's key, or of its certificate.
    pub host_key: Vec<u8>,
    /// As both sides computed it (RFC 4253, 7.2).
    pub session: Vec<u8>,
    /// The host key's, over the session.
    pub signature: Vec<u8>,
    /// The connection is handed on to that host.
    pub forwarding: bool,
}

/// A key that an agent holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The encoding of the public key, or of a certificate of it.
    pub key: Vec<u8>,
    /// For people.
    pub comment: String,
}

/// What an agent answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Success,
    /// It is refused, or not known.
    Failure,
    /// An extension that is known is refused.
    ExtensionFailure,
    /// The keys.
    Identities(Vec<Identity>),
    /// In SSH's form: algorithm and bytes.
    Signature(Vec<u8>),
    /// The extensions.
    Extensions(Vec<String>),
}

impl Request {
    /// # Errors
    /// If a request that is known is not spelled as it has to be.
    pub fn parse(message: &[u8]) -> Result<Request, Malformed> {
        let mut reader = Reader::new(message);
        let request = match reader.u8()? {
            REQUEST_IDENTITIES => Request::Identities,
            SIGN_REQUEST => Request::Sign(SignRequest {
                key: reader.string()?.to_vec(),
                data: reader.string()?.to_vec(),
                flags: reader.u32()?,
            }),
            EXTENSION => match reader.text()? {
                QUERY => Request::Query,
                SESSION_BIND => Request::Bind(Binding {
                    host_key: reader.string()?.to_vec(),
                    session: reader.string()?.to_vec(),
                    signature: reader.string()?.to_vec(),
                    forwarding: truth(&mut reader)?,
                }),
                name => Request::Extension(name.to_owned(), reader.take(reader.left())?.to_vec()),
            },
            number => Request::Other(number, reader.take(reader.left())?.to_vec()),
        };
        reader.end()?;
        Ok(request)
    }

    /// The message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Request::Identities => bytes.push(REQUEST_IDENTITIES),
            Request::Sign(wish) => {
                bytes.push(SIGN_REQUEST);
                push_string(&mut bytes, &wish.key);
                push_string(&mut bytes, &wish.data);
                bytes.extend_from_slice(&wish.flags.to_be_bytes());
            }
            Request::Bind(binding) => {
                push_extension(&mut bytes, SESSION_BIND);
                push_string(&mut bytes, &binding.host_key);
                push_string(&mut bytes, &binding.session);
                push_string(&mut bytes, &binding.signature);
                bytes.push(u8::from(binding.forwarding));
            }
            Request::Query => push_extension(&mut bytes, QUERY),
            Request::Extension(name, rest) => {
                push_extension(&mut bytes, name);
                bytes.extend_from_slice(rest);
            }
            Request::Other(number, rest) => {
                bytes.push(*number);
                bytes.extend_from_slice(rest);
            }
        }
        bytes
    }
}

impl Answer {
    /// What this agent says to a query.
    pub fn known_extensions() -> Answer {
        Answer::Extensions(vec![QUERY.to_owned(), SESSION_BIND.to_owned()])
    }

    /// # Errors
    /// If it is no answer to a request of [`Request`].
    pub fn parse(message: &[u8]) -> Result<Answer, Malformed> {
        let mut reader = Reader::new(message);
        let answer = match reader.u8()? {
            SUCCESS => Answer::Success,
            FAILURE => Answer::Failure,
            EXTENSION_FAILURE => Answer::ExtensionFailure,
            SIGN_RESPONSE => Answer::Signature(reader.string()?.to_vec()),
            IDENTITIES_ANSWER => {
                let count = reader.u32()?;
                let mut found = Vec::new();
                for _ in 0..count {
                    found.push(Identity {
                        key: reader.string()?.to_vec(),
                        comment: reader.text()?.to_owned(),
                    });
                }
                Answer::Identities(found)
            }
            EXTENSION_RESPONSE if reader.text()? == QUERY => {
                let mut names = Vec::new();
                while !reader.is_empty() {
                    names.push(reader.text()?.to_owned());
                }
                Answer::Extensions(names)
            }
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(answer)
    }

    /// The message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Answer::Success => bytes.push(SUCCESS),
            Answer::Failure => bytes.push(FAILURE),
            Answer::ExtensionFailure => bytes.push(EXTENSION_FAILURE),
            Answer::Signature(signature) => {
                bytes.push(SIGN_RESPONSE);
                push_string(&mut bytes, signature);
            }
            Answer::Identities(identities) => {
                bytes.push(IDENTITIES_ANSWER);
                let count = u32::try_from(identities.len()).unwrap_or(u32::MAX);
                bytes.extend_from_slice(&count.to_be_bytes());
                for identity in identities {
                    push_string(&mut bytes, &identity.key);
                    push_string(&mut bytes, identity.comment.as_bytes());
                }
            }
            Answer::Extensions(names) => {
                bytes.push(EXTENSION_RESPONSE);
                push_string(&mut bytes, QUERY.as_bytes());
                for name in names {
                    push_string(&mut bytes, name.as_bytes());
                }
            }
        }
        bytes
    }
}

fn push_extension(into: &mut Vec<u8>, name: &str) {
    into.push(EXTENSION);
    push_string(into, name.as_bytes());
}

/// RFC 4251 lets any number but 0 be true; nobody writes another than 1.
fn truth(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}
