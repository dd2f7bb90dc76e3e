//! What is written as it is.

use std::cell::Cell;
use std::io::Write;
use std::net::IpAddr;

use jiff::Timestamp;

use super::string;

/// What [`Public`](super::Public) may hold.
pub(in crate::audit) trait Plain {
    fn plain(&self, out: &mut Vec<u8>);
}

impl Plain for &str {
    fn plain(&self, out: &mut Vec<u8>) {
        string(self, out);
    }
}

impl Plain for &[String] {
    fn plain(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (at, text) in self.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            string(text, out);
        }
        out.push(b']');
    }
}

/// Values whose `Display` needs no escaping.
macro_rules! plain {
    ($quote:literal: $($type:ty),+) => {$(
        impl Plain for $type {
            fn plain(&self, out: &mut Vec<u8>) {
                // Writing to a Vec cannot fail.
                let _ = write!(out, concat!($quote, "{}", $quote), self);
            }
        }
    )+};
}
plain!("": u16, u64, bool);
plain!("\"": IpAddr);

/// A second as RFC 3339 has it, without its fraction and without the zone.
const SECOND: usize = "2006-01-02T15:04:05".len();

thread_local! {
    static LAST: Cell<(i64, [u8; SECOND])> = const { Cell::new((-1, [0; SECOND])) };
}

impl Plain for Timestamp {
    /// As its `Display`. Nearly all are of the same second as the one before.
    fn plain(&self, out: &mut Vec<u8>) {
        let (second, nanos) = (self.as_second(), self.subsec_nanosecond());
        let (known, mut text) = LAST.get();
        if known != second || second < 0 || nanos < 0 {
            let whole = self.to_string();
            match whole.as_bytes().first_chunk() {
                Some(start) if second >= 0 && nanos >= 0 && whole.starts_with(['1', '2']) => {
                    text = *start;
                    LAST.set((second, text));
                }
                _ => return string(&whole, out),
            }
        }
        out.push(b'"');
        out.extend_from_slice(&text);
        if nanos > 0 {
            let mut digits = [b'0'; 10];
            let mut rest = nanos.unsigned_abs();
            for digit in digits[1..].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            digits[0] = b'.';
            let zeros = digits
                .iter()
                .rev()
                .take_while(|digit| **digit == b'0')
                .count();
            out.extend_from_slice(&digits[..digits.len() - zeros]);
        }
        out.extend_from_slice(b"Z\"");
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(time: Timestamp) -> String {
        let mut out = Vec::new();
        time.plain(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn a_time_is_written_as_it_is_displayed(
            second in prop_oneof![-377_705_023_201_i64..253_402_207_200, 1_700_000_000_i64..1_700_000_003],
            nanos in prop_oneof![Just(0), Just(120_000_000), 0..1_000_000_000],
        ) {
            let time = Timestamp::new(second, nanos).unwrap();
            for _ in 0..2 {
                prop_assert_eq!(written(time), format!("\"{time}\""));
            }
        }
    }
}
