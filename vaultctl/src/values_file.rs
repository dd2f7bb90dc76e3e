//! Files of values in the forms that people have: `.env`, JSON and YAML, in plain, encrypted for a
//! path of vaultd, or by SOPS or GPG (opened by the installed `sops` or `gpg`).

mod yaml;

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::command::run::dotenv;
use crate::encrypted_file::EncryptedFile;
use crate::error::{Outcome, file, local};

/// What a file holds.
pub(crate) enum Values {
    Plain(Map<String, Value>),
    Encrypted(EncryptedFile),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Env,
    Json,
    Yaml,
}

/// Reads a file; `-` is stdin.
pub(crate) fn read(path: &Path) -> Outcome<Values> {
    let bytes = match path.as_os_str() == "-" {
        true => {
            let mut bytes = Zeroizing::new(Vec::new());
            std::io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|e| file("read", path, &e))?;
            bytes
        }
        false => Zeroizing::new(std::fs::read(path).map_err(|e| file("read", path, &e))?),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (bytes, name) = match gpg_name(&name, &bytes) {
        Some(inner) => (opened("gpg", &["--quiet", "--decrypt", "--"], path)?, inner),
        None => (bytes, name.into_owned()),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        local(
            format!("{} is no text", path.display()),
            "give a .env, JSON or YAML file; a file as one value: vaultctl kv put PATH name=@FILE",
        )
    })?;
    let form = form(&name, text);
    let values = parse(form, text).map_err(|why| {
        local(
            format!("{}: {why}", path.display()),
            "give NAME=value lines, or one JSON or YAML object",
        )
    })?;
    if is_sops(form, &values) {
        let input = match form {
            Form::Env => "dotenv",
            Form::Json => "json",
            Form::Yaml => "yaml",
        };
        let options = ["--decrypt", "--input-type", input, "--output-type", "json"];
        let opened = opened("sops", &options, path)?;
        let values = std::str::from_utf8(&opened)
            .ok()
            .and_then(|text| parse(Form::Json, text).ok());
        let values = values.ok_or_else(|| local("sops did not give JSON", "update sops"))?;
        return Ok(Values::Plain(values));
    }
    match EncryptedFile::recognise(text)? {
        Some(encrypted) => Ok(Values::Encrypted(encrypted)),
        None => Ok(Values::Plain(values)),
    }
}

/// The name inside, if the file is one of GPG's (as Blackbox makes them).
fn gpg_name(name: &str, bytes: &[u8]) -> Option<String> {
    let inner = name
        .strip_suffix(".gpg")
        .or_else(|| name.strip_suffix(".asc"))
        .or_else(|| name.strip_suffix(".pgp"));
    let armoured = bytes.starts_with(b"-----BEGIN PGP MESSAGE-----");
    inner
        .map(str::to_owned)
        .or_else(|| armoured.then(|| name.to_owned()))
}

fn opened(program: &str, options: &[&str], path: &Path) -> Outcome<Zeroizing<Vec<u8>>> {
    let output = Command::new(program)
        .args(options)
        .arg(path)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| {
            local(
                format!(
                    "{} is encrypted, and {program} cannot be run: {error}",
                    path.display()
                ),
                format!("install {program}"),
            )
        })?;
    let out = Zeroizing::new(output.stdout);
    match output.status.success() {
        true => Ok(out),
        false => Err(local(
            format!("{program} cannot open {}", path.display()),
            format!("see what {program} says above; it needs your key"),
        )),
    }
}

fn form(name: &str, text: &str) -> Form {
    let name = name.to_ascii_lowercase();
    let ends = |ending: &str| name.ends_with(ending);
    if ends(".json") || text.trim_start().starts_with('{') {
        Form::Json
    } else if ends(".yaml") || ends(".yml") {
        Form::Yaml
    } else {
        Form::Env
    }
}

fn parse(form: Form, text: &str) -> Result<Map<String, Value>, String> {
    match form {
        Form::Json => serde_json::from_str(text)
            .map_err(|error| format!("line {}: no JSON object", error.line())),
        Form::Yaml => yaml::parse(text),
        Form::Env => {
            let vars = dotenv::parse(text).map_err(|(line, why)| format!("line {line}: {why}"))?;
            Ok(vars
                .into_iter()
                .map(|(name, value)| (name, Value::String(value)))
                .collect())
        }
    }
}

fn is_sops(form: Form, values: &Map<String, Value>) -> bool {
    match form {
        Form::Env => values.contains_key("sops_version") && values.contains_key("sops_mac"),
        _ => values
            .get("sops")
            .is_some_and(|sops| sops.get("mac").is_some()),
    }
}
