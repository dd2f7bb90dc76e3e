//! When to renew, and how long to wait after a failure. Time and randomness are arguments.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use vault_crypto::Random;

use super::trouble::Kind;

/// When the authority would like a renewal (RFC 9773).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    pub start: Timestamp,
    pub end: Timestamp,
}

/// How long a certificate is good for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub begins: Timestamp,
    pub ends: Timestamp,
}

const DAY: i64 = 86_400;
/// Lives up to this are renewed at their half.
const SHORT: i64 = 10 * DAY;
const FIRST_PAUSE: i64 = 5;
const PASSING_MAX: i64 = 3600;
/// Authorities count failed validations by the hour.
const FIRST_REFUSAL: i64 = 300;
const REFUSED_MAX: i64 = DAY / 2;

/// In 0..1.
fn fraction(random: &dyn Random) -> f64 {
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(at)
}

/// Within the authority's window, if it says one; otherwise with a third of the life left, of short lives
/// with the half. `renew_before`, in seconds before the end, is never waited past. Neither is the
/// last tenth of the life; the first tenth is waited for, unless the authority asks for less.
pub(super) fn renewal(
    life: Life,
    renew_before: Option<u64>,
    window: Option<Window>,
    random: &dyn Random,
) -> Timestamp {
    let length = life.ends.as_second() - life.begins.as_second();
    let spread = |seconds: i64| (seconds as f64 * fraction(random)) as i64;
    let at = match (window, renew_before) {
        (Some(window), _) => {
            let width = window.end.as_second() - window.start.as_second();
            after(window.start, spread(width.max(0)))
        }
        (None, Some(before)) => after(life.ends, -i64::try_from(before).unwrap_or(length)),
        (None, None) => {
            let left = length / if length < SHORT { 2 } else { 3 };
            // Many that were obtained together are not renewed together.
            after(life.ends, -(left + spread(length / 50)))
        }
    };
    let asked = renew_before.map(|before| i64::try_from(before).unwrap_or(length));
    let latest = after(life.ends, -asked.unwrap_or(0).max(length / 10));
    let earliest = match window {
        Some(_) => life.begins,
        None => after(life.begins, length / 10),
    };
    at.min(latest).max(earliest)
}

/// How long to wait after so many failures in a row: longer each time, never all at the same time, and
/// at least as long as the authority says.
pub(super) fn pause(kind: Kind, tries: u32, random: &dyn Random) -> SignedDuration {
    let doubled = |first: i64, most: i64| {
        let factor = 1_i64 << tries.saturating_sub(1).min(20);
        first.saturating_mul(factor).min(most)
    };
    let (least, wait) = match kind {
        Kind::Nonce | Kind::Passing => (0, doubled(FIRST_PAUSE, PASSING_MAX)),
        Kind::Refused => (0, doubled(FIRST_REFUSAL, REFUSED_MAX)),
        Kind::Limited(seconds) => {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).min(30 * DAY);
            (seconds, doubled(FIRST_REFUSAL, REFUSED_MAX))
        }
    };
    let jitter = wait as f64 * (0.75 + fraction(random) / 2.0);
    SignedDuration::from_secs(least) + SignedDuration::from_millis((jitter * 1000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lowest, or the highest that there is.
    struct Fixed(u8);

    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn at(seconds: i64) -> Timestamp {
        after(Timestamp::UNIX_EPOCH, seconds)
    }

    fn life(days: i64) -> Life {
        let (begins, ends) = (at(0), at(days * DAY));
        Life { begins, ends }
    }

    #[test]
    fn a_third_of_the_life_before_the_end_and_never_all_at_once() {
        assert_eq!(renewal(life(90), None, None, &Fixed(0)), at(60 * DAY));
        let earliest = renewal(life(90), None, None, &Fixed(255));
        assert!(earliest < at(59 * DAY) && earliest > at(58 * DAY));
    }

    #[test]
    fn short_lives_at_their_half() {
        assert_eq!(renewal(life(6), None, None, &Fixed(0)), at(3 * DAY));
    }

    #[test]
    fn the_authoritys_window_comes_first() {
        let (start, end) = (at(10 * DAY), at(20 * DAY));
        let window = Some(Window { start, end });
        assert_eq!(renewal(life(90), None, window, &Fixed(0)), start);
        let late = renewal(life(90), None, window, &Fixed(255));
        assert!(late > at(19 * DAY) && late <= end);
        // A window that is past, as after a mass revocation, means now.
        let past = Some(Window {
            start: at(-DAY),
            end: at(-1),
        });
        assert_eq!(renewal(life(90), None, past, &Fixed(0)), at(0));
    }

    #[test]
    fn no_window_delays_past_what_was_asked_or_the_last_tenth() {
        let (start, end) = (at(89 * DAY), at(90 * DAY));
        let window = Some(Window { start, end });
        assert_eq!(renewal(life(90), None, window, &Fixed(0)), at(81 * DAY));
        let before = u64::try_from(30 * DAY).ok();
        assert_eq!(renewal(life(90), before, window, &Fixed(0)), at(60 * DAY));
        assert_eq!(renewal(life(90), before, None, &Fixed(0)), at(60 * DAY));
        // No circle, whatever was asked.
        assert_eq!(
            renewal(life(90), Some(u64::MAX), None, &Fixed(0)),
            at(9 * DAY)
        );
    }

    #[test]
    fn failures_are_tried_again_ever_later() {
        let seconds = |kind, tries, byte| pause(kind, tries, &Fixed(byte)).as_secs();
        assert_eq!(seconds(Kind::Passing, 1, 0), 3);
        assert_eq!(seconds(Kind::Passing, 100, 0), 2700);
        assert!(seconds(Kind::Passing, 100, 255) <= 4500);
        assert_eq!(seconds(Kind::Refused, 1, 0), 225);
        assert_eq!(seconds(Kind::Refused, 2, 0), 450);
        assert!(seconds(Kind::Refused, 60, 255) <= 54_000);
    }

    #[test]
    fn rate_limits_are_waited_for() {
        assert!(pause(Kind::Limited(7200), 1, &Fixed(0)).as_secs() >= 7200);
        assert!(pause(Kind::Limited(u64::MAX), 99, &Fixed(255)).as_secs() <= 31 * DAY);
    }
}
