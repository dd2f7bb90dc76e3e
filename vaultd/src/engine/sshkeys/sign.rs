//! One login, signed here, so that the private half never leaves.
//!
//! Only what RFC 4252, 7, has a client sign is signed, or what OpenSSH signs in its place with the
//! host's key in it (PROTOCOL, `publickey-hostbound-v00@openssh.com`): no other message, so that this
//! is no way to sign files, certificates or commits. An agent passes on how the host proved who it is,
//! and has nothing signed for another one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use vault_ssh::Key as PublicKey;
use vault_ssh::agent::{Binding, Connection, SignRequest, Userauth};

use super::key::{self, Key};
use super::{known_hosts, lookup, readers};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::from_base64;

pub(super) async fn sign(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, key) = Key::named(ctx, view).await?;
    if key.retired {
        return Err(Fault::invalid("the key is retired: no target accepts it"));
    }
    let data = from_base64(&ctx.body().required("data")?, "data")?;
    let login = Userauth::parse(&data).map_err(|_| {
        Fault::invalid(
            "data is not a login: only what an SSH client signs to log in is signed, with an algorithm \
             of the key; RSA keys sign with rsa-sha2-256 or rsa-sha2-512",
        )
    })?;
    let connection = check(ctx, &login, &data)?;
    let mut found = None;
    for (number, version) in &key.versions {
        if version.key()?.blob() == login.key {
            found = Some(*number);
        }
    }
    let number = found.ok_or_else(|| {
        Fault::invalid(
            "data asks for another key, or for a version that is gone: offer the current public key",
        )
    })?;
    check_host(&key, &login, &connection, view).await?;
    let private = key::private(view, &name, number).await?;
    let signature = private
        .sign_as(login.signing_algorithm(), &data)
        .map_err(|_| Fault::Internal("the library signs nothing"))?;
    readers::note(ctx, view, &name, number).await?;
    Ok(Reply::json(json!({
        "signature": STANDARD.encode(signature),
        "version": number,
    })))
}

/// What an agent checks of its client, once more.
fn check(ctx: &Ctx<'_>, login: &Userauth, data: &[u8]) -> Result<Connection, Fault> {
    let body = ctx.body();
    let mut connection = Connection::default();
    if let Some(host_key) = body.string("host_key")? {
        let signature = body.required("host_signature")?;
        let binding = Binding {
            host_key: from_base64(&host_key, "host_key")?.to_vec(),
            session: login.session.clone(),
            signature: from_base64(&signature, "host_signature")?.to_vec(),
            forwarding: false,
        };
        connection.bind(&binding).map_err(|_| {
            Fault::invalid("host_signature is not that of host_key over this session")
        })?;
    }
    let wish = |flags| SignRequest {
        key: login.key.clone(),
        data: data.to_vec(),
        flags,
    };
    let flags = body.int("flags")?.filter(|flags| *flags != 0);
    let agrees = match flags.map(u32::try_from) {
        None => true,
        Some(Ok(flags)) => login.agrees_with(flags),
        Some(Err(_)) => false,
    };
    let flags = login.flags();
    match agrees && connection.login(&wish(flags)).is_ok() {
        true => Ok(connection),
        false => Err(Fault::invalid(
            "flags ask for another algorithm than data, or data is for another host than host_key",
        )),
    }
}

/// A client that says which host it talks to has to talk to one of the key's targets, as far as their
/// host keys are pinned.
async fn check_host(
    key: &Key,
    login: &Userauth,
    connection: &Connection,
    view: &mut View<'_>,
) -> Result<(), Fault> {
    let pinned = pinned(key, view).await?;
    let is_one = match (connection.host(), &login.host_key) {
        (Some(host), _) => host.is_one_of(&pinned),
        (None, Some(blob)) => pinned.iter().any(|key| key.blob() == *blob),
        (None, None) => true,
    };
    match pinned.is_empty() || is_one {
        true => Ok(()),
        false => Err(Fault::Forbidden(
            "the login is to a host that is no target of the key: its host key is not among those \
             that are pinned"
                .to_owned(),
        )),
    }
}

/// Keys of the hosts of all targets, and of who signs for them.
async fn pinned(key: &Key, view: &mut View<'_>) -> Result<Vec<PublicKey>, Fault> {
    let mut found = Vec::new();
    for host in lookup::hosts(key, view).await? {
        let lines = known_hosts::lines(view, &host).await?;
        found.extend(lines.iter().filter_map(|line| key_of(line)));
    }
    Ok(found)
}

/// Of a line of known_hosts: what follows the host.
fn key_of(line: &str) -> Option<PublicKey> {
    let line = line.strip_prefix("@cert-authority ").unwrap_or(line);
    let (_, key) = line.split_once(' ')?;
    PublicKey::from_line(key).ok()
}
