//! One kernel for two steps or more, where an operation offers one. If somebody else reads what the first of them makes, that runs all
//! the same.

use graven_kernels::op::First;

use super::{Before, Destination, Loop, Memory, Source, Step};
use crate::graph::Graph;

/// Combines steps of a loop.
pub(super) fn combine(graph: &Graph, own: &mut Loop) {
    let mut uses = Uses::of(own);
    let mut is_taken = vec![false; own.steps.len()];
    for position in 0..own.steps.len() {
        if let Some((before, step)) = pair(graph, own, &uses, position) {
            is_taken[before] = uses.passed_by(&own.steps[before]);
            own.steps[position] = step;
        }
    }
    if is_taken.contains(&true) {
        let mut is_taken = is_taken.into_iter();
        own.steps.retain(|_| is_taken.next() == Some(false));
        own.drop_unused();
    }
}

/// For each buffer, the step that computes it, and how often it is read.
struct Uses {
    made_by: Vec<Option<usize>>,
    reads: Vec<usize>,
}

impl Uses {
    fn of(own: &Loop) -> Uses {
        let mut uses = Uses { made_by: vec![None; own.buffers.len()], reads: vec![0; own.buffers.len()] };
        for (position, step) in own.steps.iter().enumerate() {
            match step {
                Step::Load { .. } => {}
                Step::Convert { from, .. } | Step::Store { from, .. } => uses.reads[*from] += 1,
                Step::Run { inputs, output, .. } => {
                    for input in inputs {
                        if let Source::Buffer(index) = input {
                            uses.reads[*index] += 1;
                        }
                    }
                    if let Destination::Buffer(index) = output {
                        uses.made_by[*index] = Some(position);
                    }
                }
            }
        }
        uses
    }

    /// Notes that a reader of what `step` makes reads its inputs instead; whether nobody is left who reads that.
    fn passed_by(&mut self, step: &Step) -> bool {
        let Step::Run { inputs, output: Destination::Buffer(output), .. } = step else { return false };
        self.reads[*output] -= 1;
        let is_taken = self.reads[*output] == 0;
        if !is_taken {
            for input in inputs {
                if let Source::Buffer(index) = input {
                    self.reads[*index] += 1;
                }
            }
        }
        is_taken
    }
}

/// The step that takes another one in, and the position of that.
fn pair(graph: &Graph, own: &mut Loop, uses: &Uses, position: usize) -> Option<(usize, Step)> {
    let Step::Run { value, layout, inputs, output, saved, .. } = &own.steps[position] else { return None };
    let (value, layout, output, saved) = (*value, *layout, *output, *saved);
    let types = graph.types_of_inputs(value);
    let found = inputs.iter().enumerate().find_map(|(operand, source)| {
        let Source::Buffer(buffer) = *source else { return None };
        let at = uses.made_by[buffer]?;
        let Step::Run { value: first, layout: own_layout, inputs: reads, saved: own_saved, before, kernel, .. } =
            &own.steps[at]
        else {
            return None;
        };
        let reads_saved = reads.contains(&Source::Unread);
        let is_alone = uses.reads[buffer] == 1;
        // There is one place for what is saved, and one step that writes it.
        let saves_once = own_saved.is_none() || (saved.is_none() && is_alone);
        let op = graph.op(*first).filter(|_| *own_layout == layout && saves_once)?;
        let of = First { op: op.as_ref(), kernel, position: operand, inputs: &types, layout, reads_saved, is_alone };
        let kernel = graph.op(value)?.kernel_behind(&of, saved.is_some())?;
        let others = inputs.iter().enumerate().filter(|(other, _)| *other != operand).map(|(_, source)| *source);
        let inputs: Vec<Source> = reads.iter().copied().chain(others).collect();
        let before = before.iter().copied().chain([Before { value: *first, position: operand }]).collect();
        Some((at, before, inputs, kernel, saved.or(*own_saved)))
    });
    let (at, before, inputs, kernel, saved) = found?;
    let mut memory =
        |memory: Memory, floats: Option<usize>| Some(own.memory(value, layout, memory, floats.filter(|n| *n > 0)?));
    let (scratch, kept) = (memory(Memory::Scratch, kernel.scratch), memory(Memory::Kept, kernel.kept));
    let kernel = Box::new(kernel);
    Some((at, Step::Run { value, layout, inputs, output, scratch, kept, saved, before, kernel }))
}

impl Loop {
    /// Drops the buffers that no step touches any more.
    fn drop_unused(&mut self) {
        let mut is_used = vec![false; self.buffers.len()];
        self.steps.iter_mut().for_each(|step| step.each_buffer(|index| is_used[*index] = true));
        let mut next = 0..;
        let new: Vec<Option<usize>> = is_used.iter().map(|used| if *used { next.next() } else { None }).collect();
        let mut is_used = is_used.into_iter();
        self.buffers.retain(|_| is_used.next() == Some(true));
        self.steps.iter_mut().for_each(|step| step.each_buffer(|index| *index = new[*index].unwrap_or(*index)));
        for own in &mut self.buffers_of {
            *own = own.iter().filter_map(|index| new[*index]).collect();
        }
    }
}

impl Step {
    /// Calls `f` with every buffer that the step names.
    fn each_buffer(&mut self, mut f: impl FnMut(&mut usize)) {
        match self {
            Step::Load { to, .. } => f(to),
            Step::Store { from, .. } => f(from),
            Step::Convert { from, to } => {
                f(from);
                f(to);
            }
            Step::Run { inputs, output, scratch, kept, saved, .. } => {
                inputs.iter_mut().for_each(|input| {
                    if let Source::Buffer(index) = input {
                        f(index);
                    }
                });
                if let Destination::Buffer(index) = output {
                    f(index);
                }
                scratch.iter_mut().chain(kept).chain(saved).for_each(f);
            }
        }
    }
}
