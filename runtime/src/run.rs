//! Runs what the compiler planned: see [`plan`](crate::plan).

mod arguments;
mod loops;
#[cfg(test)]
mod tests;
mod tile;

use graven_kernels::cpu::{Context, Isa};

pub use self::loops::MAX_CHUNKS;
use self::loops::{Call, Sums};
pub use self::tile::{Tile, Whole, disjoint, sample};
use crate::cuda::{self, Task};
use crate::error::Result;
use crate::floats::{LINE, Shared};
use crate::gradients::Gradients;
use crate::optim::{Rule, apply};
use crate::plan::{LoopPlan, ModulePlan, Plan, Stage};
use crate::profile;
use crate::structure::{Bound, BoundMut, Structure, bind_for};
use crate::tensor::Dtype;
use crate::threads;
use crate::workspace::{Argument, Part, Slot, Workspace};

/// Runs a function in eval mode.
///
/// Errors: an argument has another shape than declared, holds a label that is not one of the classes, or lies on another
/// device; the device fails.
pub fn run(plan: &'static Plan, bound: Bound<'_>, inputs: &[Argument<'_>], outputs: &mut [Slot<'_>]) -> Result<()> {
    let mut workspace = bound.workspaces.take();
    arguments::bind_symbols(plan, inputs, &mut workspace.symbols)?;
    if let Some(gpu) = arguments::choose_device(plan, &bound, inputs)? {
        return cuda::evaluate(gpu, &Task { plan, bound, symbols: &workspace.symbols, inputs }, outputs);
    }
    execute(plan, &bound, 0, inputs, outputs, &mut workspace, None, None)
}

