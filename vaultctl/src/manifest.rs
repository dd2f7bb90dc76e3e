//! `vault.toml`: what a project needs, by reference, to be kept in its repository.
//!
//! ```toml
//! [secrets]
//! DB_PASSWORD = "secret/apps/web#db_password"
//!
//! [[file]]
//! path = "/etc/web/tls.key"
//! value = "secret/apps/web#tls_key"      # or: template = "FILE"
//! mode = "0640"
//! owner = "web:web"
//! reload = ["systemctl", "reload", "web"]
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::atomic::Looks;
use crate::command::run::wanted::{Wanted, single};
use crate::error::{Outcome, file, local};
use crate::template::Template;

/// Its name, unless another one is given.
pub(crate) const USUAL: &str = "vault.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Toml {
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    #[serde(default)]
    file: Vec<FileToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToml {
    path: PathBuf,
    template: Option<PathBuf>,
    value: Option<String>,
    mode: Option<String>,
    owner: Option<String>,
    #[serde(default)]
    reload: Vec<String>,
}

pub(crate) struct Manifest {
    /// For the environment.
    pub(crate) secrets: Vec<Wanted>,
    pub(crate) files: Vec<Rendered>,
}

/// A file that is made of secrets.
pub(crate) struct Rendered {
    pub(crate) path: PathBuf,
    pub(crate) template: Template,
    pub(crate) looks: Looks,
    /// A command and its arguments; may be empty.
    pub(crate) reload: Vec<String>,
}

impl Manifest {
    pub(crate) fn read(path: &Path) -> Outcome<Manifest> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => local(
                format!("there is no {}", path.display()),
                "write one, with [secrets] and lines like DB_PASSWORD = \"MOUNT/PATH#KEY\"",
            ),
            _ => file("read", path, &error),
        })?;
        let toml: Toml = toml::from_str(&text).map_err(|error| {
            local(
                format!("{}: {}", path.display(), error.message()),
                "it has [secrets] with NAME = \"MOUNT/PATH#KEY\", and [[file]]",
            )
        })?;
        let secrets = toml.secrets.into_iter();
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Manifest {
            secrets: secrets
                .map(|(name, text)| single(name, &text))
                .collect::<Outcome<_>>()?,
            files: toml
                .file
                .into_iter()
                .map(|file| rendered(file, folder))
                .collect::<Outcome<_>>()?,
        })
    }

    /// The paths of all secrets in it, as people write them.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        let secrets = self.secrets.iter().map(|wanted| &wanted.reference);
        let files = self
            .files
            .iter()
            .flat_map(|file| file.template.references());
        secrets
            .chain(files)
            .map(|reference| reference.path.as_str())
    }
}

fn rendered(toml: FileToml, folder: &Path) -> Outcome<Rendered> {
    let name = toml.path.display().to_string();
    let template = match (&toml.template, &toml.value) {
        (Some(template), None) => {
            let path = folder.join(template);
            let text = std::fs::read_to_string(&path).map_err(|e| file("read", &path, &e))?;
            Template::parse(&text, &path.display().to_string())?
        }
        (None, Some(reference)) => {
            let wanted = single("value".to_owned(), reference)?;
            Template::parse(&format!("{{{{ {} }}}}", wanted.reference), &name)?
        }
        _ => {
            return Err(local(
                format!("the file {name} has both a template and a value, or neither"),
                "give template = \"FILE\" or value = \"MOUNT/PATH#KEY\"",
            ));
        }
    };
    let (user, group) = match &toml.owner {
        Some(owner) => owner_of(owner)?,
        None => (None, None),
    };
    Ok(Rendered {
        path: folder.join(&toml.path),
        template,
        looks: Looks {
            mode: mode(toml.mode.as_deref().unwrap_or("0600"))?,
            user,
            group,
        },
        reload: toml.reload,
    })
}

/// Octal permission bits.
pub(crate) fn mode(text: &str) -> Outcome<u32> {
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| local(format!("{text} is no mode"), "write it like 0640"))
}

/// `USER`, `USER:GROUP` or `:GROUP`, by name or number.
pub(crate) fn owner_of(text: &str) -> Outcome<(Option<u32>, Option<u32>)> {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    Ok((
        number(user, "/etc/passwd", "user")?,
        number(group, "/etc/group", "group")?,
    ))
}

fn number(name: &str, list: &str, what: &str) -> Outcome<Option<u32>> {
    if name.is_empty() {
        return Ok(None);
    }
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    let text = std::fs::read_to_string(list).map_err(|e| file("read", Path::new(list), &e))?;
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    });
    match found {
        Some(number) => Ok(Some(number)),
        None => Err(local(
            format!("there is no {what} {name} in {list}"),
            "give its number",
        )),
    }
}
