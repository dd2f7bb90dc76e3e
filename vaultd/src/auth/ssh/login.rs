//! Login: a signature over a challenge becomes a proven identity. The signature is checked first; only
//! who has proved a key is told why it is not enough.

use std::collections::BTreeMap;

use vault_ssh::{Certificate, Key, Signature};

use super::NAMESPACE;
use super::challenge::Challenge;
use super::model::{Config, Role, Text};
use crate::auth::name::RoleName;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::{Alias, Login, Renewal, TokenParams, within};
use crate::core::reply::Reply;

pub(super) async fn login(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let body = ctx.body();
    let name = RoleName::parse(&body.required("role")?)?;
    let text = Text::required(body, "challenge")?;
    let challenge = Challenge::check(ctx, &name, &text).ok_or_else(stale)?;
    let origin = origin(ctx, view).await?;
    let signature = Signature::parse(&body.required("signature")?, NAMESPACE).map_err(|_| {
        Fault::invalid(format!(
            "signature: expected what ssh-keygen -Y sign -n {NAMESPACE} makes, with an ed25519, ecdsa or rsa-sha2 key"
        ))
    })?;
    let (key, flags) = proven(&signature, &text, origin.as_ref())?;
    let shown = match body.string("certificate")?.filter(|line| !line.is_empty()) {
        Some(line) => Some(certificate_of(key, &line)?),
        None => None,
    };
    let certificate = shown.as_ref().or(signature.certificate.as_ref());
    let role: Option<Role> = view.get(&name.row()).await?;
    let role = role.ok_or_else(|| refused("the role does not take this key"))?;
    let mut login = role.accept(ctx, key, certificate, flags)?;
    if !within(&role.token.bound_cidrs, ctx.request.remote) {
        return Err(Fault::Forbidden("permission denied".to_owned()));
    }
    if !challenge.take(view).await? {
        return Err(stale());
    }
    let mount = ctx.mount.name().trim_end_matches('/').replace('/', "-");
    login.display_name = format!("{mount}-{}", login.alias.name);
    login
        .metadata
        .insert("role".to_owned(), name.as_str().to_owned());
    login.role = name.as_str().to_owned();
    Ok(Reply::login(login))
}

fn stale() -> Fault {
    Fault::invalid(
        "the challenge is not of this server, role and address, or it has expired or was used: ask for a new one",
    )
}

fn refused(why: &str) -> Fault {
    Fault::invalid(format!("login refused: {why}"))
}

/// The address to which the client believes to be talking: signed, it cannot be passed on by whoever
/// sits there instead.
async fn origin(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Option<Text>, Fault> {
    let config = Config::load(view).await?;
    let origin = Text::given(ctx.body(), "origin")?;
    let known = origin.as_ref().is_some_and(|origin| {
        let text = origin.as_str().trim_end_matches('/');
        config.origins.iter().any(|known| known == text)
    });
    match known || config.origins.is_empty() {
        true => Ok(origin),
        false => Err(Fault::invalid(
            "origin: the signature has to name an address of this server (origins in the method's config)",
        )),
    }
}

/// What is signed: the challenge, and the origin on a line of its own. Shells like to end it with a
/// line break.
fn proven<'s>(
    signature: &'s Signature,
    challenge: &Text,
    origin: Option<&Text>,
) -> Result<(&'s Key, u8), Fault> {
    let mut message = challenge.as_str().to_owned();
    if let Some(origin) = origin {
        message.push('\n');
        message.push_str(origin.as_str());
    }
    let whole = signature.verify(message.as_bytes());
    message.push('\n');
    whole
        .or_else(|_| signature.verify(message.as_bytes()))
        .map_err(|_| refused("the signature is not of this challenge"))
}

fn certificate_of(key: &Key, line: &str) -> Result<Certificate, Fault> {
    let certificate = Certificate::from_line(line).map_err(|_| {
        Fault::invalid(
            "certificate: expected an OpenSSH certificate such as \"ssh-ed25519-cert-v01@openssh.com AAAA…\"",
        )
    })?;
    match certificate.key == *key {
        true => Ok(certificate),
        false => Err(refused("the certificate is for another key")),
    }
}

