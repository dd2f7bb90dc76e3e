//! From when until when a certificate counts.

use jiff::{SignedDuration, Timestamp};

use super::Prepared;
use super::issuer::{Authority, Outliving};
use super::role::Role;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;

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

/// Seconds that a certificate may live, and those if nobody says.
struct Limits {
    longest: u64,
    usual: u64,
}

impl Limits {
    fn apply(&self, body: &Body, role: Option<&Role>, now: Timestamp) -> Result<Validity, Fault> {
        let given = body.string("not_after")?.unwrap_or_default();
        let ttl = body.seconds("ttl")?.unwrap_or(0);
        if !given.is_empty() && ttl > 0 {
            return Err(Fault::invalid(
                "either ttl or not_after should be provided. Both should not be provided in the same request.",
            ));
        }
        let latest = later(now, self.longest)?;
        let of_role = role.filter(|_| given.is_empty() && ttl == 0);
        let of_role = of_role.map_or("", |role| role.not_after.as_str());
        let (asked, is_bounded) = match (given.as_str(), of_role) {
            ("", "") => {
                let of_role = role.map_or(0, |role| role.ttl);
                let asked = [ttl, of_role, self.usual.min(self.longest)];
                let asked = asked.into_iter().find(|ttl| *ttl > 0).unwrap_or(0);
                (later(now, asked)?, true)
            }
            // The role's own word, unless it has a max_ttl too.
            ("", moment) => {
                let is_bounded = role.is_some_and(|role| role.max_ttl > 0);
                (
                    parse_moment(moment, "not_after")?.unwrap_or(latest),
                    is_bounded,
                )
            }
            (moment, _) => {
                let moment = parse_moment(moment, "not_after")?.unwrap_or(latest);
                (moment, role.is_some())
            }
        };
        if asked <= now {
            return Err(Fault::invalid("not_after: the time is over already"));
        }
        let is_too_long = is_bounded && asked > latest;
        Ok(Validity {
            not_before: not_before(body, role, now)?,
            not_after: if is_too_long { latest } else { asked },
            warning: is_too_long
                .then_some("TTL is longer than permitted maxTTL, so maxTTL is being used"),
        })
    }
}

/// A little earlier, for clocks that are slow.
fn not_before(body: &Body, role: Option<&Role>, now: Timestamp) -> Result<Timestamp, Fault> {
    let usual = role.map_or(Role::default().not_before_duration, |role| {
        role.not_before_duration
    });
    let seconds = body.seconds("not_before_duration")?.unwrap_or(usual);
    let span = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    now.checked_sub(span)
        .map_err(|_| Fault::invalid("not_before_duration is too long"))
}

impl Validity {
    /// What the request asks for within what role and mount allow; not yet within the issuer's. An
    /// authority, which has no role, may be given any last moment: only who may make one gets here.
    pub(super) fn asked(
        ctx: &Ctx<'_>,
        prepared: &Prepared,
        role: Option<&Role>,
    ) -> Result<Validity, Fault> {
        let or = |first: u64, second: u64| if first == 0 { second } else { first };
        let config = &ctx.mount.config;
        let longest = or(config.max_lease_ttl, prepared.max_ttl);
        let limits = Limits {
            longest: or(role.map_or(0, |role| role.max_ttl), longest),
            usual: or(config.default_lease_ttl, prepared.default_ttl),
        };
        limits.apply(ctx.body(), role, ctx.now())
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
