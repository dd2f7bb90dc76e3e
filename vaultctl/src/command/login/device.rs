//! `login --method oidc --device`: the person goes to the provider with a browser anywhere, and types
//! the code that is shown here (RFC 8628).
//!
//! Promise: the login is bound to this process by a nonce of its own.

use std::time::Duration;

use serde_json::{Map, Value, json};
use vault_sdk::Call;

use crate::error::{Outcome, remote};
use crate::session::Session;

/// `fields` may hold `role`.
pub(super) async fn log_in(
    session: &Session,
    mount: &str,
    fields: &Map<String, Value>,
) -> Outcome<Value> {
    let nonce = vault_crypto::random_base62(32, &vault_crypto::System);
    let role = fields.get("role").and_then(Value::as_str);
    let ask = json!({"role": role.unwrap_or_default(), "client_nonce": nonce.as_str()});
    let call = Call::post(format!("auth/{mount}/oidc/auth_url"), ask).no_token();
    let answer = session.send(call).await?;
    match is_begun(answer.data()) {
        true => finish(session, mount, answer.data(), &nonce).await,
        false => Err(remote(
            "the role is not for devices",
            "log in without --device, or set the role's callback_mode=device",
        )),
    }
}

/// Whether a login has begun that ends here and not in a browser on this machine.
pub(super) fn is_begun(data: &Value) -> bool {
    data["state"].is_string() && data["poll_interval"].is_string()
}

/// Tells the person where to go, and asks until he has been there.
pub(super) async fn finish(
    session: &Session,
    mount: &str,
    begun: &Value,
    nonce: &str,
) -> Outcome<Value> {
    let text =
        |name: &str| crate::output::clean(begun[name].as_str().unwrap_or_default()).to_string();
    anstream::eprintln!(
        "Complete the login with your provider, in any browser:\n\n    {}\n",
        text("auth_url")
    );
    if begun["user_code"].is_string() {
        anstream::eprintln!("When it asks for a code, give {}\n", text("user_code"));
    }
    let seconds = text("poll_interval").parse().unwrap_or(5);
    let mut pause = Duration::from_secs(u64::clamp(seconds, 1, 60));
    let body = json!({"state": begun["state"], "client_nonce": nonce});
    loop {
        tokio::time::sleep(pause).await;
        let call = Call::post(format!("auth/{mount}/oidc/poll"), body.clone()).no_token();
        match session.send(call).await {
            Ok(answer) => return Ok(answer.body),
            Err(failure) if failure.to_string().contains("authorization_pending") => {}
            // RFC 8628, 3.5.
            Err(failure) if failure.to_string().contains("slow_down") => {
                pause += Duration::from_secs(5);
            }
            Err(failure) => return Err(failure),
        }
    }
}
