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
    /// For each buffer, the one whose elements its step overwrites: both stand at the same place.
    pub overwrites: Vec<Option<usize>>,
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
            Step::Run { inputs, output, scratch, kept, saved, .. } => {
                inputs
                    .iter()
                    .filter_map(|input| if let Source::Buffer(index) = input { Some(*index) } else { None })
                    .for_each(|index| touch(index, position));
                if let Destination::Buffer(index) = output {
                    touch(*index, position);
                }
                scratch.iter().chain(saved).for_each(|index| touch(*index, position));
                // No step of any tile may take its place.
                if let Some(index) = kept {
                    touch(*index, 0);
                    touch(*index, own.steps.len() - 1);
                }
            }
        }
    }
    lifetimes
}

/// The element type of a buffer.
#[must_use]
pub fn dtype(graph: &Graph, own: &Loop, buffer: usize) -> Dtype {
    match own.buffers[buffer].memory {
        Some(_) => Dtype::F32,
        None => graph.node(own.buffers[buffer].value).ty.dtype,
    }
}

/// Plans the arena of a loop.
#[must_use]
pub fn plan(graph: &Graph, own: &Loop) -> Arena {
    let mut lifetimes = lifetimes(own);
    let overwrites = overwrites(graph, own, &lifetimes);
    let mut arena = Arena { offsets: vec![0; own.buffers.len()], overwrites, floats: 0, ints: 0 };
    // What stands at the place of another one makes it live longer.
    let mut first: Vec<usize> = (0..own.buffers.len()).collect();
    let steps = own.steps.iter().filter_map(output_buffer);
    for (index, overwritten) in steps.filter_map(|index| Some((index, arena.overwrites[index]?))) {
        first[index] = first[overwritten];
        lifetimes[first[index]].1 = lifetimes[index].1;
    }
    for wanted in [Dtype::F32, Dtype::I64] {
        let is_placed = |index: &usize| first[*index] == *index && dtype(graph, own, *index) == wanted;
        let of: Vec<usize> = (0..own.buffers.len()).filter(is_placed).collect();
        let lives: Vec<Life> = of
            .iter()
            .map(|index| {
                let (first, last) = lifetimes[*index];
                Life { len: own.buffers[*index].len().next_multiple_of(ALIGNMENT), first, last }
            })
            .collect();
        let (offsets, total) = pack(&lives);
        of.iter().zip(offsets).for_each(|(index, offset)| arena.offsets[*index] = offset);
        *if wanted == Dtype::F32 { &mut arena.floats } else { &mut arena.ints } = total;
    }
    for (index, first) in first.into_iter().enumerate() {
        arena.offsets[index] = arena.offsets[first];
    }
    arena
}

fn output_buffer(step: &Step) -> Option<usize> {
    match step {
        Step::Run { output: Destination::Buffer(index), .. } => Some(*index),
        _ => None,
    }
}

/// For each buffer, the operand that its step may overwrite: as large, lying alike, and read by no other step or operand from then on.
fn overwrites(graph: &Graph, own: &Loop, lifetimes: &[(usize, usize)]) -> Vec<Option<usize>> {
    let mut overwrites = vec![None; own.buffers.len()];
    for (position, step) in own.steps.iter().enumerate() {
        let Step::Run { value, inputs, output: Destination::Buffer(to), kernel, .. } = step else { continue };
        if kernel.in_place.is_none() {
            continue;
        }
        let node = graph.node(*value);
        let target = &own.buffers[*to];
        overwrites[*to] = inputs.iter().zip(&node.inputs).find_map(|(source, input)| {
            let Source::Buffer(from) = source else { return None };
            let buffer = &own.buffers[*from];
            let is_alike = graph.node(*input).ty == node.ty && buffer.layout == target.layout;
            let is_last = lifetimes[*from].1 == position && inputs.iter().filter(|other| *other == source).count() == 1;
            (is_alike && is_last && buffer.memory.is_none() && lifetimes[*to].0 == position).then_some(*from)
        });
    }
    overwrites
}

/// What is to be placed: how long it is, the first and the last step that touch it.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// Its length.
    pub len: usize,
    /// The first step.
    pub first: usize,
    /// The last step.
    pub last: usize,
}

/// (offsets, length of the whole): each in order of size, at the lowest offset that is free during its whole life.
#[must_use]
pub fn pack(lives: &[Life]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(lives[*index].len), *index));
    let (mut offsets, mut total) = (vec![0; lives.len()], 0);
    // What is placed already, by offset: (first element, end, first step, last step). A plain loop over a slice of plain
    // numbers: the compiler runs unoptimised, and this is quadratic in the number of buffers.
    let mut placed: Vec<[usize; 4]> = Vec::new();
    for index in order {
        let Life { len, first, last } = lives[index];
        let mut offset = 0;
        let (others, mut position) = (placed.as_slice(), 0);
        while position < others.len() {
            let [start, end, other_first, other_last] = others[position];
            position += 1;
            if first <= other_last && other_first <= last {
                if offset + len <= start {
                    break;
                }
                if end > offset {
                    offset = end;
                }
            }
        }
        offsets[index] = offset;
        total = total.max(offset + len);
        let position = placed.partition_point(|[start, ..]| *start <= offset);
        placed.insert(position, [offset, offset + len, first, last]);
    }
    (offsets, total)
}

/// Checks that buffers which live at once do not overlap.
///
/// # Errors
/// The two that do.
pub fn verify(graph: &Graph, own: &Loop, arena: &Arena) -> Result<(), String> {
    let lifetimes = lifetimes(own);
    // By offset, so that a buffer is compared with those alone that begin before it ends.
    let mut order: Vec<usize> = (0..own.buffers.len()).collect();
    order.sort_by_key(|index| arena.offsets[*index]);
    let places = order.into_iter().map(|index| {
        let start = arena.offsets[index];
        (index, start, start + own.buffers[index].len(), lifetimes[index], dtype(graph, own, index))
    });
    let places: Vec<_> = places.collect();
    for (position, (left, _, end, (first, last), dtype)) in places.iter().enumerate() {
        for (right, start, _, (other_first, other_last), other_dtype) in &places[position + 1..] {
            if start >= end {
                break;
            }
            // What is overwritten ends with the step that overwrites it.
            let is_overwritten = arena.overwrites[*left] == Some(*right) && other_last == first
                || arena.overwrites[*right] == Some(*left) && last == other_first;
            if first <= other_last && other_first <= last && dtype == other_dtype && !is_overwritten {
                return Err(format!("buffers {left} and {right} overlap at {} and {start}", arena.offsets[*left]));
            }
        }
    }
    Ok(())
}
