//! Files of values that only vaultd opens: `NAME=vaultd:1:…` lines for one path, made to live in git.
//! Lines that are not touched stay as they are.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use vault_crypto::{Aad, System, seal_to};
use vault_proto::encrypted::{DOMAIN, PADDING, PREFIX, info_fields};
use zeroize::Zeroizing;

use crate::command::run::dotenv;
use crate::error::{Outcome, local, plain};

const PATH: &str = "VAULTD_PATH";
const KEY: &str = "VAULTD_PUBLIC_KEY";

/// Whom values are encrypted to.
#[derive(Clone)]
pub(crate) struct Recipient {
    /// Mount and path of the secret.
    pub(crate) path: String,
    key: [u8; 32],
}

impl Recipient {
    pub(crate) fn new(path: &str, key: &str) -> Outcome<Recipient> {
        let bytes = URL_SAFE_NO_PAD.decode(key.trim()).ok();
        let key = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
            local(
                "that is no public key",
                format!("get it: vaultctl read --field public_key MOUNT/encryption-key/REST, for {path}"),
            )
        })?;
        Ok(Recipient {
            path: path.to_owned(),
            key,
        })
    }

    /// A value as it stands in a file.
    pub(crate) fn encrypt(&self, name: &str, value: &Value) -> Outcome<String> {
        let mut text = Zeroizing::new(value.to_string());
        // Blanks after JSON mean nothing, and hide how long a value is.
        while !text.len().is_multiple_of(PADDING) {
            text.push(' ');
        }
        let info = info_fields(&self.path, name)
            .iter()
            .fold(Aad::new(DOMAIN), |info, field| info.field(field.as_bytes()));
        let sealed = seal_to(&self.key, &info, text.as_bytes(), &System)
            .ok_or_else(|| plain("nothing can be encrypted to this public key"))?;
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }
}

pub(crate) struct EncryptedFile {
    pub(crate) recipient: Recipient,
    /// Encrypted ones, by name.
    pub(crate) values: Map<String, Value>,
    /// The text, with what was in plain now encrypted.
    pub(crate) text: String,
    /// Names that were in plain.
    pub(crate) added: Vec<String>,
}

impl EncryptedFile {
    /// `None` if the text is none. Values in plain are encrypted at once.
    pub(crate) fn recognise(text: &str) -> Outcome<Option<EncryptedFile>> {
        let head = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.strip_prefix('=')?.trim())
        };
        let (Some(path), Some(key)) = (head(PATH), head(KEY)) else {
            return Ok(None);
        };
        let mut file = EncryptedFile {
            recipient: Recipient::new(path, key)?,
            values: Map::new(),
            text: String::with_capacity(text.len()),
            added: Vec::new(),
        };
        for (at, line) in text.lines().enumerate() {
            file.line(at + 1, line)?;
        }
        Ok(Some(file))
    }

    fn line(&mut self, number: usize, line: &str) -> Outcome {
        let bad = |why: &str| {
            local(
                format!("line {number}: {why}"),
                "write NAME=value on one line; longer values from JSON: vaultctl encrypt FILE.json --for PATH",
            )
        };
        let vars = dotenv::parse(line).map_err(|(_, why)| bad(why))?;
        let Some((name, value)) = vars.into_iter().next() else {
            self.text += line;
            self.text.push('\n');
            return Ok(());
        };
        if name == PATH || name == KEY || value.starts_with(PREFIX) {
            self.text += line;
            self.text.push('\n');
            if name != PATH && name != KEY && self.values.insert(name, value.into()).is_some() {
                return Err(bad("the name is there twice"));
            }
            return Ok(());
        }
        let encrypted = self.recipient.encrypt(&name, &Value::String(value))?;
        let _ = writeln!(self.text, "{name}={encrypted}");
        self.added.push(name.clone());
        match self.values.insert(name, encrypted.into()) {
            Some(_) => Err(bad("the name is there twice")),
            None => Ok(()),
        }
    }

    /// A new file.
    pub(crate) fn of(recipient: Recipient, values: &Map<String, Value>) -> Outcome<EncryptedFile> {
        let key = URL_SAFE_NO_PAD.encode(recipient.key);
        let mut text = format!(
            "# Encrypted for {0}: only the server opens it. Apply: vaultctl import FILE.\n# Anyone can add a line NAME=value and run: vaultctl encrypt FILE\n{PATH}={0}\n{KEY}={key}\n",
            recipient.path
        );
        let mut encrypted = Map::new();
        for (name, value) in values {
            if name.is_empty() || name.trim() != name || name.contains(['=', '\n', '\r', '#']) {
                return Err(local(
                    format!("{} cannot be a name in such a file", name.escape_debug()),
                    "rename it",
                ));
            }
            let value = recipient.encrypt(name, value)?;
            let _ = writeln!(text, "{name}={value}");
            encrypted.insert(name.clone(), value.into());
        }
        Ok(EncryptedFile {
            recipient,
            values: encrypted,
            text,
            added: values.keys().cloned().collect(),
        })
    }
}
