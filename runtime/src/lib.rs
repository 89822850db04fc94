//! Neural networks compiled ahead of time: a plain struct and a forward function become static code, with the backward
//! pass, the memory plan and the training step worked out by the compiler.
//!
//! A program imports [`prelude`]. This crate holds what such a program runs on: [`Tensor`], the layers, the optimizers,
//! data sets, checkpoints, and the machinery that emitted code calls.

mod device;
pub mod error;
mod seed;
mod shape;
pub mod tensor;
pub mod threads;

// What a network is: layers, their parameters, and where these live.
mod display;
mod gradients;
mod home;
mod layers;
mod model;
mod structure;

// What a training needs.
mod checkpoint;
pub mod data;
pub mod optim;
mod weights;

// What emitted code runs on.
mod floats;
mod plan;
mod pool;
mod run;
mod workspace;

// So that the tests' emitted code names this crate as a user's does.
#[cfg(test)]
extern crate self as graven;
#[cfg(test)]
#[allow(unreachable_pub, reason = "an integration test uses the file as well")]
mod testing;

pub use crate::checkpoint::Checkpoint;
pub use crate::device::Device;
pub use crate::error::{Error, Result};
pub use crate::gradients::Gradients;
pub use crate::home::Parameter;
pub use crate::layers::{Conv2d, Dropout, Linear};
pub use crate::model::{Model, Module, StateDict};
pub use crate::optim::{Adam, AdamW, Optimizer, Sgd};
pub use crate::seed::Seed;
pub use crate::tensor::{Dtype, Element, Shape, Tensor};

pub use graven_macros::Module;

/// Says what a struct with `#[derive(Module)]` does, and compiles it.
#[macro_export]
macro_rules! network {
    ($($block:tt)*) => { $crate::__private::macros::network! { ($crate) $($block)* } };
}

/// Everything that a program with a network needs.
pub mod prelude {
    pub use crate::data::*;
    pub use crate::network;
    pub use crate::{
        Adam, AdamW, Checkpoint, Conv2d, Device, Dropout, Dtype, Error, Gradients, Linear, Model, Module, Optimizer,
        Parameter, Result, Seed, Sgd, Tensor,
    };
}

/// What emitted code names. No part of the public interface: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use graven_kernels as kernels;
    pub use graven_macros as macros;

    pub use crate::tensor::Dtype;

    pub use crate::display::display;
    pub use crate::plan::*;
    pub use crate::run::{MAX_CHUNKS, Tile, Whole, disjoint, gradients, run, run_grad, run_step};
    pub use crate::structure::{Bound, BoundMut, Builder, Structure, Visitor, VisitorMut, bind, bind_mut};
    pub use crate::workspace::{Argument, Slot, Workspaces};
}
