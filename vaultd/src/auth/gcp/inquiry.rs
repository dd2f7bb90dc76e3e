//! What Google is asked about who logs in or renews, and whether a role takes him then.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::api::Api;
use super::model::{Bounds, Config, Instance, Role, Who};
use super::standing;
use crate::core::fault::Fault;
use crate::core::slow::Outside;

/// What Compute Engine says of a machine.
pub(super) struct Seen {
    pub labels: BTreeMap<String, String>,
    /// One of the role's groups.
    pub in_group: bool,
}

/// One mount's.
pub(super) struct Inquiry<'a> {
    pub outside: &'a Outside<'a>,
    pub mount: u64,
    pub config: &'a Config,
    pub now: Timestamp,
}

/// Which field of a role needs what only Google's APIs tell.
fn needing(role: &Role) -> Option<&'static str> {
    match &role.bounds {
        Bounds::Gce { labels, .. } if !labels.is_empty() => Some("bound_labels"),
        Bounds::Gce {
            instance_groups, ..
        } if !instance_groups.is_empty() => Some("bound_instance_groups"),
        _ => role.add_group_aliases.then_some("add_group_aliases"),
    }
}

/// Why nobody can log in to a role, with this config.
pub(super) fn in_the_way(role: &Role, config: &Config) -> Option<String> {
    let field = needing(role).filter(|_| config.credentials.is_none())?;
    Some(format!(
        "the role's {field} needs Google's APIs: write the mount's config with credentials first"
    ))
}

impl Inquiry<'_> {
    fn api(&self) -> Option<Api<'_>> {
        let credentials = self.config.credentials.as_ref()?;
        Some(Api {
            outside: self.outside,
            mount: self.mount,
            config: self.config,
            credentials,
            now: self.now,
        })
    }

    /// Who it is, with what Google says of him, if the role takes him.
    pub(super) async fn confirm(&self, role: &Role, mut who: Who) -> Result<Who, Fault> {
        if let Some(why) = in_the_way(role, self.config) {
            return Err(Fault::invalid(why));
        }
        if let Some(instance) = &who.instance {
            // Nobody is asked about machines of strangers.
            standing::check_place(role, instance).map_err(Fault::invalid)?;
        }
        let mut seen = None;
        if let Some(api) = self.api() {
            let account = &who.account;
            let id = account.unique_id.as_ref().or(account.email.as_ref());
            let asks = match role.bounds {
                Bounds::Iam { .. } => true,
                Bounds::Gce { .. } => account.email.is_none() && !role.service_accounts.is_empty(),
            };
            if let (true, Some(id)) = (asks, id) {
                who.account = api.account(id).await?;
            }
            if let (Bounds::Gce { .. }, Some(instance)) = (&role.bounds, &who.instance) {
                seen = Some(look(&api, role, instance).await?);
            }
        }
        standing::check(role, &who, seen.as_ref()).map_err(Fault::invalid)?;
        Ok(who)
    }

    /// Groups by the place of his project among folders, if the role adds them.
    pub(super) async fn groups(&self, role: &Role, who: &Who) -> Result<Vec<String>, Fault> {
        let instance = who.instance.as_ref().map(|instance| &instance.project_id);
        let project = instance.or(who.account.project.as_ref());
        match (role.add_group_aliases, self.api(), project) {
            (true, Some(api), Some(project)) => api.ancestors(project).await,
            _ => Ok(Vec::new()),
        }
    }
}

async fn look(api: &Api<'_>, role: &Role, instance: &Instance) -> Result<Seen, Fault> {
    let machine = api.machine(instance).await?;
    if !machine.runs() {
        return Err(Fault::invalid("the instance does not run"));
    }
    let in_group = match &role.bounds {
        Bounds::Gce {
            instance_groups, ..
        } => api.in_group(instance_groups, instance, &machine).await?,
        Bounds::Iam { .. } => false,
    };
    Ok(Seen {
        labels: machine.labels,
        in_group,
    })
}
