//! Signing: the claims of a certificate from the request, the role and the caller.

use serde_json::json;
use vault_ssh::{Claims, Key, PrivateKey, Subject};

use super::issuer::Issuers;
use super::role::{self, Role, RoleKind};
use super::{Prepared, option, principal};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const RSA_BITS_MIN: usize = 2048;

pub(super) async fn sign(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let role = role::named(ctx, view).await?;
    let key = parse_key(&ctx.body().required("public_key")?)?;
    let (signed, serial) = certify(ctx, prepared, &role, key, view).await?;
    Ok(Reply::json(json!({
        "serial_number": serial,
        "signed_key": signed,
    })))
}

pub(super) async fn issue(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let role = role::named(ctx, view).await?;
    let own = prepared.key.as_ref();
    let own = own.ok_or(Fault::Internal("no key was made"))?;
    let (signed, serial) = certify(ctx, prepared, &role, own.public().clone(), view).await?;
    let private = own.to_openssh("", ctx.random);
    let private = private.map_err(|_| Fault::Internal("a key cannot be written"))?;
    Ok(Reply::json(json!({
        "serial_number": serial,
        "signed_key": signed,
        "private_key": private.as_str(),
        "private_key_type": own.public().algorithm(),
    })))
}

/// The certificate's line, and its serial number in hex.
async fn certify(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    role: &Role,
    key: Key,
    view: &mut View<'_>,
) -> Result<(String, String), Fault> {
    if role.kind != RoleKind::Ca {
        return Err(Fault::invalid(
            "this role makes one-time passwords: it signs nothing",
        ));
    }
    check_length(role, &key)?;
    let body = ctx.body();
    let subject = subject(body, role)?;
    let who = prepared.who.as_deref();
    let now = u64::try_from(ctx.now().as_second()).unwrap_or(0);
    let (critical_options, extensions) = match subject {
        Subject::User => (
            option::critical(body, role)?,
            option::extensions(body, role, who)?,
        ),
        Subject::Host if body.asks("critical_options") || body.asks("extensions") => {
            return Err(Fault::invalid(
                "certificates of hosts have no critical_options and no extensions",
            ));
        }
        Subject::Host => Default::default(),
    };
    let claims = Claims {
        subject,
        serial: serial(ctx),
        key_id: key_id(ctx, role, &key)?,
        principals: principal::chosen(body, role, subject, who)?,
        valid_after: now.saturating_sub(role.not_before_duration),
        valid_before: now.saturating_add(ttl(ctx, prepared, role)?),
        critical_options,
        extensions,
        key,
    };
    let issuers = Issuers::load(view).await?;
    let authority = issuers.required(&role.issuer_ref)?.key(view).await?;
    let mut nonce = [0; 32];
    ctx.random.fill(&mut nonce);
    let line = claims.sign_line(&authority, algorithm(role, &authority)?, &nonce);
    let line = line.map_err(|bad| Fault::invalid(bad.to_string()))?;
    Ok((format!("{line}\n"), format!("{:x}", claims.serial)))
}

/// Never 0, which no list can revoke.
fn serial(ctx: &Ctx<'_>) -> u64 {
    let mut bytes = [0; 8];
    ctx.random.fill(&mut bytes);
    u64::from_be_bytes(bytes).max(1)
}

/// One line, of a key that is worth signing.
pub(super) fn parse_key(text: &str) -> Result<Key, Fault> {
    let refuse = |text: &str| Err(Fault::invalid(text));
    let line = text.trim_end_matches(['\r', '\n']);
    if line.chars().any(char::is_control) {
        return refuse("public_key must be one line, without control characters");
    }
    let algorithm = line.split(' ').next().unwrap_or_default();
    if algorithm.ends_with("-cert-v01@openssh.com") {
        return refuse("public_key is a certificate: give the plain public key");
    }
    if algorithm == "ssh-dss" {
        return refuse("public_key is a DSA key, which is not signed: make an ed25519 key");
    }
    let key = Key::from_line(line).map_err(|_| {
        Fault::invalid(
            "public_key is no SSH public key: expected a line such as 'ssh-ed25519 AAAA… comment'",
        )
    })?;
    match key.algorithm() == "ssh-rsa" && key.bits() < RSA_BITS_MIN {
        true => refuse("public_key is an RSA key with less than 2048 bits: make an ed25519 key"),
        false => Ok(key),
    }
}

