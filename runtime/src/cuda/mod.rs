//! Networks on NVIDIA GPUs: runs a [`CudaPlan`](crate::plan::CudaPlan) with the driver and NVRTC of this machine, both loaded
//! when they are first asked for.
//!
//! - [`driver`]: the device, its streams and its memory, thin over cudarc
//! - [`compile`]: NVRTC, from text to the device's code
//! - [`cache`]: that code on disk, so that a program compiles once per machine
//! - [`program`]: all kernels of a function, compiled in parallel
//! - [`arena`]: the parameters of a network, on the device and in host memory
//! - [`remote`]: tensors on the device
//! - [`execute`]: one call of a function: copies, launches, replay
//! - [`optimizer`]: a step over the parameters
//!
//! Without the feature `cuda`, `absent.rs` stands in for all of it: the same names, and a device that cannot exist. So no other
//! module of this crate asks about the feature.
//!
//! # Order on the device
//!
//! A device has one stream on which everything runs in the order in which it was submitted, and a second one that only copies
//! arguments to where the next call will read them. Whoever submits holds the lock of the [`Queue`](driver::Queue). So memory
//! that is given back may be used again at once: what still reads it was submitted earlier.

mod arena;
mod cache;
mod compile;
mod driver;
mod execute;
mod optimizer;
mod program;
mod remote;

pub(crate) use self::arena::Arena;
pub(crate) use self::driver::Gpu;
pub(crate) use self::execute::{Engines, Task, differentiate, evaluate, step};
pub(crate) use self::optimizer::apply;
pub use self::program::Compiled;
pub(crate) use self::program::compile_kernels;
pub(crate) use self::remote::Remote;
