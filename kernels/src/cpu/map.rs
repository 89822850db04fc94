//! Fused elementwise loops: one formula over broadcast operands.

use std::mem::MaybeUninit;

use super::{Context, walk};

/// The shape of an elementwise loop over `K` operands and `RANK` axes.
///
/// The output is row-major over `dims`. Operand j's element for the output element (i0, i1, ..) stands at
/// `i0 * strides[j][0] + i1 * strides[j][1] + ..`, so a stride of 0 broadcasts. It is fastest with few axes: neighbouring
/// ones that every operand walks alike should be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Map<const K: usize, const RANK: usize> {
    /// Sizes of the output.
    pub dims: [usize; RANK],
    /// Strides of the operands, in elements.
    pub strides: [[usize; RANK]; K],
}

/// Elements of a block of an operand that does not stand side by side in memory. 256 floats are 1 KB, so that the blocks of
/// eight operands stay in L1.
const BLOCK: usize = 256;

/// `output[i] = f([operands[0][i], operands[1][i], ..])` for every element, with the operands read as `spec` says.
///
/// Panics if the output's length is not the product of `spec.dims`, or if an operand is too short for its strides.
///
/// ```
/// use graven_kernels::cpu::{Context, Isa, map::{Map, map}};
///
/// // relu(x + bias): two channels of three elements, one bias for each channel.
/// let spec = Map { dims: [2, 3], strides: [[3, 1], [1, 0]] };
/// let (x, bias) = ([-1.0, 0.0, 1.0, -1.0, 0.0, 1.0], [0.5, -0.5]);
/// let mut output = [0.0; 6];
/// map(&Context::whole(Isa::detect(), 0), &spec, [&x, &bias], &mut output, |[x, b]| (x + b).max(0.0));
/// assert_eq!(output, [0.0, 0.5, 1.5, 0.0, 0.0, 0.5]);
/// ```
#[inline]
pub fn map<const K: usize, const RANK: usize>(
    cx: &Context,
    spec: &Map<K, RANK>,
    operands: [&[f32]; K],
    output: &mut [f32],
    f: impl Fn([f32; K]) -> f32 + Copy,
) {
    assert_eq!(
        output.len(),
        walk::product(&spec.dims),
        "map: the output does not have the elements of {:?}",
        spec.dims
    );
    for (operand, strides) in operands.iter().zip(&spec.strides) {
        walk::check("map", &spec.dims, strides, 0, operand.len());
    }
    cx.isa.run(
        #[inline(always)]
        || rows::<NONE, K, RANK>(spec, operands.map(<[f32]>::as_ptr), output, f),
    );
}

/// [`map`], with the elements of operand `HELD` in `output`, which are overwritten; the slice of that operand is empty.
///
/// Panics as [`map`] does, if there is no such operand, or if its strides are not those of the output.
///
/// ```
/// use graven_kernels::cpu::{Context, Isa, map::{Map, map_in_place}};
///
/// let spec = Map { dims: [2, 3], strides: [[3, 1], [1, 0]] };
/// let mut x = [-1.0, 0.0, 1.0, -1.0, 0.0, 1.0];
/// let cx = Context::whole(Isa::detect(), 0);
/// map_in_place::<0, _, _>(&cx, &spec, [&[], &[0.5, -0.5]], &mut x, |[x, b]| (x + b).max(0.0));
/// assert_eq!(x, [0.0, 0.5, 1.5, 0.0, 0.0, 0.5]);
/// ```
#[inline]
pub fn map_in_place<const HELD: usize, const K: usize, const RANK: usize>(
    cx: &Context,
    spec: &Map<K, RANK>,
    operands: [&[f32]; K],
    output: &mut [f32],
    f: impl Fn([f32; K]) -> f32 + Copy,
) {
    let elements = walk::product(&spec.dims);
    assert_eq!(output.len(), elements, "map: the output does not have the elements of {:?}", spec.dims);
    let own: [usize; RANK] = std::array::from_fn(|axis| spec.dims[axis + 1..].iter().product());
    let lies_as_output = HELD < K && (0..RANK).all(|axis| spec.dims[axis] < 2 || spec.strides[HELD][axis] == own[axis]);
    assert!(lies_as_output, "map: operand {HELD} does not lie as the output of {spec:?}");
    for (j, (operand, strides)) in operands.iter().zip(&spec.strides).enumerate() {
        if j == HELD {
            assert!(operand.is_empty(), "map: operand {HELD} is the output");
        } else {
            walk::check("map", &spec.dims, strides, 0, operand.len());
        }
    }
    cx.isa.run(
        #[inline(always)]
        || rows::<HELD, K, RANK>(spec, operands.map(<[f32]>::as_ptr), output, f),
    );
}

