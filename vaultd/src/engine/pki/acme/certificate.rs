//! The end of an order: the CSR is held against the order and the role, and signed (RFC 8555, 7.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::LINK;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_x509::Request;

use super::account::Account;
use super::directory::{Directory, Policy, link};
use super::identifier::Identifier;
use super::jws::Signed;
use super::order::{self, Order, Status};
use super::problem::{Kind, Outcome, Problem, Refusal};
use super::settings::Settings;
use super::{due_id, renewal};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::pki::issue::{Wish, least_bits};
use crate::engine::pki::issuer::{self, Authority, Issuer, Outliving, certificate_pem};
use crate::engine::pki::role::Role;
use crate::engine::pki::subject::Subject;
use crate::engine::pki::{Prepared, key, serial};
use crate::jose::{self, VerifyKey};

const OWNERS: &str = "acme/issued";

/// A certificate that can be fetched, with what may be above it.
#[derive(Serialize, Deserialize)]
pub(super) struct Certificate {
    /// DER in base64.
    leaf: String,
    chains: Vec<Vec<String>>,
}

/// Whose a certificate is.
#[derive(Serialize, Deserialize)]
pub(super) struct Owner {
    pub account: String,
    not_after: Timestamp,
    /// Another one was ordered in its place (RFC 9773, 5).
    pub replaced: bool,
}

impl Owner {
    fn row(serial: &[u8]) -> String {
        format!("{OWNERS}/{}", serial::hex(serial))
    }

    pub(super) async fn of(serial: &[u8], view: &mut View<'_>) -> Result<Option<Owner>, Fault> {
        Ok(view.get(&Owner::row(serial)).await?)
    }

    pub(super) async fn store(&self, serial: &[u8], view: &mut View<'_>) -> Result<(), Fault> {
        Ok(view.put(&Owner::row(serial), self).await?)
    }

