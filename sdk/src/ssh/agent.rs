//! The SSH agent protocol (draft-ietf-sshm-ssh-agent), as far as it signs.

use aws_lc_rs::digest::{SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::Error;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// For RSA: with SHA-512, not SHA-1. Others ignore it.
const RSA_SHA2_512: u32 = 4;
const ANSWER_MAX: u32 = 256 << 10;

pub(super) struct Agent(UnixStream);

/// A key that the agent holds: the public half, or a certificate of it.
pub(super) struct Identity(Vec<u8>);

impl Identity {
    pub(super) fn is_certificate(&self) -> bool {
        let mut rest = self.0.as_slice();
        take_string(&mut rest).is_some_and(|name| name.ends_with(b"-cert-v01@openssh.com"))
    }
}

impl Agent {
    /// # Errors
    /// If `SSH_AUTH_SOCK` is not set, or nobody listens there.
    pub(super) async fn connect() -> Result<Agent, Error> {
        let path = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| {
            Error::Config(
                "there is no SSH agent (SSH_AUTH_SOCK is not set); name a key file".into(),
            )
        })?;
        let stream = UnixStream::connect(&path).await;
        stream.map(Agent).map_err(|cause| {
            Error::Config(format!(
                "the SSH agent of SSH_AUTH_SOCK does not answer: {cause}"
            ))
        })
    }

    /// Everything that it holds, in its order.
    pub(super) async fn identities(&mut self) -> Result<Vec<Identity>, Error> {
        let answer = self.ask(&[REQUEST_IDENTITIES]).await?;
        parse_identities(&answer).ok_or_else(garbled)
    }

    /// A signature in SSHSIG form, in base64; `None` if the agent refuses.
    pub(super) async fn sign(
        &mut self,
        identity: &Identity,
        namespace: &str,
        message: &str,
    ) -> Result<Option<String>, Error> {
        let mut signed = b"SSHSIG".to_vec();
        for part in [namespace.as_bytes(), b"", b"sha512"] {
            push_string(&mut signed, part);
        }
        push_string(&mut signed, digest(&SHA512, message.as_bytes()).as_ref());
        let mut request = vec![SIGN_REQUEST];
        push_string(&mut request, &identity.0);
        push_string(&mut request, &signed);
        request.extend_from_slice(&RSA_SHA2_512.to_be_bytes());

        let answer = self.ask(&request).await?;
        let Some((&SIGN_RESPONSE, mut rest)) = answer.split_first() else {
            return Ok(None);
        };
        let signature = take_string(&mut rest).ok_or_else(garbled)?;
        let mut whole = b"SSHSIG\0\0\0\x01".to_vec();
        for part in [&identity.0, namespace.as_bytes(), b"", b"sha512", signature] {
            push_string(&mut whole, part);
        }
        Ok(Some(STANDARD.encode(whole)))
    }

    async fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let lost = |cause| Error::Config(format!("the SSH agent went away: {cause}"));
        let mut framed = Vec::new();
        push_string(&mut framed, request);
        self.0.write_all(&framed).await.map_err(lost)?;
        let length = self.0.read_u32().await.map_err(lost)?;
        if length > ANSWER_MAX {
            return Err(garbled());
        }
        let mut answer = vec![0; length as usize];
        self.0.read_exact(&mut answer).await.map_err(lost)?;
        Ok(answer)
    }
}

fn garbled() -> Error {
    Error::Config("the SSH agent's answer is not one of an SSH agent".into())
}

fn parse_identities(answer: &[u8]) -> Option<Vec<Identity>> {
    let (&IDENTITIES_ANSWER, mut rest) = answer.split_first()? else {
        return None;
    };
    let (count, after) = rest.split_first_chunk::<4>()?;
    rest = after;
    let mut found = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        found.push(Identity(take_string(&mut rest)?.to_vec()));
        let _comment = take_string(&mut rest)?;
    }
    Some(found)
}

fn push_string(into: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(bytes);
}

fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (taken, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_false_answer_of_an_agent_is_no_panic() {
        let mut good = vec![IDENTITIES_ANSWER, 0, 0, 0, 1];
        push_string(&mut good, b"blob");
        push_string(&mut good, b"comment");
        assert_eq!(parse_identities(&good).map(|found| found.len()), Some(1));
        for end in 0..good.len() {
            assert!(parse_identities(&good[..end]).is_none());
        }
        assert!(parse_identities(&[IDENTITIES_ANSWER, 0xff, 0xff, 0xff, 0xff]).is_none());
        assert!(parse_identities(&[5]).is_none());
    }
}