/// No operand is held by the output.
const NONE: usize = usize::MAX;

/// Row by row along the last axis; [`map`] or [`map_in_place`] has checked the lengths.
#[inline(always)]
fn rows<const HELD: usize, const K: usize, const RANK: usize>(
    spec: &Map<K, RANK>,
    operands: [*const f32; K],
    output: &mut [f32],
    f: impl Fn([f32; K]) -> f32 + Copy,
) {
    let width = spec.dims.last().copied().unwrap_or(1);
    if width == 0 {
        return;
    }
    let steps: [usize; K] = std::array::from_fn(|j| spec.strides[j].last().copied().unwrap_or(1));
    // A row whose operands all stand side by side needs no blocks.
    let block = if steps.iter().all(|&step| step == 1) { width } else { BLOCK };
    let mut blocks = [[MaybeUninit::uninit(); BLOCK]; K];
    let (mut index, mut offsets) = ([0; RANK], [0; K]);
    for row in output.chunks_exact_mut(width) {
        for (n, part) in row.chunks_mut(block).enumerate() {
            let sources: [*const f32; K] = std::array::from_fn(|j| {
                if j == HELD {
                    return operands[j];
                }
                // `wrapping_add`: with a stride of 0 the later blocks are not read from here.
                let from = operands[j].wrapping_add(offsets[j] + n * block * steps[j]);
                match steps[j] {
                    1 => from,
                    // The splat of the row's first block serves all of them.
                    0 if n > 0 => blocks[j].as_ptr().cast(),
                    step => {
                        // SAFETY: `map` has checked that every element of the row lies in the operand.
                        unsafe { collect(&mut blocks[j][..part.len()], from, step) };
                        blocks[j].as_ptr().cast()
                    }
                }
            });
            // SAFETY: every source has `part.len()` elements: operands by the check in `map`, blocks because `collect` has
            // filled as many (a row's first block is its longest).
            unsafe { apply::<HELD, K>(part, sources, f) };
        }
        if RANK > 1 {
            walk::advance(
                &mut index[..RANK - 1],
                &spec.dims[..RANK - 1],
                |j, axis| spec.strides[j][axis],
                &mut offsets,
            );
        }
    }
}

/// The loop itself. `output` is an argument of its own so that the compiler knows that nothing else points into it, and
/// vectorises without run-time checks.
///
/// # Safety
/// Every operand but `HELD` is valid for `output.len()` reads.
#[inline(always)]
unsafe fn apply<const HELD: usize, const K: usize>(
    output: &mut [f32],
    operands: [*const f32; K],
    f: impl Fn([f32; K]) -> f32,
) {
    for (i, element) in output.iter_mut().enumerate() {
        let held = *element;
        *element = f(std::array::from_fn(
            #[inline(always)]
            |j| {
                // SAFETY: i < output.len(), for which the caller vouches.
                if j == HELD { held } else { unsafe { *operands[j].add(i) } }
            },
        ));
    }
}

/// Fills a block with every `step`-th element, with copies of the first if `step` is 0.
///
/// # Safety
/// `from` is valid for reads at `i * step` for every i below the block's length.
unsafe fn collect(block: &mut [MaybeUninit<f32>], from: *const f32, step: usize) {
    if step == 0 {
        // SAFETY: the first element is readable, by the contract.
        block.fill(MaybeUninit::new(unsafe { *from }));
        return;
    }
    for (i, element) in block.iter_mut().enumerate() {
        // SAFETY: by the contract.
        *element = MaybeUninit::new(unsafe { *from.add(i * step) });
    }
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
