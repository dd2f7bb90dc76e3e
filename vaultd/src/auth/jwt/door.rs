//! What a provider is asked in the course of a login, in the name of the mount's client (RFC 6749,
//! 2.3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use vault_proto::Sensitive;

use super::issuers::Provider;
use super::model::{Client, Config, Source};
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::slow::Outside;
use crate::jose::{self, Claims};
use crate::outbound::{Answer, Failure, Request, Trust, Url, form, percent};

/// The provider, and who we are there.
pub(super) struct Door<'a> {
    pub config: &'a Config,
    pub client: &'a Client,
    pub provider: Provider,
    pub outside: &'a Outside<'a>,
}

fn unconfigured() -> Fault {
    Fault::invalid("OIDC login is not configured for this mount")
}

impl<'a> Door<'a> {
    pub(super) async fn find(
        ctx: &Ctx<'_>,
        config: &'a Config,
        outside: &'a Outside<'a>,
    ) -> Result<Door<'a>, Fault> {
        let client = config.client.as_ref().ok_or_else(unconfigured)?;
        let published = outside
            .issuers
            .published(
                outside.outbound,
                &outside.aside(ctx.mount.number),
                config.signer(),
                ctx.now(),
            )
            .await
            .map_err(|failure| {
                Fault::invalid(format!("the provider does not answer: {failure}"))
            })?;
        Ok(Door {
            config,
            client,
            provider: published.provider.clone().ok_or_else(unconfigured)?,
            outside,
        })
    }

    fn trust(&self) -> Result<Trust, Failure> {
        match &self.config.source {
            Source::Discovery(place) => Trust::from_pem(&place.ca_pem),
            Source::Jwks(_) | Source::Pairs(_) | Source::Keys(_) => Ok(Trust::System),
        }
    }

    /// Sends a form, and shows that it is us who send it.
    pub(super) async fn post(&self, url: &Url, fields: &[(&str, &str)]) -> Result<Answer, Failure> {
        let pair = Sensitive::new(format!(
            "{}:{}",
            percent(&self.client.id),
            percent(self.client.secret.expose())
        ));
        let kind = "application/x-www-form-urlencoded";
        let request = Request::post(url.clone(), kind, form(fields).into_bytes())
            .authorization(format!("Basic {}", STANDARD.encode(pair.expose())));
        self.outside.outbound.send(&self.trust()?, request).await
    }

    /// Adds what the provider says about the same person elsewhere. What it has signed stays.
    pub(super) async fn add_user_info(&self, claims: &mut Claims, access: &Sensitive<String>) {
        let Some(url) = self.provider.userinfo_endpoint.clone() else {
            return;
        };
        let asked = async {
            let request = Request::get(url).bearer(access.expose());
            let answer = self.outside.outbound.send(&self.trust()?, request).await?;
            let body = answer.success()?;
            jose::object(&body).ok_or(Failure::Answer("expected claims as JSON"))
        };
        match asked.await {
            Ok(more)
                if more
                    .get("sub")
                    .is_some_and(|sub| claims.get("sub") == Some(sub)) =>
            {
                for (name, value) in more {
                    claims.entry(name).or_insert(value);
                }
            }
            Ok(_) => tracing::warn!("the provider's user info is about somebody else: not used"),
            Err(failure) => tracing::warn!(%failure, "the provider gave no user info"),
        }
    }
}
