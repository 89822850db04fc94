//! A step of an optimizer on a device: one kernel over the parameters, gradients and state, which all have one layout.

use std::ops::Range;

use cudarc::driver::sys::CUdeviceptr;

use super::driver::{Function, Gpu, Grid, Queue};
use crate::error::Result;
use crate::gradients::Gradients;
use crate::home::Home;
use crate::optim::{NUMBERS, Rule};
use crate::plan::CudaKernel;
use crate::structure::Bound;

/// The threads of a block. Each updates one parameter; the kernels are bound by memory, so more would not help.
const THREADS: u32 = 256;

/// One step of one optimizer.
pub(super) struct Update {
    pub(super) kernel: &'static CudaKernel,
    /// The settings and what follows from them and from the number of the step.
    pub(super) numbers: [f32; NUMBERS],
    /// What the optimizer keeps; 0 where it keeps nothing.
    pub(super) state: [CUdeviceptr; 2],
}

impl Update {
    /// Makes a step: `call` submits it. If that fails, the step does not count.
    pub(super) fn with(
        gpu: &'static Gpu,
        rule: &mut dyn Rule,
        length: usize,
        call: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<()> {
        let n_buffers = rule.buffers().len();
        let mut state = [0; 2];
        for (pointer, buffer) in state.iter_mut().zip(rule.memory_mut().buffers.iter_mut().take(n_buffers)) {
            *pointer = buffer.on_mut(gpu, length)?.pointer_mut()?;
        }
        rule.memory_mut().steps += 1;
        let mut numbers = [0.0; NUMBERS];
        rule.numbers(&mut numbers);
        let done = call(&Self { kernel: rule.cuda_kernel(), numbers, state });
        if done.is_err() {
            rule.memory_mut().steps -= 1;
        }
        done
    }

    /// Submits the launches, one for each range of parameters.
    ///
    /// # Safety
    ///
    /// The pointers are those of this layout, with the settings in place, and the ranges lie within it.
    pub(super) unsafe fn launch(
        &self,
        gpu: &'static Gpu,
        queue: &Queue,
        function: Function,
        parameters: CUdeviceptr,
        gradients: CUdeviceptr,
        settings: CUdeviceptr,
        ranges: &[Range<usize>],
    ) -> Result<()> {
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            let at = |pointer: CUdeviceptr| pointer + (range.start * size_of::<f32>()) as CUdeviceptr;
            let state = self.state.map(|pointer| if pointer == 0 { 0 } else { at(pointer) });
            let mut arguments = [at(parameters), at(gradients), state[0], state[1], settings, range.len() as u64];
            let blocks = range.len().div_ceil(THREADS as usize) as u32;
            let grid = Grid { blocks: (blocks, 1), threads: THREADS };
            // SAFETY: passed on from the caller; the kernel takes these six.
            unsafe { function.launch(queue, grid, &mut arguments) }
                .map_err(gpu.failed(format_args!("launch {}", self.kernel.name)))?;
        }
        Ok(())
    }
}

/// One step along gradients that were computed earlier. The rule was [prepared](Rule::prepare).
///
/// Errors: the device has no room left; its driver fails.
pub(crate) fn apply(gpu: &'static Gpu, rule: &mut dyn Rule, bound: &Bound<'_>, gradients: &Gradients) -> Result<()> {
    let Some(arena) = bound.home.and_then(Home::on_device) else { return Ok(()) };
    let gradients_there = gradients.on(gpu)?;
    Update::with(gpu, rule, bound.length, |update| {
        let function = gpu.load_one("Optimizer::step", update.kernel)?;
        let settings = gpu.allocate(size_of_val(&update.numbers), || "the settings of an optimizer".into())?;
        // SAFETY: the block is that large, and new.
        unsafe { gpu.write(&update.numbers, settings.pointer()) }?;
        bound.send_parameters()?;
        arena.device_writes(&bound.range());
        let (parameters, from) = (arena.pointer(bound.base), gradients_there.pointer());
        let queue = gpu.queue()?;
        // SAFETY: parameters, gradients and state have the layout of the module, to which the ranges belong.
        unsafe { update.launch(gpu, &queue, function, parameters, from, settings.pointer(), gradients.trained) }?;
        drop(queue);
        gpu.recycle(settings);
        Ok(())
    })
}
