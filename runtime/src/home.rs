//! Where the parameters of a network live, and the handles that reach them.
//!
//! A [`Home`] owns one arena for all parameters of a network. A [`Parameter`] is a handle to its place in there. There is
//! exactly one handle per parameter: it cannot be cloned, and only [`Builder`](crate::structure::Builder) makes them. So
//! who borrows a handle borrows its floats, and that is all the borrow checker needs to know about the arena.

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use graven_kernels::rng;

use crate::cuda::Arena;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::floats::{LINE, Line};
use crate::plan::{ModulePlan, ParameterPlan};
use crate::seed::Seed;
use crate::tensor::{Shape, Tensor};
use crate::workspace::Workspaces;

/// The stream of random numbers that the seed of the dropout masks comes from; parameters use 0, 1, 2, ...
const DROPOUT_STREAM: u64 = u64::MAX;

/// What the layers of one network share.
pub(crate) struct Home {
    /// Tells homes apart, also from those that are gone.
    pub(crate) id: u64,
    pub(crate) plan: &'static ModulePlan,
    pub(crate) device: Device,
    pub(crate) workspaces: Workspaces,
    /// The parameters, laid out as in the plan. Those of a network on a device are there; this is a copy of what is asked
    /// for, see [`Arena`].
    arena: Box<[UnsafeCell<Line>]>,
    on_device: Option<Arena>,
    /// The seed of the dropout masks, and how many training steps have drawn from it.
    seed: AtomicU64,
    steps: AtomicU64,
}

// SAFETY: everything but the arena is `Sync` by itself. The arena is reached through `floats` and `floats_mut` only, whose
// callers hold a shared or an exclusive borrow of every handle into the range that they take.
unsafe impl Sync for Home {}

impl Home {
    /// A home for these parameters, initialised from the seed.
    ///
    /// Errors: the device has no room for them.
    pub(crate) fn new(plan: &'static ModulePlan, seed: Seed, device: &Device) -> Result<Arc<Self>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        check(plan);
        let mut lines = vec![Line([0.0; LINE]); plan.length.div_ceil(LINE)];
        for (stream, parameter) in plan.parameters.iter().enumerate() {
            for index in 0..elements(parameter) {
                // Uniform in -bound..bound.
                let number = rng::uniform(seed.0, stream as u64, index as u64);
                let position = parameter.offset + index;
                lines[position / LINE].0[position % LINE] = parameter.bound * (2.0 * number - 1.0);
            }
        }
        let dropout = (rng::bits(seed.0, DROPOUT_STREAM, 0), 0);
        Self::with(NEXT.fetch_add(1, Ordering::Relaxed), plan, lines, dropout, device)
    }

    /// The same network on another device. It keeps its identity, so its optimizers go on with it: this home must be given up.
    ///
    /// Errors: the device has no room for the parameters; the driver of a device fails.
    pub(crate) fn moved(&self, parameters: &[f32], device: &Device) -> Result<Arc<Self>> {
        let mut lines = vec![Line([0.0; LINE]); parameters.len().div_ceil(LINE)];
        for (line, floats) in lines.iter_mut().zip(parameters.chunks(LINE)) {
            line.0[..floats.len()].copy_from_slice(floats);
        }
        Self::with(self.id, self.plan, lines, self.dropout_state(), device)
    }

    fn with(
        id: u64,
        plan: &'static ModulePlan,
        lines: Vec<Line>,
        (seed, steps): (u64, u64),
        device: &Device,
    ) -> Result<Arc<Self>> {
        let on_device = device.gpu().map(|gpu| Arena::new(gpu, plan)).transpose()?;
        Ok(Arc::new(Self {
            id,
            plan,
            device: device.clone(),
            workspaces: Workspaces::new(),
            arena: lines.into_iter().map(UnsafeCell::new).collect(),
            on_device,
            seed: AtomicU64::new(seed),
            steps: AtomicU64::new(steps),
        }))
    }

    /// Parameters, to be read.
    ///
    /// Errors: the driver of the device fails.
    ///
    /// # Safety
    ///
    /// The caller holds a borrow of every handle into the range for as long as the result lives.
    pub(crate) unsafe fn floats(&self, range: Range<usize>) -> Result<&[f32]> {
        if let Some(arena) = &self.on_device {
            // SAFETY: passed on from the caller; the layout of the plan fits into the arena.
            unsafe { arena.fetch(&range, self.start(&(0..0))) }?;
        }
        // SAFETY: `start` checks the range; the handles are borrowed, so nobody writes (see `floats_mut`).
        Ok(unsafe { std::slice::from_raw_parts(self.start(&range), range.len()) })
    }

    /// Parameters, to be written.
    ///
    /// Errors: the driver of the device fails.
    ///
    /// # Safety
    ///
    /// The caller holds an exclusive borrow of every handle into the range for as long as the result lives.
    #[expect(clippy::mut_from_ref, reason = "the handles are the borrow, not the home")]
    pub(crate) unsafe fn floats_mut(&self, range: Range<usize>) -> Result<&mut [f32]> {
        if let Some(arena) = &self.on_device {
            // SAFETY: as in `floats`.
            unsafe { arena.fetch(&range, self.start(&(0..0))) }?;
            arena.host_writes(&range);
        }
        // SAFETY: `start` checks the range; the handles are borrowed exclusively, so nobody else reads or writes.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.start(&range), range.len()) })
    }

