//! Whether a role trusts a client's certificate.

use std::cell::Cell;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

use super::certificate::Facts;
use super::crl::Revoked;
use super::model::Role;
use crate::core::fault::Fault;
use crate::core::request::ClientChain;

/// A client's certificate, and what it is judged by.
pub(super) struct Shown<'a> {
    pub chain: &'a ClientChain,
    pub facts: Facts,
    pub revoked: &'a Revoked,
    /// Seconds since 1970.
    pub now: i64,
}

/// A certificate that a role trusts.
struct Trusted<'a> {
    role: &'a (String, Role),
    der: CertificateDer<'static>,
    facts: Facts,
}

impl<'a> Shown<'a> {
    pub(super) fn new(
        chain: &'a ClientChain,
        revoked: &'a Revoked,
        now: i64,
    ) -> Result<Shown<'a>, Fault> {
        let facts = Facts::read(chain.own()).map_err(|_| refused("it cannot be read"))?;
        if now < facts.not_before {
            return Err(refused("it is not valid yet"));
        }
        if now > facts.not_after {
            return Err(refused("it has expired"));
        }
        if !facts.for_clients {
            return Err(refused("its purposes do not include client authentication"));
        }
        if revoked.holds(&facts) {
            return Err(refused("it is revoked"));
        }
        Ok(Shown {
            chain,
            facts,
            revoked,
            now,
        })
    }

    /// The first role that accepts the certificate: those that name it, then those that name an
    /// authority which vouches for it.
    pub(super) fn accepted_by<'r>(
        &self,
        roles: &'r [(String, Role)],
    ) -> Result<&'r (String, Role), Fault> {
        let mut trusted = Vec::new();
        for role in roles {
            trusted.extend(trusted_by(role)?);
        }
        let named = trusted.iter().find(|trusted| {
            trusted.der == *self.chain.own() && trusted.role.1.conditions.met_by(&self.facts)
        });
        named
            .map(|trusted| trusted.role)
            .or_else(|| self.vouched_for(&trusted))
            .ok_or_else(|| refused("no role accepts it"))
    }

    fn vouched_for<'r>(&self, trusted: &[Trusted<'r>]) -> Option<&'r (String, Role)> {
        let usable: Vec<(TrustAnchor<'_>, &Trusted<'r>)> = trusted
            .iter()
            .filter(|trusted| trusted.facts.is_ca && trusted.facts.valid_at(self.now))
            .filter(|trusted| !self.revoked.holds(&trusted.facts))
            .filter(|trusted| trusted.role.1.conditions.met_by(&self.facts))
            .filter_map(|trusted| Some((anchor_from_trusted_cert(&trusted.der).ok()?, trusted)))
            .collect();
        let anchors: Vec<TrustAnchor<'_>> =
            usable.iter().map(|(anchor, _)| anchor.clone()).collect();
        let accepted = Cell::new(None);
        let judge = |path: &VerifiedPath<'_>| {
            let length = self.sound_intermediates(path)?;
            let end = usable.iter().find(|(anchor, trusted)| {
                anchor == path.anchor()
                    && trusted.facts.path_length.is_none_or(|most| length <= most)
            });
            let (_, trusted) = end.ok_or(Error::PathLenConstraintViolated)?;
            accepted.set(Some(trusted.role));
            Ok(())
        };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(self.now).ok()?));
        let own = EndEntityCert::try_from(self.chain.own()).ok()?;
        own.verify_for_usage(
            default_provider().signature_verification_algorithms.all,
            &anchors,
            self.chain.others(),
            now,
            KeyUsage::client_auth(),
            None,
            Some(&judge),
        )
        .ok()?;
        accepted.get()
    }

    /// What the path builder leaves out: key usage and revocation of what is in between. Returns how
    /// many there are.
    fn sound_intermediates(&self, path: &VerifiedPath<'_>) -> Result<u32, Error> {
        let mut length = 0;
        for between in path.intermediate_certificates() {
            let facts = Facts::read(&between.der()).map_err(|_| Error::BadDer)?;
            if !facts.is_ca {
                return Err(Error::EndEntityUsedAsCa);
            }
            if self.revoked.holds(&facts) {
                return Err(Error::CertRevoked);
            }
            length += 1;
        }
        Ok(length)
    }
}

/// The certificates of a role that count: its authorities, or the one that it pins.
fn trusted_by(role: &(String, Role)) -> Result<Vec<Trusted<'_>>, Fault> {
    let mut found = Vec::new();
    for der in role.1.certificates()? {
        let facts = Facts::read(&der).map_err(|_| Fault::Internal("a stored certificate"))?;
        let pinned = !facts.is_ca;
        found.push(Trusted { role, der, facts });
        if pinned {
            break;
        }
    }
    Ok(found)
}

pub(super) fn refused(why: &str) -> Fault {
    Fault::invalid(format!(
        "invalid certificate or no client certificate supplied: {why}"
    ))
}
