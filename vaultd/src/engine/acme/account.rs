//! Accounts at authorities. The account's key is made by us and never leaves.

use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::Prepared;
use super::cert::Cert;
use super::client::{Authority, Registered};
use super::name::Name;
use super::session::Access;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::engine::secret::Secret;
use crate::outbound::{Trust, Url};

pub(super) const FOLDER: &str = "account";

pub(super) fn row(name: &Name) -> String {
    format!("{FOLDER}/{}", name.as_str())
}

#[derive(Serialize, Deserialize)]
pub(super) struct Account {
    pub directory: Url,
    /// `mailto:…`
    pub contact: Vec<String>,
    /// PEM of those who vouch for a directory that is not public; empty is the system's.
    pub ca_cert: String,
    pub eab_kid: String,
    eab_key: Option<Secret>,
    /// Once it is registered.
    pub id: Option<String>,
    key: Option<Secret>,
}

/// What an authority wants to know for a new account.
pub(super) struct Registration {
    pub contact: Vec<String>,
    /// Identifier and key of an account elsewhere (RFC 8555, 7.3.4).
    pub external: Option<(String, Secret)>,
}

impl Account {
    pub(super) async fn find(view: &mut View<'_>, name: &Name) -> Result<Option<Account>, Fault> {
        Ok(view.get(&row(name)).await?)
    }

    fn authority(&self) -> Result<Authority, Fault> {
        Ok(Authority {
            directory: self.directory.clone(),
            trust: Trust::from_pem(&self.ca_cert).map_err(|_| Fault::Internal("a stored CA"))?,
        })
    }

    /// `None` if it is not registered.
    pub(super) fn access(&self) -> Result<Option<Access>, Fault> {
        match (&self.id, &self.key) {
            (Some(id), Some(key)) => Ok(Some(Access {
                authority: self.authority()?,
                id: id.clone(),
                key: Secret::copy(key.expose()),
            })),
            _ => Ok(None),
        }
    }

    pub(super) fn registration(&self) -> Result<(Authority, Registration), Fault> {
        let key = self.eab_key.as_ref();
        let external = key.map(|key| (self.eab_kid.clone(), Secret::copy(key.expose())));
        let contact = self.contact.clone();
        Ok((self.authority()?, Registration { contact, external }))
    }

    pub(super) fn keep(&mut self, registered: &Registered) {
        self.id = Some(registered.id.clone());
        self.key = Some(Secret::copy(registered.key.expose()));
    }

    pub(super) async fn store(&self, view: &mut View<'_>, name: &Name) -> Result<(), Fault> {
        Ok(view.put(&row(name), self).await?)
    }

    fn show(&self) -> Reply {
        Reply::json(json!({
            "directory": self.directory.as_str(),
            "contact": self.contact,
            "terms_agreed": true,
            "eab_kid": self.eab_kid,
            "ca_cert": self.ca_cert,
            "registered": self.id.is_some(),
            "account_url": self.id,
        }))
    }
}

