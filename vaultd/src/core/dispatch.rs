//! From a path to the row that serves it, and from the row to its engine. A closed set: a new kind
//! does not compile until every match here has its arm.

mod errand;
mod prepare;
mod upkeep;

use std::sync::Arc;

use super::context::Ctx;
use super::fault::Fault;
use super::mount::{Kind, Mount, MountTable};
use super::reply::Reply;
use super::request::{Request, Verb};
use super::route::{Access, Found, Params, Row, find, matches};
use super::unsealed::Unsealed;
use super::{Core, identity, system, token_method};
use crate::auth::{approle, cert, gcp, github, jwt, kubernetes, ldap, ssh, userpass};
use crate::barrier::Tx;
use crate::engine::{acme, cubbyhole, kv1, kv2, pki, sshca, sshkeys, totp, transit};

pub use errand::{Errand, due};
pub use prepare::{Prepared, is_needed, prepare};
pub use upkeep::{ask_again, endings, remind, renewed, take_back, tidy};

/// One operation of one engine or method.
#[derive(Clone, Copy)]
pub enum Call {
    Kv1(kv1::Call),
    Kv2(kv2::Call),
    Transit(transit::Call),
    Totp(totp::Call),
    SshCa(sshca::Call),
    SshKeys(sshkeys::Call),
    Pki(pki::Call),
    Acme(acme::Call),
    Cubbyhole(cubbyhole::Call),
    Approle(approle::Call),
    Userpass(userpass::Call),
    Jwt(jwt::Call),
    Kubernetes(kubernetes::Call),
    Github(github::Call),
    Gcp(gcp::Call),
    Cert(cert::Call),
    Ssh(ssh::Call),
    Ldap(ldap::Call),
    Token(token_method::Call),
    System(system::Call),
    Identity(identity::Call),
}

/// The row that serves a request.
pub struct Target {
    pub mount: Arc<Mount>,
    pub call: Call,
    pub access: Access,
    pub creates: bool,
    pub params: Params,
    fields: &'static str,
}

/// A row without the type of its engine: for tests, help and OpenAPI.
#[derive(Debug, Clone, Copy)]
pub struct AnyRow {
    pub verb: Verb,
    pub pattern: &'static str,
    pub access: Access,
    pub fields: &'static str,
    pub about: &'static str,
}

/// Where a path leads.
pub enum Resolved {
    Target(Box<Target>),
    OtherVerb,
    /// Mounted, but the engine has no such path.
    NoPath(Arc<Mount>),
    NotMounted,
}

pub fn resolve(mounts: &MountTable, request: &Request) -> Resolved {
    let Some((mount, rest)) = mounts.resolve(request.path.as_str()) else {
        return Resolved::NotMounted;
    };
    let rest = rest.trim_end_matches('/');
    match mount.kind {
        Kind::Kv1 => target(mount, kv1::ROWS, Call::Kv1, request.verb, rest),
        Kind::Kv2 => target(mount, kv2::ROWS, Call::Kv2, request.verb, rest),
        Kind::Transit => target(mount, transit::ROWS, Call::Transit, request.verb, rest),
        Kind::Totp => target(mount, totp::ROWS, Call::Totp, request.verb, rest),
        Kind::SshCa => target(mount, sshca::ROWS, Call::SshCa, request.verb, rest),
        Kind::SshKeys => target(mount, sshkeys::ROWS, Call::SshKeys, request.verb, rest),
        Kind::Acme => target(mount, acme::ROWS, Call::Acme, request.verb, rest),
        Kind::Pki => target(mount, pki::ROWS, Call::Pki, request.verb, rest),
        Kind::Cubbyhole => target(mount, cubbyhole::ROWS, Call::Cubbyhole, request.verb, rest),
        Kind::Approle => target(mount, approle::ROWS, Call::Approle, request.verb, rest),
        Kind::Userpass => target(mount, userpass::ROWS, Call::Userpass, request.verb, rest),
        Kind::Jwt | Kind::Oidc => target(mount, jwt::ROWS, Call::Jwt, request.verb, rest),
        Kind::Kubernetes => target(
            mount,
            kubernetes::ROWS,
            Call::Kubernetes,
            request.verb,
            rest,
        ),
        Kind::Github => target(mount, github::ROWS, Call::Github, request.verb, rest),
        Kind::Gcp => target(mount, gcp::ROWS, Call::Gcp, request.verb, rest),
        Kind::Cert => target(mount, cert::ROWS, Call::Cert, request.verb, rest),
        Kind::Ssh => target(mount, ssh::ROWS, Call::Ssh, request.verb, rest),
        Kind::Ldap => target(mount, ldap::ROWS, Call::Ldap, request.verb, rest),
        Kind::Token => target(mount, token_method::ROWS, Call::Token, request.verb, rest),
        Kind::System => target(mount, system::ROWS, Call::System, request.verb, rest),
        Kind::Identity => target(mount, identity::ROWS, Call::Identity, request.verb, rest),
    }
}

