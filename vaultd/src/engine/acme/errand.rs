//! What is done outside, one step of one certificate at a time. It is read from what is stored, carried
//! out without a transaction, and what came of it is stored: a stop in between has it done again.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::CertificateIdentifier;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::account::Registration;
use super::cert::{self, Answer, ChallengeKind, KeyType, Order, Pair, Pending, Stage, Version};
use super::client::{Authority, Registered, register};
use super::dns::{Deed, Provider};
use super::issued;
use super::name::{Host, Name};
use super::schedule::Window;
use super::session::{Access, Session, Verdict};
use super::trouble::{Kind, Trouble};
use crate::core::errand::Means;
use crate::core::fault::Fault;

/// How often an errand is begun anew whose nonces are refused. Nothing was done then.
const NONCES: u32 = 8;

/// One thing to do.
pub struct Errand {
    pub(super) cert: Name,
    pub(super) task: Task,
    /// What must not be touched by two at once.
    pub lanes: Vec<String>,
}

pub(super) enum Task {
    /// What it would need is not there.
    Impossible(Trouble),
    Register {
        account: Name,
        authority: Authority,
        asked: Box<Registration>,
    },
    Order {
        access: Access,
        names: Vec<Host>,
        key_type: KeyType,
        profile: Option<String>,
        /// PEM of what it replaces.
        replaces: Option<String>,
    },
    Answer {
        access: Access,
        order: Order,
    },
    Publish {
        provider: Provider,
        order: Order,
    },
    Validate {
        access: Access,
        order: Order,
    },
    Finish {
        access: Access,
        order: Order,
        pending: Pending,
        names: Vec<Host>,
    },
    Clean {
        provider: Option<Provider>,
        order: Order,
    },
    Ask {
        access: Access,
        version: u64,
        chain: String,
    },
}

/// What came of it.
pub struct Done(pub(super) Outcome);

pub(super) enum Outcome {
    Failed(Trouble),
    Registered(Registered),
    Ordered(String, Pending),
    Answers(Vec<Answer>),
    /// The step is over.
    Over,
    /// It is to be asked again.
    Waiting,
    Issued(Box<Version>, Pair),
    /// When to ask again, and the window, if the authority has such things.
    Window(Option<(Window, Duration)>),
}

impl Done {
    /// Why it failed, in words that hold nothing secret.
    pub fn failure(&self) -> Option<&str> {
        match &self.0 {
            Outcome::Failed(trouble) => Some(&trouble.cause),
            _ => None,
        }
    }
}

impl Task {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Task::Impossible(_) => "prepare",
            Task::Register { .. } => "register",
            Task::Order { .. } => "order",
            Task::Answer { .. } => Stage::Answer.name(),
            Task::Publish { .. } => Stage::Publish.name(),
            Task::Validate { .. } => Stage::Validate.name(),
            Task::Finish { .. } => Stage::Finish.name(),
            Task::Clean { .. } => Stage::Clean.name(),
            Task::Ask { .. } => "window",
        }
    }

    /// The order that it is about.
    pub(super) fn order(&self) -> Option<&Order> {
        match self {
            Task::Answer { order, .. }
            | Task::Publish { order, .. }
            | Task::Validate { order, .. }
            | Task::Finish { order, .. }
            | Task::Clean { order, .. } => Some(order),
            _ => None,
        }
    }
}

impl Errand {
    /// What it is about, for records.
    pub fn path(&self) -> String {
        format!("{}/{}", cert::row(&self.cert), self.task.name())
    }

    /// Somebody else sees it.
    pub fn is_outside(&self) -> bool {
        !matches!(
            self.task,
            Task::Impossible(_) | Task::Clean { provider: None, .. }
        )
    }

