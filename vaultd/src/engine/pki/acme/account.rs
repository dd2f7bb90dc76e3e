//! Accounts (RFC 8555, 7.3): a key, and how to reach whose it is. An account belongs to one directory.

use http::StatusCode;
use http::header::LOCATION;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vault_crypto::{Random, uuid_v4};

use super::directory::Directory;
use super::jws::{Signed, Signer};
use super::limits::Limit;
use super::problem::{Kind, Outcome, Problem};
use super::settings::Binding;
use super::{binding, due_id};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::jose::VerifyKey;

const FOLDER: &str = "acme/account";
const KEYS: &str = "acme/key";
const CONTACTS: usize = 10;
/// Bytes of a contact.
const CONTACT: usize = 320;
const DAY: i64 = 24 * 3600;
/// Days after which an account is forgotten that never ordered anything, or is deactivated; and one that
/// ordered nothing since.
const UNUSED: i64 = 30;
const IDLE: i64 = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Valid,
    Deactivated,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Account {
    pub id: String,
    directory: String,
    jwk: Map<String, Value>,
    contact: Vec<String>,
    status: Status,
    created: Timestamp,
    /// The last order.
    used: Option<Timestamp>,
    terms: bool,
    /// The id of the key that it was bound with.
    pub binding: Option<String>,
}

fn row(id: &str) -> String {
    format!("{FOLDER}/{id}")
}

fn key_row(directory: &str, thumbprint: &str) -> String {
    let directory = vault_crypto::sha256(directory.as_bytes());
    format!("{KEYS}/{}/{thumbprint}", hex::encode(&directory[..16]))
}

fn unknown() -> Problem {
    Problem::new(
        Kind::AccountDoesNotExist,
        "this directory has no such account",
    )
}

impl Account {
    /// By the URL that is its `kid`.
    pub(super) async fn at_url(
        kid: &str,
        directory: &Directory,
        view: &mut View<'_>,
    ) -> Outcome<Account> {
        let id = kid.strip_prefix(&directory.url("account/"));
        let id = id.filter(|id| is_id(id)).ok_or_else(unknown)?;
        let found = Account::get(id, view).await?;
        let found = found.filter(|account| account.directory == directory.id());
        Ok(found.ok_or_else(unknown)?)
    }

    pub(super) async fn get(id: &str, view: &mut View<'_>) -> Result<Option<Account>, Fault> {
        Ok(view.get(&row(id)).await?)
    }

    async fn by_key(
        key: &VerifyKey,
        directory: &Directory,
        view: &mut View<'_>,
    ) -> Result<Option<Account>, Fault> {
        let row = key_row(&directory.id(), &key.thumbprint());
        match view.get::<String>(&row).await? {
            Some(id) => Account::get(&id, view).await,
            None => Ok(None),
        }
    }

    pub(super) fn key(&self) -> Outcome<VerifyKey> {
        Ok(VerifyKey::from_jwk(&self.jwk)?)
    }

    /// RFC 8555, 7.3.6 and 7.3.4: what is deactivated, or not bound where all have to be, does nothing.
    pub(super) fn may_act(&self, directory: &Directory) -> Outcome<()> {
        if self.status != Status::Valid {
            let text = "the account is deactivated";
            return Err(Problem::new(Kind::Unauthorized, text).into());
        }
        let always = directory.settings.eab_policy == Binding::Always;
        if always && self.binding.is_none() {
            let text =
                "every account here needs an external account binding: register anew with one";
            return Err(Problem::new(Kind::ExternalAccountRequired, text).into());
        }
        Ok(())
    }

    /// It has ordered something.
    pub(super) async fn used(mut self, now: Timestamp, view: &mut View<'_>) -> Outcome<()> {
        self.used = Some(now);
        Ok(view.put(&row(&self.id), &self).await?)
    }

