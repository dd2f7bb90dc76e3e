//! Whether a role takes an account or a machine, as far as they are known. Errors name the role's
//! field, no value.

use super::api::region;
use super::inquiry::Seen;
use super::model::{Account, Bounds, Instance, Role, Who};

const UNKNOWN: &str = "without the mount's credentials that is not known";

/// Every bound of the role.
pub(super) fn check(role: &Role, who: &Who, seen: Option<&Seen>) -> Result<(), String> {
    match (&role.bounds, &who.instance) {
        (Bounds::Iam { .. }, _) => {
            check_project(role, who.account.project.as_deref(), "service account")?;
            check_account(role, &who.account)
        }
        (Bounds::Gce { .. }, Some(instance)) => {
            check_place(role, instance)?;
            check_machine(role, seen)?;
            match role.service_accounts.is_empty() {
                true => Ok(()),
                false => check_account(role, &who.account),
            }
        }
        (Bounds::Gce { .. }, None) => {
            Err("expected JWT to have claims with GCE metadata: ask for it with format=full".into())
        }
    }
}

fn check_project(role: &Role, project: Option<&str>, whose: &str) -> Result<(), String> {
    let bound = &role.projects;
    match project {
        _ if bound.is_empty() => Ok(()),
        Some(project) if bound.iter().any(|one| one == project) => Ok(()),
        Some(_) => Err(format!("{whose} is not in the role's bound_projects")),
        None => Err(format!(
            "{whose} may not be in the role's bound_projects: {UNKNOWN}"
        )),
    }
}

/// What a name alone tells, before anybody is asked about it.
pub(super) fn check_name(role: &Role, account: &Account) -> Result<(), String> {
    let Bounds::Iam { .. } = role.bounds else {
        return Ok(());
    };
    if account.project.is_some() {
        check_project(role, account.project.as_deref(), "service account")?;
    }
    let other = |one: &String| match (&account.email, &account.unique_id) {
        (Some(_), None) => !one.contains('@'),
        (None, Some(_)) => one.contains('@'),
        _ => false,
    };
    // Under its other name it may be meant.
    match role.service_accounts.iter().any(other) {
        true => Ok(()),
        false => check_account(role, account),
    }
}

fn check_account(role: &Role, account: &Account) -> Result<(), String> {
    if role.is_any_account() {
        return Ok(());
    }
    let mut names = [&account.email, &account.unique_id].into_iter().flatten();
    if names.any(|name| role.service_accounts.contains(name)) {
        return Ok(());
    }
    let other = |one: &String| match one.contains('@') {
        true => account.email.is_none(),
        false => account.unique_id.is_none(),
    };
    let why = "service account is not authorized for role: it is not in bound_service_accounts";
    Err(match role.service_accounts.iter().any(other) {
        true => format!("{why} under the name that it came with, and its other name {UNKNOWN}"),
        false => why.to_owned(),
    })
}

/// Project and zone of a machine, which its token tells.
pub(super) fn check_place(role: &Role, instance: &Instance) -> Result<(), String> {
    let Bounds::Gce { zones, regions, .. } = &role.bounds else {
        return Ok(());
    };
    check_project(role, Some(&instance.project_id), "instance")?;
    let within = |list: &[String], one: &str| list.iter().any(|other| other == one);
    // Zones are narrower than regions.
    match (zones.is_empty(), regions.is_empty()) {
        (false, _) if !within(zones, &instance.zone) => {
            Err("instance is not in the role's bound_zones".to_owned())
        }
        (true, false) if !within(regions, region(&instance.zone)) => {
            Err("instance is not in the role's bound_regions".to_owned())
        }
        _ => Ok(()),
    }
}

fn check_machine(role: &Role, seen: Option<&Seen>) -> Result<(), String> {
    let Bounds::Gce {
        instance_groups,
        labels,
        ..
    } = &role.bounds
    else {
        return Ok(());
    };
    let lacks = |field: &str| format!("the role's {field} cannot be checked: {UNKNOWN}");
    if !labels.is_empty() {
        let seen = seen.ok_or_else(|| lacks("bound_labels"))?;
        let has = |(key, value): (&String, &String)| seen.labels.get(key) == Some(value);
        if !labels.iter().all(has) {
            return Err("instance lacks a label of the role's bound_labels".to_owned());
        }
    }
    if !instance_groups.is_empty() {
        let seen = seen.ok_or_else(|| lacks("bound_instance_groups"))?;
        if !seen.in_group {
            return Err("instance is not in one of the role's bound_instance_groups".to_owned());
        }
    }
    Ok(())
}
