use jiff::SignedDuration;
use vault_crypto::Seeded;

use super::*;
use crate::core::mount::Kind;

const HOUR: u64 = 3600;
const SYSTEM: SystemTtl = SystemTtl {
    default: 10 * HOUR,
    max: 100 * HOUR,
};

fn mount(default: u64, max: u64) -> Mount {
    let mut mount = Mount::new(100, Kind::Token, "auth/token/", "", &Seeded::new(1));
    mount.config.default_lease_ttl = default;
    mount.config.max_lease_ttl = max;
    mount
}

fn asked(ttl: u64, max_ttl: u64, explicit_max_ttl: u64, period: u64) -> Asked {
    Asked {
        ttl,
        max_ttl,
        explicit_max_ttl,
        period,
    }
}

/// All in hours: what is asked for, the mount's default and maximum, the TTL, and whether it was
/// capped with a warning.
#[test]
fn first_ttls() {
    for (what, (ttl, max, explicit, period), (default, mount_max), expected, warned) in [
        ("the system's default", (0, 0, 0, 0), (0, 0), 10, false),
        ("the mount's default", (0, 0, 0, 0), (5, 0), 5, false),
        ("as asked", (20, 0, 0, 0), (5, 0), 20, false),
        ("the system's maximum", (200, 0, 0, 0), (0, 0), 100, true),
        ("the mount's maximum", (200, 0, 0, 0), (0, 50), 50, true),
        ("a default above it", (0, 0, 0, 0), (60, 50), 50, false),
        ("the role's maximum", (20, 15, 0, 0), (0, 50), 15, true),
        ("the explicit maximum", (20, 15, 12, 0), (0, 0), 12, true),
        ("which bounds defaults too", (0, 0, 3, 0), (0, 0), 3, false),
        ("a period", (20, 15, 0, 7), (0, 0), 7, false),
        (
            "a period above the maximum",
            (0, 0, 0, 200),
            (0, 50),
            50,
            false,
        ),
        ("a period with an end", (0, 0, 3, 7), (0, 0), 3, false),
    ] {
        let asked = asked(ttl * HOUR, max * HOUR, explicit * HOUR, period * HOUR);
        let mount = mount(default * HOUR, mount_max * HOUR);
        let (found, warnings) = first_ttl(asked, &mount, SYSTEM);
        assert_eq!(found, expected * HOUR, "{what}");
        assert_eq!(!warnings.is_empty(), warned, "{what}: {warnings:?}");
    }
}

fn now() -> Timestamp {
    "2026-11-21T07:00:00Z".parse().unwrap()
}

fn token() -> Token {
    Token {
        creation_ttl: 10 * HOUR,
        renewable: true,
        ..Token::new(now())
    }
}

fn later(hours: u64) -> Timestamp {
    let hours = i64::try_from(hours).unwrap();
    now()
        .checked_add(SignedDuration::from_hours(hours))
        .unwrap()
}

/// All in hours: the age at renewal, the increment, and the TTL after it.
#[test]
fn renewals() {
    let explicit = Token {
        explicit_max_ttl: 12 * HOUR,
        ..token()
    };
    let role = Token {
        max_ttl: 15 * HOUR,
        ..token()
    };
    let periodic = Token {
        period: 7 * HOUR,
        ..token()
    };
    let ending = Token {
        period: 7 * HOUR,
        explicit_max_ttl: 12 * HOUR,
        ..token()
    };
    for (what, token, age, increment, expected) in [
        ("its first TTL again", token(), 5, None, 10),
        ("the increment is from now", token(), 5, Some(20), 20),
        ("never past the mount's maximum", token(), 40, Some(20), 10),
        ("nor past the role's", role, 8, Some(20), 7),
        ("nor past the explicit one", explicit, 8, None, 4),
        ("a period starts anew", periodic.clone(), 90, None, 7),
        ("whatever is asked for", periodic, 90, Some(1), 7),
        ("up to an explicit maximum", ending, 10, None, 2),
    ] {
        let increment = increment.map(|hours: u64| hours * HOUR);
        let mount = mount(0, 50 * HOUR);
        let (next, _) = renewed(&token, increment, Some(&mount), SYSTEM, later(age)).unwrap();
        assert_eq!(next.ttl_left(later(age)), expected * HOUR, "{what}");
        assert_eq!(next.created, token.created, "{what}");
    }
}

#[test]
fn what_cannot_be_renewed() {
    let batch = Token {
        batch: true,
        ..token()
    };
    let fixed = Token {
        renewable: false,
        ..token()
    };
    for (token, age, text) in [
        (batch, 1, "batch tokens cannot be renewed"),
        (fixed, 1, "lease is not renewable"),
        (token(), 100, "past the max TTL, cannot renew"),
    ] {
        let refused = renewed(&token, None, None, SYSTEM, later(age))
            .err()
            .unwrap();
        assert_eq!(refused.to_string(), text);
    }
}
