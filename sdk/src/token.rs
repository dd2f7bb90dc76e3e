//! The client's own token.

use std::time::Duration;

use serde_json::json;
use vault_proto::token::Lookup;

use crate::login::Grant;
use crate::{Call, Client, Error};

impl Client {
    /// What the server knows of the token.
    pub async fn lookup_self(&self) -> Result<Lookup, Error> {
        self.data(Call::get("auth/token/lookup-self")).await
    }

    /// Extends the token, by its own period or by `increment`. Returns its
    /// new time to live.
    pub async fn renew_self(&self, increment: Option<Duration>) -> Result<Duration, Error> {
        self.renew(increment).await.map(|grant| grant.ttl)
    }

    pub(crate) async fn renew(&self, increment: Option<Duration>) -> Result<Grant, Error> {
        const PATH: &str = "auth/token/renew-self";
        let body = match increment {
            Some(increment) => json!({ "increment": increment.as_secs() }),
            None => json!({}),
        };
        // Renewing twice ends at the same time.
        let answer = self.send(Call::put(PATH, body).repeatable()).await?;
        let grant = Grant::from_answer(PATH, answer.body)?;
        self.inner.life.send_replace(Some(grant.life()));
        Ok(grant)
    }

    /// For a graceful end: revokes the token that this client got by logging
    /// in, with everything that was made with it, and stops the renewal. A
    /// token that was given is left alone: others may use it too.
    pub async fn shutdown(&self) -> Result<(), Error> {
        if self.can_log_in() && self.token().is_some() {
            return self.revoke_self().await;
        }
        self.inner.life.send_replace(None);
        Ok(())
    }

    /// Revokes the token, wherever it came from, with everything that was
    /// made with it; stops the renewal and forgets the token.
    pub async fn revoke_self(&self) -> Result<(), Error> {
        let call = Call::put("auth/token/revoke-self", json!({})).repeatable();
        self.send(call).await?;
        self.inner.life.send_replace(None);
        self.set_token(None);
        Ok(())
    }
}