impl Role {
    fn accept(
        &self,
        ctx: &Ctx<'_>,
        key: &Key,
        certificate: Option<&Certificate>,
        flags: u8,
    ) -> Result<Login, Fault> {
        let fingerprint = key.fingerprint();
        if self.revoked_keys.contains(&fingerprint) {
            return Err(refused("the key is revoked"));
        }
        if let Some(certificate) = certificate {
            return self.accept_certificate(ctx, certificate, flags);
        }
        if !self.public_keys.contains(&key.line()) {
            return Err(refused("the role does not take this key"));
        }
        Ok(Login {
            params: self.token.clone(),
            alias: Alias::named(fingerprint.clone()),
            metadata: [("key_fingerprint".to_owned(), fingerprint)].into(),
            proof: key.line(),
            ..Login::default()
        })
    }

    fn accept_certificate(
        &self,
        ctx: &Ctx<'_>,
        certificate: &Certificate,
        flags: u8,
    ) -> Result<Login, Fault> {
        let no = |why: &str| refused(&format!("certificate: {why}"));
        let authority = &certificate.authority;
        if !self.trusted_ca_keys.contains(&authority.line()) {
            return Err(no("the role does not trust who signed it"));
        }
        if self.revoked_keys.contains(&authority.fingerprint()) {
            return Err(no("who signed it is revoked"));
        }
        let left = certificate
            .seconds_left(ctx.now().as_second())
            .map_err(no)?;
        certificate.allows(ctx.request.remote, flags).map_err(no)?;
        let principal = self.principal(certificate);
        let principal = principal.ok_or_else(|| no("the role takes none of its principals"))?;
        let mut params = self.token.clone();
        // The token does not outlive the certificate.
        if left > 0 && (params.explicit_max_ttl == 0 || left < params.explicit_max_ttl) {
            params.explicit_max_ttl = left;
        }
        let metadata = [
            ("key_fingerprint", certificate.key.fingerprint()),
            ("ca_fingerprint", authority.fingerprint()),
            ("key_id", certificate.key_id.clone()),
            ("principal", principal.clone()),
            ("serial", certificate.serial.to_string()),
        ];
        let metadata = metadata.map(|(name, value)| (name.to_owned(), value));
        Ok(Login {
            params,
            alias: Alias::named(principal),
            metadata: BTreeMap::from(metadata),
            proof: format!("{}\n{}", authority.line(), certificate.key.line()),
            ..Login::default()
        })
    }

    /// The first of the certificate's names that the role takes. None may look like a fingerprint, which
    /// is the name of a key without a certificate.
    fn principal(&self, certificate: &Certificate) -> Option<String> {
        let any = self.allowed_principals.iter().any(|name| name == "*");
        let takes = |name: &&String| {
            let plain = !name.is_empty() && !name.chars().any(char::is_control);
            plain && !name.starts_with("SHA256:") && (any || self.allowed_principals.contains(name))
        };
        certificate.principals.iter().find(takes).cloned()
    }
}

/// The token settings that hold now for a token of this role; `None` if the role is gone. The key or
/// the authority by which the token was issued has to be in the role still.
pub async fn renewed(
    renewal: &Renewal<'_>,
    view: &mut View<'_>,
) -> Result<Option<TokenParams>, Fault> {
    let Some(role) = view
        .get::<Role>(&RoleName::parse(renewal.role)?.row())
        .await?
    else {
        return Ok(None);
    };
    // The key, or the authority and the key that it has signed.
    let mut proof = renewal.proof.lines();
    let first = proof.clone().next().unwrap_or_default();
    let mut known = role.public_keys.iter().chain(&role.trusted_ca_keys);
    let taken = known.any(|line| line == first);
    let revoked = proof.any(|line| {
        Key::from_line(line).map_or(true, |key| role.revoked_keys.contains(&key.fingerprint()))
    });
    match taken && !revoked && renewal.grants(&role.token) {
        true => Ok(Some(role.token)),
        false => Err(Fault::Forbidden(
            "the role's keys or policies have changed, not renewing: log in again".to_owned(),
        )),
    }
}