fn check_length(role: &Role, key: &Key) -> Result<(), Fault> {
    let allowed = &role.allowed_user_key_lengths;
    let is_named = |name: &str| match key.algorithm() {
        "ssh-rsa" => matches!(name, "rsa" | "ssh-rsa"),
        "ssh-ed25519" => matches!(name, "ed25519" | "ssh-ed25519"),
        ecdsa if ecdsa.starts_with("ecdsa-") => matches!(name, "ec" | "ecdsa") || name == ecdsa,
        other => name == other,
    };
    let bits = key.bits() as u64;
    let fits = |(name, lengths): (&String, &Vec<u64>)| {
        is_named(name) && (lengths.is_empty() || lengths.iter().any(|&len| len == 0 || len == bits))
    };
    match allowed.is_empty() || allowed.iter().any(fits) {
        true => Ok(()),
        false => Err(Fault::invalid(
            "public_key is of a kind or length that the role's allowed_user_key_lengths does not have",
        )),
    }
}

fn subject(body: &Body, role: &Role) -> Result<Subject, Fault> {
    let name = body.string("cert_type")?.filter(|name| !name.is_empty());
    let subject = match name.as_deref() {
        None | Some("user") => Subject::User,
        Some("host") => Subject::Host,
        _ => return Err(Fault::invalid("cert_type must be \"user\" or \"host\"")),
    };
    match role.allows(subject) {
        true => Ok(subject),
        false => Err(Fault::invalid(
            "the role does not allow this cert_type: see its allow_user_certificates and \
             allow_host_certificates",
        )),
    }
}

/// Seconds.
fn ttl(ctx: &Ctx<'_>, prepared: &Prepared, role: &Role) -> Result<u64, Fault> {
    let first = |values: [u64; 3]| values.into_iter().find(|value| *value > 0).unwrap_or(0);
    let mount = &ctx.mount.config;
    let max = first([role.max_ttl, mount.max_lease_ttl, prepared.max_ttl]);
    match ctx.body().seconds("ttl")?.filter(|ttl| *ttl > 0) {
        Some(ttl) if ttl > max => Err(Fault::invalid(format!(
            "ttl is larger than maximum allowed {max} seconds"
        ))),
        Some(ttl) => Ok(ttl),
        None => Ok(first([role.ttl, mount.default_lease_ttl, prepared.default_ttl]).min(max)),
    }
}

/// What `sshd` logs when the certificate is used.
fn key_id(ctx: &Ctx<'_>, role: &Role, key: &Key) -> Result<String, Fault> {
    let asked = ctx.body().string("key_id")?.filter(|id| !id.is_empty());
    let id = match asked {
        Some(_) if !role.allow_user_key_ids => {
            return Err(Fault::invalid("setting key_id is not allowed by role"));
        }
        Some(asked) => asked,
        None => default_key_id(ctx, role, key),
    };
    match id.len() > 255 || id.chars().any(char::is_control) {
        true => Err(Fault::invalid(
            "key_id must have at most 255 characters, and no line ends or other control characters",
        )),
        false => Ok(id),
    }
}

fn default_key_id(ctx: &Ctx<'_>, role: &Role, key: &Key) -> String {
    let name = ctx
        .caller
        .map_or("", |caller| caller.token.display_name.as_str());
    let format = match role.key_id_format.as_str() {
        "" if name.is_empty() => "vault-{{public_key_hash}}",
        "" => "vault-{{token_display_name}}-{{public_key_hash}}",
        format => format,
    };
    let hash = hex::encode(vault_crypto::sha256(&key.blob()));
    let values = [
        ("{{token_display_name}}", name),
        ("{{role_name}}", ctx.param("name")),
        ("{{public_key_hash}}", &hash),
    ];
    let fill = |text: String, (variable, value): (&str, &str)| text.replace(variable, value);
    values.into_iter().fold(format.to_owned(), fill)
}

fn algorithm<'a>(role: &'a Role, authority: &PrivateKey) -> Result<&'a str, Fault> {
    let own = authority.public().algorithm();
    match (own, role.algorithm_signer.as_str()) {
        ("ssh-rsa", "" | "default") => Ok("rsa-sha2-256"),
        ("ssh-rsa", named) => Ok(named),
        (own, "" | "default") => Ok(own),
        _ => Err(Fault::invalid(
            "the role's algorithm_signer is for RSA, and the CA has another kind of key: set it to \
             \"default\"",
        )),
    }
}
