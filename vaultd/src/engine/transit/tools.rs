//! Random bytes and hashes: no key involved.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use zeroize::Zeroizing;

use super::hash::Hash;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::{Text, from_base64};

const BYTES_MAX: i64 = 128 << 10;

pub fn random(ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let from_path = match (ctx.param("source"), ctx.param("bytes")) {
        ("", "platform" | "all") => "",
        ("" | "platform" | "all", bytes) => bytes,
        _ => {
            return Err(Fault::invalid(
                "unsupported entropy source: only \"platform\" is there",
            ));
        }
    };
    let wrong = || Fault::invalid("\"bytes\" must be a number from 1 to 131072");
    let count = match from_path {
        "" => ctx.body().int("bytes")?.unwrap_or(32),
        text => text.parse().map_err(|_| wrong())?,
    };
    let length = usize::try_from(count)
        .ok()
        .filter(|_| (1..=BYTES_MAX).contains(&count));
    let mut bytes = Zeroizing::new(vec![0; length.ok_or_else(wrong)?]);
    ctx.random.fill(&mut bytes);
    let text = encoded(ctx, "base64", &bytes)?;
    Ok(Reply::json(json!({ "random_bytes": text })))
}

pub fn hash(ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let body = ctx.body();
    let input = body.string("input")?.map(Text::new);
    let input = input.ok_or_else(|| Fault::invalid("input missing"))?;
    let algorithm = match ctx.param("algorithm") {
        "" => body.string("algorithm")?.unwrap_or_default(),
        given => given.to_owned(),
    };
    let digest = Hash::parse(&algorithm, "algorithm")?.of(&from_base64(input.as_str(), "input")?);
    Ok(Reply::json(json!({ "sum": encoded(ctx, "hex", &digest)? })))
}

fn encoded(ctx: &Ctx<'_>, default: &str, bytes: &[u8]) -> Result<String, Fault> {
    match ctx.body().string("format")?.as_deref().unwrap_or(default) {
        "hex" => Ok(hex::encode(bytes)),
        "base64" => Ok(STANDARD.encode(bytes)),
        _ => Err(Fault::invalid(
            "unsupported encoding format; must be \"hex\" or \"base64\"",
        )),
    }
}
