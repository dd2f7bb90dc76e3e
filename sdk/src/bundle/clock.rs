//! What time it is, and whether somebody set the clock back.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment, by two clocks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Moment {
    /// Seconds since 1970; can be set.
    pub(super) unix: u64,
    /// Names this start of the machine; empty where the system does not tell.
    boot: String,
    /// Seconds since then, sleep included; cannot be set.
    up: u64,
}

impl Moment {
    pub(super) fn now() -> Moment {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let up = read("/proc/uptime");
        let up = up.split('.').next().and_then(|up| up.parse().ok());
        Moment {
            unix: unix.map_or(0, |since| since.as_secs()),
            boot: read("/proc/sys/kernel/random/boot_id").trim().to_owned(),
            up: up.unwrap_or(0),
        }
    }

    /// Seconds since an earlier moment, by the clock that says more.
    pub(super) fn since(&self, earlier: &Moment) -> u64 {
        let by_clock = self.unix.saturating_sub(earlier.unix);
        match !self.boot.is_empty() && self.boot == earlier.boot {
            true => by_clock.max(self.up.saturating_sub(earlier.up)),
            false => by_clock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(unix: u64, boot: &str, up: u64) -> Moment {
        Moment {
            unix,
            boot: boot.to_owned(),
            up,
        }
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_younger_while_the_machine_runs() {
        let kept = moment(1000, "a", 50);
        assert_eq!(moment(1100, "a", 150).since(&kept), 100);
        assert_eq!(moment(900, "a", 150).since(&kept), 100);
        assert_eq!(moment(1100, "b", 5).since(&kept), 100);
        assert_eq!(moment(900, "b", 5).since(&kept), 0);
    }
}
