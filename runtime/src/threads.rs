//! How many threads a call may use.

use std::sync::atomic::{AtomicUsize, Ordering};

/// 0 until someone asks or sets it.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Sets the number of threads that each later call may use. 0 stands for the default, see [`get`].
///
/// The number changes how fast a network runs, never what it computes: the same bits come out.
///
/// ```
/// graven::threads::set(2);
/// assert_eq!(graven::threads::get(), 2);
/// ```
pub fn set(n: usize) {
    THREADS.store(if n == 0 { default() } else { n }, Ordering::Relaxed);
}

/// The number of threads that a call may use.
///
/// Unless [`set`], it is the environment variable `GRAVEN_NUM_THREADS`; without it, or where it is no positive number,
/// the number of threads that the machine can run at the same time.
#[must_use]
pub fn get() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => {
            let n = default();
            // Another thread may have set a number meanwhile, which then holds.
            THREADS.compare_exchange(0, n, Ordering::Relaxed, Ordering::Relaxed).err().unwrap_or(n)
        }
        n => n,
    }
}

fn default() -> usize {
    let named = std::env::var("GRAVEN_NUM_THREADS").ok().and_then(|text| text.trim().parse().ok()).filter(|&n| n > 0);
    named.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}
