//! Login with a browser on another machine (RFC 8628): the person is told a URL and a code, and the
//! client asks from time to time whether he has been there.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::door::Door;
use super::login::require;
use super::model::{Role, RoleType};
use super::oidc::{Tokens, answered};
use super::state::{State, Way};
use super::{Prepared, config};
use crate::auth::name::RoleName;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::slow::Outside;
use crate::outbound::{Failure, Url};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Seconds, where neither the role nor the provider says (RFC 8628, 3.2).
const INTERVAL: u64 = 5;

/// What a device authorization endpoint answers (RFC 8628, 3.2). Of old, `url` stood for `uri`.
#[derive(Deserialize)]
struct Authorization {
    device_code: String,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: Url,
    #[serde(alias = "verification_url_complete")]
    verification_uri_complete: Option<Url>,
    /// Seconds.
    expires_in: i64,
    interval: Option<u64>,
}

/// A token endpoint's refusal (RFC 6749, 5.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

fn failed(failure: &Failure) -> Fault {
    Fault::invalid(format!("error authorizing device: {failure}"))
}

/// What the person has to do, and with what the client asks again.
pub(super) async fn begin(
    ctx: &Ctx<'_>,
    door: &Door<'_>,
    name: &RoleName,
    role: &Role,
    scopes: &str,
) -> Result<Map<String, Value>, Fault> {
    let url = door.provider.device_authorization_endpoint.as_ref();
    let url = url.ok_or_else(|| {
        Fault::invalid(
            "the provider does not know the device flow: it has no device_authorization_endpoint",
        )
    })?;
    let fields = [("client_id", door.client.id.as_str()), ("scope", scopes)];
    let answer = door.post(url, &fields).await;
    let body = answer
        .and_then(crate::outbound::Answer::success)
        .map_err(|failure| failed(&failure))?;
    let begun: Authorization = serde_json::from_slice(&body)
        .map_err(|_| failed(&Failure::Answer("expected a device authorization")))?;
    let way = Way::Device {
        code: begun.device_code,
    };
    let sealed = State::new(ctx, name.as_str(), way, begun.expires_in)?.seal(ctx)?;
    let interval = match role.poll_interval {
        0 => begun.interval.unwrap_or(INTERVAL),
        seconds => seconds,
    };
    let mut data = Map::new();
    let shown = match &begun.verification_uri_complete {
        Some(complete) => complete,
        None => &begun.verification_uri,
    };
    data.insert("auth_url".into(), shown.as_str().into());
    data.insert("user_code".into(), begun.user_code.into());
    data.insert("state".into(), sealed.text.into());
    data.insert("poll_interval".into(), interval.to_string().into());
    Ok(data)
}

/// Asks the provider whether the person has agreed.
pub(super) async fn poll(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    let config = config::require(view).await?;
    let state = State::open(ctx, &ctx.body().string("state")?.unwrap_or_default())?;
    state.unused(view).await?;
    let Way::Device { code } = &state.way else {
        return Err(Fault::invalid("the login was begun in a browser"));
    };
    require(view, &RoleName::parse(&state.role)?, RoleType::Oidc).await?;
    let door = Door::find(ctx, &config, outside).await?;
    let tokens = ask(&door, code).await?;
    answered(ctx, &door, tokens, state).await
}

async fn ask(door: &Door<'_>, code: &str) -> Result<Tokens, Fault> {
    let url = door.provider.token_endpoint.as_ref();
    let url = url.ok_or_else(|| failed(&Failure::Answer("the provider has no token_endpoint")))?;
    let id = door.client.id.as_str();
    let fields = [
        ("grant_type", GRANT),
        ("device_code", code),
        ("client_id", id),
    ];
    let answer = door
        .post(url, &fields)
        .await
        .map_err(|failure| failed(&failure))?;
    if let 200..=299 = answer.status {
        return serde_json::from_slice(&answer.body)
            .map_err(|_| failed(&Failure::Answer("expected tokens as JSON")));
    }
    let refusal = serde_json::from_slice(&answer.body).ok();
    Err(
        match refusal.as_ref().map(|Refusal { error }| error.as_str()) {
            // Clients wait for exactly these.
            Some(wait @ ("authorization_pending" | "slow_down")) => Fault::invalid(wait),
            Some(over @ ("access_denied" | "expired_token")) => {
                Fault::invalid(format!("authorization failed: {over}"))
            }
            _ => failed(&Failure::Status(answer.status)),
        },
    )
}
