//! A bucket of tokens for each address: full at first, refilled evenly.
//!
//! An IPv6 network of 64 bits counts as one address: whoever has one address there has all of them.
//! Memory is bounded: beyond that, new addresses share one bucket.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::RateLimit;

const ADDRESSES_MAX: usize = 100_000;
/// Whoever does not fit in.
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

struct Bucket {
    tokens: f64,
    at: Timestamp,
    /// Refused until then, whatever is in the bucket.
    blocked: Option<Timestamp>,
}

/// What an answer's headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub limit: u64,
    pub remaining: u64,
    /// Seconds until there is room again, or until the bucket is full.
    pub reset: u64,
}

pub struct Limiter {
    pub name: String,
    pub limit: RateLimit,
    /// A std mutex: held for a map operation.
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

impl Limiter {
    pub fn new(name: String, limit: RateLimit) -> Limiter {
        Limiter {
            name,
            limit,
            buckets: Mutex::default(),
        }
    }

    pub fn is(&self, name: &str, limit: &RateLimit) -> bool {
        self.name == name && self.limit == *limit
    }

    /// Whether it matters with which role a login at this path is.
    pub fn asks_role_of(&self, path: &str) -> bool {
        !self.limit.scope.role.is_empty() && self.limit.scope.has_path(path)
    }

    fn capacity(&self) -> f64 {
        self.limit.rate.max(1.0)
    }

    fn per_second(&self) -> f64 {
        self.limit.rate / self.limit.interval.max(1) as f64
    }

    /// Whether one more request is allowed; if so, it is counted.
    pub fn take(&self, address: IpAddr, now: Timestamp) -> (bool, Standing) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut address = network(address);
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&address) {
            buckets.retain(|_, bucket| {
                self.refill(bucket, now);
                bucket.blocked.is_some() || bucket.tokens < self.capacity()
            });
            if buckets.len() >= ADDRESSES_MAX {
                address = OTHERS;
            }
        }
        let bucket = buckets.entry(address).or_insert_with(|| Bucket {
            tokens: self.capacity(),
            at: now,
            blocked: None,
        });
        self.refill(bucket, now);
        let allowed = bucket.blocked.is_none() && bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        } else if bucket.blocked.is_none() && self.limit.block_interval > 0 {
            let block = i64::try_from(self.limit.block_interval).unwrap_or(i64::MAX);
            let end = now.checked_add(SignedDuration::from_secs(block));
            bucket.blocked = Some(end.unwrap_or(Timestamp::MAX));
        }
        (allowed, self.standing(bucket, now))
    }

    fn refill(&self, bucket: &mut Bucket, now: Timestamp) {
        bucket.blocked = bucket.blocked.filter(|end| now < *end);
        // A clock that was set back gives nothing.
        let passed = (now.as_millisecond() - bucket.at.as_millisecond()).max(0);
        let gained = passed as f64 / 1000.0 * self.per_second();
        bucket.tokens = (bucket.tokens + gained).min(self.capacity());
        bucket.at = now;
    }

    fn standing(&self, bucket: &Bucket, now: Timestamp) -> Standing {
        let wanted = if bucket.tokens < 1.0 {
            1.0
        } else {
            self.capacity()
        };
        let refill = ((wanted - bucket.tokens) / self.per_second()).ceil() as u64;
        let blocked = bucket.blocked.map_or(0, |end| {
            let millis = end.as_millisecond() - now.as_millisecond();
            u64::try_from(millis).unwrap_or(0).div_ceil(1000)
        });
        Standing {
            limit: self.capacity() as u64,
            remaining: if bucket.blocked.is_some() {
                0
            } else {
                bucket.tokens as u64
            },
            reset: refill.max(blocked),
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !(u128::MAX >> 64)))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;
    use crate::core::quota::Scope;

    const A: &str = "192.0.2.1";

    fn limiter(rate: f64, interval: u64, block_interval: u64) -> Limiter {
        let limit = RateLimit {
            scope: Scope::default(),
            rate,
            interval,
            block_interval,
            inheritable: false,
        };
        Limiter::new("q".to_owned(), limit)
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_000_000 + millis).unwrap()
    }

    fn allowed(limiter: &Limiter, address: &str, millis: i64) -> bool {
        limiter.take(address.parse().unwrap(), at(millis)).0
    }

    #[test]
    fn a_burst_of_the_rate_and_then_as_it_refills() {
        let limiter = limiter(5.0, 10, 0);
        assert!((0..5).all(|_| allowed(&limiter, A, 0)));
        let (refused, standing) = limiter.take(A.parse().unwrap(), at(0));
        assert!(!refused);
        assert_eq!(
            (standing.limit, standing.remaining, standing.reset),
            (5, 0, 2)
        );
        assert!(!allowed(&limiter, A, 1900));
        assert!(allowed(&limiter, A, 2000));
        assert!(!allowed(&limiter, A, 2000));
        // Never more than full.
        assert_eq!((0..20).filter(|_| allowed(&limiter, A, 900_000)).count(), 5);
        // A clock that goes back gives nothing and takes nothing.
        assert!(!allowed(&limiter, A, 0));
    }

    #[test]
    fn who_went_over_is_blocked_for_the_whole_interval() {
        let limiter = limiter(1.0, 1, 60);
        assert!(allowed(&limiter, A, 0));
        assert!(!allowed(&limiter, A, 10));
        assert!(!allowed(&limiter, A, 59_000));
        assert!(allowed(&limiter, "192.0.2.2", 59_000));
        assert!(allowed(&limiter, A, 60_010));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_mapped_addresses_are_none_of_their_own() {
        let limiter = limiter(1.0, 3600, 0);
        assert!(allowed(&limiter, "2001:db8::1", 0));
        assert!(!allowed(&limiter, "2001:db8::ffff:2", 0));
        assert!(allowed(&limiter, "2001:db8:0:1::1", 0));
        assert!(allowed(&limiter, A, 0));
        assert!(!allowed(&limiter, "::ffff:192.0.2.1", 0));
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory_and_gets_one_bucket() {
        let limiter = limiter(1.0, 3600, 0);
        let address = |number: u32| IpAddr::V4(Ipv4Addr::from_bits(number));
        let taken = |from: u32, to: u32| {
            (from..to)
                .filter(|number| limiter.take(address(*number), at(0)).0)
                .count()
        };
        let full = u32::try_from(ADDRESSES_MAX).unwrap();
        assert_eq!(taken(1, full + 1), ADDRESSES_MAX);
        assert_eq!(taken(full + 1, full + 4), 1);
        assert!(limiter.buckets.lock().unwrap().len() <= ADDRESSES_MAX + 1);
        // Once the buckets are full again, there is room.
        assert!(limiter.take(address(full + 9), at(3_600_000)).0);
    }
}