/// The mount that serves a path, and its rows for the path whatever the verb.
pub fn rows_at(mounts: &MountTable, path: &str) -> Option<(Arc<Mount>, Vec<AnyRow>)> {
    let (mount, rest) = mounts.resolve(path)?;
    let rest = rest.trim_end_matches('/');
    let mut found = rows(mount.kind);
    if !rest.is_empty() {
        found.retain(|row| matches(row.pattern, rest).is_some());
    }
    Some((Arc::clone(mount), found))
}

/// Every row of a kind of mount.
pub fn rows(kind: Kind) -> Vec<AnyRow> {
    match kind {
        Kind::Kv1 => plain(kv1::ROWS),
        Kind::Kv2 => plain(kv2::ROWS),
        Kind::Transit => plain(transit::ROWS),
        Kind::Totp => plain(totp::ROWS),
        Kind::SshCa => plain(sshca::ROWS),
        Kind::SshKeys => plain(sshkeys::ROWS),
        Kind::Pki => plain(pki::ROWS),
        Kind::Acme => plain(acme::ROWS),
        Kind::Cubbyhole => plain(cubbyhole::ROWS),
        Kind::Approle => plain(approle::ROWS),
        Kind::Userpass => plain(userpass::ROWS),
        Kind::Jwt | Kind::Oidc => plain(jwt::ROWS),
        Kind::Kubernetes => plain(kubernetes::ROWS),
        Kind::Github => plain(github::ROWS),
        Kind::Gcp => plain(gcp::ROWS),
        Kind::Cert => plain(cert::ROWS),
        Kind::Ssh => plain(ssh::ROWS),
        Kind::Ldap => plain(ldap::ROWS),
        Kind::Token => plain(token_method::ROWS),
        Kind::System => plain(system::ROWS),
        Kind::Identity => plain(identity::ROWS),
    }
}

fn plain<C>(rows: &[Row<C>]) -> Vec<AnyRow> {
    rows.iter()
        .map(|row| AnyRow {
            verb: row.verb,
            pattern: row.pattern,
            access: row.access,
            fields: row.fields,
            about: row.about,
        })
        .collect()
}

fn target<C: Copy>(
    mount: &Arc<Mount>,
    rows: &'static [Row<C>],
    wrap: impl Fn(C) -> Call,
    verb: Verb,
    rest: &str,
) -> Resolved {
    match find(rows, verb, rest) {
        Found::Row(row, params) => Resolved::Target(Box::new(Target {
            mount: Arc::clone(mount),
            call: wrap(row.call),
            access: row.access,
            creates: row.creates,
            fields: row.fields,
            params,
        })),
        Found::OtherVerb => Resolved::OtherVerb,
        Found::Nothing => Resolved::NoPath(Arc::clone(mount)),
    }
}

impl Target {
    /// Fields of the request that the row does not know, other than those that every list has.
    pub fn unknown_fields(&self, request: &Request) -> Vec<String> {
        if self.fields == "*" {
            return Vec::new();
        }
        let known = |name: &str| {
            self.fields.split(' ').any(|field| field == name)
                || self.params.names().any(|param| param == name)
                || (request.verb == Verb::List && matches!(name, "after" | "limit"))
        };
        request
            .body
            .names()
            .filter(|name| !known(name))
            .map(str::to_owned)
            .collect()
    }
}

