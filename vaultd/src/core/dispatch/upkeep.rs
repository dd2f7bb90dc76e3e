//! What core asks of engines and methods between requests: renewed rights, and clearing up.

use jiff::Timestamp;
use vault_crypto::Random;

use super::Prepared;
use crate::auth::{approle, cert, gcp, github, jwt, kubernetes, ldap, ssh, userpass};
use crate::barrier::Tx;
use crate::core::fault::Fault;
use crate::core::login::{Renewal, TokenParams};
use crate::core::mount::{Kind, Mount};
use crate::core::slow::Outside;
use crate::engine::ending::Ending;
use crate::engine::{acme, kv2, pki, sshca, sshkeys, transit};

/// What the method that issued a token asks others before it is renewed.
pub async fn ask_again(
    mount: &Mount,
    renewal: &Renewal<'_>,
    tx: &mut Tx,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    let view = &mut tx.view(mount.number);
    match mount.kind {
        Kind::Cert => {
            let asked = Box::pin(cert::ask_again(renewal, mount.number, view, outside)).await?;
            Ok(Prepared::Cert(cert::Prepared::Asked(Box::new(asked))))
        }
        Kind::Gcp => Box::pin(gcp::ask_again(renewal, mount.number, view, outside))
            .await
            .map(Prepared::Gcp),
        Kind::Ldap => Box::pin(ldap::ask_again(renewal, view))
            .await
            .map(Prepared::Ldap),
        _ => Ok(Prepared::Nothing),
    }
}

/// The settings that the role of a token has now; a role that is gone renews nothing.
pub async fn renewed(
    mount: &Mount,
    renewal: &Renewal<'_>,
    prepared: &Prepared,
    tx: &mut Tx,
) -> Result<Option<TokenParams>, Fault> {
    let mut view = tx.view(mount.number);
    let found = match mount.kind {
        Kind::Approle => approle::renewed(renewal.role, &mut view).await?,
        Kind::Userpass => userpass::renewed(renewal.role, &mut view).await?,
        Kind::Jwt | Kind::Oidc => jwt::renewed(renewal.role, &mut view).await?,
        Kind::Kubernetes => kubernetes::renewed(renewal.role, &mut view).await?,
        Kind::Github => github::renewed(&mut view).await?,
        Kind::Cert => match prepared {
            Prepared::Cert(cert::Prepared::Asked(asked)) => {
                Box::pin(cert::renewed(renewal, asked, &mut view)).await?
            }
            _ => return Err(Fault::Internal("nothing was prepared")),
        },
        Kind::Gcp => match prepared {
            Prepared::Gcp(prepared) => Box::pin(gcp::renewed(renewal, prepared, &mut view)).await?,
            _ => return Err(Fault::Internal("nothing was prepared")),
        },
        Kind::Ssh => Box::pin(ssh::renewed(renewal, &mut view)).await?,
        Kind::Ldap => match prepared {
            Prepared::Ldap(prepared) => {
                Box::pin(ldap::renewed(renewal, prepared, &mut view)).await?
            }
            _ => return Err(Fault::Internal("nothing was prepared")),
        },
        Kind::Kv1
        | Kind::Transit
        | Kind::Totp
        | Kind::SshCa
        | Kind::SshKeys
        | Kind::Pki
        | Kind::Acme
        | Kind::Kv2
        | Kind::Cubbyhole
        | Kind::System
        | Kind::Identity
        | Kind::Token => return Ok(None),
    };
    let gone = "the role that issued the token no longer exists: log in again";
    found.map(Some).ok_or_else(|| Fault::invalid(gone))
}

/// The time came that a mount asked to be reminded of.
pub async fn remind(mount: &Mount, about: &str, now: Timestamp, tx: &mut Tx) -> Result<(), Fault> {
    match mount.kind {
        Kind::Kv2 => kv2::due(&mut tx.view(mount.number), about, now).await,
        Kind::SshCa => sshca::due(&mut tx.view(mount.number), about, now).await,
        Kind::Acme => acme::remind(about, now, &mut tx.view(mount.number)).await,
        Kind::SshKeys => sshkeys::remind(about, now, &mut tx.view(mount.number)).await,
        Kind::Pki => pki::remind(about, now, &mut tx.view(mount.number)).await,
        _ => Ok(()),
    }
}

/// The lease of something that this mount gave has ended. What is gone already is fine.
pub async fn take_back(
    mount: &Mount,
    about: &str,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<(), Fault> {
    match mount.kind {
        Kind::Pki => pki::take_back(about, now, &mut tx.view(mount.number)).await,
        _ => Ok(()),
    }
}

/// Clears a little of what writes left for later; true if there is more.
pub async fn tidy(
    mount: &Mount,
    now: Timestamp,
    random: &dyn Random,
    tx: &mut Tx,
) -> Result<bool, Fault> {
    let mut view = tx.view(mount.number);
    match mount.kind {
        Kind::Kv2 => kv2::tidy(&mut view).await,
        Kind::Approle => approle::tidy(now, &mut view).await,
        Kind::Jwt | Kind::Oidc => jwt::tidy(now, &mut view).await,
        Kind::Gcp => gcp::tidy(now, random, &mut view).await,
        Kind::Transit => transit::tidy(now, random, &mut view).await,
        Kind::Pki => pki::tidy(now, &mut view).await,
        Kind::Ssh => ssh::tidy(now, &mut view).await,
        Kind::Kv1
        | Kind::Totp
        | Kind::SshCa
        | Kind::SshKeys
        | Kind::Acme
        | Kind::Cubbyhole
        | Kind::System
        | Kind::Identity
        | Kind::Token
        | Kind::Userpass
        | Kind::Kubernetes
        | Kind::Github
        | Kind::Cert
        | Kind::Ldap => Ok(false),
    }
}

/// The certificates of a mount that have names, and how many others end within so many days.
pub async fn endings(
    mount: &Mount,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<(Vec<Ending>, Vec<(u64, u64)>), Fault> {
    let mut view = tx.view(mount.number);
    match mount.kind {
        Kind::Pki => {
            let issuers = pki::endings(&mut view).await?;
            Ok((issuers, pki::counts(now, &mut view).await?))
        }
        Kind::Acme => Ok((acme::endings(&mut view).await?, Vec::new())),
        _ => Ok(Default::default()),
    }
}
