//! What one invocation works with: settings, token, client, output.
//!
//! Settings come from flags, then `BAO_*`, then `VAULT_*`. The token comes from the environment,
//! then from the file that `VAULT_TOKEN_FILE` names, then from the file that `login` wrote.

mod token_file;

use std::path::{Path, PathBuf};

use serde_json::Value;
use vault_sdk::{Answer, Auth, Builder, Call, Client, Secret};

use crate::args::Globals;
use crate::argv::Face;
use crate::error::{Outcome, file, local, remote};
use crate::output::{Content, Format, Output};

pub(crate) use token_file::{TokenFile, create_private};

/// Where the token in use was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenSource {
    Environment(&'static str),
    File(PathBuf),
    None,
}

#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) out: Output,
    pub(crate) face: Face,
    pub(crate) yes: bool,
    pub(crate) token_source: TokenSource,
    wrap_ttl: Option<String>,
    headers: Vec<(String, String)>,
}

/// A setting: `BAO_<name>`, then `VAULT_<name>`. Empty means unset.
pub(crate) fn setting(name: &str) -> Option<String> {
    ["BAO_", "VAULT_"]
        .iter()
        .find_map(|prefix| environment(&format!("{prefix}{name}")))
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// The server's address, from flag, environment or Vault's default.
pub(crate) fn address(globals: &Globals) -> String {
    let address = globals.address.clone().or_else(|| setting("ADDR"));
    address.unwrap_or_else(|| "https://127.0.0.1:8200".to_owned())
}

/// The token in use and where it was found.
pub(crate) fn token() -> Outcome<(Option<Secret>, TokenSource)> {
    for name in ["BAO_TOKEN", "VAULT_TOKEN"] {
        if let Some(token) = environment(name) {
            return Ok((
                Some(Secret::new(token.trim())),
                TokenSource::Environment(name),
            ));
        }
    }
    if let Some(path) = setting("TOKEN_FILE").map(PathBuf::from) {
        // Many commands need no token: the server says so to those that do.
        return Ok(match TokenFile::at(path.clone()).load()? {
            Some(token) => (Some(token), TokenSource::File(path)),
            None => {
                eprintln!(
                    "warning: {} (VAULT_TOKEN_FILE) holds no token",
                    path.display()
                );
                (None, TokenSource::None)
            }
        });
    }
    let Ok(file) = TokenFile::usual() else {
        return Ok((None, TokenSource::None));
    };
    Ok(match file.load()? {
        Some(token) => (Some(token), TokenSource::File(file.path().to_owned())),
        None => (None, TokenSource::None),
    })
}

impl Session {
    /// Reads settings and prepares a client. Nothing is sent yet.
    pub(crate) fn open(globals: &Globals, face: Face) -> Outcome<Self> {
        let (token, token_source) = token()?;
        Self::with(globals, face, prepare(globals, token)?, token_source)
    }

    /// Logs in by itself whenever there is need: in this way, or as the environment says; if neither says
    /// how, the token has to do.
    pub(crate) fn open_as(globals: &Globals, face: Face, auth: Option<Auth>) -> Outcome<Self> {
        let builder = match auth {
            Some(auth) => prepare(globals, None)?.auth(auth),
            None if setting("ROLE_ID").is_some() => prepare(globals, None)?.login_from_env(),
            None => return Self::open(globals, face),
        };
        Self::with(globals, face, builder, TokenSource::None)
    }

    fn with(
        globals: &Globals,
        face: Face,
        builder: Builder,
        token_source: TokenSource,
    ) -> Outcome<Self> {
        let client = builder.build()?;
        Ok(Self {
            client,
            out: output(globals, face)?,
            face,
            yes: globals.yes,
            token_source,
            wrap_ttl: globals.wrap_ttl.clone().or_else(|| setting("WRAP_TTL")),
            headers: globals.header.clone(),
        })
    }

    /// Sends one call with the headers that were asked for.
    pub(crate) async fn send(&self, call: Call) -> Outcome<Answer> {
        let call = self
            .headers
            .iter()
            .fold(call, |call, (name, value)| call.header(name, value));
        match self.client.send(call).await {
            Err(vault_sdk::Error::InvalidToken { .. }) if self.client.token().is_none() => {
                Err(remote(
                    "this needs a token, and there is none",
                    "log in: vaultctl login, or set VAULT_TOKEN",
                ))
            }
            answer => Ok(answer?),
        }
    }

    /// Whether answers are to come wrapped.
    pub(crate) fn wraps(&self) -> bool {
        self.wrap_ttl.is_some()
    }

    /// Like [`Session::send`], for answers that the caller may want wrapped.
    pub(crate) async fn send_wrapping(&self, call: Call) -> Outcome<Answer> {
        match &self.wrap_ttl {
            Some(ttl) => self.send(call.wrap_ttl(ttl.as_str())).await,
            None => self.send(call).await,
        }
    }

    /// Sends a call and prints its whole answer.
    pub(crate) async fn show(&self, call: Call, content: Content) -> Outcome {
        let answer = self.send_wrapping(call).await?;
        self.out.answer(&answer.body, content)
    }

    /// Sends a call and says what was done by it.
    pub(crate) async fn act(&self, call: Call, done: &str) -> Outcome {
        let answer = self.send(call).await?;
        self.out.warnings(&answer.body);
        self.out.done(done)
    }
}

/// How to print, from flags and `VAULT_FORMAT`.
pub(crate) fn output(globals: &Globals, face: Face) -> Outcome<Output> {
    let format = match (globals.format, setting("FORMAT").as_deref()) {
        (Some(format), _) => format,
        (None, Some("json")) => Format::Json,
        (None, Some("yaml" | "yml")) => Format::Yaml,
        (None, None | Some("table" | "pretty")) => Format::Table,
        (None, Some(_)) => {
            return Err(local(
                "VAULT_FORMAT is not a known format",
                "set it to table, json or yaml",
            ));
        }
    };
    Ok(Output::new(
        format,
        globals.field.clone(),
        globals.reveal,
        face.is_compat(),
    ))
}

/// The SDK's own reading of the environment, with the flags over it.
fn prepare(globals: &Globals, token: Option<Secret>) -> Outcome<Builder> {
    let mut builder = Builder::from_env()?.addr(address(globals));
    if let Some(token) = token {
        builder = builder.token(token);
    }
    if let Some(path) = &globals.ca_cert {
        builder = builder.ca_cert_file(path);
    }
    match (&globals.client_cert, &globals.client_key) {
        (Some(cert), Some(key)) => {
            builder = builder.client_cert(read(cert)?, Secret::new(read(key)?))
        }
        (None, None) => {}
        _ => {
            return Err(local(
                "a client certificate needs its key, and a key its certificate",
                "give --client-cert and --client-key both",
            ));
        }
    }
    if let Some(name) = &globals.tls_server_name {
        builder = builder.tls_server_name(name);
    }
    if globals.tls_skip_verify {
        builder = builder.skip_verify(true);
    }
    if builder.skips_verify() {
        eprintln!(
            "warning: the server's certificate is not checked: anyone on the way can read and change everything"
        );
    }
    if let Some(namespace) = &globals.namespace {
        builder = builder.namespace(namespace.trim_matches('/'));
    }
    Ok(builder.user_agent(concat!("vaultctl/", env!("CARGO_PKG_VERSION"))))
}

fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|e| file("read", path, &e))
}

/// A text field of an answer that has to be there.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Outcome<&'a str> {
    let found = value.get(key).and_then(Value::as_str);
    found.ok_or_else(|| {
        remote(
            format!("the server's answer has no {key}"),
            "check that VAULT_ADDR is the server itself",
        )
    })
}