    /// No transaction is open meanwhile.
    pub async fn carry_out(&self, means: &Means<'_>) -> Result<Done, Fault> {
        if let Task::Order {
            names, key_type, ..
        } = &self.task
        {
            let (names, key_type) = (names.clone(), *key_type);
            let random = Arc::clone(means.random);
            let make = move || issued::pending(&names, key_type, &*random);
            let made = tokio::task::spawn_blocking(make).await;
            let pending = made.map_err(|_| Fault::Internal("making a key"))??;
            let mut ordered = self.task.order_anew(means).await;
            for _ in 0..NONCES {
                if !matches!(&ordered, Err(trouble) if trouble.kind == Kind::Nonce) {
                    break;
                }
                ordered = self.task.order_anew(means).await;
            }
            return Ok(Done(match ordered {
                Ok(url) => Outcome::Ordered(url, pending),
                Err(trouble) => Outcome::Failed(trouble),
            }));
        }
        let mut outcome = self.task.carry_out(means).await;
        for _ in 0..NONCES {
            if !matches!(&outcome, Err(trouble) if trouble.kind == Kind::Nonce) {
                break;
            }
            outcome = self.task.carry_out(means).await;
        }
        Ok(Done(outcome.unwrap_or_else(Outcome::Failed)))
    }
}

async fn open(access: &Access, means: &Means<'_>) -> Result<Session, Trouble> {
    access.open(means.outbound).await
}

impl Task {
    async fn order_anew(&self, means: &Means<'_>) -> Result<String, Trouble> {
        let Task::Order {
            access,
            names,
            profile,
            replaces,
            ..
        } = self
        else {
            return Err(Trouble::passing("no order", "nothing"));
        };
        let replaced = replaces.as_deref().and_then(|pem| {
            let own = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
            let id = CertificateIdentifier::try_from(&own).ok()?;
            Some(id.into_owned())
        });
        let session = open(access, means).await?;
        session.order(names, profile.as_deref(), replaced).await
    }

    async fn carry_out(&self, means: &Means<'_>) -> Result<Outcome, Trouble> {
        match self {
            Task::Impossible(trouble) => Err(trouble.clone()),
            Task::Register {
                authority, asked, ..
            } => {
                let made = register(authority, asked, means.outbound).await?;
                Ok(Outcome::Registered(made))
            }
            Task::Order { .. } => Err(Trouble::passing("no order", "nothing")),
            Task::Answer { access, order } => {
                let session = open(access, means).await?;
                let found = session.answers(&order.url, order.challenge).await?;
                Ok(Outcome::Answers(found))
            }
            Task::Publish { provider, order } => {
                provider.carry_out(Deed::Add, &order.answers, means).await?;
                Ok(Outcome::Over)
            }
            Task::Validate { access, order } => {
                let session = open(access, means).await?;
                match session.validate(&order.url, order.challenge).await? {
                    Verdict::Ready => Ok(Outcome::Over),
                    Verdict::Pending => Ok(Outcome::Waiting),
                }
            }
            Task::Finish {
                access,
                order,
                pending,
                names,
            } => {
                let session = open(access, means).await?;
                let Some(chain) = session.finish(&order.url, &pending.csr).await? else {
                    return Ok(Outcome::Waiting);
                };
                let version = issued::check(&chain, pending, names, means.now)?;
                let key = pending.key.expose();
                let key = crate::engine::secret::Secret::copy(key);
                Ok(Outcome::Issued(Box::new(version), Pair { key, chain }))
            }
            Task::Clean { provider, order } => {
                if let Some(provider) = provider {
                    provider
                        .carry_out(Deed::Remove, &order.answers, means)
                        .await?;
                }
                Ok(Outcome::Over)
            }
            Task::Ask { access, chain, .. } => {
                let own = CertificateDer::from_pem_slice(chain.as_bytes());
                let own = own.map_err(|_| Trouble::passing("a stored certificate", "renew it"))?;
                // Without the identifier of its authority's key nobody can ask about it.
                let Ok(id) = CertificateIdentifier::try_from(&own) else {
                    return Ok(Outcome::Window(None));
                };
                let session = open(access, means).await?;
                match session.window(&id).await {
                    Ok(window) => Ok(Outcome::Window(window)),
                    Err(trouble) => Err(trouble),
                }
            }
        }
    }
}

/// Whether records are to be written before the authority looks.
pub(super) fn after_answers(kind: ChallengeKind, answers: &[Answer]) -> Stage {
    match (kind, answers.is_empty()) {
        (ChallengeKind::Dns, false) => Stage::Publish,
        _ => Stage::Validate,
    }
}
