//! The `state` of a login at a provider: made here, carried by the browser or the client, and good once.
//!
//! It holds all that is needed to go on, under a MAC, so that nothing is stored for who only asks for
//! a URL. Nonce and PKCE verifier follow from it by a keyed function and are not in it. What is
//! stored is that it was used, until it would have expired.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use vault_crypto::Prf;
use zeroize::Zeroizing;

use super::used::Mark;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;

/// Seconds for a person to prove himself to the provider in a browser.
pub(super) const LIFE: i64 = 300;
/// However long a provider would wait.
const LIFE_MAX: i64 = 1800;

/// How the person gets to the provider.
#[derive(Serialize, Deserialize)]
pub(super) enum Way {
    Browser {
        redirect_uri: String,
    },
    /// The client may know the code: without our secret at the provider it is worth nothing.
    Device {
        code: String,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) struct State {
    /// Random, in hex.
    id: String,
    /// Seconds since 1970.
    expires: i64,
    pub role: String,
    pub way: Way,
    /// Fingerprint of what the client will show to prove that it is the same client.
    client: Option<String>,
}

/// A state in the form that travels, and what follows from it.
pub(super) struct Sealed {
    pub text: String,
    /// Comes back inside the id token.
    pub nonce: String,
    /// 43 characters (RFC 7636, 4.1).
    pub verifier: Zeroizing<String>,
}

fn invalid() -> Fault {
    Fault::invalid("Expired or missing OAuth state.")
}

fn tag(prf: &Prf, ctx: &Ctx<'_>, purpose: &[u8], payload: &[u8]) -> [u8; 32] {
    prf.tag(&[b"oidc", purpose, &ctx.mount.number.to_be_bytes(), payload])
}

fn fingerprint(ctx: &Ctx<'_>, client_nonce: &str) -> String {
    hex::encode(tag(ctx.prf, ctx, b"client", client_nonce.as_bytes()))
}

fn client_nonce(ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
    let given = ctx.body().string("client_nonce")?;
    Ok(given
        .filter(|nonce| !nonce.is_empty())
        .map(|nonce| fingerprint(ctx, &nonce)))
}

impl State {
    /// Good for `life` seconds. A device's is good only for the client that shows its nonce.
    pub(super) fn new(ctx: &Ctx<'_>, role: &str, way: Way, life: i64) -> Result<State, Fault> {
        let client = client_nonce(ctx)?;
        if client.is_none() && matches!(way, Way::Device { .. }) {
            return Err(Fault::invalid("missing client_nonce"));
        }
        let mut id = [0; 16];
        ctx.random.fill(&mut id);
        Ok(State {
            id: hex::encode(id),
            expires: ctx
                .now()
                .as_second()
                .saturating_add(life.clamp(0, LIFE_MAX)),
            role: role.to_owned(),
            way,
            client,
        })
    }

    pub(super) fn seal(&self, ctx: &Ctx<'_>) -> Result<Sealed, Fault> {
        let payload = serde_json::to_vec(self).map_err(|_| Fault::Internal("state of a login"))?;
        let tag = |purpose: &[u8]| URL_SAFE_NO_PAD.encode(tag(ctx.prf, ctx, purpose, &payload));
        Ok(Sealed {
            text: format!("{}.{}", URL_SAFE_NO_PAD.encode(&payload), tag(b"state")),
            nonce: tag(b"nonce"),
            verifier: Zeroizing::new(tag(b"verifier")),
        })
    }

    /// The state that came back, if we made it for this mount and client and it has not expired.
    pub(super) fn open(ctx: &Ctx<'_>, text: &str) -> Result<State, Fault> {
        let (payload, mac) = text.split_once('.').ok_or_else(invalid)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| invalid())?;
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| invalid())?;
        let expected = tag(ctx.prf, ctx, b"state", &payload);
        verify_slices_are_equal(&expected, &mac).map_err(|_| invalid())?;
        let state: State = serde_json::from_slice(&payload).map_err(|_| invalid())?;
        if ctx.now().as_second() > state.expires {
            return Err(invalid());
        }
        match (&state.client, client_nonce(ctx)?) {
            (Some(expected), Some(given)) if *expected == given => Ok(state),
            (None, _) => Ok(state),
            (Some(_), _) => Err(Fault::invalid("invalid client_nonce")),
        }
    }

    fn mark(&self) -> Mark<'_> {
        Mark {
            expires: self.expires,
            id: &self.id,
        }
    }

    pub(super) async fn unused(&self, view: &mut View<'_>) -> Result<(), Fault> {
        match self.mark().is_set(view).await? {
            true => Err(invalid()),
            false => Ok(()),
        }
    }

    pub(super) async fn use_up(&self, view: &mut View<'_>) -> Result<(), Fault> {
        match self.mark().set(view).await? {
            true => Ok(()),
            false => Err(invalid()),
        }
    }
}
