//! Login and renewal. The connection has proved the key; a role decides what the certificate is worth.

use std::collections::BTreeMap;

use rustls::pki_types::CertificateDer;
use vault_crypto::sha256;

use super::certificate::{Facts, in_colons};
use super::crl::{Crl, Revoked};
use super::model::Role;
use super::ocsp::{Question, Status};
use super::trust::{Shown, refused};
use super::{config, crl, ocsp};
use crate::auth::name::RoleName;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::{Alias, Login, Renewal, TokenParams, within};
use crate::core::reply::Reply;
use crate::core::request::ClientChain;
use crate::core::slow::Outside;

/// What others said before the transaction.
#[derive(Default)]
pub struct Asked {
    /// Roles that have responders asked, as they were then.
    statuses: Vec<(String, Role, Status)>,
    /// Revocation lists that were due.
    lists: Vec<(String, Crl)>,
}

/// Asks only about a certificate that would be accepted otherwise.
pub(super) async fn ask(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Asked, Fault> {
    let chain = shown(ctx.request.client_chain.as_ref())?;
    let now = ctx.now().as_second();
    let roles = candidates(ctx, view).await?;
    let asks = |(_, role): &(String, Role)| role.ocsp.enabled;
    if !roles.iter().any(asks) && !crl::is_any_due(now, view).await? {
        return Ok(Asked::default());
    }
    let revoked = Revoked::load(view).await?;
    let shown = Shown::new(chain, &revoked, now)?;
    shown.accepted_by(&roles)?;
    let mut asked = Asked {
        statuses: Vec::new(),
        lists: crl::refresh(outside.outbound, now, view).await?,
    };
    for (name, role) in roles.into_iter().filter(asks) {
        let one = (name, role);
        if shown.accepted_by(std::slice::from_ref(&one)).is_err() {
            continue;
        }
        let (name, role) = one;
        let status = status(ctx, outside, &shown, &role).await?;
        asked.statuses.push((name, role, status));
    }
    Ok(asked)
}

async fn status(
    ctx: &Ctx<'_>,
    outside: &Outside<'_>,
    shown: &Shown<'_>,
    role: &Role,
) -> Result<Status, Fault> {
    let own = shown.chain.own();
    let (trusted, added) = (role.certificates()?, role.ocsp.authorities());
    let known = shown.chain.others().iter().chain(&trusted).chain(&added);
    let mut nonce = [0; 32];
    ctx.random.fill(&mut nonce);
    let question = Question {
        own,
        issuer: ocsp::issuer_of(own, known),
        responders: &shown.facts.responders,
        rules: &role.ocsp,
        nonce,
        now: shown.now,
    };
    Ok(ocsp::ask(outside.outbound, &question).await)
}

impl Asked {
    /// The roles that may still accept the certificate, and why one of the others may not.
    fn narrow(&self, roles: Vec<(String, Role)>) -> (Vec<(String, Role)>, Option<Fault>) {
        let mut why = None;
        let mut left = Vec::new();
        for (name, role) in roles {
            let mut asked = self.statuses.iter();
            // A role that was changed meanwhile was not asked for as it is.
            let status = asked.find(|(then, as_then, _)| *then == name && *as_then == role);
            match status.map(|(_, _, status)| status) {
                _ if !role.ocsp.enabled => left.push((name, role)),
                Some(Status::Good) => left.push((name, role)),
                Some(Status::Unknown(reason)) if role.ocsp.fail_open => {
                    tracing::warn!(
                        role = name,
                        reason,
                        "not known whether a certificate is revoked: let in, since the role fails open"
                    );
                    left.push((name, role));
                }
                Some(Status::Unknown(reason)) => {
                    why = Some(refused(&format!(
                        "not known whether it is revoked: {reason}"
                    )));
                }
                Some(Status::Revoked) => why = Some(refused("it is revoked")),
                None => {}
            }
        }
        (left, why)
    }
}

pub(super) async fn login(
    ctx: &Ctx<'_>,
    asked: &Asked,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let chain = shown(ctx.request.client_chain.as_ref())?;
    crl::keep(&asked.lists, view).await?;
    let revoked = Revoked::load(view).await?;
    let shown = Shown::new(chain, &revoked, ctx.now().as_second())?;
    let (roles, why) = asked.narrow(candidates(ctx, view).await?);
    let accepted = shown.accepted_by(&roles);
    let (name, role) = accepted.map_err(|fault| why.unwrap_or(fault))?;
    if !within(&role.token.bound_cidrs, ctx.request.remote) {
        return Err(Fault::Forbidden("permission denied".to_owned()));
    }
    let metadata = metadata(name, role, &shown.facts);
    let mut alias = alias(chain.own(), &shown.facts);
    if config::load(view).await?.alias_metadata {
        alias.metadata.clone_from(&metadata);
        for of_one_certificate in ["serial_number", "subject_key_id"] {
            alias.metadata.remove(of_one_certificate);
        }
    }
    let mount = ctx.mount.name().trim_end_matches('/').replace('/', "-");
    Ok(Reply::login(Login {
        params: role.token.clone(),
        alias,
        display_name: format!("{mount}-{}", role.display_name),
        metadata,
        role: name.clone(),
        proof: fingerprint(chain.own()),
        path: None,
    }))
}

fn shown(chain: Option<&ClientChain>) -> Result<&ClientChain, Fault> {
    chain.ok_or_else(|| {
        Fault::invalid(
            "client certificate must be supplied: connect over TLS, straight to this server, with a certificate and its key",
        )
    })
}

/// The role that was asked for, or all of them.
async fn candidates(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Vec<(String, Role)>, Fault> {
    let wanted = ctx.body().string("name")?.filter(|name| !name.is_empty());
    let names = match wanted {
        Some(name) => vec![RoleName::parse(&name)?.as_str().to_owned()],
        None => view.list("role").await?,
    };
    let mut found = Vec::new();
    for name in names {
        if let Some(role) = view.get(&format!("role/{name}")).await? {
            found.push((name, role));
        }
    }
    Ok(found)
}

/// The common name; a certificate without one is known by its fingerprint. Its organisational units are
/// its groups.
fn alias(own: &CertificateDer<'_>, facts: &Facts) -> Alias {
    let name = facts.common_name.clone().filter(|name| !name.is_empty());
    Alias {
        groups: facts.units.clone(),
        ..Alias::named(name.unwrap_or_else(|| format!("sha256:{}", fingerprint(own))))
    }
}

fn fingerprint(own: &CertificateDer<'_>) -> String {
    hex::encode(sha256(own))
}

fn metadata(name: &str, role: &Role, facts: &Facts) -> BTreeMap<String, String> {
    let common_name = facts.common_name.clone().unwrap_or_default();
    let fixed = [
        ("cert_name", name.to_owned()),
        ("common_name", common_name),
        ("serial_number", facts.serial_text.clone()),
        ("subject_key_id", in_colons(&facts.subject_key_id)),
        ("authority_key_id", in_colons(&facts.authority_key_id)),
    ];
    let chosen = role.metadata_extensions.iter();
    let chosen = chosen.filter_map(|oid| Some((oid.replace('.', "-"), facts.text_of(oid)?)));
    let fixed = fixed
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    fixed.chain(chosen).collect()
}

/// The token settings that hold now for a token of this role; `None` if the role is gone. The
/// certificate that the token was issued for has to be shown again, and still be good, unless the
/// mount does not bind tokens to certificates.
pub async fn renewed(
    renewal: &Renewal<'_>,
    view: &mut View<'_>,
) -> Result<Option<TokenParams>, Fault> {
    let name = RoleName::parse(renewal.role)?;
    let Some(role) = view.get::<Role>(&name.row()).await? else {
        return Ok(None);
    };
    if !renewal.grants(&role.token) {
        return Err(Fault::Forbidden(
            "policies have changed, not renewing: log in again".to_owned(),
        ));
    }
    if !config::load(view).await?.disable_binding {
        let request = renewal.request;
        let chain = shown(request.client_chain.as_ref())?;
        if fingerprint(chain.own()) != renewal.proof {
            return Err(Fault::Forbidden(
                "client identity during renewal not matching client identity used during login"
                    .to_owned(),
            ));
        }
        let revoked = Revoked::load(view).await?;
        let roles = [(name.as_str().to_owned(), role.clone())];
        Shown::new(chain, &revoked, request.now.as_second())?.accepted_by(&roles)?;
    }
    Ok(Some(role.token))
}
