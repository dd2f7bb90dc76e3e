//! From when until when a certificate counts.

use jiff::{SignedDuration, Timestamp};

use super::issuer::{Authority, Outliving};
use super::role::Role;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;

/// Of a mount that says nothing itself: 32 days, as Vault's.
const DEFAULT: u64 = 768 * 3600;
/// Dates that X.509 can say (RFC 5280, 4.1.2.5).
const LAST: &str = "9999-12-31T23:59:59Z";

/// The span, and what the caller should know of it.
#[derive(Debug)]
pub(super) struct Validity {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub warning: Option<&'static str>,
}

/// A moment in RFC 3339; `None` for an empty text.
pub(super) fn parse_moment(text: &str, field: &str) -> Result<Option<Timestamp>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let last: Timestamp = LAST.parse().unwrap_or(Timestamp::MAX);
    let moment = text.parse::<Timestamp>().ok().filter(|at| *at <= last);
    moment.map(Some).ok_or_else(|| {
        Fault::invalid(format!(
            "{field}: expected a time such as 2030-01-31T00:00:00Z"
        ))
    })
}

fn later(from: Timestamp, seconds: u64) -> Result<Timestamp, Fault> {
    let span = i64::try_from(seconds).map_err(|_| Fault::invalid("the TTL is too long"))?;
    from.checked_add(SignedDuration::from_secs(span))
        .map_err(|_| Fault::invalid("the TTL is too long"))
}

impl Validity {
    /// What the request asks for within what role and mount allow; not yet within the issuer's.
    pub(super) fn asked(ctx: &Ctx<'_>, role: &Role) -> Result<Validity, Fault> {
        let or = |first: u64, second: u64| if first == 0 { second } else { first };
        let config = &ctx.mount.config;
        let longest = or(role.max_ttl, or(config.max_lease_ttl, DEFAULT));
        Validity::within(
            ctx.body(),
            role,
            longest,
            or(config.default_lease_ttl, DEFAULT),
            ctx.now(),
        )
    }

    fn within(
        body: &Body,
        role: &Role,
        longest: u64,
        usual: u64,
        now: Timestamp,
    ) -> Result<Validity, Fault> {
        let backdate = body
            .seconds("not_before_duration")?
            .unwrap_or(role.not_before_duration);
        let backdate = SignedDuration::from_secs(i64::try_from(backdate).unwrap_or(i64::MAX));
        let not_before = now
            .checked_sub(backdate)
            .map_err(|_| Fault::invalid("not_before_duration is too long"))?;
        let given = body.string("not_after")?.unwrap_or_default();
        let ttl = body.seconds("ttl")?.unwrap_or(0);
        if !given.is_empty() && ttl > 0 {
            return Err(Fault::invalid(
                "either ttl or not_after should be provided. Both should not be provided in the same request.",
            ));
        }
        let moment = match given.is_empty() && ttl == 0 {
            true => parse_moment(&role.not_after, "not_after")?,
            false => parse_moment(&given, "not_after")?,
        };
        let latest = later(now, longest)?;
        let (not_after, warning) = match moment {
            Some(moment) if moment <= now => {
                return Err(Fault::invalid("not_after: the time is over already"));
            }
            Some(moment) if moment > latest && !role.not_after.is_empty() && given.is_empty() => {
                (moment, None)
            }
            Some(moment) => (moment, None),
            None => {
                let asked = [ttl, role.ttl, usual.min(longest)];
                let asked = asked.into_iter().find(|ttl| *ttl > 0).unwrap_or(usual);
                match asked > longest {
                    true => (
                        latest,
                        Some("TTL is longer than permitted maxTTL, so maxTTL is being used"),
                    ),
                    false => (later(now, asked)?, None),
                }
            }
        };
        match moment.is_some_and(|moment| moment > latest) && role.max_ttl > 0 {
            true => Ok(Validity {
                not_before,
                not_after: latest,
                warning: Some("not_after is later than max_ttl permits, so max_ttl is being used"),
            }),
            false => Ok(Validity {
                not_before,
                not_after,
                warning,
            }),
        }
    }

    /// Nothing outlives its issuer, unless the issuer allows it.
    pub(super) fn under(mut self, authority: &Authority) -> Result<Validity, Fault> {
        let end = authority.facts.not_after;
        if self.not_after <= end {
            return Ok(self);
        }
        match authority.issuer.outliving {
            Outliving::Permit => Ok(self),
            Outliving::Truncate => {
                self.not_after = end;
                self.warning = Some("the certificate ends with its issuer, earlier than asked");
                Ok(self)
            }
            Outliving::Err => Err(Fault::invalid(format!(
                "cannot satisfy request, as TTL would result in notAfter of {} that is beyond the expiration of the CA certificate at {end}",
                self.not_after
            ))),
        }
    }
}
