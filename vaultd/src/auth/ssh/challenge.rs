//! What a client signs: made here, for one role and one address, good once and for a short time.
//!
//! A challenge carries its own proof of origin, so that handing one out stores nothing; what is stored
//! is that it was used, until it has expired.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::json;
use vault_crypto::{Prf, Random};

use super::NAMESPACE;
use super::model::{Config, Text};
use crate::auth::name::RoleName;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Rows removed in one transaction.
const CHUNK: usize = 20;
const SECONDS_IN_A_ROW: i64 = 60;

/// What a challenge is bound to.
struct Bounds<'a> {
    mount: &'a str,
    role: &'a str,
    remote: IpAddr,
    expires: i64,
    nonce: &'a str,
}

impl Bounds<'_> {
    fn tag(&self, prf: &Prf) -> String {
        let tag = prf.tag(&[
            b"ssh challenge",
            self.mount.as_bytes(),
            self.role.as_bytes(),
            self.remote.to_string().as_bytes(),
            &self.expires.to_be_bytes(),
            self.nonce.as_bytes(),
        ]);
        hex::encode(tag)
    }
}

fn nonce(random: &dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    hex::encode(bytes)
}

/// `vaultd-ssh-login 1 MOUNT ROLE EXPIRES NONCE TAG`, for people to recognise and clients to sign.
pub(super) async fn give(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let role = RoleName::parse(&ctx.body().required("role")?)?;
    let config = Config::load(view).await?;
    let nonce = nonce(ctx.random);
    let ttl = i64::try_from(config.challenge_ttl).unwrap_or(i64::MAX);
    let bounds = Bounds {
        mount: &ctx.mount.accessor,
        role: role.as_str(),
        remote: ctx.request.remote,
        expires: ctx.now().as_second().saturating_add(ttl),
        nonce: &nonce,
    };
    let tag = bounds.tag(ctx.prf);
    let challenge = format!(
        "vaultd-ssh-login 1 {} {} {} {nonce} {tag}",
        ctx.mount.path.trim_end_matches('/'),
        bounds.role,
        bounds.expires
    );
    Ok(Reply::json(json!({
        "challenge": challenge,
        "namespace": NAMESPACE,
        "ttl": config.challenge_ttl,
    })))
}

/// A challenge that this mount gave out for this role and address, and that has not expired.
pub(super) struct Challenge {
    expires: i64,
    nonce: String,
}

impl Challenge {
    pub(super) fn check(ctx: &Ctx<'_>, role: &RoleName, text: &Text) -> Option<Challenge> {
        let mut words = text.as_str().split(' ');
        let mut next = || words.next();
        let (name, version, _mount, given_role) = (next()?, next()?, next()?, next()?);
        let (expires, nonce, tag) = (next()?, next()?, next()?);
        let bounds = Bounds {
            mount: &ctx.mount.accessor,
            role: role.as_str(),
            remote: ctx.request.remote,
            expires: expires.parse().ok()?,
            nonce,
        };
        // Over keyed tags of equal length: how soon they differ tells nothing about the key.
        let own = bounds.tag(ctx.prf);
        let same = ctx.prf.tag(&[b"compare", own.as_bytes()])
            == ctx.prf.tag(&[b"compare", tag.as_bytes()]);
        let whole = next().is_none() && name == "vaultd-ssh-login" && version == "1";
        let fresh = ctx.now().as_second() < bounds.expires;
        (same && whole && fresh && given_role == role.as_str()).then(|| Challenge {
            expires: bounds.expires,
            nonce: nonce.to_owned(),
        })
    }

    /// Counts it as used; false if it was already. Of two at once one commits, and the other one runs
    /// again and finds it used.
    pub(super) async fn take(&self, view: &mut View<'_>) -> Result<bool, Fault> {
        let row = format!("used/{}/{}", slot(self.expires), self.nonce);
        if view.exists(&row).await? {
            return Ok(false);
        }
        view.put(&row, &()).await?;
        Ok(true)
    }
}

/// The directory of what expires within the same minute, in order of time.
fn slot(expires: i64) -> String {
    format!("{:012}", expires.div_euclid(SECONDS_IN_A_ROW))
}

/// Forgets what has expired, a few in each transaction. True if there is more.
pub async fn tidy(now: Timestamp, view: &mut View<'_>) -> Result<bool, Fault> {
    // A minute later than it has to be: the last of a slot expires at its end.
    let present = slot(now.as_second() - SECONDS_IN_A_ROW);
    let Some(first) = view.list("used").await?.into_iter().next() else {
        return Ok(false);
    };
    let directory = first.trim_end_matches('/');
    if directory >= present.as_str() {
        return Ok(false);
    }
    let used = view.list(&format!("used/{directory}")).await?;
    for nonce in used.iter().take(CHUNK) {
        view.delete(&format!("used/{directory}/{nonce}")).await?;
    }
    Ok(!used.is_empty())
}
