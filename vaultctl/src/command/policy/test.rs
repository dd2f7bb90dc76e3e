//! `policy test`: offline over files, or by asking the server about a token.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use vault_policy::{
    Acl, Ask, Capability, DEFAULT_POLICY, Limit, Policy, PolicyName, Templates, document, explain,
    go_duration,
};
use vault_sdk::Call;

use super::input;
use crate::args::Globals;
use crate::argv::Face;
use crate::command::key_value;
use crate::command::raw::{capabilities, strings};
use crate::error::{Failure, Outcome, local};
use crate::explanation;
use crate::output::{Format, Output};
use crate::session::{Session, output};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Policy files (HCL or JSON), each named after its stem; without --path: PATH CAPABILITY
    #[arg(required = true, value_name = "FILE")]
    words: Vec<String>,
    /// What is asked for, as in the API: secret/data/app
    #[arg(long)]
    path: Option<String>,
    /// A policy that the token has; once for each [default: all files]
    #[arg(long = "as", value_name = "POLICY", requires = "path")]
    policies: Vec<String>,
    /// create, read, update, patch, delete, list or sudo
    #[arg(long, default_value = "read", requires = "path")]
    capability: String,
    /// The path also needs sudo, as some below sys/ do
    #[arg(long, requires = "path")]
    sudo: bool,
    /// A field of the request; once for each
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = key_value, requires = "path")]
    parameters: Vec<(String, String)>,
    /// How many entries a list asks for
    #[arg(long, requires = "path")]
    limit: Option<i64>,
    /// What a template such as identity.entity.name stands for; once for each
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = key_value, requires = "path")]
    variables: Vec<(String, String)>,
    /// Ask the server about the token with this accessor; without it the token in use
    #[arg(long, conflicts_with = "path")]
    accessor: Option<String>,
}

pub(super) async fn run(
    session: &dyn Fn() -> Outcome<Session>,
    globals: &Globals,
    face: Face,
    args: Args,
) -> Outcome {
    match (&args.path, &args.words[..]) {
        (Some(path), _) => {
            // As it stands in a URL or in the audit log of a proxy.
            let path = path.strip_prefix("/v1/").unwrap_or(path);
            let path = path.trim_start_matches('/');
            offline(
                &output(globals, face)?,
                globals.wrap_ttl.as_deref(),
                &args,
                path,
            )
        }
        (None, [path, capability]) => by_server(&session()?, path, capability, args.accessor).await,
        (None, _) => Err(local(
            "that is neither a question about files nor one for the server",
            "write policy test FILE... --path PATH, or policy test PATH CAPABILITY",
        )),
    }
}

/// Values of templates, as the command line gives them.
struct Variables<'a>(&'a [(String, String)]);

impl Templates for Variables<'_> {
    fn resolve(&self, variable: &str) -> Option<String> {
        let found = self.0.iter().find(|(name, _)| name == variable);
        found.map(|(_, value)| value.clone())
    }
}

fn offline(out: &Output, wrap_ttl: Option<&str>, args: &Args, path: &str) -> Outcome {
    let capability: Capability = args
        .capability
        .parse()
        .map_err(|error| local("that is not a capability", format!("{error}")))?;
    let wrap_ttl = wrap_ttl
        .map(|text| {
            go_duration(text)
                .ok_or_else(|| local("the wrapping TTL is not a duration", "write it like 60s"))
        })
        .transpose()?;
    let policies = policies(args)?;
    let fields: Map<String, Value> = args
        .parameters
        .iter()
        .map(|(key, value)| (key.clone(), field(value)))
        .collect();
    let acl = Acl::compile(
        policies.iter(),
        &Variables(&args.variables),
        jiff::Timestamp::now(),
    );
    let lists = matches!(capability, Capability::List | Capability::Scan);
    let path = match lists && !path.ends_with('/') {
        true => format!("{path}/"),
        false => path.to_owned(),
    };
    let ask = Ask {
        sudo_needed: args.sudo,
        parameters: Some(&fields),
        wrap_ttl,
        limit: args.limit.map_or(Limit::Absent, Limit::Number),
        ..Ask::new(&path, capability)
    };
    let told = explain(&acl, &ask);
    let allowed = told.decision.allowed;
    let told = Value::from(document(&told, &ask, &|_| true));
    match out.format {
        Format::Table => out.line(&explanation::lines(&told).join("\n"))?,
        _ => out.document(&told)?,
    }
    match allowed {
        true => Ok(()),
        false => Err(Failure::Silent(2)),
    }
}

