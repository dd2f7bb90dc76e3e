//! Renewal: the certificate that a token was issued for has to be shown again, and be as good as for a
//! login, unless the mount does not bind tokens to certificates.

use super::asked::{Asked, Inquiry};
use super::config;
use super::crl::Revoked;
use super::login::{fingerprint, shown};
use super::model::Role;
use super::trust::Shown;
use crate::auth::name::RoleName;
use crate::barrier::View;
use crate::core::fault::Fault;
use crate::core::login::{Renewal, TokenParams};
use crate::core::request::ClientChain;
use crate::core::slow::Outside;

fn mismatch() -> Fault {
    Fault::Forbidden(
        "client identity during renewal not matching client identity used during login".to_owned(),
    )
}

/// The certificate of the login, if it has to be shown.
async fn bound<'r>(
    renewal: &Renewal<'r>,
    view: &mut View<'_>,
) -> Result<Option<&'r ClientChain>, Fault> {
    if config::load(view).await?.disable_binding {
        return Ok(None);
    }
    let chain = shown(renewal.request.client_chain.as_ref())?;
    match fingerprint(chain.own()) == renewal.proof {
        true => Ok(Some(chain)),
        false => Err(mismatch()),
    }
}

/// Asks about the certificate of a renewal, for the one role of the token.
pub async fn ask_again(
    renewal: &Renewal<'_>,
    mount: u64,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Asked, Fault> {
    let name = RoleName::parse(renewal.role)?;
    let Some(role) = view.get::<Role>(&name.row()).await? else {
        return Ok(Asked::default());
    };
    let Some(chain) = bound(renewal, view).await? else {
        return Ok(Asked::default());
    };
    let inquiry = Inquiry {
        chain,
        mount,
        now: renewal.request.now.as_second(),
        outside,
    };
    let roles = vec![(name.as_str().to_owned(), role)];
    inquiry.run(roles, view).await
}

/// The token settings that hold now for a token of this role; `None` if the role is gone.
pub async fn renewed(
    renewal: &Renewal<'_>,
    asked: &Asked,
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
    let params = role.token.clone();
    if let Some(chain) = bound(renewal, view).await? {
        let revoked = Revoked::load(view).await?;
        let (roles, why) = asked.narrow(vec![(name.as_str().to_owned(), role)]);
        Shown::new(chain, &revoked, renewal.request.now.as_second())?
            .accepted_by(&roles)
            .map_err(|fault| why.unwrap_or(fault))?;
    }
    Ok(Some(params))
}
