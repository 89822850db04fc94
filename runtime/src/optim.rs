//! Optimizers: how parameters move along their gradients.

mod adam;
mod sgd;
#[cfg(test)]
mod tests;

use std::ops::Range;

use graven_kernels::cpu::Isa;

pub use self::adam::{Adam, AdamW};
pub use self::sgd::Sgd;
use crate::cuda;
use crate::error::{Error, Result};
use crate::floats::Shared;
use crate::gradients::Gradients;
use crate::model::Model;
use crate::plan::CudaKernel;
use crate::pool;
use crate::structure::{Identity, bind_mut_for};
use crate::threads;
use crate::values::Values;

/// An optimizer: [`Sgd`], [`Adam`] or [`AdamW`].
///
/// An optimizer belongs to the network that it first steps, since its state (momentum and the like) is that of this
/// network's parameters. The first step allocates this state; no later one allocates.
pub trait Optimizer: Rule {
    /// The learning rate.
    fn lr(&self) -> f64;

    /// Sets the learning rate, e.g. for a schedule. A value out of range is an error of the next step.
    fn set_lr(&mut self, lr: f64);

    /// Moves the parameters of the network along these gradients. Parameters that are not trained stay, and so do those that
    /// the differentiated function does not use.
    ///
    /// A network's own `loss_step` does the same in one call.
    ///
    /// Errors: the optimizer belongs to another network; the gradients do; a setting is out of range; the network's device
    /// fails.
    fn step<M: Model>(&mut self, model: &mut M, gradients: &Gradients) -> Result<()>
    where
        Self: Sized,
    {
        let mut bound = bind_mut_for(model, M::plan(), "Optimizer::step")?;
        gradients.check(&bound.shared(), "Optimizer::step")?;
        self.prepare(bound.shared().identity(), bound.shared().model)?;
        match bound.shared().home.and_then(|home| home.device.gpu()) {
            Some(gpu) => cuda::apply(gpu, self, &bound.shared(), gradients),
            None => apply(self, gradients.trained, bound.parameters_mut()?, gradients.values()?),
        }
    }
}

/// What an optimizer keeps from step to step.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// The module that it belongs to, from the first step on.
    pub(crate) identity: Option<Identity>,
    /// The number of steps taken.
    pub(crate) steps: u64,
    /// Each in the layout of the parameters, in the order of [`Rule::buffers`].
    pub(crate) buffers: Vec<Values>,
}

impl Memory {
    /// Makes room for the parameters of a module: zeros, unless there is something already.
    pub(crate) fn reserve(&mut self, n_buffers: usize, length: usize) {
        if self.buffers.len() < n_buffers {
            self.buffers.resize_with(n_buffers, || Values::zeros(length));
        }
    }
}

/// What makes one optimizer differ from another.
pub trait Rule: Send + Sync {
    /// Its name, for messages and checkpoints.
    fn name(&self) -> &'static str;

    /// Its settings by name; a switch is 0 or 1.
    fn settings(&self) -> Vec<(&'static str, f64)>;

    /// Sets one of the [`settings`](Self::settings).
    fn set(&mut self, setting: &str, value: f64);

    /// Checks the settings.
    fn check(&self) -> Result<()>;

    /// The names, as in PyTorch, of the tensors that it can keep for each parameter: at most two.
    fn all_buffers(&self) -> &'static [&'static str];