async fn named(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<(Name, Account), Fault> {
    let name = Name::parse(ctx.param("name"))?;
    let account = Account::find(view, &name).await?.ok_or(Fault::Missing)?;
    Ok((name, account))
}

fn directory(text: &str) -> Result<Url, Fault> {
    let url = match text {
        "letsencrypt" => "https://acme-v02.api.letsencrypt.org/directory",
        "letsencrypt-staging" => "https://acme-staging-v02.api.letsencrypt.org/directory",
        url => url,
    };
    let url = Url::parse(url).ok().filter(Url::is_tls);
    url.ok_or_else(|| {
        Fault::invalid("directory: expected letsencrypt, letsencrypt-staging or an https URL")
    })
}

fn contact(given: Vec<String>) -> Result<Vec<String>, Fault> {
    let fits = |one: &String| {
        one.len() <= 256 && one.contains('@') && one.chars().all(|c| c.is_ascii_graphic())
    };
    let whole = |one: String| match one.starts_with("mailto:") {
        true => one,
        false => format!("mailto:{one}"),
    };
    match given.len() <= 10 && given.iter().all(fits) {
        true => Ok(given.into_iter().map(whole).collect()),
        false => Err(Fault::invalid(
            "contact: expected mail addresses, at most ten",
        )),
    }
}

fn mac_key(text: &str) -> Result<Secret, Fault> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let bare = text.trim().trim_end_matches('=');
    let key = URL_SAFE_NO_PAD
        .decode(bare)
        .ok()
        .filter(|key| !key.is_empty());
    key.map(Secret::new).ok_or_else(|| {
        Fault::invalid("eab_hmac_key: expected base64url, as the authority gives it out")
    })
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, body) = (Name::parse(ctx.param("name"))?, ctx.body());
    let old = Account::find(view, &name).await?;
    let agreed = body.bool("terms_agreed")?;
    if agreed == Some(false) || old.is_none() && agreed.is_none() {
        return Err(Fault::invalid(
            "terms_agreed: read the authority's terms of service, and set this to true if you agree",
        ));
    }
    let mut account = match old {
        Some(account) => account,
        None => Account {
            directory: directory(&body.required("directory")?)?,
            contact: Vec::new(),
            ca_cert: String::new(),
            eab_kid: String::new(),
            eab_key: None,
            id: None,
            key: None,
        },
    };
    // Written again, an account registers again: at another authority, or where it was lost.
    if let Some(text) = body.string("directory")? {
        account.directory = directory(&text)?;
        account.id = None;
        account.key = None;
    }
    if let Some(given) = body.list("contact")? {
        let given = contact(given)?;
        if account.id.is_some() && given != account.contact {
            return Err(Fault::invalid(
                "contact: the account is registered with another one; give directory too, and it is \
                 registered anew",
            ));
        }
        account.contact = given;
    }
    if let Some(pem) = body.string("ca_cert")? {
        Trust::from_pem(&pem).map_err(|error| Fault::invalid(format!("ca_cert: {error}")))?;
        account.ca_cert = pem;
    }
    if let Some(kid) = body.string("eab_kid")? {
        account.eab_kid = kid;
    }
    if let Some(text) = body.string("eab_hmac_key")?.map(Zeroizing::new) {
        account.eab_key = match text.is_empty() {
            true => None,
            false => Some(mac_key(&text)?),
        };
    }
    if account.eab_kid.is_empty() != account.eab_key.is_none() {
        return Err(Fault::invalid("eab_kid and eab_hmac_key belong together"));
    }
    account.store(view, &name).await?;
    Ok(account.show())
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, FOLDER).await
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    Ok(named(ctx, view).await?.1.show())
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = Name::parse(ctx.param("name"))?;
    for cert in Cert::names(view).await? {
        let cert = Cert::find(view, &cert).await?;
        if cert.is_some_and(|cert| cert.account == name) {
            return Err(Fault::invalid(
                "the account has certificates: delete them, or give them another account, first",
            ));
        }
    }
    view.delete(&row(&name)).await?;
    Ok(Reply::none())
}

/// The new key is made, and told to the authority, before the transaction.
pub(super) async fn ask_rotation(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    let (_, account) = named(ctx, view).await?;
    let Some(access) = account.access()? else {
        return Err(Fault::invalid(
            "the account is not registered yet: that is done with its first certificate",
        ));
    };
    let failed = super::told;
    let mut session = access.open(outside.outbound).await.map_err(failed)?;
    let key = session.rotate().await.map_err(failed)?;
    Ok(Prepared::AccountKey(Registered { id: access.id, key }))
}

pub(super) async fn rotate(
    ctx: &Ctx<'_>,
    registered: &Registered,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let (name, mut account) = named(ctx, view).await?;
    if account.id.as_ref() != Some(&registered.id) {
        return Err(Fault::invalid(
            "the account was written meanwhile: rotate it again",
        ));
    }
    account.keep(registered);
    account.store(view, &name).await?;
    view.announce(&row(&name), "rotated", 0);
    Ok(account.show())
}