/// Runs a function in train mode, with gradients.
///
/// Errors: as for [`run`]; the gradients were made for another module.
pub fn run_grad(
    plan: &'static Plan,
    bound: Bound<'_>,
    inputs: &[Argument<'_>],
    outputs: &mut [Slot<'_>],
    gradients: &mut Gradients,
) -> Result<()> {
    gradients.check(&bound, plan.function)?;
    let mut workspace = bound.workspaces.take();
    arguments::bind_symbols(plan, inputs, &mut workspace.symbols)?;
    let gpu = arguments::choose_device(plan, &bound, inputs)?;
    gradients.trained = plan.trained;
    if let Some(gpu) = gpu {
        let task = Task { plan, bound, symbols: &workspace.symbols, inputs };
        return cuda::differentiate(gpu, &task, outputs, gradients.anywhere_mut());
    }
    execute(plan, &bound, next_seed(&bound), inputs, outputs, &mut workspace, Some(gradients.values_mut()?), None)
}

/// Runs a function in train mode, and moves the parameters by their gradients.
///
/// Errors: as for [`run`]; the optimizer belongs to another module, or one of its settings is out of range.
pub fn run_step(
    plan: &'static Plan,
    mut bound: BoundMut<'_>,
    inputs: &[Argument<'_>],
    outputs: &mut [Slot<'_>],
    optimizer: &mut dyn Rule,
) -> Result<()> {
    let mut workspace = bound.workspaces().take();
    arguments::bind_symbols(plan, inputs, &mut workspace.symbols)?;
    let shared = bound.shared();
    let gpu = arguments::choose_device(plan, &shared, inputs)?;
    optimizer.prepare(shared.identity(), shared.model)?;
    if let Some(gpu) = gpu {
        let task = Task { plan, bound: shared, symbols: &workspace.symbols, inputs };
        return cuda::step(gpu, &task, outputs, optimizer);
    }
    // No later loop uses the accumulators of the last one. So its gradients need not be stored: the optimizer adds them up.
    let last = plan.stages.iter().flat_map(|stage| stage.loops).last();
    // Moved out for the call, so that the rest of the workspace can be borrowed beside it.
    let mut gradients = std::mem::take(&mut workspace.gradients);
    let mut others = None;
    if !last.is_some_and(|last| Sums::are_all(last, plan.trained)) {
        gradients.grow(plan.parameters);
        others = Some(&mut gradients[..plan.parameters]);
    }
    execute(plan, &shared, next_seed(&shared), inputs, outputs, &mut workspace, others.as_deref_mut(), last)?;
    let others = others.as_deref().unwrap_or_default();
    let parameters = bound.parameters_mut()?;
    profile::measure("optimizer", || match last {
        Some(last) => apply(optimizer, plan.trained, parameters, &Sums::of(last, &workspace, others)),
        None => apply(optimizer, plan.trained, parameters, others),
    })?;
    workspace.gradients = gradients;
    Ok(())
}

/// Zeros in the layout of a module's parameters, for [`run_grad`].
///
/// Errors: the module holds a parameter that it was not made with.
pub fn gradients(module: &impl Structure, module_plan: &'static ModulePlan, plan: &Plan) -> Result<Gradients> {
    Ok(Gradients::zeros(&bind_for(module, module_plan, plan.function)?, module_plan))
}

fn next_seed(bound: &Bound<'_>) -> u64 {
    bound.home.map_or(0, |home| home.next_seed())
}

/// Runs all stages on the CPU. The arguments are checked and the symbols are bound. The gradients of the loop `open` stay in its
/// accumulators.
fn execute(
    plan: &'static Plan,
    bound: &Bound<'_>,
    seed: u64,
    inputs: &[Argument<'_>],
    outputs: &mut [Slot<'_>],
    workspace: &mut Workspace,
    mut gradients: Option<&mut [f32]>,
    open: Option<&LoopPlan>,
) -> Result<()> {
    assert_eq!(bound.length, plan.parameters, "compiler bug: `{}` has another module's layout", plan.function);
    arguments::resize_outputs(plan, &workspace.symbols, outputs);
    if let Some(gradients) = &mut gradients {
        // Of the parameters that the function trains, each gets its gradient once.
        let mut end = 0;
        for trained in plan.trained {
            gradients[end..trained.start].fill(0.0);
            end = trained.end;
        }
        gradients[end..].fill(0.0);
    }
    place_values(plan, workspace);

    let mut lists = std::mem::take(&mut workspace.call);
    for input in inputs {
        lists.inputs.push(if let Argument::F32(tensor) = input { tensor.as_slice() } else { &[] });
        lists.int_inputs.push(if let Argument::I64(tensor) = input { tensor.as_slice() } else { &[] });
    }
    lists.outputs.extend(outputs.iter_mut().map(|slot| match slot {
        Slot::F32(tensor) => Part::F32(Shared::new(tensor.as_mut_slice())),
        Slot::I64(tensor) => Part::I64(Shared::new(tensor.as_mut_slice())),
    }));
    let call = Call {
        values: plan.values,
        isa: Isa::detect(),
        threads: threads::get(),
        seed,
        parameters: bound.parameters()?,
        inputs: &lists.inputs,
        int_inputs: &lists.int_inputs,
        outputs: &lists.outputs,
    };
    for stage in plan.stages {
        run_whole(stage, &call, workspace);
        for plan in stage.loops {
            let is_open = open.is_some_and(|open| std::ptr::eq(open, plan));
            loops::run(plan, &call, workspace, gradients.as_deref_mut(), is_open);
        }
    }
    for &(value, offset) in plan.gradients {
        write(gradients.as_deref_mut(), offset, &workspace.floats[workspace.slots[value].clone()]);
    }
    copy_outputs(plan, &lists.outputs, workspace);
    workspace.call = lists.recycle();
    Ok(())
}

/// Gives each value of the plan its place, one after the other, each at the start of a line of the cache.
fn place_values(plan: &Plan, workspace: &mut Workspace) {
    workspace.slots.clear();
    let (mut floats, mut ints) = (0, 0);
    for value in plan.values {
        let end = match value.dtype {
            Dtype::F32 => &mut floats,
            Dtype::I64 => &mut ints,
        };
        let len = value.size.value(&workspace.symbols);
        workspace.slots.push(*end..*end + len);
        *end += len.next_multiple_of(LINE);
    }
    workspace.floats.grow(floats);
    if workspace.ints.len() < ints {
        workspace.ints.resize(ints, 0);
    }
    if cfg!(debug_assertions) {
        // So that code that reads what nobody wrote is noticed.
        workspace.floats.fill(f32::NAN);
        workspace.ints.fill(i64::MIN);
    }
}

fn run_whole(stage: &Stage, call: &Call<'_>, workspace: &mut Workspace) {
    let mut whole = Whole {
        cx: Context::whole(call.isa, call.seed),
        floats: &mut workspace.floats,
        ints: &mut workspace.ints,
        slots: &workspace.slots,
        parameters: call.parameters,
        inputs: call.inputs,
        int_inputs: call.int_inputs,
        symbols: &workspace.symbols,
    };
    stage.whole.iter().for_each(|operation| operation(&mut whole));
    profile::end();
}

/// Writes the gradient of a parameter.
fn write(gradients: Option<&mut [f32]>, offset: usize, values: &[f32]) {
    let gradients = gradients.expect("compiler bug: a function without gradients computes some");
    gradients[offset..offset + values.len()].copy_from_slice(values);
}

/// Copies the results that no loop has written.
fn copy_outputs(plan: &Plan, parts: &[Part<'_>], workspace: &Workspace) {
    for (output, part) in plan.outputs.iter().zip(parts) {
        let Some(value) = output.copied_from else { continue };
        let slot = workspace.slots[value].clone();
        match part {
            // SAFETY: all loops have ended, so nobody else uses a part of the result.
            Part::F32(part) => unsafe { part.part_mut(0..part.len()) }.copy_from_slice(&workspace.floats[slot]),
            // SAFETY: as above.
            Part::I64(part) => unsafe { part.part_mut(0..part.len()) }.copy_from_slice(&workspace.ints[slot]),
        }
    }
}