    /// It is forgotten with the certificate's end.
    pub(super) async fn remind(
        name: &str,
        now: Timestamp,
        view: &mut View<'_>,
    ) -> Result<(), Fault> {
        let row = format!("{OWNERS}/{name}");
        let found: Option<Owner> = view.get(&row).await?;
        match found.filter(|found| found.not_after <= now) {
            Some(_) => Ok(view.delete(&row).await?),
            None => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct Finalize {
    csr: String,
}

/// RFC 8555, 7.4.
pub(super) async fn finalize(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    directory: &Directory,
    signed: &Signed,
    view: &mut View<'_>,
) -> Outcome<Reply> {
    let account = signed.account(directory)?;
    let mut order = Order::own(ctx, account, view).await?;
    let asked: Finalize = signed.read()?;
    let (status, problem) = order.status(ctx.now());
    if status != Status::Ready {
        let text = match problem {
            Some(_) => "the order has failed: see its error, and order anew",
            None if status == Status::Valid => "the order is carried out already",
            None => "not every authorization of the order is valid yet",
        };
        return Err(Problem::new(Kind::OrderNotReady, text).into());
    }
    let identifiers = order.identifiers();
    let policy = directory.policy(order.profile.as_deref(), view).await?;
    // The role may have changed since.
    order::allowed(&identifiers, &policy)?;
    let bad = |refusal: Refusal| refusal.into_kind(Kind::BadCSR);
    let csr = read(&asked.csr, account).map_err(bad)?;
    let common_name = same_names(&csr, &identifiers)?;
    let Policy { role, issuer, .. } = policy;
    let role = limited(role, &directory.settings);
    key::strong(csr.key.kind(), &role.key_type, least_bits(&role))
        .map_err(|fault| bad(fault.into()))?;
    let subject = Subject {
        common_name: named(common_name, &role, &identifiers),
        names: identifiers.iter().map(Identifier::alt_name).collect(),
        ..Subject::default()
    };
    subject.limits()?;
    subject
        .check(&role)
        .map_err(|fault| bad(Refusal::from(fault)))?;
    let mut authority = issuer.open(view).await?;
    // As Vault: what a client cannot choose cannot be its mistake.
    authority.issuer.outliving = Outliving::Truncate;
    let wish = Wish {
        role: &role,
        authority: &authority,
        subject: &subject,
        verbatim: None,
        public: &csr.key,
    };
    let leaf = wish.carry_out(ctx, prepared, view).await?;
    let owner = Owner {
        account: account.id.clone(),
        not_after: leaf.validity.not_after,
        replaced: false,
    };
    owner.store(&leaf.serial, view).await?;
    let about = Owner::row(&leaf.serial);
    view.put_due(owner.not_after, &due_id(ctx.random), &about)
        .await?;
    if let Some(replaced) = &order.replaces {
        renewal::replaced(replaced, view).await?;
    }
    let certificate = Certificate {
        leaf: STANDARD.encode(&leaf.der),
        chains: chains(&authority, view).await?,
    };
    order.carried_out(certificate, ctx, view).await?;
    Ok(order.show(directory, ctx.now()))
}

fn read(text: &str, account: &Account) -> Outcome<Request> {
    let der = jose::decode(text);
    let der = der.ok_or_else(|| Problem::malformed("the csr is not DER in base64url"))?;
    let csr = Request::from_der(&der).map_err(|error| Problem::malformed(error.to_string()))?;
    if csr.authority {
        return Err(Problem::malformed("the csr asks for an authority").into());
    }
    // RFC 8555, 11.1: a certificate is not to have the key of an account.
    let own = vault_crypto::pem::write("PUBLIC KEY", csr.key.as_der(), 64);
    let own = VerifyKey::from_pem(&own)?;
    let accounts = account.key()?.thumbprint();
    match own.iter().any(|key| key.thumbprint() == accounts) {
        true => Err(Problem::malformed("the csr has the key of the account: use another").into()),
        false => Ok(csr),
    }
}

/// The names of a CSR are exactly those of the order (RFC 8555, 7.4); its common name.
fn same_names(csr: &Request, identifiers: &[Identifier]) -> Result<Option<String>, Problem> {
    let differs = || {
        let text = "the names of the csr are not those of the order";
        Problem::new(Kind::BadCSR, text)
    };
    let names = csr.names.iter().map(Identifier::of_alt_name);
    let mut names: Vec<Identifier> = names.collect::<Option<_>>().ok_or_else(differs)?;
    let common_name = csr.common_name.as_ref().filter(|name| !name.is_empty());
    names.extend(common_name.map(|name| Identifier::of_common_name(name)));
    names.sort();
    names.dedup();
    let mut ordered = identifiers.to_vec();
    ordered.sort();
    match names == ordered {
        true => Ok(common_name.map(|name| name.to_ascii_lowercase())),
        false => Err(differs()),
    }
}

/// The CSR's common name; if it has none and the role wants one, the first host that fits.
fn named(common_name: Option<String>, role: &Role, identifiers: &[Identifier]) -> String {
    let fitting = || {
        let mut texts = identifiers.iter().map(Identifier::text);
        texts.find(|text| text.len() <= 64)
    };
    let wanted = common_name.or_else(|| if role.require_cn { fitting() } else { None });
    wanted.unwrap_or_default()
}

/// A role as ACME uses it.
fn limited(mut role: Role, settings: &Settings) -> Role {
    role.max_ttl = match role.max_ttl {
        0 => settings.max_ttl,
        seconds => seconds.min(settings.max_ttl),
    };
    if !settings.allow_role_ext_key_usage {
        role.client_flag = false;
        role.code_signing_flag = false;
        role.email_protection_flag = false;
        role.server_flag = true;
        role.ext_key_usage = Vec::new();
        role.ext_key_usage_oids = Vec::new();
    }
    // Whatever it is, it is one of the names that were checked.
    role.cn_validations = vec!["disabled".to_owned()];
    role
}

/// The issuer's chain, and those of the same authority by others. Roots are left out, where something
/// else is in the chain.
async fn chains(authority: &Authority, view: &mut View<'_>) -> Outcome<Vec<Vec<String>>> {
    let mut found = vec![authority.chain.clone()];
    for other in Issuer::all(view).await? {
        let facts = issuer::facts(&other.der()?)?;
        let same = facts.subject == authority.facts.subject
            && facts.public == authority.facts.public
            && other.id != authority.issuer.id;
        if same {
            found.push(other.chain(view).await?);
        }
    }
    let mut chains = Vec::new();
    for chain in found {
        let mut kept = Vec::new();
        for der in &chain {
            let facts = issuer::facts(der)?;
            if facts.subject != facts.issuer || chain.len() == 1 {
                kept.push(STANDARD.encode(der));
            }
        }
        if !chains.contains(&kept) {
            chains.push(kept);
        }
    }
    Ok(chains)
}

/// The certificate with its chain number so and so; others are linked (RFC 8555, 7.4.2).
pub(super) fn give(certificate: &Certificate, number: &str, url: &str) -> Outcome<Reply> {
    let number = match number {
        "" => Some(0),
        text => text.parse::<usize>().ok(),
    };
    let chain = number.and_then(|number| certificate.chains.get(number));
    let chain = chain.ok_or_else(|| Problem::missing("chain"))?;
    let mut text = String::new();
    for der in [&certificate.leaf].into_iter().chain(chain) {
        let der = STANDARD.decode(der);
        let der = der.map_err(|_| Fault::Internal("a stored certificate is no base64"))?;
        text.push_str(&certificate_pem(&der));
        text.push('\n');
    }
    let mut reply = Reply {
        text: Some(("application/pem-certificate-chain", text.into_bytes())),
        ..Reply::none()
    };
    for other in (0..certificate.chains.len()).filter(|other| Some(*other) != number) {
        reply = reply.header(LINK, link(&format!("{url}/{other}"), "alternate"));
    }
    Ok(reply)
}
