//! Critical options, which restrict a certificate, and extensions, which permit something with it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::role::Role;
use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::engine::template::{self, Who};

type Options = BTreeMap<String, String>;

const MOST: usize = 32;
const VALUE_MAX: usize = 4096;

/// Whether options are what `sshd` understands them to be.
pub(super) fn check_all(options: &Options, field: &str) -> Result<(), Fault> {
    let refuse = |what: &str| Err(Fault::invalid(format!("{field} {what}")));
    if options.len() > MOST {
        return refuse("has more than 32 entries");
    }
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    for (name, value) in options {
        if name.is_empty() || name.len() > 255 || !name.bytes().all(word) {
            return refuse(
                "has a name with other characters than letters, digits, '-', '_', '.', '@'",
            );
        }
        if value.len() > VALUE_MAX || value.chars().any(char::is_control) {
            return refuse(
                "has a value with a line end or another control character, or a long one",
            );
        }
        if name == "source-address" && !value.split(',').all(is_network) {
            return refuse("has a source-address that is no list of addresses and networks");
        }
        if name == "force-command" && value.trim().is_empty() {
            return refuse("has a force-command that is empty, which sshd takes for none");
        }
    }
    Ok(())
}

/// As `sshd` wants it: without blanks.
fn is_network(text: &str) -> bool {
    text.parse::<IpNet>().is_ok() || text.parse::<IpAddr>().is_ok()
}

/// The role's options, and those that the caller adds. What the role says can be changed only if the
/// role names it as allowed: a forced command stays.
pub(super) fn critical(body: &Body, role: &Role) -> Result<Options, Fault> {
    let asked = body.strings("critical_options")?.unwrap_or_default();
    check_all(&asked, "critical_options")?;
    // A command is written in quotes, in logs and in files of keys.
    if asked
        .get("force-command")
        .is_some_and(|command| command.contains(['"', '\'', '\\', '`']))
    {
        return Err(Fault::invalid(
            "critical_options has a force-command with quotes or backslashes: put the command into \
             a script, or into the role's default_critical_options",
        ));
    }
    let allowed = &role.allowed_critical_options;
    let mut options = role.default_critical_options.clone();
    for (name, value) in asked {
        let named = allowed.contains(&name) || *allowed == ["*"];
        if !named && !allowed.is_empty() {
            return Err(Fault::invalid(
                "critical_options has one that is not in the role's allowed_critical_options",
            ));
        }
        if !named && options.get(&name).is_some_and(|own| *own != value) {
            return Err(Fault::invalid(
                "critical_options would change one of the role's default_critical_options, which \
                 its allowed_critical_options does not name",
            ));
        }
        options.insert(name, value);
    }
    Ok(options)
}

/// Those that the caller asks for, if the role allows them; otherwise the role's.
pub(super) fn extensions(body: &Body, role: &Role, who: Who<'_>) -> Result<Options, Fault> {
    let asked = body.strings("extensions")?.unwrap_or_default();
    if asked.is_empty() {
        return role
            .default_extensions
            .iter()
            .map(|(name, value)| match role.default_extensions_template {
                true => Ok((
                    name.clone(),
                    template::fill(value, who, "default_extensions")?,
                )),
                false => Ok((name.clone(), value.clone())),
            })
            .collect();
    }
    check_all(&asked, "extensions")?;
    let allowed = &role.allowed_extensions;
    match *allowed == ["*"] || asked.keys().all(|name| allowed.contains(name)) {
        true => Ok(asked),
        false => Err(Fault::invalid(
            "extensions has one that is not in the role's allowed_extensions",
        )),
    }
}
