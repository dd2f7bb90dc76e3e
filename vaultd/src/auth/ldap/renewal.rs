//! Renewal: the directory is asked again whether it still has the person, and for his groups, where it
//! can be asked without his password.

use super::Prepared;
use super::directory::{Still, look_up};
use super::login::{changed, granted, unanswered};
use super::model::Config;
use super::name::UserName;
use crate::barrier::View;
use crate::core::fault::Fault;
use crate::core::login::{Renewal, TokenParams};

/// What the directory says now, and how it was asked.
pub struct Seen {
    config: Config,
    /// `None` if only the person could ask.
    groups: Option<Vec<String>>,
}

/// Asks about the person whose token is to be renewed.
pub async fn ask_again(renewal: &Renewal<'_>, view: &mut View<'_>) -> Result<Prepared, Fault> {
    let Some(config) = view.get::<Config>(Config::ROW).await? else {
        return Ok(Prepared::Nothing);
    };
    let name = UserName::parse(renewal.role, config.case_sensitive_names)?;
    match look_up(&config, &name).await {
        Ok(Still::There(groups)) => Ok(Prepared::Seen(Box::new(Seen { config, groups }))),
        Ok(Still::Gone) => Err(Fault::Forbidden(
            "the directory does not know the user any more, not renewing".to_owned(),
        )),
        Err(failure) => Err(unanswered(&failure)),
    }
}

/// The token settings that hold now for a user, with the groups that the directory says, or else those
/// that he had at his login; `None` if the mount has no config.
pub async fn renewed(
    renewal: &Renewal<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Option<TokenParams>, Fault> {
    let Some(config) = view.get::<Config>(Config::ROW).await? else {
        return Ok(None);
    };
    let Prepared::Seen(seen) = prepared else {
        return Err(changed());
    };
    if seen.config != config {
        return Err(changed());
    }
    let groups = match &seen.groups {
        Some(groups) => groups.clone(),
        None => serde_json::from_str(renewal.proof).unwrap_or_default(),
    };
    let name = UserName::parse(renewal.role, config.case_sensitive_names)?;
    let (params, _) = granted(&config, &name, &groups, view).await?;
    match renewal.grants(&params) {
        true => Ok(Some(params)),
        false => Err(Fault::Forbidden(
            "policies have changed, not renewing: log in again".to_owned(),
        )),
    }
}
