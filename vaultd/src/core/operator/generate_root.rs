//! A new root token from the operators' shares, for when every other is lost.
//!
//! Without a token it is off by default: whoever may start or cancel an attempt can disturb a real
//! one. A token with `sudo` on the path may always.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;
use vault_crypto::{random_base62, uuid_v4};
use zeroize::Zeroizing;

use super::progress::Progress;
use super::record;
use crate::barrier::Tx;
use crate::core::Core;
use crate::core::authenticate::authenticate;
use crate::core::authorise::authorise;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::route::Access;
use crate::core::system::Call;
use crate::core::token::Token;
use crate::core::unsealed::Unsealed;
use crate::policy::{Capability, PolicyName};

/// `hvs.` and 24 characters, the length for which clients make their one-time pad.
const TOKEN_LENGTH: usize = 28;

pub struct Attempt {
    nonce: String,
    otp: Zeroizing<String>,
    given: Progress,
}

pub async fn run(
    core: &Core,
    vault: &Unsealed,
    call: Call,
    ctx: &Ctx<'_>,
    tx: &mut Tx,
) -> Result<Reply, Fault> {
    if !core.settings.allow_generate_root {
        require_sudo(vault, ctx).await?;
    }
    let mut state = core.operators.generate_root.lock().await;
    let current = record(core).await?.ok_or(Fault::Internal("seal record"))?;
    match call {
        Call::GenerateRootStatus => Ok(status(state.as_ref(), current.threshold, None)),
        Call::GenerateRootStart => {
            if ctx.body().asks("pgp_key") {
                return Err(Fault::invalid("'pgp_key' is not supported: use an OTP"));
            }
            if state.is_some() {
                return Err(Fault::invalid("root generation already in progress"));
            }
            let given = ctx.body().string("otp")?.filter(|otp| !otp.is_empty());
            let made = given.is_none();
            let otp = given.unwrap_or_else(|| random_base62(TOKEN_LENGTH, ctx.random));
            if otp.len() != TOKEN_LENGTH {
                return Err(Fault::invalid(format!(
                    "otp must be {TOKEN_LENGTH} characters long"
                )));
            }
            let attempt = Attempt {
                nonce: uuid_v4(ctx.random),
                otp: Zeroizing::new(otp),
                given: Progress::default(),
            };
            let reply = status(
                Some(&attempt),
                current.threshold,
                made.then_some(&attempt.otp),
            );
            *state = Some(attempt);
            Ok(reply)
        }
        Call::GenerateRootCancel => {
            *state = None;
            Ok(Reply::none())
        }
        Call::GenerateRootUpdate => {
            let attempt = state
                .as_mut()
                .ok_or_else(|| Fault::invalid("no root generation in progress"))?;
            if ctx.body().string("nonce")?.as_deref() != Some(&attempt.nonce) {
                return Err(Fault::invalid("incorrect nonce supplied"));
            }
            let key = ctx.body().required("key")?;
            let nonce = attempt.nonce.clone();
            let Some(unseal) = attempt.given.add(&key, &current, || nonce)? else {
                return Ok(status(Some(attempt), current.threshold, None));
            };
            attempt.given.reset();
            current
                .open(unseal.expose())
                .map_err(|_| Fault::invalid("the shares do not fit together"))?;
            let token = Token {
                policies: vec![PolicyName::root()],
                path: "auth/token/root".to_owned(),
                display_name: "root".to_owned(),
                ..Token::new(ctx.now())
            };
            let secret = Zeroizing::new(format!(
                "hvs.{}",
                random_base62(TOKEN_LENGTH - 4, ctx.random)
            ));
            let issued = vault
                .tokens
                .issue(tx, token, Some(secret), ctx.random)
                .await?;
            let pad = attempt.otp.as_bytes();
            let xored: Vec<u8> = issued.secret.bytes().zip(pad).map(|(a, b)| a ^ b).collect();
            let encoded = STANDARD_NO_PAD.encode(xored);
            let reply = Reply::json(json!({
                "started": true,
                "complete": true,
                "nonce": attempt.nonce,
                "progress": current.threshold,
                "required": current.threshold,
                "encoded_root_token": encoded,
                "encoded_token": encoded,
                "pgp_fingerprint": "",
                "otp_length": TOKEN_LENGTH,
            }));
            *state = None;
            Ok(reply.top_level())
        }
        _ => Err(Fault::Internal("not a generate-root call")),
    }
}

async fn require_sudo(vault: &Unsealed, ctx: &Ctx<'_>) -> Result<(), Fault> {
    let off = || {
        Fault::Forbidden(
            "generate-root needs a token with sudo, or 'allow_generate_root = true' in the server's config for the \
             time of the ceremony"
                .to_owned(),
        )
    };
    let caller = authenticate(vault, ctx.request).await.map_err(|_| off())?;
    authorise(Some(&caller), ctx.request, Access::Sudo, Capability::Update)
        .map(drop)
        .map_err(|_| off())
}

fn status(state: Option<&Attempt>, required: u8, otp: Option<&str>) -> Reply {
    Reply::json(json!({
        "started": state.is_some(),
        "nonce": state.map_or("", |attempt| &attempt.nonce),
        "progress": state.map_or(0, |attempt| attempt.given.count()),
        "required": required,
        "complete": false,
        "encoded_token": "",
        "encoded_root_token": "",
        "pgp_fingerprint": "",
        "otp": otp.unwrap_or(""),
        "otp_length": TOKEN_LENGTH,
    }))
    .top_level()
}
