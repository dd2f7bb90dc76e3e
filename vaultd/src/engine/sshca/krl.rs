//! What is revoked, and the list of it that `sshd` reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault_crypto::random_base62;
use vault_ssh::{Certificate, Key, Revoked, krl};

use super::issuer::Issuers;
use super::sign::parse_key;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const ROW: &str = "revoked";
/// What one row of the store holds.
const MOST: usize = 4000;
/// Seconds that a certificate stays on the list after its end: clocks of hosts differ.
const STAY: u64 = 86_400;

#[derive(Clone, Default, Serialize, Deserialize)]
struct List {
    /// Counts up with each change.
    version: u64,
    /// Seconds since 1970.
    changed: u64,
    /// Public keys, which entries name by their place.
    authorities: Vec<String>,
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    what: What,
    /// Seconds since 1970.
    since: u64,
    /// When the certificate ends, if that is known: then it need not be listed.
    until: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum What {
    Serial {
        authority: Option<usize>,
        serial: u64,
    },
    KeyId(String),
    Key(String),
}

impl List {
    async fn load(view: &mut View<'_>) -> Result<Arc<List>, Fault> {
        Ok(view.get_shared(ROW).await?.unwrap_or_default())
    }

    fn authority(&mut self, line: &str) -> usize {
        let known = self.authorities.iter().position(|known| known == line);
        known.unwrap_or_else(|| {
            self.authorities.push(line.to_owned());
            self.authorities.len() - 1
        })
    }

    fn revoked(&self) -> Vec<Revoked> {
        let key = |line: &String| Key::from_line(line).ok();
        let one = |entry: &Entry| match &entry.what {
            What::Serial { authority, serial } => {
                let authority = authority.and_then(|at| key(self.authorities.get(at)?));
                Some(Revoked::Serial(authority, *serial))
            }
            What::KeyId(id) => Some(Revoked::KeyId(id.clone())),
            What::Key(line) => key(line).map(Revoked::Key),
        };
        self.entries.values().filter_map(one).collect()
    }