/// Whether what a write is about exists already.
pub async fn exists(call: Call, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<bool, Fault> {
    let mut view = tx.view(ctx.mount.number);
    match call {
        Call::Kv1(call) => Box::pin(kv1::exists(call, ctx, &mut view)).await,
        Call::Kv2(call) => kv2::exists(call, ctx, &mut view).await,
        Call::Transit(call) => Box::pin(transit::exists(call, ctx, &mut view)).await,
        Call::Totp(call) => Box::pin(totp::exists(call, ctx, &mut view)).await,
        Call::SshCa(call) => Box::pin(sshca::exists(call, ctx, &mut view)).await,
        Call::SshKeys(call) => Box::pin(sshkeys::exists(call, ctx, &mut view)).await,
        Call::Acme(call) => Box::pin(acme::exists(call, ctx, &mut view)).await,
        Call::Pki(call) => Box::pin(pki::exists(call, ctx, &mut view)).await,
        Call::Cubbyhole(call) => Box::pin(cubbyhole::exists(call, ctx, &mut view)).await,
        Call::Approle(call) => Box::pin(approle::exists(call, ctx, &mut view)).await,
        Call::Userpass(call) => Box::pin(userpass::exists(call, ctx, &mut view)).await,
        Call::Jwt(call) => Box::pin(jwt::exists(call, ctx, &mut view)).await,
        Call::Kubernetes(call) => Box::pin(kubernetes::exists(call, ctx, &mut view)).await,
        Call::Gcp(call) => Box::pin(gcp::exists(call, ctx, &mut view)).await,
        Call::Cert(call) => Box::pin(cert::exists(call, ctx, &mut view)).await,
        Call::Ssh(call) => Box::pin(ssh::exists(call, ctx, &mut view)).await,
        Call::Github(_) | Call::Ldap(_) | Call::Token(_) | Call::System(_) | Call::Identity(_) => {
            Ok(true)
        }
    }
}

/// Runs the operation over the transaction. The rarer engines are boxed: a future is as large as its
/// largest part, and it is moved about for every read of KV.
pub async fn run(
    core: &Core,
    vault: &Unsealed,
    call: Call,
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    tx: &mut Tx,
) -> Result<Reply, Fault> {
    match call {
        Call::Kv1(call) => kv1::run(call, ctx, &mut tx.view(ctx.mount.number)).await,
        Call::Kv2(call) => kv2::run(call, ctx, &mut tx.view(ctx.mount.number)).await,
        Call::Transit(call) => {
            Box::pin(transit::run(call, ctx, &mut tx.view(ctx.mount.number))).await
        }
        Call::Totp(call) => Box::pin(totp::run(call, ctx, &mut tx.view(ctx.mount.number))).await,
        Call::SshCa(call) => {
            let Prepared::SshCa(prepared) = prepared else {
                return Err(Fault::Internal("nothing was prepared"));
            };
            let view = &mut tx.view(ctx.mount.number);
            Box::pin(sshca::run(call, ctx, prepared, view)).await
        }
        Call::Acme(call) => {
            let Prepared::Acme(prepared) = prepared else {
                return Err(Fault::Internal("nothing was prepared"));
            };
            let view = &mut tx.view(ctx.mount.number);
            Box::pin(acme::run(call, ctx, prepared, view)).await
        }
        Call::Pki(call) => {
            let Prepared::Pki(prepared) = prepared else {
                return Err(Fault::Internal("nothing was prepared"));
            };
            let view = &mut tx.view(ctx.mount.number);
            Box::pin(pki::run(call, ctx, prepared, view)).await
        }
        Call::SshKeys(call) => {
            let Prepared::SshKeys(prepared) = prepared else {
                return Err(Fault::Internal("nothing was prepared"));
            };
            let view = &mut tx.view(ctx.mount.number);
            Box::pin(sshkeys::run(call, ctx, prepared, view)).await
        }
        Call::Cubbyhole(call) => {
            Box::pin(cubbyhole::run(call, ctx, &mut tx.view(ctx.mount.number))).await
        }
        Call::Approle(call) => {
            Box::pin(approle::run(call, ctx, &mut tx.view(ctx.mount.number))).await
        }
        Call::Userpass(call) => {
            let Prepared::Userpass(prepared) = prepared else {
                return Err(Fault::Internal("nothing was prepared"));
            };
            Box::pin(userpass::run(
                call,
                ctx,
                prepared,
                &mut tx.view(ctx.mount.number),
            ))
            .await
        }
        Call::Jwt(call) => {
            let Prepared::Jwt(prepared) = prepared else {
                return Err(Fault::Internal("nothing was prepared"));
            };
            Box::pin(jwt::run(
                call,
                ctx,
                prepared,
                &mut tx.view(ctx.mount.number),
            ))
            .await
        }
        Call::Kubernetes(call) => {
            let Prepared::Kubernetes(prepared) = prepared else {
                return Err(Fault::Internal("nothing was prepared"));
            };
            let view = &mut tx.view(ctx.mount.number);
            Box::pin(kubernetes::run(call, ctx, prepared, view)).await
        }
        Call::Github(call) => {
            let Prepared::Github(prepared) = prepared else {
                return Err(Fault::Internal("nothing was prepared"));
            };
            Box::pin(github::run(
                call,
                ctx,
                prepared,
                &mut tx.view(ctx.mount.number),
            ))
            .await
        }
        Call::Gcp(call) => {
            let Prepared::Gcp(prepared) = prepared else {
                return Err(Fault::Internal("nothing was prepared"));
            };
            let view = &mut tx.view(ctx.mount.number);
            Box::pin(gcp::run(call, ctx, prepared, view)).await
        }
        Call::Cert(call) => {
            let Prepared::Cert(prepared) = prepared else {
                return Err(Fault::Internal("nothing was prepared"));
            };
            let view = &mut tx.view(ctx.mount.number);
            Box::pin(cert::run(call, ctx, prepared, view)).await
        }
        Call::Ldap(call) => {
            let Prepared::Ldap(prepared) = prepared else {
                return Err(Fault::Internal("nothing was prepared"));
            };
            let view = &mut tx.view(ctx.mount.number);
            Box::pin(ldap::run(call, ctx, prepared, view)).await
        }
        Call::Ssh(call) => Box::pin(ssh::run(call, ctx, &mut tx.view(ctx.mount.number))).await,
        Call::Token(call) => Box::pin(token_method::run(vault, call, ctx, prepared, tx)).await,
        Call::System(call) => match prepared {
            Prepared::Answer(data) => Ok(Reply {
                data: data.clone(),
                ..Reply::none()
            }),
            _ => Box::pin(system::run(core, vault, call, ctx, tx)).await,
        },
        Call::Identity(call) => Box::pin(identity::run(vault, call, ctx, tx)).await,
    }
}