    fn ends(&self) -> Timestamp {
        let (from, days) = match (self.status, self.used) {
            (Status::Valid, Some(used)) => (used, IDLE),
            (_, used) => (used.unwrap_or(self.created), UNUSED),
        };
        from.saturating_add(SignedDuration::from_secs(days * DAY))
            .unwrap_or(Timestamp::MAX)
    }

    fn show(&self, directory: &Directory) -> Reply {
        Reply::json(json!({
            "status": self.status,
            "contact": self.contact,
            "termsOfServiceAgreed": self.terms,
            "orders": directory.url("orders"),
        }))
        .bare()
        .header(LOCATION, self.url(directory))
    }

    pub(super) fn url(&self, directory: &Directory) -> String {
        directory.url(&format!("account/{}", self.id))
    }
}

/// What may be a name of a row.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn contacts(given: Vec<String>) -> Outcome<Vec<String>> {
    if given.len() > CONTACTS {
        let text = "an account has at most 10 contacts";
        return Err(Problem::new(Kind::InvalidContact, text).into());
    }
    for contact in &given {
        let Some(address) = contact.strip_prefix("mailto:") else {
            let text = "contacts are of the form mailto:ADDRESS";
            return Err(Problem::new(Kind::UnsupportedContact, text).into());
        };
        let plain = |byte: u8| byte.is_ascii_graphic() && !b",?<>\"".contains(&byte);
        let shape = address
            .split_once('@')
            .is_some_and(|(local, host)| !local.is_empty() && host.contains('.'));
        if !shape || contact.len() > CONTACT || !address.bytes().all(plain) {
            let text = "a contact is not one mail address";
            return Err(Problem::new(Kind::InvalidContact, text).into());
        }
    }
    Ok(given)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct New {
    #[serde(default)]
    contact: Vec<String>,
    #[serde(default)]
    terms_of_service_agreed: bool,
    #[serde(default)]
    only_return_existing: bool,
    external_account_binding: Option<binding::Given>,
}

pub(super) async fn new(
    ctx: &Ctx<'_>,
    directory: &Directory,
    signed: &Signed,
    view: &mut View<'_>,
) -> Outcome<Reply> {
    let Signer::Key(key) = &signed.signer else {
        return Err(
            Problem::malformed("a new account is signed with its key, in jwk, not kid").into(),
        );
    };
    let asked: New = signed.read()?;
    let contact = contacts(asked.contact)?;
    if let Some(found) = Account::by_key(key, directory, view).await? {
        found.may_act(directory)?;
        return Ok(found.show(directory).status(200));
    }
    if asked.only_return_existing {
        return Err(unknown().into());
    }
    let remote = ctx.request.remote.to_string();
    let binding = match &asked.external_account_binding {
        Some(given) => Some(given.take(key, directory, ctx, view).await?),
        None if directory.settings.eab_policy != Binding::Voluntary => {
            let text = "a new account needs an external account binding: have an operator make a key with acme/new-eab";
            return Err(Problem::new(Kind::ExternalAccountRequired, text).into());
        }
        None => {
            Limit::NewAccounts.check(&remote, ctx.now(), view).await?;
            None
        }
    };
    let account = Account {
        id: uuid_v4(ctx.random),
        directory: directory.id(),
        jwk: key.to_jwk(),
        contact,
        status: Status::Valid,
        created: ctx.now(),
        used: None,
        terms: asked.terms_of_service_agreed,
        binding,
    };
    if account.binding.is_none() {
        Limit::NewAccounts.count(&remote, ctx.now(), view).await?;
    }
    let key_row = key_row(&account.directory, &key.thumbprint());
    view.put_unlisted(&key_row, &account.id).await?;
    view.put(&row(&account.id), &account).await?;
    remember(&account, ctx.random, view).await?;
    Ok(account.show(directory).status(StatusCode::CREATED.as_u16()))
}

async fn remember(account: &Account, random: &dyn Random, view: &mut View<'_>) -> Outcome<()> {
    let about = row(&account.id);
    Ok(view
        .put_due(account.ends(), &due_id(random), &about)
        .await?)
}

