//! What stands in for CUDA without the feature `cuda`: a device that cannot exist, so that nothing here can be called but
//! [`Gpu::find`], which says so.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::ops::Range;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::gradients::Gradients;
use crate::optim::Rule;
use crate::plan::{ModulePlan, Plan};
use crate::structure::Bound;
use crate::values::Values;
use crate::workspace::{Argument, Slot};

fn absent(device: String) -> Error {
    let help = "switch the feature on in Cargo.toml: `graven = { version = \"..\", features = [\"cuda\"] }`";
    Error::NoDevice { device, what: "this program was built without CUDA".into(), help: help.into() }
}

/// No GPU.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Gpu(Infallible);

impl Gpu {
    pub(crate) fn find(number: usize) -> Result<&'static Self> {
        Err(absent(format!("cuda:{number}")))
    }

    pub(crate) fn is_there() -> bool {
        false
    }

    pub(crate) fn synchronize(&'static self) -> Result<()> {
        match self.0 {}
    }

    pub(crate) fn number(&self) -> usize {
        match self.0 {}
    }

    pub(crate) fn device(&'static self) -> Device {
        Device::of(self)
    }
}

/// No numbers on a device.
#[derive(Debug, Clone)]
pub(crate) struct Remote<T>(Infallible, PhantomData<T>);

impl<T> Remote<T> {
    pub(crate) fn upload(gpu: &'static Gpu, _: &[T]) -> Result<Self> {
        match gpu.0 {}
    }

    pub(crate) fn gpu(&self) -> &'static Gpu {
        match self.0 {}
    }

    pub(crate) fn len(&self) -> usize {
        match self.0 {}
    }

    pub(crate) fn read(&self) -> Result<&[T]> {
        match self.0 {}
    }

    pub(crate) fn to_vec(&self) -> Result<Vec<T>> {
        match self.0 {}
    }

    pub(crate) fn first(&self) -> Result<T> {
        match self.0 {}
    }

    pub(crate) fn part(&self, _: Range<usize>) -> Self {
        match self.0 {}
    }
}

/// No parameters on a device.
pub(crate) struct Arena(Infallible);

impl Arena {
    pub(crate) fn new(gpu: &'static Gpu, _: &'static ModulePlan) -> Result<Self> {
        match gpu.0 {}
    }

    pub(crate) unsafe fn fetch(&self, _: &Range<usize>, _: *mut f32) -> Result<()> {
        match self.0 {}
    }

    pub(crate) unsafe fn send(&self, _: &Range<usize>, _: *const f32) -> Result<()> {
        match self.0 {}
    }

    pub(crate) fn host_writes(&self, _: &Range<usize>) {
        match self.0 {}
    }
}

/// What nothing works in.
pub(crate) struct Engines;

impl Engines {
    pub(crate) const fn new() -> Self {
        Self
    }

    pub(crate) fn bytes(&self) -> usize {
        0
    }
}

/// A call that cannot happen.
pub(crate) struct Task<'a> {
    pub(crate) plan: &'static Plan,
    pub(crate) bound: Bound<'a>,
    pub(crate) symbols: &'a [usize],
    pub(crate) inputs: &'a [Argument<'a>],
}

/// See `program.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compiled {
    /// How many kernels there are.
    pub kernels: usize,
    /// How many of them were not in the cache.
    pub compiled: usize,
    /// How long it took.
    pub time: std::time::Duration,
}

/// See `program.rs`.
///
/// Errors: this is the program without CUDA.
pub(crate) fn compile_kernels(_: &[&'static Plan], architecture: &str) -> Result<Compiled> {
    Err(absent(architecture.into()))
}

pub(crate) fn evaluate(gpu: &'static Gpu, _: &Task<'_>, _: &mut [Slot<'_>]) -> Result<()> {
    match gpu.0 {}
}

pub(crate) fn differentiate(gpu: &'static Gpu, _: &Task<'_>, _: &mut [Slot<'_>], _: &mut Values) -> Result<()> {
    match gpu.0 {}
}

pub(crate) fn step(gpu: &'static Gpu, _: &Task<'_>, _: &mut [Slot<'_>], _: &mut dyn Rule) -> Result<()> {
    match gpu.0 {}
}

pub(crate) fn apply(gpu: &'static Gpu, _: &mut dyn Rule, _: &Bound<'_>, _: &Gradients) -> Result<()> {
    match gpu.0 {}
}