    fn start(&self, range: &Range<usize>) -> *mut f32 {
        assert!(range.start <= range.end && range.end <= self.arena.len() * LINE, "{range:?}");
        // An `UnsafeCell<Line>` is laid out as `LINE` floats. The offset stays within the arena, as was just checked.
        self.arena.as_ptr().cast_mut().cast::<f32>().wrapping_add(range.start)
    }

    /// The parameters as a device sees them; `None` for a network on the CPU.
    pub(crate) fn on_device(&self) -> Option<&Arena> {
        self.on_device.as_ref()
    }

    /// Sends to the device what is newer in host memory.
    ///
    /// Errors: the driver of the device fails.
    ///
    /// # Safety
    ///
    /// The caller holds a borrow of every handle into the range.
    pub(crate) unsafe fn send(&self, range: &Range<usize>) -> Result<()> {
        // SAFETY: passed on from the caller; the layout of the plan fits into the arena.
        self.on_device.as_ref().map_or(Ok(()), |arena| unsafe { arena.send(range, self.start(&(0..0))) })
    }

    /// The seed of the dropout masks, and how many training steps have drawn from it.
    pub(crate) fn dropout_state(&self) -> (u64, u64) {
        (self.seed.load(Ordering::Relaxed), self.steps.load(Ordering::Relaxed))
    }

    pub(crate) fn set_dropout_state(&self, seed: u64, steps: u64) {
        self.seed.store(seed, Ordering::Relaxed);
        self.steps.store(steps, Ordering::Relaxed);
    }

    pub(crate) fn set_seed(&self, seed: Seed) {
        self.set_dropout_state(rng::bits(seed.0, DROPOUT_STREAM, 0), 0);
    }

    /// The seed of one training step; each call gives another one.
    pub(crate) fn next_seed(&self) -> u64 {
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        rng::bits(self.seed.load(Ordering::Relaxed), step, 0)
    }
}

/// Checks what the handles rest on: parameters lie one after the other, within the layout, each at the start of a line.
fn check(plan: &ModulePlan) {
    let mut end = 0;
    for parameter in plan.parameters {
        let fits = parameter.offset >= end && parameter.offset % LINE == 0;
        assert!(fits, "compiler bug: `{}` of `{}` has the offset {}", parameter.name, plan.name, parameter.offset);
        end = parameter.offset + elements(parameter);
    }
    assert!(end <= plan.length, "compiler bug: the parameters of `{}` end at {end} of {}", plan.name, plan.length);
}

pub(crate) fn elements(parameter: &ParameterPlan) -> usize {
    parameter.dims.iter().product()
}

/// A trained tensor of a network: a handle into the memory that all parameters of the network share.
///
/// A parameter belongs to its network: its values can be read and set, but it cannot be copied or moved to another network.
pub struct Parameter {
    pub(crate) home: Arc<Home>,
    /// Its place in the plan of the home.
    pub(crate) index: usize,
    pub(crate) plan: &'static ParameterPlan,
    shape: Shape,
}

impl Parameter {
    /// The handle of the parameter with this index. There must be only one.
    pub(crate) fn new(home: &Arc<Home>, index: usize) -> Self {
        let plan = &home.plan.parameters[index];
        Self { home: Arc::clone(home), index, plan, shape: Shape::known(plan.dims) }
    }

    /// Its key in the whole network, as in PyTorch's state dict: `conv1.weight`, `blocks.0.conv1.weight`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.plan.name
    }

    /// Its shape, in PyTorch's layout: `[out_channels, in_channels, height, width]`, `[out_features, in_features]`.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The number of its elements.
    #[must_use]
    pub fn len(&self) -> usize {
        elements(self.plan)
    }

    /// Whether it has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a training step changes it.
    #[must_use]
    pub fn is_trained(&self) -> bool {
        self.plan.trained
    }

    /// A copy of its values, row-major.
    ///
    /// Errors: the driver of the network's device fails.
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        Ok(self.values()?.to_vec())
    }

    /// A copy of its values, in host memory.
    ///
    /// Errors: the driver of the network's device fails.
    pub fn to_tensor(&self) -> Result<Tensor> {
        Tensor::new(self.values()?, self.shape)
    }

    /// Sets its values.
    ///
    /// Errors: the tensor has another shape; the driver of a device fails.
    pub fn set(&mut self, values: &Tensor) -> Result<()> {
        if *values.shape() != self.shape {
            return Err(Error::ShapeMismatch {
                function: "Parameter::set".into(),
                argument: self.plan.name.into(),
                given: values.shape().to_vec(),
                expected: self.shape.to_string(),
                note: String::new(),
            });
        }
        let (range, values) = (self.range(), values.values()?);
        // SAFETY: the range is this handle's own, and the handle is borrowed exclusively.
        unsafe { self.home.floats_mut(range) }?.copy_from_slice(values);
        Ok(())
    }

    pub(crate) fn values(&self) -> Result<&[f32]> {
        // SAFETY: the range is this handle's own, and the handle is borrowed for as long as the result.
        unsafe { self.home.floats(self.range()) }
    }

    pub(crate) fn range(&self) -> Range<usize> {
        self.plan.offset..self.plan.offset + self.len()
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parameter({} {})", self.name(), self.shape)
    }
}
