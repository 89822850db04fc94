//! What graven promises beyond right numbers: the same bits for any number of threads, clear errors that change nothing,
//! files that are safe to load, modules that can be taken apart and put together.

#![allow(missing_docs, reason = "the networks of tests")]

#[path = "promises/networks.rs"]
mod networks;

#[path = "promises/bits.rs"]
mod bits;
#[path = "promises/dropout.rs"]
mod dropout;
#[path = "promises/exchange.rs"]
mod exchange;
#[path = "promises/files.rs"]
mod files;
#[path = "promises/inputs.rs"]
mod inputs;
#[path = "promises/memory.rs"]
mod memory;
#[path = "promises/modules.rs"]
mod modules;
#[path = "promises/reuse.rs"]
mod reuse;
#[path = "promises/wide.rs"]
mod wide;

use std::sync::{Mutex, PoisonError};

use graven::prelude::*;

/// Calls `f` with this number of threads, alone among the tests that care: the number belongs to the whole process.
fn with_threads<T>(n_threads: usize, f: impl FnOnce() -> T) -> T {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    graven::threads::set(n_threads);
    let result = f();
    graven::threads::set(0);
    result
}

/// All parameters, bit for bit.
fn bits(module: &impl Module) -> Vec<u32> {
    let values = module.parameters().into_iter().flat_map(|parameter| parameter.to_vec().unwrap());
    values.map(f32::to_bits).collect()
}

fn new<M: Model>(seed: u64) -> M {
    M::init(Seed(seed), &Device::cpu()).unwrap()
}
