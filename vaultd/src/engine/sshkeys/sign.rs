//! One login, signed here, so that the private half never leaves.
//!
//! Only what RFC 4252, 7, has a client sign is signed, or what OpenSSH signs in its place with the
//! host's key in it (PROTOCOL, `publickey-hostbound-v00@openssh.com`): no other message, so that this
//! is no way to sign files, certificates or commits.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use vault_ssh::Malformed;
use vault_ssh::wire::Reader;

use super::key::{self, Key};
use super::readers;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::from_base64;

const USERAUTH_REQUEST: u8 = 50;
/// Agent flags (draft-ietf-sshm-ssh-agent, 3.6.1).
const RSA_SHA2_256: i64 = 2;
const RSA_SHA2_512: i64 = 4;

/// What a client signs to log in.
#[derive(Debug)]
struct Login<'a> {
    algorithm: &'a str,
    blob: &'a [u8],
}

impl<'a> Login<'a> {
    fn parse(data: &'a [u8]) -> Result<Login<'a>, Malformed> {
        let mut reader = Reader::new(data);
        // A hash of the key exchange: SHA-1 to SHA-512.
        let session = reader.string()?;
        if !(20..=64).contains(&session.len()) || reader.u8()? != USERAUTH_REQUEST {
            return Err(Malformed);
        }
        let _user = reader.text()?;
        if reader.text()? != "ssh-connection" {
            return Err(Malformed);
        }
        let is_bound = match reader.text()? {
            "publickey" => false,
            "publickey-hostbound-v00@openssh.com" => true,
            _ => return Err(Malformed),
        };
        // "has signature"
        if reader.u8()? != 1 {
            return Err(Malformed);
        }
        let login = Login {
            algorithm: reader.text()?,
            blob: reader.string()?,
        };
        if is_bound {
            let _host = reader.string()?;
        }
        reader.end()?;
        Ok(login)
    }

    /// Whether the key signs so, and an agent's flags ask for nothing else.
    fn fits(&self, key_algorithm: &str, flags: i64) -> bool {
        match (key_algorithm, self.algorithm, flags) {
            ("ssh-rsa", "rsa-sha2-256", 0 | RSA_SHA2_256) => true,
            ("ssh-rsa", "rsa-sha2-512", 0 | RSA_SHA2_512) => true,
            ("ssh-rsa", ..) => false,
            (own, asked, _) => own == asked,
        }
    }
}

pub(super) async fn sign(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, key) = Key::named(ctx, view).await?;
    if key.retired {
        return Err(Fault::invalid("the key is retired: no target accepts it"));
    }
    let data = from_base64(&ctx.body().required("data")?, "data")?;
    let flags = ctx.body().int("flags")?.unwrap_or(0);
    let login = Login::parse(&data).map_err(|_| {
        Fault::invalid("data is not a login: only what an SSH client signs to log in is signed")
    })?;
    let mut found = None;
    for (number, version) in &key.versions {
        let public = version.key()?;
        if public.blob() == login.blob {
            found = Some((*number, public));
        }
    }
    let Some((number, public)) = found else {
        return Err(Fault::invalid(
            "data asks for another key, or for a version that is gone: offer the current public key",
        ));
    };
    if !login.fits(public.algorithm(), flags) {
        return Err(Fault::invalid(
            "data or flags ask for an algorithm that the key does not have; RSA keys sign with \
             rsa-sha2-256 or rsa-sha2-512",
        ));
    }
    let private = key::private(view, &name, number).await?;
    let signature = private
        .sign_as(login.algorithm, &data)
        .map_err(|_| Fault::Internal("the library signs nothing"))?;
    readers::note(ctx, view, &name, number).await?;
    Ok(Reply::json(json!({
        "signature": STANDARD.encode(signature),
        "version": number,
    })))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;
    use vault_ssh::wire::push_string;

    fn request(method: &str, service: &str, signs: u8, host: Option<&[u8]>) -> Vec<u8> {
        let mut data = Vec::new();
        push_string(&mut data, &[7; 32]);
        data.push(USERAUTH_REQUEST);
        push_string(&mut data, b"git");
        push_string(&mut data, service.as_bytes());
        push_string(&mut data, method.as_bytes());
        data.push(signs);
        push_string(&mut data, b"ssh-ed25519");
        push_string(&mut data, b"blob");
        if let Some(host) = host {
            push_string(&mut data, host);
        }
        data
    }

    #[test]
    fn only_a_login_is_one() {
        let bound = "publickey-hostbound-v00@openssh.com";
        let plain = request("publickey", "ssh-connection", 1, None);
        assert_eq!(Login::parse(&plain).unwrap().blob, b"blob");
        let with_host = request(bound, "ssh-connection", 1, Some(b"host"));
        assert_eq!(Login::parse(&with_host).unwrap().algorithm, "ssh-ed25519");
        for end in 0..plain.len() {
            assert!(Login::parse(&plain[..end]).is_err(), "{end}");
        }
        let longer = [&plain[..], b"x"].concat();
        let mut signature = b"SSHSIG".to_vec();
        push_string(&mut signature, b"git");
        for odd in [
            longer,
            signature,
            request("publickey", "ssh-userauth", 1, None),
            request("publickey", "ssh-connection", 0, None),
            request("publickey", "ssh-connection", 2, None),
            request("publickey", "ssh-connection", 1, Some(b"host")),
            request(bound, "ssh-connection", 1, None),
            request("hostbased", "ssh-connection", 1, None),
        ] {
            assert!(Login::parse(&odd).is_err());
        }
    }
}