    /// Those that it keeps with its settings: all or none.
    fn buffers(&self) -> &'static [&'static str] {
        self.all_buffers()
    }

    /// What it keeps.
    fn memory(&self) -> &Memory;

    /// What it keeps.
    fn memory_mut(&mut self) -> &mut Memory;

    /// One step for some parameters and their part of the buffers; a buffer that the rule does not keep is empty.
    fn update(&self, isa: Isa, parameters: &mut [f32], gradients: &[f32], buffers: [&mut [f32]; 2]);

    /// The kernel that makes a step on a CUDA device. It takes parameters, gradients, two buffers, the
    /// [`numbers`](Self::numbers), and how many parameters there are.
    fn cuda_kernel(&self) -> &'static CudaKernel;

    /// What the kernel computes the step with that is being taken: the settings, and what follows from them and the number
    /// of the step.
    fn numbers(&self, numbers: &mut [f32; NUMBERS]);

    /// Checks that it can step this module, and allocates what it keeps if this is its first step.
    fn prepare(&mut self, identity: Identity, model: &'static str) -> Result<()> {
        self.check()?;
        if self.memory().identity.is_some_and(|bound| bound != identity) {
            return Err(Error::ForeignOptimizer { optimizer: self.name(), model });
        }
        let n_buffers = self.buffers().len();
        let memory = self.memory_mut();
        memory.identity = Some(identity);
        memory.reserve(n_buffers, identity.length);
        Ok(())
    }
}

/// How many numbers the kernel of a rule may take.
pub const NUMBERS: usize = 16;

/// Parameters that one task updates: several tasks for each thread also in a small network.
const BLOCK: usize = 4 * 1024;

/// Parameters that are updated at once. So few, because sums of their gradients and what the rule keeps are streams from memory that
/// should all go on at the same time: with four times as many, a step of Adam over 700,000 parameters takes a quarter longer.
pub(crate) const PIECE: usize = 512;

/// Where an update finds the gradients.
pub(crate) trait Source: Sync {
    /// Those of some parameters of the layout, at most [`PIECE`]; `room` is for what has to be added up.
    fn piece<'a>(&'a self, range: Range<usize>, room: &'a mut [f32; PIECE]) -> &'a [f32];
}

impl Source for [f32] {
    fn piece<'a>(&'a self, range: Range<usize>, _: &'a mut [f32; PIECE]) -> &'a [f32] {
        &self[range]
    }
}

/// One step over these ranges of a layout, which ascend, on the CPU. The rule was [prepared](Rule::prepare).
///
/// Errors: what the rule keeps is on a device, whose driver fails.
pub(crate) fn apply(
    rule: &mut dyn Rule,
    ranges: &[Range<usize>],
    parameters: &mut [f32],
    gradients: &(impl Source + ?Sized),
) -> Result<()> {
    rule.memory_mut().buffers.iter_mut().try_for_each(|buffer| buffer.host_mut().map(drop))?;
    let isa = Isa::detect();
    rule.memory_mut().steps += 1;
    let mut buffers = std::mem::take(&mut rule.memory_mut().buffers);
    {
        let rule = &*rule;
        let parameters = Shared::new(parameters);
        let mut kept = buffers.iter_mut().filter_map(|buffer| buffer.host_mut().ok()).map(Shared::new);
        let kept = [kept.next(), kept.next()];
        let end = ranges.last().map_or(0, |range| range.end);
        pool::run(threads::get(), end.div_ceil(BLOCK), &|_, block| {
            let block = block * BLOCK..(block + 1) * BLOCK;
            let first = ranges.partition_point(|range| range.end <= block.start);
            let mut room = [0.0; PIECE];
            for range in ranges[first..].iter().take_while(|range| range.start < block.end) {
                let own = range.start.max(block.start)..range.end.min(block.end);
                for start in own.clone().step_by(PIECE) {
                    let part = start..own.end.min(start + PIECE);
                    // SAFETY: the piece lies in the block, which this task alone works on; its pieces come one after the other.
                    let buffers =
                        kept.map(|kept| kept.map_or(&mut [][..], |kept| unsafe { kept.part_mut(part.clone()) }));
                    // SAFETY: as above.
                    let parameters = unsafe { parameters.part_mut(part.clone()) };
                    rule.update(isa, parameters, gradients.piece(part, &mut room), buffers);
                }
            }
        });
    }
    rule.memory_mut().buffers = buffers;
    Ok(())
}

/// An error unless the setting satisfies its condition.
fn require(holds: bool, owner: &'static str, setting: &'static str, given: f64, expected: &'static str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Setting { owner, setting, given: format!("{given:?}"), expected }) }
}

/// Whether a number is in 0..∞.
fn is_size(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}