    fn show(&self, entry: &Entry) -> Value {
        let mut about = json!({ "revoked_at": entry.since });
        match &entry.what {
            What::Serial { authority, serial } => {
                about["serial_number"] = json!(format!("{serial:x}"));
                let authority = authority.and_then(|at| self.authorities.get(at));
                about["issuer"] = json!(authority);
            }
            What::KeyId(id) => about["key_id"] = json!(id),
            What::Key(line) => about["public_key"] = json!(line),
        }
        about["expires_at"] = json!(entry.until);
        about
    }
}

pub(super) async fn revoke(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut list = (*List::load(view).await?).clone();
    let (what, until) = asked(ctx, &mut list, view).await?;
    let now = u64::try_from(ctx.now().as_second()).unwrap_or(0);
    let over = |until: u64| until.saturating_add(STAY) <= now;
    if until.is_some_and(over) {
        return Ok(Reply::json(json!({ "krl_version": list.version }))
            .warn("the certificate has expired already: there is nothing to revoke"));
    }
    if let Some((id, _)) = list.entries.iter().find(|(_, entry)| entry.what == what) {
        return Ok(Reply::json(
            json!({ "id": id, "krl_version": list.version }),
        ));
    }
    list.entries
        .retain(|_, entry| !entry.until.is_some_and(over));
    if list.entries.len() >= MOST {
        return Err(Fault::invalid(
            "4000 entries are revoked already: rotate the CA, revoke the old CA's key as a whole, \
             and delete entries that it covers",
        ));
    }
    let id = random_base62(12, ctx.random);
    let entry = Entry {
        what,
        since: now,
        until,
    };
    list.entries.insert(id.clone(), entry);
    let version = store(list, now, view).await?;
    Ok(Reply::json(json!({ "id": id, "krl_version": version })))
}

async fn store(mut list: List, now: u64, view: &mut View<'_>) -> Result<u64, Fault> {
    list.version += 1;
    list.changed = now;
    let version = list.version;
    view.put_shared(ROW, list).await?;
    Ok(version)
}

/// What is to be revoked, and when it ends by itself.
async fn asked(
    ctx: &Ctx<'_>,
    list: &mut List,
    view: &mut View<'_>,
) -> Result<(What, Option<u64>), Fault> {
    let body = ctx.body();
    let text = |name: &str| Ok::<_, Fault>(body.string(name)?.filter(|text| !text.is_empty()));
    let given = [
        text("certificate")?,
        text("serial_number")?,
        text("serial")?,
        text("key_id")?,
        text("public_key")?,
    ];
    match given {
        [Some(line), None, None, None, None] => {
            let certificate = Certificate::from_line(line.trim()).map_err(|_| {
                Fault::invalid("certificate is no certificate: give the line of a *-cert.pub file")
            })?;
            let authority = certificate.authority.line();
            let issuers = Issuers::load(view).await?;
            if !issuers
                .all
                .iter()
                .any(|issuer| issuer.public_key == authority)
            {
                return Err(Fault::invalid(
                    "certificate was not signed by a CA of this mount",
                ));
            }
            let until = Some(certificate.valid_before()).filter(|end| *end != u64::MAX);
            let authority = Some(list.authority(&authority));
            let serial = certificate.serial;
            Ok((What::Serial { authority, serial }, until))
        }
        [None, Some(hex), None, None, None] => {
            serial(ctx, list, u64::from_str_radix(&hex, 16).ok(), view).await
        }
        [None, None, Some(decimal), None, None] => {
            serial(ctx, list, decimal.parse().ok(), view).await
        }
        [None, None, None, Some(id), None] => {
            match id.len() > 255 || id.chars().any(char::is_control) {
                true => Err(Fault::invalid(
                    "key_id must have at most 255 characters, and no control characters",
                )),
                false => Ok((What::KeyId(id), None)),
            }
        }
        [None, None, None, None, Some(line)] => Ok((What::Key(parse_key(&line)?.line()), None)),
        _ => Err(Fault::invalid(
            "name one thing to revoke: certificate, serial_number (hex, as sign answers), serial \
             (decimal, as ssh-keygen -L shows), key_id or public_key",
        )),
    }
}

/// Of the named issuer, or of all CAs that a host trusts.
async fn serial(
    ctx: &Ctx<'_>,
    list: &mut List,
    serial: Option<u64>,
    view: &mut View<'_>,
) -> Result<(What, Option<u64>), Fault> {
    let serial = serial.filter(|serial| *serial > 0).ok_or_else(|| {
        Fault::invalid(
            "not a serial number: serial_number is in hex, serial in decimal digits, and neither is 0",
        )
    })?;
    let named = ctx.body().string("issuer_ref")?;
    let authority = match named.filter(|named| !named.is_empty()) {
        Some(named) => {
            let issuers = Issuers::load(view).await?;
            Some(list.authority(&issuers.required(&named)?.public_key))
        }
        None => None,
    };
    Ok((What::Serial { authority, serial }, None))
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let list = List::load(view).await?;
    let ids = ctx.page(list.entries.keys().cloned().collect())?;
    let info = |id: &String| Some((id.clone(), list.show(list.entries.get(id)?)));
    let info = ids.iter().filter_map(info).collect();
    Reply::list_with_info(ids, info)
}

pub(super) async fn unrevoke(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut list = (*List::load(view).await?).clone();
    if list.entries.remove(ctx.param("id")).is_some() {
        let now = u64::try_from(ctx.now().as_second()).unwrap_or(0);
        store(list, now, view).await?;
    }
    Ok(Reply::none())
}

/// Also before anything is revoked: sshd refuses everybody if the file is not there.
pub(super) async fn serve(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let list = List::load(view).await?;
    let bytes = krl(list.version, list.changed, &list.revoked());
    let text = match ctx.body().string("format")?.as_deref() {
        None | Some("" | "raw") => ("application/octet-stream", bytes),
        Some("base64") => (
            "text/plain; charset=utf-8",
            STANDARD.encode(bytes).into_bytes(),
        ),
        Some(_) => return Err(Fault::invalid("format must be \"raw\" or \"base64\"")),
    };
    Ok(Reply {
        text: Some(text),
        ..Reply::none()
    })
}
