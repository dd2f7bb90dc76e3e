//! Memory that held a secret is wiped when it is given back, whoever held it.
//!
//! Key types wipe themselves; this is for what no type can reach: buffers of the HTTP and TLS
//! libraries, a `Vec` that grew and left its old self behind, parsed JSON. Every freed block is
//! overwritten, so a memory dump taken after sealing holds none of them. Not covered: the stack, and
//! what C libraries allocate for themselves.

#![expect(
    unsafe_code,
    reason = "a global allocator cannot be written without; nothing else is here"
)]

use std::alloc::{GlobalAlloc, Layout};

use mimalloc::MiMalloc;

/// Mimalloc, which takes less of the processor than the system's allocator; but what is freed is overwritten.
pub struct Wiping;

// SAFETY: every call goes to `MiMalloc` with the layout that it was given; `dealloc` and `realloc`
// write only within the block that the caller owns, before it is released.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on as it came.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on as it came.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is the caller's, `layout.size()` bytes long, and released only after.
        unsafe {
            wipe(block, layout.size());
            MiMalloc.dealloc(block, layout);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // `MiMalloc.realloc` may move the block and leave the old bytes behind, so it is not used.
        // SAFETY: `new_size` is not zero and fits `isize` when rounded up, by the caller's contract;
        // both blocks are distinct and at least `min(old, new)` bytes long.
        unsafe {
            let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
                return std::ptr::null_mut();
            };
            let new = MiMalloc.alloc(new_layout);
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(block, new, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

/// Overwrites in a way that the compiler may not leave out.
unsafe fn wipe(block: *mut u8, size: usize) {
    // SAFETY: the caller owns `size` bytes at `block`.
    unsafe { std::ptr::write_bytes(block, 0, size) };
    // The block is about to be freed; without this the write would be a dead store.
    std::hint::black_box(block);
}

/// Keeps the process out of core dumps and other users' debuggers, and its memory out of swap where
/// the limits allow it. Returns what could not be done, for the log.
pub fn protect() -> Vec<&'static str> {
    let mut refused = Vec::new();
    let no_core = rustix::process::Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if rustix::process::setrlimit(rustix::process::Resource::Core, no_core).is_err() {
        refused.push("core dumps could not be turned off (RLIMIT_CORE)");
    }
    if rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .is_err()
    {
        refused.push("the process could not be made undumpable (PR_SET_DUMPABLE)");
    }
    let lock = rustix::mm::MlockAllFlags::CURRENT
        | rustix::mm::MlockAllFlags::FUTURE
        | rustix::mm::MlockAllFlags::ONFAULT;
    if rustix::mm::mlockall(lock).is_err() {
        refused.push("memory could not be locked (mlockall): raise LimitMEMLOCK, or keep swap off or encrypted");
    }
    refused
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn growing_keeps_what_was_there() {
        let layout = Layout::from_size_align(16, 8).unwrap();
        // SAFETY: the block is used within its size and freed with its layout.
        unsafe {
            let block = Wiping.alloc(layout);
            std::ptr::write_bytes(block, 7, 16);
            let grown = Wiping.realloc(block, layout, 64);
            assert!((0..16).all(|at| *grown.add(at) == 7));
            Wiping.dealloc(grown, Layout::from_size_align(64, 8).unwrap());
        }
    }
}
