//! `export`: secrets for shells, files and other programs, each quoted as it has to be there.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::run::environment::{Conflict, Environment};
use super::run::fetch;
use super::run::wanted::{Asked, Selection};
use crate::error::{Outcome, file, local, plain};
use crate::output::{self, Content};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// For whom; -o means this here
    #[arg(long = "as", value_enum, value_name = "FORM", default_value_t = Form::Env)]
    form: Form,
    /// Set this name although it changes how programs run; once for each
    #[arg(long, value_name = "NAME")]
    allow_name: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Form {
    /// export NAME='value', for a shell's eval
    Env,
    /// NAME="value", for --env-file and many libraries
    Dotenv,
    Json,
    Yaml,
    /// For the next steps of a GitHub Actions job: into $GITHUB_ENV, and masked in the log
    Github,
    /// SetCredentialEncrypted= lines for a systemd unit of this machine
    SystemdCreds,
}

pub(crate) async fn run(session: &Session, args: Args) -> Outcome {
    if session.out.hides(Content::Stored) {
        return Err(local(
            "this would show the values on the terminal",
            "send it into a file or a program, or add --reveal",
        ));
    }
    let Asked {
        wanted, literals, ..
    } = args.selection.asked(false)?;
    let paths = wanted.iter().map(|w| (w.reference.path.clone(), None));
    let read = fetch::all(session, &paths.collect()).await?;
    let secrets: Vec<_> = wanted
        .iter()
        .map(|w| &read[&w.reference.path].data)
        .collect();
    args.selection.check_keys(&wanted, &secrets)?;
    let mut environment = Environment::new(BTreeMap::new(), Conflict::Override, args.allow_name);
    for (name, value) in literals {
        environment.set(name, value);
    }
    for (wanted, data) in wanted.iter().zip(secrets) {
        for (name, value) in args.selection.named_values(wanted, data)? {
            environment.set(name, value);
        }
    }
    environment.check()?;
    let values = environment.into_set();
    if values.is_empty() {
        return Err(local(
            "no secret was asked for",
            "add -s MOUNT/PATH or --env-file FILE",
        ));
    }
    let text = match args.form {
        Form::Env => lines(&values, |name, value| {
            format!("export {name}={}", shell(value))
        }),
        Form::Dotenv => lines(&values, |name, value| format!("{name}={}", dotenv(value))),
        Form::Json => Zeroizing::new(output::pretty(&tree(&values)) + "\n"),
        Form::Yaml => Zeroizing::new(output::yaml(&tree(&values))),
        Form::Github => github(&values)?,
        Form::SystemdCreds => systemd_creds(&values)?,
    };
    output::stdout(text.as_bytes())
}

type Values = BTreeMap<String, String>;

fn lines(values: &Values, line: impl Fn(&str, &str) -> String) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for (name, value) in values {
        text.push_str(&Zeroizing::new(line(name, value)));
        text.push('\n');
    }
    text
}

fn tree(values: &Values) -> Value {
    let pairs = values.iter();
    let tree: Map<String, Value> = pairs.map(|(k, v)| (k.clone(), v.as_str().into())).collect();
    Value::Object(tree)
}

/// In single quotes a shell expands nothing (POSIX, 2.2.2).
fn shell(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn dotenv(value: &str) -> String {
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\\' | '"' | '$' => quoted.extend(['\\', c]),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// "Workflow commands for GitHub Actions" (docs.github.com): every line is masked before anything can
/// print it; a value ends at a delimiter that nobody could have put into it.
fn github(values: &Values) -> Outcome<Zeroizing<String>> {
    let path = std::env::var_os("GITHUB_ENV").ok_or_else(|| {
        local(
            "GITHUB_ENV is not set: this is no step of a GitHub Actions job",
            "choose another form: -o env, dotenv, json or yaml",
        )
    })?;
    let mut masks = Zeroizing::new(String::new());
    let mut entries = Zeroizing::new(String::new());
    for (name, value) in values {
        for line in value.lines().map(str::trim).filter(|line| !line.is_empty()) {
            masks.push_str("::add-mask::");
            masks.push_str(&line.replace('%', "%25").replace('\r', "%0D"));
            masks.push('\n');
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| plain(error.to_string()))?;
        let end = format!("ghadelimiter_{}", hex::encode(random));
        entries.push_str(&format!("{name}<<{end}\n"));
        entries.push_str(value);
        entries.push_str(&format!("\n{end}\n"));
    }
    output::stdout(masks.as_bytes())?;
    let path = std::path::PathBuf::from(path);
    let opened = std::fs::OpenOptions::new().append(true).open(&path);
    opened
        .and_then(|mut opened| opened.write_all(entries.as_bytes()))
        .map_err(|error| file("write to", &path, &error))?;
    Ok(Zeroizing::new(String::new()))
}

/// What systemd-creds makes of them: only this machine can open it.
fn systemd_creds(values: &Values) -> Outcome<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    for (name, value) in values {
        let failed = |error: std::io::Error| {
            local(
                format!("cannot run systemd-creds: {error}"),
                "it is part of systemd 250 and newer",
            )
        };
        let mut child = Command::new("systemd-creds")
            .args(["encrypt", "--pretty", "--name", name, "-", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let written = child
            .stdin
            .take()
            .map(|mut stdin| stdin.write_all(value.as_bytes()));
        let output = child.wait_with_output().map_err(failed)?;
        let encrypted = String::from_utf8(output.stdout).unwrap_or_default();
        if !output.status.success() || !matches!(written, Some(Ok(()))) || encrypted.is_empty() {
            return Err(local(
                format!("systemd-creds did not encrypt {name}"),
                "it needs a key of this machine: run as root, after systemd-creds setup",
            ));
        }
        text.push_str(&encrypted);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use crate::command::run::dotenv;

    #[test]
    fn what_is_quoted_is_read_back() {
        for value in ["", "plain", "a\nb\r\"c\" $HOME `x` \\n 'q'", "é ✓"] {
            let text = format!("A={}\n", super::dotenv(value));
            let read = dotenv::parse(&text).ok();
            assert_eq!(
                read,
                Some(vec![("A".to_owned(), value.to_owned())]),
                "{text}"
            );
        }
    }
}
