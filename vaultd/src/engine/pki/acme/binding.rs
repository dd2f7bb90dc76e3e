//! External account bindings (RFC 8555, 7.3.4): keys that operators hand out, each for one account.

use aws_lc_rs::hmac;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vault_crypto::uuid_v4;
use zeroize::Zeroizing;

use super::account::is_id;
use super::directory::Directory;
use super::problem::{Kind, Outcome, Problem};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::Secret;
use crate::jose::{self, Flattened, VerifyKey};

const FOLDER: &str = "acme/eab";
const KEY: usize = 32;

#[derive(Serialize, Deserialize)]
struct Binding {
    key: Secret,
    directory: String,
    created: Timestamp,
}

fn row(id: &str) -> String {
    format!("{FOLDER}/{id}")
}

/// Of a directory, within the mount.
fn path(directory: &str) -> String {
    match directory {
        "" => "acme/directory".to_owned(),
        id => format!("{id}/acme/directory"),
    }
}

/// `acme/new-eab` of a directory.
pub(super) async fn new(ctx: &Ctx<'_>, view: &mut View<'_>) -> Outcome<Reply> {
    let directory = Directory::of(ctx, view).await?;
    let mut key = Zeroizing::new([0; KEY]);
    ctx.random.fill(&mut *key);
    let binding = Binding {
        key: Secret::copy(&*key),
        directory: directory.id(),
        created: ctx.now(),
    };
    let id = uuid_v4(ctx.random);
    view.put(&row(&id), &binding).await?;
    Ok(Reply::json(json!({
        "id": id,
        "key_type": "hs",
        "acme_directory": path(&binding.directory),
        "key": jose::encode(&*key),
        "created_on": binding.created.to_string(),
    })))
}

/// Those that no account has used yet.
pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let ids = ctx.page(view.list(FOLDER).await?)?;
    let mut info = std::collections::BTreeMap::new();
    for id in &ids {
        let found: Option<Binding> = view.get(&row(id)).await?;
        if let Some(found) = found {
            let shown = json!({
                "key_type": "hs",
                "acme_directory": path(&found.directory),
                "created_on": found.created.to_string(),
            });
            info.insert(id.clone(), shown);
        }
    }
    Reply::list_with_info(ids, info)
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let id = ctx.param("key_id");
    if is_id(id) {
        view.delete(&row(id)).await?;
    }
    Ok(Reply::none())
}

/// A flattened JWS inside of another.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Given {
    protected: String,
    payload: String,
    signature: String,
}

impl Given {
    /// One that a public key verifies.
    pub(super) fn parse(&self) -> Outcome<Flattened> {
        Ok(Flattened::parse(
            &self.protected,
            &self.payload,
            &self.signature,
        )?)
    }

    /// Spends the key that it is signed with; its id.
    pub(super) async fn take(
        &self,
        account: &VerifyKey,
        directory: &Directory,
        ctx: &Ctx<'_>,
        view: &mut View<'_>,
    ) -> Outcome<String> {
        let bad = |text: &str| Problem::malformed(format!("externalAccountBinding: {text}"));
        let object = |text: &str| jose::decode(text).and_then(|bytes| jose::object(&bytes));
        let head = object(&self.protected).ok_or_else(|| bad("protected is no JSON object"))?;
        let text = |name: &str| head.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("alg") != "HS256" {
            return Err(bad("its alg has to be HS256").into());
        }
        if text("url") != directory.url_of(ctx)
            || ["nonce", "crit", "jwk"]
                .iter()
                .any(|name| head.contains_key(*name))
        {
            return Err(bad("its url has to be that of the request, and it has no nonce").into());
        }
        let jwk: Option<Map<String, Value>> = object(&self.payload);
        let jwk = jwk.ok_or_else(|| bad("payload is no key"))?;
        if VerifyKey::from_jwk(&jwk)?.thumbprint() != account.thumbprint() {
            return Err(bad("its payload is not the key of the account").into());
        }
        let id = text("kid");
        // Whether the id is unknown, of another directory or the tag wrong is not told.
        let refused = || {
            let text = "the external account binding is not one that was made for this directory, or was used already";
            Problem::new(Kind::Unauthorized, text)
        };
        let found: Option<Binding> = match is_id(id) {
            true => view.get(&row(id)).await?,
            false => None,
        };
        let found = found.filter(|found| found.directory == directory.id());
        let found = found.ok_or_else(refused)?;
        let tag = jose::decode(&self.signature).ok_or_else(refused)?;
        let message = format!("{}.{}", self.protected, self.payload);
        let key = hmac::Key::new(hmac::HMAC_SHA256, found.key.expose());
        hmac::verify(&key, message.as_bytes(), &tag).map_err(|_| refused())?;
        view.delete(&row(id)).await?;
        Ok(id.to_owned())
    }
}
