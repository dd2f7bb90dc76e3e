//! Making, showing and removing keys.

use serde_json::json;
use zeroize::Zeroizing;

use super::model::{Algorithm, Base32, FOLDER, Key, decode_base32, encode_base32, row};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const KEY_SIZE: u64 = 20;
const KEY_SIZES: std::ops::RangeInclusive<usize> = 10..=128;
const PERIOD_MAX: u64 = 86_400;

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, FOLDER).await
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let key = Key::load(view, &row(ctx)?).await?.ok_or(Fault::Missing)?;
    Ok(Reply::json(json!({
        "issuer": key.issuer,
        "account_name": key.account_name,
        "period": key.period,
        "algorithm": key.algorithm.name(),
        "digits": key.digits,
    })))
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    view.delete(&row(ctx)?).await?;
    Ok(Reply::none())
}

/// In place of the key that is there, if any.
pub(super) async fn create(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (row, body) = (row(ctx)?, ctx.body());
    let generate = body.bool("generate")?.unwrap_or(false);
    let exported = body.bool("exported")?.unwrap_or(true);
    let mut asked = Asked::of(body)?;
    if let Some(url) = body.string("url")?.filter(|url| !url.is_empty()) {
        if generate {
            return Err(Fault::invalid(
                "a key should not be passed if generate is true: leave out 'url'",
            ));
        }
        asked.read_url(&Zeroizing::new(url))?;
    }
    let secret = match (generate, asked.secret.take()) {
        (true, Some(_)) => {
            return Err(Fault::invalid(
                "a key should not be passed if generate is true: leave out 'key'",
            ));
        }
        (true, None) => generated(ctx, body)?,
        (false, None) => return Err(Fault::invalid("the key value is required")),
        (false, Some(text)) => text,
    };
    let length = decode_base32(&secret).map(|bytes| bytes.len());
    if !length.is_some_and(|length| (1..=KEY_SIZES.end() * 4).contains(&length)) {
        return Err(Fault::invalid("invalid key value: it is no base32"));
    }
    let key = asked.key(secret, generate)?;
    key.store(view, &row).await?;
    if !(generate && exported) {
        return Ok(Reply::none());
    }
    let reply = Reply::json(json!({ "url": url_of(&key).as_str() }));
    Ok(match body.int("qr_size")? {
        None | Some(0) => reply,
        Some(_) => reply.warn("no QR code is drawn: draw it from the URL"),
    })
}

fn generated(ctx: &Ctx<'_>, body: &Body) -> Result<Zeroizing<String>, Fault> {
    let size = body.seconds("key_size")?.unwrap_or(KEY_SIZE);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if !KEY_SIZES.contains(&size) {
        return Err(Fault::invalid("the key_size must be 10 to 128 bytes"));
    }
    let mut bytes = Zeroizing::new(vec![0; size]);
    ctx.random.fill(&mut bytes);
    Ok(encode_base32(&bytes))
}

/// What the request says, by fields or by URL.
struct Asked {
    secret: Option<Zeroizing<String>>,
    issuer: String,
    account_name: String,
    period: u64,
    algorithm: Algorithm,
    digits: i64,
    skew: i64,
}

impl Asked {
    fn of(body: &Body) -> Result<Asked, Fault> {
        let secret = body.string("key")?.filter(|key| !key.is_empty());
        Ok(Asked {
            secret: secret.map(Zeroizing::new),
            issuer: body.string("issuer")?.unwrap_or_default(),
            account_name: body.string("account_name")?.unwrap_or_default(),
            period: body.seconds("period")?.unwrap_or(30),
            algorithm: Algorithm::parse(&body.string("algorithm")?.unwrap_or_default())?,
            digits: body.int("digits")?.unwrap_or(6),
            skew: body.int("skew")?.unwrap_or(1),
        })
    }

    /// `otpauth://totp/ISSUER:ACCOUNT?secret=…`; what it says goes before the fields.
    fn read_url(&mut self, url: &str) -> Result<(), Fault> {
        let wrong = || Fault::invalid("invalid url: it must begin with otpauth://totp/");
        let rest = url.strip_prefix("otpauth://totp/").ok_or_else(wrong)?;
        let (label, query) = rest.split_once('?').unwrap_or((rest, ""));
        let label = percent_decoded(label).ok_or_else(wrong)?;
        match label.split_once(':') {
            Some((issuer, account)) => {
                self.issuer = issuer.to_owned();
                self.account_name = account.trim_start().to_owned();
            }
            None => self.account_name = label.to_string(),
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decoded(value).ok_or_else(wrong)?;
            let number = || Fault::invalid("invalid url: period and digits must be numbers");
            match name {
                "secret" => self.secret = Some(value),
                "issuer" => self.issuer = value.to_string(),
                "period" => self.period = value.parse().map_err(|_| number())?,
                "digits" => self.digits = value.parse().map_err(|_| number())?,
                "algorithm" => self.algorithm = Algorithm::parse(&value)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn key(self, secret: Zeroizing<String>, generate: bool) -> Result<Key, Fault> {
        let refuse = |text: &str| Err(Fault::invalid(text));
        if generate && self.issuer.is_empty() {
            return refuse("the issuer value is required for generated keys");
        }
        if generate && self.account_name.is_empty() {
            return refuse("the account_name value is required for generated keys");
        }
        if !(1..=PERIOD_MAX).contains(&self.period) {
            return refuse("the period value must be greater than zero, and at most a day");
        }
        let digits = match self.digits {
            6 => 6,
            8 => 8,
            _ => return refuse("the digits value can only be 6 or 8"),
        };
        let skew = match self.skew {
            0 => 0,
            1 => 1,
            _ => return refuse("the skew value can only be 0 or 1"),
        };
        Ok(Key {
            secret: Base32(secret),
            issuer: self.issuer,
            account_name: self.account_name,
            period: self.period,
            algorithm: self.algorithm,
            digits,
            skew,
            used: Vec::new(),
        })
    }
}

fn url_of(key: &Key) -> Zeroizing<String> {
    let (issuer, account) = (
        percent_encoded(&key.issuer),
        percent_encoded(&key.account_name),
    );
    Zeroizing::new(format!(
        "otpauth://totp/{issuer}:{account}?algorithm={}&digits={}&issuer={issuer}&period={}&secret={}",
        key.algorithm.name(),
        key.digits,
        key.period,
        key.secret.0.as_str(),
    ))
}

/// RFC 3986, section 2.1.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn percent_decoded(text: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let pair = [rest.next()?, rest.next()?];
        let pair = std::str::from_utf8(&pair)
            .ok()
            .filter(|pair| !pair.starts_with('+'))?;
        bytes.push(u8::from_str_radix(pair, 16).ok()?);
    }
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}
