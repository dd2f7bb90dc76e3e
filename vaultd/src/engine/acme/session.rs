//! The conversation with an authority for an account (RFC 8555): orders, proofs, certificates, windows.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, Challenge, ChallengeType, Error, NewOrder,
    Order, OrderStatus,
};
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::cert::{Answer, ChallengeKind};
use super::client::{Authority, Last, trouble};
use super::name::Host;
use super::schedule::Window;
use super::trouble::Trouble;
use crate::engine::secret::Secret;
use crate::outbound::Outbound;

/// Between two questions whether the authority is done; it grows.
const POLL: Duration = Duration::from_millis(300);
const POLL_MAX: Duration = Duration::from_secs(4);
/// How long one errand asks.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nothing asks for a window more often.
const ASK_MIN: Duration = Duration::from_secs(60);
const ASK_MAX: Duration = Duration::from_secs(86_400);

/// What it takes to speak for an account.
pub(super) struct Access {
    pub authority: Authority,
    pub id: String,
    pub key: Secret,
}

/// A conversation that is open.
pub(super) struct Session {
    account: Account,
    last: Arc<Mutex<Last>>,
}

/// What became of an order.
pub(super) enum Verdict {
    Ready,
    /// It is to be asked again.
    Pending,
}

impl Access {
    pub(super) async fn open(&self, outbound: &Arc<Outbound>) -> Result<Session, Trouble> {
        let (http, last) = self.authority.http(outbound);
        let key = PrivatePkcs8KeyDer::from(self.key.expose());
        let directory = self.authority.directory.as_str().to_owned();
        let account = Account::builder_with_http(http)
            .from_parts(self.id.clone(), key, directory)
            .await
            .map_err(|error| trouble(&error, &last))?;
        Ok(Session { account, last })
    }
}

impl Session {
    fn trouble(&self, error: &Error) -> Trouble {
        trouble(error, &self.last)
    }

    /// A new order's address.
    pub(super) async fn order(
        &self,
        names: &[Host],
        profile: Option<&str>,
        replaces: Option<CertificateIdentifier<'static>>,
    ) -> Result<String, Trouble> {
        let identifiers: Vec<_> = names.iter().map(Host::identifier).collect();
        let new = || {
            let new = NewOrder::new(&identifiers);
            match profile {
                Some(profile) => new.profile(profile),
                None => new,
            }
        };
        // That it replaces another one is a courtesy: authorities may refuse it.
        if let Some(replaced) = replaces
            && let Ok(order) = self.account.new_order(&new().replaces(replaced)).await
        {
            return Ok(order.url().to_owned());
        }
        let order = self.account.new_order(&new()).await;
        order
            .map(|order| order.url().to_owned())
            .map_err(|error| self.trouble(&error))
    }

    async fn existing(&self, url: &str) -> Result<Order, Trouble> {
        let order = self.account.order(url.to_owned()).await;
        order.map_err(|error| match &error {
            // It ended, or the authority has lost it.
            Error::Api(problem) if matches!(problem.status, Some(403 | 404)) => Trouble::passing(
                "the authority does not know the order any more",
                "nothing: a new one is made",
            )
            .of_order(),
            error => self.trouble(error),
        })
    }

