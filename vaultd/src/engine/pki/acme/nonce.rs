//! Nonces (RFC 8555, 6.5): a nonce carries its own proof of origin, so that giving one out stores
//! nothing; what is stored, in the transaction of what it is used for, is that it was used, until it has
//! expired.

use jiff::Timestamp;

use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::jose;

const FOLDER: &str = "acme/nonce";
/// Seconds for which a nonce is good.
const LIFE: i64 = 3600;
/// Used nonces that end within so many seconds are in one directory.
const SLOT: i64 = 300;
/// Rows removed in one transaction.
const AT_ONCE: usize = 20;

const RANDOM: usize = 16;
const TAG: usize = 16;

fn tag(ctx: &Ctx<'_>, expires: &[u8], random: &[u8]) -> Vec<u8> {
    let mount = ctx.mount.accessor.as_bytes();
    let tag = ctx.prf.tag(&[b"acme nonce", mount, expires, random]);
    tag[..TAG].to_vec()
}

pub(super) fn new(ctx: &Ctx<'_>) -> String {
    let expires = ctx.now().as_second().saturating_add(LIFE).to_be_bytes();
    let mut random = [0; RANDOM];
    ctx.random.fill(&mut random);
    let tag = tag(ctx, &expires, &random);
    jose::encode(&[&expires[..], &random, &tag].concat())
}

/// A nonce that this mount gave out and that has not expired.
pub(super) struct Nonce {
    expires: i64,
    text: String,
}

impl Nonce {
    pub(super) fn check(ctx: &Ctx<'_>, text: &str) -> Option<Nonce> {
        let bytes = jose::decode(text)?;
        let (expires, rest) = bytes.split_first_chunk::<8>()?;
        let (random, given) = rest.split_first_chunk::<RANDOM>()?;
        // Over keyed tags of equal length: how soon they differ tells nothing about the key.
        let own = tag(ctx, expires, random);
        let same = ctx.prf.tag(&[b"compare", &own]) == ctx.prf.tag(&[b"compare", given]);
        let expires = i64::from_be_bytes(*expires);
        (same && ctx.now().as_second() < expires).then(|| Nonce {
            expires,
            text: text.to_owned(),
        })
    }

    /// Counts it as used; false if it was already. Of two at once one commits, and the other one runs
    /// again and finds it used.
    pub(super) async fn take(&self, view: &mut View<'_>) -> Result<bool, Fault> {
        let row = format!("{FOLDER}/{}/{}", slot(self.expires), self.text);
        if view.exists(&row).await? {
            return Ok(false);
        }
        view.put(&row, &()).await?;
        Ok(true)
    }
}

/// In order of time.
fn slot(expires: i64) -> String {
    format!("{:012}", expires.div_euclid(SLOT))
}

/// Forgets used ones that have expired, a few in each transaction; true if there is more.
pub(super) async fn tidy(now: Timestamp, view: &mut View<'_>) -> Result<bool, Fault> {
    // The last of a slot expires at its end.
    let present = slot(now.as_second() - SLOT);
    let Some(first) = view.list(FOLDER).await?.into_iter().next() else {
        return Ok(false);
    };
    let directory = first.trim_end_matches('/');
    if directory >= present.as_str() {
        return Ok(false);
    }
    let used = view.list(&format!("{FOLDER}/{directory}")).await?;
    for nonce in used.iter().take(AT_ONCE) {
        view.delete(&format!("{FOLDER}/{directory}/{nonce}"))
            .await?;
    }
    Ok(!used.is_empty())
}
