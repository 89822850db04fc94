//! The compiler behind graven's macros: an ordinary library over `proc_macro2`, so that it can be tested, printed and fuzzed.
//!
//! The stages, in order: [`syntax`] parses; `check` resolves names, runs the shape rules and builds the [`graph`]; [`grad`]
//! differentiates; [`schedule`] fuses, cuts into stages and loops over samples, and chooses layouts; [`memory`] places the
//! buffers; `emit` writes Rust. Every stage has a text form, see `GRAVEN_DUMP` in ARCHITECTURE.md, and a verifier.

extern crate proc_macro;

mod expand;
mod helpers;

pub mod syntax;

mod check;

pub mod graph;

pub mod grad;

pub mod schedule;

pub mod memory;

mod emit;

pub mod diagnostics;
mod dump;
mod inspect;

/// The kernels of a function for a CUDA device.
pub mod cuda {
    pub use crate::emit::{Argument, Launched, Program};
    pub use crate::schedule::cuda::{Slot, Store, THREADS};

    /// Writes the kernels of a function.
    #[must_use]
    pub fn program(graph: &crate::graph::Graph) -> Program {
        crate::emit::program(&crate::schedule::schedule(graph))
    }
}

pub use dump::text_forms;
pub use expand::{derive_module, network, network_module, network_struct};
pub use inspect::{Inspected, expand, inspect, interpret, verify};