    /// What is to be shown for the names that are not validated yet.
    pub(super) async fn answers(
        &self,
        url: &str,
        kind: ChallengeKind,
    ) -> Result<Vec<Answer>, Trouble> {
        let mut order = self.existing(url).await?;
        let mut found = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(next) = authorizations.next().await {
            let mut one = next.map_err(|error| self.trouble(&error))?;
            match one.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                _ => return Err(refusal(&one.challenges, &one.identifier().to_string())),
            }
            let (host, shown_host) = (
                one.identifier().identifier.clone(),
                one.identifier().to_string(),
            );
            let Some(challenge) = one.challenge(kind.of_acme()) else {
                return Err(Trouble::refused(
                    format!("the authority offers no {} for {shown_host}", kind.name()),
                    "set challenge to another one: http-01, tls-alpn-01 or dns-01",
                )
                .of_order());
            };
            let shown = challenge.key_authorization();
            found.push(Answer {
                host: match host {
                    instant_acme::Identifier::Ip(address) => super::name::reverse(address),
                    instant_acme::Identifier::Dns(name) => name,
                    _ => {
                        return Err(Trouble::refused(
                            "an identifier of another kind",
                            "change names",
                        )
                        .of_order());
                    }
                },
                token: challenge.token.clone(),
                authorization: shown.as_str().to_owned(),
                record: shown.dns_value(),
            });
        }
        Ok(found)
    }

    /// Has the authority look, and waits for what it finds.
    pub(super) async fn validate(
        &self,
        url: &str,
        kind: ChallengeKind,
    ) -> Result<Verdict, Trouble> {
        let mut order = self.existing(url).await?;
        if order.state().status == OrderStatus::Pending {
            let mut authorizations = order.authorizations();
            while let Some(next) = authorizations.next().await {
                let mut one = next.map_err(|error| self.trouble(&error))?;
                if one.status != AuthorizationStatus::Pending {
                    continue;
                }
                let Some(mut challenge) = one.challenge(kind.of_acme()) else {
                    continue;
                };
                // It may have been told already, before a stop.
                if challenge.status == instant_acme::ChallengeStatus::Pending {
                    let told = challenge.set_ready().await;
                    told.map_err(|error| self.trouble(&error))?;
                }
            }
        }
        let wait = self.settled(&mut order, |status| status == OrderStatus::Pending);
        match wait.await? {
            OrderStatus::Pending => Ok(Verdict::Pending),
            OrderStatus::Invalid => Err(self.why_invalid(url).await),
            _ => Ok(Verdict::Ready),
        }
    }

    /// The certificate with its chain in PEM, once the authority has made it.
    pub(super) async fn finish(&self, url: &str, csr: &[u8]) -> Result<Option<String>, Trouble> {
        let mut order = self.existing(url).await?;
        if order.state().status == OrderStatus::Ready {
            let sent = order.finalize_csr(csr).await;
            sent.map_err(|error| self.trouble(&error))?;
        }
        let is_busy = |status| matches!(status, OrderStatus::Processing | OrderStatus::Ready);
        match self.settled(&mut order, is_busy).await? {
            OrderStatus::Valid => {
                let chain = order.certificate().await;
                chain.map_err(|error| self.trouble(&error))
            }
            OrderStatus::Invalid => Err(self.why_invalid(url).await),
            OrderStatus::Pending => Err(Trouble::passing(
                "the authority wants the names validated again",
                "nothing: a new order is made",
            )
            .of_order()),
            _ => Ok(None),
        }
    }

    /// The order's status once it is no more what it is waited out of, or patience is at its end.
    async fn settled(
        &self,
        order: &mut Order,
        waits: impl Fn(OrderStatus) -> bool,
    ) -> Result<OrderStatus, Trouble> {
        let (mut pause, mut waited) = (POLL, Duration::ZERO);
        while waits(order.state().status) && waited < PATIENCE {
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = (pause * 3 / 2).min(POLL_MAX);
            let asked = order.refresh().await;
            asked.map_err(|error| self.trouble(&error))?;
        }
        Ok(order.state().status)
    }

    /// The authority says it with the name that it could not validate.
    async fn why_invalid(&self, url: &str) -> Trouble {
        let mut order = match self.existing(url).await {
            Ok(order) => order,
            Err(trouble) => return trouble.of_order(),
        };
        let own = order.state().error.clone();
        let mut authorizations = order.authorizations();
        while let Some(Ok(one)) = authorizations.next().await {
            if one.status == AuthorizationStatus::Invalid {
                return refusal(&one.challenges, &one.identifier().to_string());
            }
        }
        match own {
            Some(problem) => Trouble::of_problem(&problem, None).of_order(),
            None => {
                Trouble::refused("the authority refused the order", "renew to try again").of_order()
            }
        }
    }

    /// When the authority would like the certificate to be replaced, and when to ask again; `None` if it
    /// does not say such things.
    pub(super) async fn window(
        &self,
        of: &CertificateIdentifier<'_>,
    ) -> Result<Option<(Window, Duration)>, Trouble> {
        match self.account.renewal_info(of).await {
            Err(Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(self.trouble(&error)),
            Ok((info, again)) => {
                let at = |seconds| Timestamp::from_second(seconds).ok();
                let window = &info.suggested_window;
                let start = at(window.start.unix_timestamp());
                let end = at(window.end.unix_timestamp());
                match (start, end) {
                    (Some(start), Some(end)) if start <= end => {
                        Ok(Some((Window { start, end }, again.clamp(ASK_MIN, ASK_MAX))))
                    }
                    _ => Err(Trouble::passing(
                        "the authority names a renewal window that ends before it begins",
                        "nothing: the certificate is renewed by its age",
                    )),
                }
            }
        }
    }

    pub(super) async fn revoke(
        &self,
        certificate: &CertificateDer<'_>,
        reason: instant_acme::RevocationReason,
    ) -> Result<(), Trouble> {
        let request = instant_acme::RevocationRequest {
            certificate,
            reason: Some(reason),
        };
        match self.account.revoke(&request).await {
            // What was to be reached is reached.
            Err(Error::Api(problem))
                if problem
                    .r#type
                    .as_deref()
                    .is_some_and(|kind| kind.ends_with(":alreadyRevoked")) =>
            {
                Ok(())
            }
            done => done.map_err(|error| self.trouble(&error)),
        }
    }

    /// The account's new key.
    pub(super) async fn rotate(&mut self) -> Result<Secret, Trouble> {
        let new = self.account.update_key().await;
        let new = new.map_err(|error| trouble(&error, &self.last))?;
        Ok(Secret::copy(new.private_key().secret_pkcs8_der()))
    }
}

fn refusal(challenges: &[Challenge], host: &str) -> Trouble {
    let problem = challenges.iter().find_map(|one| one.error.as_ref());
    let trouble = match problem {
        Some(problem) => Trouble::of_problem(problem, None),
        None => Trouble::refused(
            "the authority could not validate the name",
            "renew to try again",
        ),
    };
    Trouble {
        cause: format!("{host}: {}", trouble.cause),
        ..trouble
    }
    .of_order()
}

impl ChallengeKind {
    fn of_acme(self) -> ChallengeType {
        match self {
            ChallengeKind::Http => ChallengeType::Http01,
            ChallengeKind::TlsAlpn => ChallengeType::TlsAlpn01,
            ChallengeKind::Dns => ChallengeType::Dns01,
        }
    }
}
