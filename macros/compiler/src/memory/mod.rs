//! Memory: lifetimes of the buffers of a tile, and offsets in one arena such that no two that live at once overlap.

use graven_kernels::dim::Dtype;

use crate::graph::Graph;
use crate::schedule::{Destination, Loop, Source, Step};

/// Offsets are multiples of this many elements: one AVX-512 register.
const ALIGNMENT: usize = 16;

/// Where the buffers of a loop stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arena {
    /// For each buffer, its first element in the arena of its element type.
    pub offsets: Vec<usize>,
    /// Elements of the float arena.
    pub floats: usize,
    /// Elements of the integer arena.
    pub ints: usize,
}

/// The first and the last step that touch each buffer.
fn lifetimes(own: &Loop) -> Vec<(usize, usize)> {
    let mut lifetimes = vec![(usize::MAX, 0); own.buffers.len()];
    let mut touch = |buffer: usize, step: usize| {
        lifetimes[buffer].0 = lifetimes[buffer].0.min(step);
        lifetimes[buffer].1 = lifetimes[buffer].1.max(step);
    };
    for (position, step) in own.steps.iter().enumerate() {
        match step {
            Step::Load { to, .. } => touch(*to, position),
            Step::Store { from, .. } => touch(*from, position),
            Step::Convert { from, to } => {
                touch(*from, position);
                touch(*to, position);
            }
            Step::Run { inputs, output, scratch, .. } => {
                inputs
                    .iter()
                    .filter_map(|input| if let Source::Buffer(index) = input { Some(*index) } else { None })
                    .for_each(|index| touch(index, position));
                if let Destination::Buffer(index) = output {
                    touch(*index, position);
                }
                if let Some(index) = scratch {
                    touch(*index, position);
                }
            }
        }
    }
    lifetimes
}

/// The element type of a buffer.
#[must_use]
pub fn dtype(graph: &Graph, own: &Loop, buffer: usize) -> Dtype {
    match own.buffers[buffer].scratch {
        Some(_) => Dtype::F32,
        None => graph.node(own.buffers[buffer].value).ty.dtype,
    }
}

/// Plans the arena of a loop: buffers in order of size, each at the lowest offset that is free during its whole life.
#[must_use]
pub fn plan(graph: &Graph, own: &Loop) -> Arena {
    let lifetimes = lifetimes(own);
    let mut order: Vec<usize> = (0..own.buffers.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(own.buffers[*index].len()), *index));
    let mut arena = Arena { offsets: vec![0; own.buffers.len()], floats: 0, ints: 0 };
    let mut placed: Vec<usize> = Vec::new();
    for index in order {
        let dtype_of = |index: usize| dtype(graph, own, index);
        let overlaps = |other: &&usize| {
            let (own, other_life) = (lifetimes[index], lifetimes[**other]);
            dtype_of(**other) == dtype_of(index) && own.0 <= other_life.1 && other_life.0 <= own.1
        };
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(overlaps)
            .map(|other| {
                (arena.offsets[*other], arena.offsets[*other] + own.buffers[*other].len().next_multiple_of(ALIGNMENT))
            })
            .collect();
        taken.sort_unstable();
        let len = own.buffers[index].len().next_multiple_of(ALIGNMENT);
        let mut offset = 0;
        for (start, end) in taken {
            if offset + len <= start {
                break;
            }
            offset = offset.max(end);
        }
        arena.offsets[index] = offset;
        let total = if dtype_of(index) == Dtype::F32 { &mut arena.floats } else { &mut arena.ints };
        *total = (*total).max(offset + len);
        placed.push(index);
    }
    arena
}

/// Checks that buffers which live at once do not overlap.
///
/// # Errors
/// The two that do.
pub fn verify(graph: &Graph, own: &Loop, arena: &Arena) -> Result<(), String> {
    let lifetimes = lifetimes(own);
    for left in 0..own.buffers.len() {
        for right in 0..left {
            let lives = lifetimes[left].0 <= lifetimes[right].1 && lifetimes[right].0 <= lifetimes[left].1;
            let end = |index: usize| arena.offsets[index] + own.buffers[index].len();
            let meets = arena.offsets[left] < end(right) && arena.offsets[right] < end(left);
            if lives && meets && dtype(graph, own, left) == dtype(graph, own, right) {
                return Err(format!(
                    "buffers {right} and {left} overlap at {} and {}",
                    arena.offsets[right], arena.offsets[left]
                ));
            }
        }
    }
    Ok(())
}
