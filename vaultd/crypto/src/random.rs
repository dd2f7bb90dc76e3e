//! Where randomness comes from. It is an argument everywhere else.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};

/// A source of uniformly random bytes. It never fails: there is nothing that a
/// caller could do instead.
pub trait Random: Send + Sync {
    /// Overwrites `out` with random bytes.
    fn fill(&self, out: &mut [u8]);
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Random for System {
    /// Ends the process if the operating system has no randomness: a key made
    /// without it would be worse than no service.
    fn fill(&self, out: &mut [u8]) {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where real randomness comes from"
        )]
        let filled = getrandom::fill(out);
        if filled.is_err() {
            // Not eprintln!, which panics (and may be caught) if stderr is closed.
            let _ = std::io::stderr()
                .write_all(b"the operating system gives no randomness; stopping\n");
            std::process::abort();
        }
    }
}

/// Draws from another source some kilobytes at a time. For ids, which are no secrets: what was drawn
/// waits in memory, and a copy of the machine gives the same again.
pub struct Ahead {
    source: Arc<dyn Random>,
    drawn: Mutex<Drawn>,
}

struct Drawn {
    bytes: [u8; Self::SIZE],
    used: usize,
}

impl Drawn {
    const SIZE: usize = 4096;
}

impl Ahead {
    /// Draws nothing yet.
    pub fn of(source: Arc<dyn Random>) -> Self {
        let drawn = Drawn {
            bytes: [0; Drawn::SIZE],
            used: Drawn::SIZE,
        };
        Self {
            source,
            drawn: Mutex::new(drawn),
        }
    }
}

impl Random for Ahead {
    fn fill(&self, out: &mut [u8]) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let drawn = &mut *drawn;
        for part in out.chunks_mut(Drawn::SIZE) {
            if drawn.used + part.len() > Drawn::SIZE {
                self.source.fill(&mut drawn.bytes);
                drawn.used = 0;
            }
            let end = drawn.used + part.len();
            part.copy_from_slice(&drawn.bytes[drawn.used..end]);
            drawn.used = end;
        }
    }
}

/// A reproducible stream (ChaCha20 of a seed) for tests and simulation only.
/// Whoever knows the seed knows every key made from it.
pub struct Seeded(Mutex<ChaCha20>);

impl Seeded {
    /// The stream of this seed, from its start.
    pub fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self(Mutex::new(ChaCha20::new(&key.into(), &[0; 12].into())))
    }
}

impl Random for Seeded {
    fn fill(&self, out: &mut [u8]) {
        out.fill(0);
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stream.apply_keystream(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_another_differs() {
        let draw = |seed| {
            let random = Seeded::new(seed);
            let mut out = [0xFF; 24];
            random.fill(&mut out[..7]);
            random.fill(&mut out[7..]);
            out
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn what_is_drawn_ahead_is_given_once_and_in_full() {
        let ahead = Ahead::of(Arc::new(Seeded::new(1)));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..3 * Drawn::SIZE / 24 {
            let mut out = [0; 24];
            ahead.fill(&mut out);
            assert!(seen.insert(out));
        }
        let mut much = vec![0; 3 * Drawn::SIZE + 5];
        ahead.fill(&mut much);
        assert!(
            much.chunks(64)
                .all(|part| part.len() < 64 || part.iter().any(|byte| *byte != 0))
        );
    }

    #[test]
    fn the_system_overwrites_the_buffer() {
        let mut out = [0; 64];
        System.fill(&mut out);
        assert_ne!(out, [0; 64]);
    }
}