/// JSON where it is JSON, otherwise text: as clients send what was typed.
fn field(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// The policies of the token that is asked about.
fn policies(args: &Args) -> Outcome<Vec<Policy>> {
    let mut known = args
        .words
        .iter()
        .map(|word| parse(Path::new(word)))
        .collect::<Outcome<Vec<_>>>()?;
    for (i, policy) in known.iter().enumerate() {
        if known[..i].iter().any(|other| other.name == policy.name) {
            return Err(local(
                format!("two files are both the policy {}", policy.name),
                "a policy is named after its file: rename one",
            ));
        }
    }
    if args.policies.is_empty() {
        return Ok(known);
    }
    let names: Vec<PolicyName> = args
        .policies
        .iter()
        .map(|name| {
            name.parse()
                .map_err(|e| local(format!("{e}"), "check --as"))
        })
        .collect::<Outcome<_>>()?;
    let default = PolicyName::default_policy();
    if names.contains(&default) && !known.iter().any(|policy| policy.name == default) {
        known.extend(Policy::parse(&default, DEFAULT_POLICY));
    }
    if let Some(lost) = names
        .iter()
        .find(|name| !known.iter().any(|policy| policy.name == **name))
    {
        return Err(local(
            format!("no file is the policy {lost}"),
            "name its file too: a policy is named after its file",
        ));
    }
    known.retain(|policy| names.contains(&policy.name));
    Ok(known)
}

fn parse(path: &Path) -> Outcome<Policy> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name: PolicyName = stem.parse().map_err(|error| {
        local(
            format!("{}: {error}", path.display()),
            "rename the file: a policy is named after it",
        )
    })?;
    let text = input(&PathBuf::from(path))?;
    Policy::parse(&name, &text)
        .map_err(|error| local(format!("{}: {error}", path.display()), "correct that line"))
}

async fn by_server(
    session: &Session,
    path: &str,
    capability: &str,
    accessor: Option<String>,
) -> Outcome {
    if let Err(error) = capability.parse::<Capability>() {
        return Err(local("that is not a capability", format!("{error}")));
    }
    let path = path.trim_start_matches('/').to_owned();
    let found = match accessor {
        None => capabilities(session, std::slice::from_ref(&path))
            .await?
            .remove(&path)
            .unwrap_or_default(),
        Some(accessor) => {
            let body = json!({ "accessor": accessor, "paths": [path] });
            let call = Call::post("sys/capabilities-accessor", body);
            strings(&session.send(call).await?.data()[path.as_str()])
        }
    };
    let allowed = found.iter().any(|c| c == "root" || c == capability);
    let told: Value = json!({ "path": path, "capability": capability, "allowed": allowed, "capabilities": found });
    if session.out.format == Format::Table {
        let verdict = if allowed { "allowed" } else { "denied" };
        session.out.line(&format!(
            "{verdict}: {capability} on {path}; the token has there: {}",
            found.join(", ")
        ))?;
        if !allowed {
            session.out.line(&format!(
                "This rule would allow it:\n{}",
                rule(&path, capability)
            ))?;
        }
    } else {
        session.out.document(&told)?;
    }
    match allowed {
        true => Ok(()),
        false => Err(Failure::Silent(2)),
    }
}

/// The smallest rule that allows it.
fn rule(path: &str, capability: &str) -> String {
    let path = path.replace('\\', "\\\\").replace('"', "\\\"");
    format!("path \"{path}\" {{\n  capabilities = [\"{capability}\"]\n}}")
}
