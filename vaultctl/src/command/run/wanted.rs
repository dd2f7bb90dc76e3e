//! What `run` is asked for: references under names, and the values that they become.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{dotenv, environment};
use crate::command::key_value;
use crate::error::{Outcome, local};
use crate::reference::Reference;

/// Which secrets, and under which names.
#[derive(clap::Args)]
pub(crate) struct Selection {
    /// MOUNT/PATH (all its keys), MOUNT/PATH#KEY, or NAME=MOUNT/PATH#KEY; once for each
    #[arg(short, long = "secret", value_name = "REF")]
    pub(super) secret: Vec<String>,
    /// Put this before every name
    #[arg(long, default_value = "")]
    prefix: String,
    /// Write every name in capitals
    #[arg(long)]
    upper: bool,
    /// Only these keys
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    only: Vec<String>,
    /// Call this key so; once for each
    #[arg(long, value_name = "KEY=NAME", value_parser = key_value)]
    map: Vec<(String, String)>,
    /// Also set these variables; values like vault://MOUNT/PATH#KEY are looked up
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
}

/// A wanted secret: a whole path, or one key under a chosen name.
pub(crate) struct Wanted {
    pub(crate) name: Option<String>,
    pub(crate) reference: Reference,
}

/// What the arguments, files and variables ask for.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) wanted: Vec<Wanted>,
    /// Values that are no references, with their names.
    pub(crate) literals: Vec<(String, String)>,
    /// Variables whose inherited value is a reference.
    pub(crate) resolved_names: BTreeSet<String>,
}

impl Selection {
    pub(crate) fn asked(&self, resolve_env: bool) -> Outcome<Asked> {
        let mut asked = Asked {
            wanted: self
                .secret
                .iter()
                .map(|text| wanted(text))
                .collect::<Outcome<_>>()?,
            ..Asked::default()
        };
        for path in &self.env_file {
            for (name, value) in dotenv::read(path)? {
                if Reference::is_marked(&value) {
                    asked.wanted.push(single(name, &value)?);
                } else {
                    asked.literals.push((name, value));
                }
            }
        }
        if resolve_env {
            // What is not UTF-8 is no reference of ours.
            let texts = std::env::vars_os()
                .filter_map(|(k, v)| k.into_string().ok().zip(v.into_string().ok()));
            for (name, value) in texts.filter(|(_, value)| Reference::is_marked(value)) {
                asked.resolved_names.insert(name.clone());
                asked.wanted.push(single(name, &value)?);
            }
        }
        Ok(asked)
    }

    /// `--only` and `--map` name keys; one that no whole secret has is a slip of the pen.
    pub(crate) fn check_keys(&self, wanted: &[Wanted], secrets: &[&Map<String, Value>]) -> Outcome {
        let whole = || {
            wanted
                .iter()
                .zip(secrets)
                .filter(|(w, _)| w.name.is_none())
                .map(|(_, data)| data)
        };
        let named = self.only.iter().chain(self.map.iter().map(|(key, _)| key));
        let lost: Vec<&str> = named
            .filter(|key| !whole().any(|data| data.contains_key(*key)))
            .map(String::as_str)
            .collect();
        if lost.is_empty() {
            return Ok(());
        }
        let keys: BTreeSet<&str> = whole()
            .flat_map(|data| data.keys().map(String::as_str))
            .collect();
        let keys: Vec<_> = keys.into_iter().collect();
        Err(local(
            format!("no secret has the key {}", lost.join(", ")),
            format!("there are: {}", keys.join(", ")),
        ))
    }

    /// The variables that one wanted secret becomes.
    pub(crate) fn named_values(
        &self,
        wanted: &Wanted,
        data: &Map<String, Value>,
    ) -> Outcome<Vec<(String, String)>> {
        if let Some(key) = &wanted.reference.key {
            let value = wanted.reference.value_in(data)?;
            return Ok(vec![(self.name_of(wanted, key), environment::text(value))]);
        }
        Ok(data
            .iter()
            .filter(|(key, _)| self.only.is_empty() || self.only.contains(key))
            .map(|(key, value)| (self.name_of(wanted, key), environment::text(value)))
            .collect())
    }

    /// A name is the key itself; it changes only where an option says so.
    fn name_of(&self, wanted: &Wanted, key: &str) -> String {
        if let Some(name) = &wanted.name {
            return name.clone();
        }
        let mapped = self.map.iter().find(|(from, _)| from == key);
        if let Some((_, to)) = mapped {
            return to.clone();
        }
        let name = format!("{}{key}", self.prefix);
        match self.upper {
            true => name.to_ascii_uppercase(),
            false => name,
        }
    }
}

pub(crate) fn wanted(text: &str) -> Outcome<Wanted> {
    match text.split_once('=') {
        // `NAME=REF`; a key may hold a `=`, a name may not hold what paths have.
        Some((name, reference)) if !name.contains(['/', '#', ':']) => {
            single(name.to_owned(), reference)
        }
        _ => Ok(Wanted {
            name: None,
            reference: text.parse()?,
        }),
    }
}

/// One key under a chosen name.
pub(crate) fn single(name: String, text: &str) -> Outcome<Wanted> {
    let reference: Reference = text.parse()?;
    if reference.key.is_none() {
        return Err(local(
            format!("{name} needs one value, and {reference} is a whole secret"),
            format!("write {name}={reference}#KEY"),
        ));
    }
    Ok(Wanted {
        name: Some(name),
        reference,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_before_the_reference_and_needs_one_key() {
        let read = |t: &str| wanted(t).ok().map(|w| (w.name, w.reference.to_string()));
        assert_eq!(
            read("DB=secret/app#pw"),
            Some((Some("DB".into()), "secret/app#pw".into()))
        );
        assert_eq!(
            read("secret/app#a=b"),
            Some((None, "secret/app#a=b".into()))
        );
        assert_eq!(
            read("vault://secret/app"),
            Some((None, "secret/app".into()))
        );
        assert_eq!(read("DB=secret/app"), None);
    }
}
