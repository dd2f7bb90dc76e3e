//! When a failed call is sent again, and after how long.

use std::time::Duration;

use crate::Error;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Whether the same request may be sent again after this failure.
///
/// A request that can do harm twice is repeated only where the server
/// certainly did not act on it.
pub(crate) fn allowed(failure: &Error, repeatable: bool) -> bool {
    match failure {
        Error::Connect { .. } | Error::RateLimited { .. } | Error::Sealed => true,
        Error::Api {
            status: 412 | 503, ..
        } => true,
        Error::Api { status, .. } => repeatable && *status >= 500 && *status != 501,
        Error::Broken { .. } => repeatable,
        _ => false,
    }
}

/// The pause before attempt `attempt + 1` (the first attempt is 0): at least
/// 100 ms, at most 5 s, evenly spread so that clients do not march in step.
/// What the server asks for is obeyed, up to the deadline of the call.
pub(crate) fn pause(failure: &Error, attempt: u32, random: u64) -> Duration {
    if let Error::RateLimited { after: Some(after) } = failure {
        return *after;
    }
    let ceiling = SHORTEST
        .saturating_mul(1u32.checked_shl(attempt + 1).unwrap_or(u32::MAX))
        .min(LONGEST);
    SHORTEST + fraction(ceiling - SHORTEST, random)
}

/// `whole * random / 2^64`.
pub(crate) fn fraction(whole: Duration, random: u64) -> Duration {
    let share = (u128::from(random) * whole.as_nanos()) >> 64;
    Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
}

/// Spreads load, nothing else: without randomness the middle will do.
pub(crate) fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(status: u16) -> Error {
        Error::Api {
            status,
            errors: Vec::new(),
            path: String::new(),
            request_id: None,
        }
    }

    #[test]
    fn pauses_grow_and_stay_between_the_bounds() {
        for attempt in 0..40 {
            assert_eq!(pause(&Error::Sealed, attempt, 0), SHORTEST);
            assert!(pause(&Error::Sealed, attempt, u64::MAX) <= LONGEST);
        }
        assert!(pause(&Error::Sealed, 0, u64::MAX) <= Duration::from_millis(200));
        assert!(pause(&Error::Sealed, 3, u64::MAX) > Duration::from_secs(1));
    }

    #[test]
    fn the_server_says_how_long() {
        let after = Some(Duration::from_secs(7));
        assert_eq!(
            pause(&Error::RateLimited { after }, 0, 1),
            Duration::from_secs(7)
        );
    }

    #[test]
    fn a_write_is_not_repeated_when_it_may_have_happened() {
        let lost = Error::Broken {
            addr: String::new(),
            cause: String::new(),
        };
        for (failure, write, read) in [
            (lost, false, true),
            (api(500), false, true),
            (api(502), false, true),
            (api(501), false, false),
            (api(400), false, false),
            (api(412), true, true),
            (api(503), true, true),
            (Error::Sealed, true, true),
            (Error::Timeout, false, false),
            (Error::CasMismatch, false, false),
        ] {
            assert_eq!(allowed(&failure, false), write, "{failure}");
            assert_eq!(allowed(&failure, true), read, "{failure}");
        }
    }
}
