//! The allocator, and when it gives memory back to the system.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A thread gives memory back at most this often.
const EVERY: Duration = Duration::from_secs(1);

thread_local! {
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Gives back what this thread has no more use for.
///
/// A thread keeps the pages that it allocated until it allocates again, also when other
/// threads have freed all that was in them. After a flood of connections the runtime's
/// threads have little to do, and would keep what the flood took: so they call this before
/// they sleep.
pub(crate) fn give_back() {
    LAST.with(|last| {
        let now = Instant::now();
        if last.get().is_some_and(|last| now - last < EVERY) {
            return;
        }
        last.set(Some(now));
        #[allow(
            unsafe_code,
            reason = "a function of the allocator that its crate does not offer"
        )]
        // SAFETY: may be called at any time; it changes what the calling thread owns.
        unsafe {
            libmimalloc_sys::mi_collect(false);
        }
    });
}
