//! Renewal: the role's bounds hold for who logged in, and Google is asked about him again where the
//! mount has credentials.

use super::inquiry::Inquiry;
use super::login::changed;
use super::model::{Bounds, Config, Role, Who};
use super::{Prepared, config};
use crate::auth::name::RoleName;
use crate::auth::roles;
use crate::barrier::View;
use crate::core::fault::Fault;
use crate::core::login::{Renewal, TokenParams};
use crate::core::slow::Outside;

/// By which config and role he is still taken.
pub struct Still {
    config: Config,
    role: Role,
}

/// Asks about the one whose token is to be renewed.
pub async fn ask_again(
    renewal: &Renewal<'_>,
    mount: u64,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    let name = RoleName::parse(renewal.role)?;
    let Some(role) = roles::get::<Role>(view, &name).await? else {
        return Ok(Prepared::Nothing);
    };
    let config = config::load(view).await?;
    let who: Who = serde_json::from_str(renewal.proof)
        .map_err(|_| Fault::Internal("it is not known who logged in"))?;
    if let Bounds::Iam {
        allow_gce_inference: false,
        ..
    } = role.bounds
        && who.instance.is_some()
    {
        return Err(Fault::invalid(
            "GCE inference is no longer allowed for the role",
        ));
    }
    let inquiry = Inquiry {
        outside,
        mount,
        config: &config,
        now: renewal.request.now,
    };
    inquiry.confirm(&role, who).await?;
    Ok(Prepared::Renewal(Box::new(Still { config, role })))
}

/// The token settings that hold now; `None` if the role is gone.
pub async fn renewed(
    renewal: &Renewal<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Option<TokenParams>, Fault> {
    let name = RoleName::parse(renewal.role)?;
    let Some(role) = roles::get::<Role>(view, &name).await? else {
        return Ok(None);
    };
    match prepared {
        Prepared::Renewal(still) if still.role == role => {
            if config::load(view).await? != still.config {
                return Err(changed());
            }
        }
        _ => return Err(changed()),
    }
    match renewal.grants(&role.token) {
        true => Ok(Some(role.token)),
        false => Err(Fault::Forbidden(
            "policies have changed, not renewing: log in again".to_owned(),
        )),
    }
}
