//! Signed requests (RFC 8555, 6.2): who signed, and what. The nonce is spent only once the signature
//! holds, so that nothing is stored for whom nobody knows.

use serde::de::DeserializeOwned;

use super::account::Account;
use super::directory::Directory;
use super::nonce::Nonce;
use super::problem::{Kind, Outcome, Problem};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::jose::{self, Flattened, VerifyKey};

pub(super) const CONTENT_TYPE: &str = "application/jose+json";

/// Those that clients use, told to those who use another.
pub(super) const NAMES: [&str; 7] = [
    "ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512",
];

/// Who signed.
pub(super) enum Signer {
    /// By a key that the request itself brings.
    Key(VerifyKey),
    Account(Box<Account>),
}

/// A request whose signature holds and whose nonce was good.
pub(super) struct Signed {
    pub signer: Signer,
    payload: Vec<u8>,
}

impl Signed {
    pub(super) async fn open(
        ctx: &Ctx<'_>,
        directory: &Directory,
        view: &mut View<'_>,
    ) -> Outcome<Signed> {
        let message = message(ctx)?;
        let head = &message.protected;
        if head.url.as_deref() != Some(directory.url_of(ctx).as_str()) {
            let text =
                "the url that was signed is not that of this request: see path of config/cluster";
            return Err(Problem::new(Kind::Unauthorized, text).into());
        }
        let bad_nonce = || {
            let text = "the nonce is unknown, used already or too old";
            Problem::new(Kind::BadNonce, text)
        };
        let nonce = head.nonce.as_deref();
        let nonce = nonce.and_then(|text| Nonce::check(ctx, text));
        let nonce = nonce.ok_or_else(bad_nonce)?;
        let signer = match (&head.jwk, &head.kid) {
            (Some(jwk), None) => Signer::Key(VerifyKey::from_jwk(jwk)?),
            (None, Some(kid)) => {
                let account = Account::at_url(kid, directory, view).await?;
                Signer::Account(Box::new(account))
            }
            _ => {
                let text = "the protected header has to have jwk or kid, and not both";
                return Err(Problem::malformed(text).into());
            }
        };
        let payload = match &signer {
            Signer::Key(key) => message.verify(key)?,
            Signer::Account(account) => message.verify(&account.key()?)?,
        };
        let payload = payload.to_vec();
        if !nonce.take(view).await? {
            return Err(bad_nonce().into());
        }
        Ok(Signed { signer, payload })
    }

    /// The account that signed, which may still do something.
    pub(super) fn account(&self, directory: &Directory) -> Outcome<&Account> {
        match &self.signer {
            Signer::Account(account) => {
                account.may_act(directory)?;
                Ok(account)
            }
            Signer::Key(_) => {
                Err(Problem::malformed("this has to be signed as an account, with kid").into())
            }
        }
    }

    /// POST-as-GET (RFC 8555, 6.3).
    pub(super) fn is_get(&self) -> bool {
        self.payload.is_empty()
    }

    pub(super) fn must_be_get(&self) -> Outcome<()> {
        match self.is_get() {
            true => Ok(()),
            false => {
                Err(Problem::malformed("this is read with an empty payload (RFC 8555, 6.3)").into())
            }
        }
    }

    /// The payload, of which the error says nothing but that it is wrong.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Outcome<T> {
        read(&self.payload)
    }
}

pub(super) fn read<T: DeserializeOwned>(payload: &[u8]) -> Outcome<T> {
    let bad = || Problem::malformed("the payload is not the JSON object that this takes");
    let object = jose::object(payload).ok_or_else(bad)?;
    Ok(serde_json::from_value(object.into()).map_err(|_| bad())?)
}

fn message(ctx: &Ctx<'_>) -> Outcome<Flattened> {
    if ctx.request.content_type != CONTENT_TYPE {
        let text = "the content type has to be application/jose+json";
        return Err(Problem::malformed(text).status(415).into());
    }
    let body = ctx.body();
    let mut names: Vec<&str> = body.names().collect();
    names.sort_unstable();
    if names != ["payload", "protected", "signature"] {
        let text = "expected a flattened JWS: protected, payload and signature, and nothing else";
        return Err(Problem::malformed(text).into());
    }
    let text = |name: &str| body.string(name).map(Option::unwrap_or_default);
    let (protected, payload) = (text("protected")?, text("payload")?);
    let message = Flattened::parse(&protected, &payload, &text("signature")?)?;
    if !NAMES.contains(&message.protected.algorithm.name()) {
        let text = "the algorithm is none that this server takes";
        return Err(Problem::new(Kind::BadSignatureAlgorithm, text).into());
    }
    Ok(message)
}
