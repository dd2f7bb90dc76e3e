//! What is asked of an authority. The key is made here and never leaves this machine, unless the
//! server is asked to make it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault_crypto::{KeyKind, PrivateKey, System, pem};
use vault_sdk::Call;
use vault_x509::{AltName, Attribute, Extensions, Hash, Name, PublicKey, Signer, write_request};
use zeroize::Zeroizing;

use super::leaf::{Leaf, Pair, der};
use crate::error::{Outcome, local, plain, remote};
use crate::session::{Session, text};

/// The kind of a key that is made here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    #[default]
    EcP256,
    EcP384,
    Ed25519,
    Rsa2048,
    Rsa4096,
}

/// A certificate that a role of `pki` gives.
#[derive(Clone, Debug, clap::Args, Serialize, Deserialize)]
pub(crate) struct Wish {
    /// Role of the authority, or with --acme the name of the certificate
    #[arg(value_name = "ROLE")]
    pub(crate) role: String,
    /// Where the authority is mounted
    #[arg(long, default_value = "pki", value_name = "PATH")]
    #[serde(default = "usual_mount")]
    pub(crate) mount: String,
    /// Name of the service
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// One more name; may be repeated
    #[arg(long = "alt-name", value_name = "NAME")]
    #[serde(default)]
    pub(crate) alt_names: Vec<String>,
    /// An address that it is reached at; may be repeated
    #[arg(long = "ip", value_name = "ADDRESS")]
    #[serde(default)]
    pub(crate) ips: Vec<IpAddr>,
    /// How long it is to be good [default: the role's]
    #[arg(long, value_name = "TIME")]
    #[serde(default)]
    pub(crate) ttl: Option<String>,
    /// Kind of the key
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub(crate) key_type: Kind,
    /// Have the server make the key, of the role's kind
    #[arg(long, conflicts_with = "key_type")]
    #[serde(default)]
    pub(crate) server_key: bool,
    /// Take one that an `acme` mount of the server keeps renewed, with its key; --mount says which
    #[arg(long, conflicts_with_all = ["alt_names", "ips", "ttl", "key_type", "server_key"])]
    #[serde(default)]
    pub(crate) acme: bool,
}

fn usual_mount() -> String {
    "pki".to_owned()
}

impl Wish {
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.mount.trim_matches('/'))
    }

    /// Asks the server.
    pub(crate) async fn obtain(&self, session: &Session) -> Outcome<Pair> {
        if self.acme {
            let call = Call::get(self.path(&format!("keypair/{}", self.role)));
            let answer = session.send(call).await?;
            let key = Zeroizing::new(text(answer.data(), "private_key")?.to_owned());
            return pair(key, answer.data());
        }
        let mut body = json!({
            "common_name": self.name,
            "alt_names": self.alt_names.join(","),
            "ip_sans": self.ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            "remove_roots_from_chain": true,
        });
        if let Some(ttl) = &self.ttl {
            body["ttl"] = ttl.as_str().into();
        }
        if self.server_key {
            body["private_key_format"] = "pkcs8".into();
            let call = Call::post(self.path(&format!("issue/{}", self.role)), body);
            let answer = session.send(call).await?;
            let key = Zeroizing::new(text(answer.data(), "private_key")?.to_owned());
            return pair(key, answer.data());
        }
        let (key, csr) = self.key_and_csr()?;
        body["csr"] = csr.into();
        let call = Call::post(self.path(&format!("sign/{}", self.role)), body);
        let answer = session.send(call).await?;
        session.out.warnings(&answer.body);
        pair(key, answer.data())
    }

    /// Whether the server wants another one in place of this: it was revoked, or an `acme` mount has a newer
    /// one.
    pub(crate) async fn is_replaced(&self, session: &Session, leaf: &Leaf) -> Outcome<bool> {
        if self.acme {
            let call = Call::get(self.path(&format!("certs/{}", self.role)));
            let answer = session.send(call).await?;
            let current = answer.data()["serial_number"].as_str();
            return Ok(current.is_some_and(|current| digits(current) != digits(&leaf.serial)));
        }
        // Authorities tell everybody; those that store nothing know nothing.
        let call = Call::get(self.path(&format!("cert/{}", leaf.serial)));
        let answer = session.send(call.no_token().accept(&[404])).await?;
        let revoked = answer.data()["revocation_time"].as_i64().unwrap_or(0);
        Ok(revoked != 0)
    }

    fn key_and_csr(&self) -> Outcome<(Zeroizing<String>, String)> {
        let kind = match self.key_type {
            Kind::EcP256 => KeyKind::P256,
            Kind::EcP384 => KeyKind::P384,
            Kind::Ed25519 => KeyKind::Ed25519,
            Kind::Rsa2048 => KeyKind::Rsa2048,
            Kind::Rsa4096 => KeyKind::Rsa4096,
        };
        let bad = |_| plain("this machine cannot make a key");
        let key = PrivateKey::generate(kind, &System).map_err(bad)?;
        let public = key.public_der().map_err(bad)?;
        let public = PublicKey::from_der(&public).map_err(|error| plain(error.to_string()))?;
        let name = Name::new(&[(Attribute::CommonName, vec![self.name.clone()])]);
        let names = std::iter::once(&self.name).chain(&self.alt_names);
        let names = names.map(|name| match name.contains('@') {
            true => AltName::Email(name.clone()),
            false => AltName::Dns(name.clone()),
        });
        // Which names count, those of the CSR or those beside it, is up to the role.
        let wanted = Extensions {
            names: names
                .chain(self.ips.iter().copied().map(AltName::Ip))
                .collect(),
            ..Extensions::default()
        };
        let signer = Signer::new(&key, Hash::Sha256, false);
        let csr = write_request(&name, &public, &wanted, &signer)
            .map_err(|_| plain("the key cannot sign"))?;
        let csr = pem::write("CERTIFICATE REQUEST", &csr, 64).to_string();
        Ok((key.to_pem().map_err(bad)?, csr))
    }

    /// Names of files and records are made of it.
    pub(crate) fn label(&self) -> String {
        self.name.replace('*', "_").replace(['/', ' '], "-")
    }
}

/// What a server answered, as a key and its chain.
fn pair(key: Zeroizing<String>, data: &Value) -> Outcome<Pair> {
    let mut chain = vec![with_end(text(data, "certificate")?)];
    for above in data["ca_chain"].as_array().into_iter().flatten() {
        chain.extend(above.as_str().map(with_end));
    }
    for certificate in &chain {
        der(certificate)?;
    }
    let pair = Pair::new(key, chain);
    let pair = pair.map_err(|error| {
        remote(
            format!("the server's answer cannot be used: {error}"),
            "check that VAULT_ADDR is the server itself",
        )
    })?;
    match pair.leaf.not_after > jiff::Timestamp::now() {
        true => Ok(pair),
        false => Err(local(
            "the certificate has ended already by the clock of this machine",
            "set both clocks by NTP",
        )),
    }
}

/// A serial number however it is written.
fn digits(serial: &str) -> String {
    let digits = serial.chars().filter(char::is_ascii_hexdigit);
    let digits: String = digits.collect::<String>().to_ascii_lowercase();
    digits.trim_start_matches('0').to_owned()
}

fn with_end(text: &str) -> String {
    format!("{}\n", text.trim_end())
}
