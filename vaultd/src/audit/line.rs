//! The memory of records: each request needs some, and what one thread has used it uses again.

use std::cell::RefCell;
use std::ops::Deref;

/// A record takes less, nearly always.
const ROOM: usize = 4 << 10;
/// Of a thread; larger ones are given back.
const SPARE_MAX: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An encoded record, or a part of one. Holds no secret.
pub struct Line(Vec<u8>);

impl Line {
    pub(super) fn new(bytes: Vec<u8>) -> Line {
        Line(bytes)
    }

    /// Memory to write one into.
    pub(super) fn room() -> Vec<u8> {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        spare.unwrap_or_else(|| Vec::with_capacity(ROOM))
    }
}

impl Deref for Line {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0);
        bytes.clear();
        // While a thread ends there is nothing to keep it for.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if bytes.capacity() == ROOM && spare.len() < SPARE_MAX {
                spare.push(bytes);
            }
        });
    }
}
