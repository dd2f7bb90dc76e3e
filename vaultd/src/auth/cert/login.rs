//! Login. The connection has proved the key; a role decides what the certificate is worth.

use std::collections::BTreeMap;

use rustls::pki_types::CertificateDer;
use vault_crypto::sha256;

use super::asked::{Asked, Inquiry};
use super::certificate::{Facts, in_colons};
use super::config;
use super::crl::Revoked;
use super::model::Role;
use super::trust::Shown;
use crate::auth::name::RoleName;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::{Alias, Login, within};
use crate::core::reply::Reply;
use crate::core::request::ClientChain;
use crate::core::slow::Outside;

/// Asks about the certificate of a login.
pub(super) async fn ask(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Asked, Fault> {
    let inquiry = Inquiry {
        chain: shown(ctx.request.client_chain.as_ref())?,
        mount: ctx.mount.number,
        now: ctx.now().as_second(),
        outside,
    };
    let roles = candidates(ctx, view).await?;
    inquiry.run(roles, view).await
}

pub(super) async fn login(
    ctx: &Ctx<'_>,
    asked: &Asked,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let chain = shown(ctx.request.client_chain.as_ref())?;
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

pub(super) fn shown(chain: Option<&ClientChain>) -> Result<&ClientChain, Fault> {
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

pub(super) fn fingerprint(own: &CertificateDer<'_>) -> String {
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
