//! Revocation by who has the account or the key of a certificate (RFC 8555, 7.6).

use serde::Deserialize;
use vault_x509::Reason;

use super::certificate::Owner;
use super::directory::Directory;
use super::jws::{Signed, Signer};
use super::problem::{Kind, Outcome, Problem};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::reply::Reply;
use crate::engine::pki::issuer::{self, certificate_pem};
use crate::engine::pki::revoke::{given, mark};
use crate::jose::{self, VerifyKey};

#[derive(Deserialize)]
struct Revoke {
    certificate: String,
    reason: Option<u8>,
}

/// Reasons that the owner of a certificate can have.
const REASONS: [u8; 5] = [0, 1, 3, 4, 5];

pub(super) async fn revoke(
    ctx: &Ctx<'_>,
    directory: &Directory,
    signed: &Signed,
    view: &mut View<'_>,
) -> Outcome<Reply> {
    let asked: Revoke = signed.read()?;
    let der = jose::decode(&asked.certificate);
    let der = der.ok_or_else(|| Problem::malformed("certificate is not DER in base64url"))?;
    let facts = issuer::facts(&der)?;
    let allowed = match &signed.signer {
        Signer::Account(_) => {
            let account = signed.account(directory)?;
            let owner = Owner::of(&facts.serial, view).await?;
            owner.is_some_and(|owner| owner.account == account.id)
        }
        Signer::Key(key) => VerifyKey::from_pem(&certificate_pem(&der))?
            .iter()
            .any(|own| own.thumbprint() == key.thumbprint()),
    };
    // An issuer is revoked by operators.
    if !allowed || facts.is_authority {
        let text = "neither the account nor the key of the certificate signed this";
        return Err(Problem::new(Kind::Unauthorized, text).status(403).into());
    }
    let code = asked.reason.unwrap_or(0);
    let reason = Reason::of(code).filter(|_| REASONS.contains(&code));
    let reason = reason.ok_or_else(|| {
        let text = "reason: use 0, 1, 3, 4 or 5";
        Problem::new(Kind::BadRevocationReason, text)
    })?;
    let mut found = given(&certificate_pem(&der), view).await?;
    if found.revoked_at.is_some() {
        let text = "the certificate is revoked already";
        return Err(Problem::new(Kind::AlreadyRevoked, text).into());
    }
    if facts.not_after <= ctx.now() {
        return Err(Problem::malformed("the certificate has expired").into());
    }
    found.revoked_at = Some(ctx.now());
    found.reason = reason.code();
    mark(&facts.serial, &found, view).await?;
    Ok(Reply::none().status(200))
}
