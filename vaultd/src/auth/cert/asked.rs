//! What others say of a certificate, before the transaction of a login or a renewal: responders, and
//! the revocation lists that are due. The lists are kept whatever becomes of the request.

use super::crl::{self, Revoked};
use super::model::Role;
use super::ocsp::{self, Question, Status};
use super::trust::{Shown, refused};
use crate::barrier::View;
use crate::core::fault::Fault;
use crate::core::request::ClientChain;
use crate::core::slow::Outside;

/// Roles that have responders asked, as they were then.
#[derive(Default)]
pub struct Asked(Vec<(String, Role, Status)>);

/// What there is to ask about.
pub(super) struct Inquiry<'a> {
    pub chain: &'a ClientChain,
    /// Number of the method's mount.
    pub mount: u64,
    /// Seconds since 1970.
    pub now: i64,
    pub outside: &'a Outside<'a>,
}

fn asks((_, role): &(String, Role)) -> bool {
    role.ocsp.enabled
}

impl Inquiry<'_> {
    /// Asks only about a certificate that one of the roles would accept otherwise.
    pub(super) async fn run(
        &self,
        roles: Vec<(String, Role)>,
        view: &mut View<'_>,
    ) -> Result<Asked, Fault> {
        if !roles.iter().any(asks) && !crl::is_any_due(self.now, view).await? {
            return Ok(Asked::default());
        }
        let revoked = Revoked::load(view).await?;
        let shown = Shown::new(self.chain, &revoked, self.now)?;
        shown.accepted_by(&roles)?;
        let fresh = crl::refresh(self.outside.outbound, self.now, view).await?;
        if !fresh.is_empty() {
            self.outside.aside(self.mount).keep(&fresh).await?;
        }
        let mut asked = Asked::default();
        for one in roles.into_iter().filter(asks) {
            if shown.accepted_by(std::slice::from_ref(&one)).is_err() {
                continue;
            }
            let (name, role) = one;
            let status = self.status(&shown, &role).await?;
            asked.0.push((name, role, status));
        }
        Ok(asked)
    }

    async fn status(&self, shown: &Shown<'_>, role: &Role) -> Result<Status, Fault> {
        let own = shown.chain.own();
        let (trusted, added) = (role.certificates()?, role.ocsp.authorities());
        let known = shown.chain.others().iter().chain(&trusted).chain(&added);
        let mut nonce = [0; 32];
        self.outside.random.fill(&mut nonce);
        let question = Question {
            own,
            issuer: ocsp::issuer_of(own, known),
            responders: &shown.facts.responders,
            rules: &role.ocsp,
            nonce,
            now: shown.now,
        };
        Ok(ocsp::ask(self.outside.outbound, &question).await)
    }
}

impl Asked {
    /// The roles that may still accept the certificate, and why one of the others may not.
    pub(super) fn narrow(
        &self,
        roles: Vec<(String, Role)>,
    ) -> (Vec<(String, Role)>, Option<Fault>) {
        let mut why = None;
        let mut left = Vec::new();
        for (name, role) in roles {
            let mut asked = self.0.iter();
            // A role that was changed meanwhile was not asked for as it is.
            let status = asked.find(|(then, as_then, _)| *then == name && *as_then == role);
            match status.map(|(_, _, status)| status) {
                _ if !role.ocsp.enabled => left.push((name, role)),
                Some(Status::Good) => left.push((name, role)),
                Some(Status::Unknown(reason)) if role.ocsp.fail_open => {
                    tracing::warn!(
                        role = name,
                        reason,
                        "not known whether a certificate is revoked: let in, since the role fails open"
                    );
                    left.push((name, role));
                }
                Some(Status::Unknown(reason)) => {
                    why = Some(refused(&format!(
                        "not known whether it is revoked: {reason}"
                    )));
                }
                Some(Status::Revoked) => why = Some(refused("it is revoked")),
                None => {}
            }
        }
        (left, why)
    }
}