/// It may be time to forget an account.
pub(super) async fn remind(id: &str, now: Timestamp, view: &mut View<'_>) -> Result<(), Fault> {
    let Some(account) = Account::get(id, view).await? else {
        return Ok(());
    };
    let ends = account.ends();
    if now < ends {
        // The same id: the same reminder at another time.
        let id = vault_crypto::sha256(account.id.as_bytes());
        let id = id.first_chunk().copied().unwrap_or_default();
        return Ok(view.put_due(ends, &id, &row(&account.id)).await?);
    }
    if let Ok(key) = VerifyKey::from_jwk(&account.jwk) {
        let row = key_row(&account.directory, &key.thumbprint());
        view.delete_unlisted(&row).await?;
    }
    Ok(view.delete(&row(&account.id)).await?)
}

#[derive(Default, Deserialize)]
struct Update {
    contact: Option<Vec<String>>,
    status: Option<String>,
}

/// RFC 8555, 7.3.2 and 7.3.6.
pub(super) async fn update(
    ctx: &Ctx<'_>,
    directory: &Directory,
    signed: &Signed,
    view: &mut View<'_>,
) -> Outcome<Reply> {
    let mut account = signed.account(directory)?.clone();
    if account.id != ctx.param("account") {
        let text = "the account is not the one that signed";
        return Err(Problem::new(Kind::Unauthorized, text).into());
    }
    if signed.is_get() {
        return Ok(account.show(directory));
    }
    let asked: Update = signed.read()?;
    match asked.status.as_deref() {
        Some("deactivated") => account.status = Status::Deactivated,
        None | Some("valid") => {}
        Some(_) => {
            let text = "an account can be deactivated, and nothing else";
            return Err(Problem::malformed(text).into());
        }
    }
    if let Some(given) = asked.contact {
        account.contact = contacts(given)?;
    }
    view.put(&row(&account.id), &account).await?;
    if account.status == Status::Deactivated {
        remember(&account, ctx.random, view).await?;
    }
    Ok(account.show(directory))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    account: String,
    old_key: Map<String, Value>,
}

/// RFC 8555, 7.3.5: signed with the old key, and inside of that with the new one.
pub(super) async fn change_key(
    directory: &Directory,
    signed: &Signed,
    view: &mut View<'_>,
) -> Outcome<Reply> {
    let mut account = signed.account(directory)?.clone();
    let inner: binding::Given = signed.read()?;
    let message = inner.parse()?;
    let head = &message.protected;
    let bad = |text: &str| Problem::malformed(text);
    if head.url.as_deref() != Some(directory.url("key-change").as_str()) || head.nonce.is_some() {
        return Err(bad(
            "the inner message has to have the same url as the outer one, and no nonce",
        )
        .into());
    }
    let (Some(jwk), None) = (&head.jwk, &head.kid) else {
        return Err(bad("the inner message is signed with the new key, in jwk").into());
    };
    let new = VerifyKey::from_jwk(jwk)?;
    let change: Change = super::jws::read(message.verify(&new)?)?;
    let old = account.key()?;
    let named = VerifyKey::from_jwk(&change.old_key)?;
    if change.account != account.url(directory) || named.thumbprint() != old.thumbprint() {
        return Err(bad("the inner message names another account or another old key").into());
    }
    if let Some(taken) = Account::by_key(&new, directory, view).await? {
        let problem = bad("another account has this key already").status(409);
        return Ok(problem.reply().header(LOCATION, taken.url(directory)));
    }
    let (from, to) = (
        key_row(&account.directory, &old.thumbprint()),
        key_row(&account.directory, &new.thumbprint()),
    );
    view.delete_unlisted(&from).await?;
    view.put_unlisted(&to, &account.id).await?;
    account.jwk = new.to_jwk();
    view.put(&row(&account.id), &account).await?;
    Ok(account.show(directory))
}
