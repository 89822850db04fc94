//! CPU kernel of sums over axes.

use super::Sum;
use crate::LANES;
use crate::cpu::lanes::Lanes;
use crate::cpu::{Context, instantiate, walk};

/// The largest number of axes.
const MAX_RANK: usize = 8;

/// The sum over the summed axes; `output` is overwritten.
///
/// input: row-major over `sum.dims`; output: row-major over the axes that are kept.
///
/// Panics if a slice does not have its size, or with more than 8 axes.
pub fn sum<const RANK: usize>(cx: &Context, sum: &Sum<RANK>, input: &[f32], output: &mut [f32]) {
    sum_into(&Context { adds: false, ..*cx }, sum, input, output);
}

/// [`sum`], added to what `output` holds if `cx.adds`.
///
/// Panics if a slice does not have its size, or with more than 8 axes.
pub fn sum_into<const RANK: usize>(cx: &Context, sum: &Sum<RANK>, input: &[f32], output: &mut [f32]) {
    if !cx.adds {
        output.fill(0.0);
    }
    add(cx, &sum.dims, &sum.summed, sum.samples, input, output);
}

/// The sum, cut into an outer walk and blocks of two axes.
#[derive(Debug)]
struct Blocks {
    /// The axes around the blocks: sizes, and steps of input and output.
    rank: usize,
    dims: [usize; MAX_RANK],
    steps: [[usize; MAX_RANK]; 2],
    /// A summed axis before the last one, the nearest to it: its size and its step; 1 if there is none.
    middle: [usize; 2],
    /// Elements of the last axis that are read, side by side.
    last: usize,
    last_is_summed: bool,
}

/// An axis of the input: its size, and the steps that it makes in input and output.
#[derive(Debug, Clone, Copy, Default)]
struct Axis {
    size: usize,
    summed: bool,
    steps: [usize; 2],
}

fn add(cx: &Context, dims: &[usize], summed: &[bool], samples: Option<usize>, input: &[f32], output: &mut [f32]) {
    let rank = dims.len();
    assert!(rank <= MAX_RANK, "sum: {rank} axes, at most {MAX_RANK} are possible");
    assert_eq!(input.len(), walk::product(dims), "sum: the input does not have the elements of {dims:?}");
    let kept = dims.iter().zip(summed).map(|(&dim, &summed)| if summed { 1 } else { dim });
    assert_eq!(
        output.len(),
        kept.product::<usize>(),
        "sum: the output of {dims:?} summed over {summed:?} has another size"
    );
    if input.is_empty() {
        return;
    }

    let mut axes = [Axis::default(); MAX_RANK];
    let (mut input_step, mut output_step) = (1, 1);
    // How many of `axes` there are: neighbours that are both summed or both kept, with nothing between them, are one.
    let mut n = 0_usize;
    for (axis, (&dim, &summed)) in dims.iter().zip(summed).enumerate().rev() {
        // Lanes behind the last sample hold copies, which must not be counted.
        let size = if samples == Some(axis) && summed { dim.min(cx.count) } else { dim };
        let own = Axis { size, summed, steps: [input_step, if summed { 0 } else { output_step }] };
        match n.checked_sub(1).map(|last| &mut axes[last]) {
            Some(last) if last.summed == summed && last.size * last.steps[0] == input_step => last.size *= size,
            _ => {
                axes[n] = own;
                n += 1;
            }
        }
        input_step *= dim;
        if !summed {
            output_step *= dim;
        }
    }
    let mut blocks = Blocks {
        rank: 0,
        dims: [1; MAX_RANK],
        steps: [[0; MAX_RANK]; 2],
        middle: [1, 0],
        last: 1,
        last_is_summed: false,
    };
    if let Some((last, outer)) = axes[..n].split_first() {
        (blocks.last, blocks.last_is_summed) = (last.size, last.summed);
        // A summed axis next to the last one, whatever stands between them in memory: what it adds up stays in registers.
        let middle = outer.iter().position(|axis| axis.summed);
        if let Some(middle) = middle {
            blocks.middle = [outer[middle].size, outer[middle].steps[0]];
        }
        for (_, axis) in outer.iter().enumerate().rev().filter(|(position, _)| Some(*position) != middle) {
            blocks.dims[blocks.rank] = axis.size;
            blocks.steps[0][blocks.rank] = axis.steps[0];
            blocks.steps[1][blocks.rank] = axis.steps[1];
            blocks.rank += 1;
        }
    }
    // SAFETY: `blocks` walks over indices below `dims`, whose product is the input's length, and over the kept ones, whose
    // product is the output's.
    unsafe { blocks_on(cx.isa, &blocks, input.as_ptr(), output.as_mut_ptr()) };
}

/// Vectors after which partial sums are put aside: sums of sums lose less precision than one long chain.
const CHAIN: usize = 256;

/// # Safety
/// The pointers are valid for what `blocks` names; the set of `L` is enabled.
#[inline(always)]
unsafe fn blocks_in<L: Lanes>(blocks: &Blocks, input: *const f32, output: *mut f32) {
    let dims = &blocks.dims[..blocks.rank];
    let (mut index, mut offsets) = ([0; MAX_RANK], [0; 2]);
    for _ in 0..dims.iter().product() {
        // SAFETY: the offsets are those of a position in `dims`, and the block lies behind them.
        unsafe {
            let (input, output) = (input.add(offsets[0]), output.add(offsets[1]));
            let (mut sums, mut chains) = ([L::splat(0.0); 4], L::splat(0.0));
            let mut i = 0;
            if blocks.last_is_summed && blocks.middle[0] == 1 {
                // The vectors of the last axis are what is added up.
                i = blocks.last - blocks.last % LANES;
                add_column([i / LANES, LANES], LANES, input, &mut sums);
            }
            while i < blocks.last {
                let n = (blocks.last - i).min(LANES);
                // Two calls, so that the one for full vectors is compiled without masks.
                if n == LANES {
                    add_column(blocks.middle, LANES, input.add(i), &mut sums);
                } else {
                    add_column(blocks.middle, n, input.add(i), &mut sums);
                }
                if !blocks.last_is_summed {
                    let to = output.add(i);
                    L::load_first(to, n, 0.0).add(total(sums)).store_first(to, n);
                    sums = [L::splat(0.0); 4];
                }
                i += LANES;
                if i.is_multiple_of(CHAIN * LANES) {
                    chains = chains.add(total(sums));
                    sums = [L::splat(0.0); 4];
                }
            }
            if blocks.last_is_summed {
                *output += chains.add(total(sums)).sum();
            }
        }
        walk::advance(
            &mut index[..dims.len()],
            dims,
            #[inline(always)]
            |j, axis| blocks.steps[j][axis],
            &mut offsets,
        );
    }
}

/// Adds `n` neighbouring elements over an axis of this size and step, in turns to one of four sums: that hides the latency of the
/// addition, and 64 partial sums lose less precision than one.
///
/// # Safety
/// The elements are readable; the set of `L` is enabled.
#[inline(always)]
unsafe fn add_column<L: Lanes>([size, step]: [usize; 2], n: usize, input: *const f32, sums: &mut [L; 4]) {
    // SAFETY: the contract of this function.
    unsafe {
        if size == 1 {
            sums[0] = sums[0].add(L::load_up_to(input, n));
            return;
        }
        let mut m = 0;
        while m < size {
            let end = size.min(m + CHAIN);
            let mut partial = [L::splat(0.0); 4];
            while m + 4 <= end {
                for (i, sum) in partial.iter_mut().enumerate() {
                    *sum = sum.add(L::load_up_to(input.add((m + i) * step), n));
                }
                m += 4;
            }
            while m < end {
                partial[0] = partial[0].add(L::load_up_to(input.add(m * step), n));
                m += 1;
            }
            for (sum, partial) in sums.iter_mut().zip(partial) {
                *sum = sum.add(partial);
            }
        }
    }
}

/// # Safety
/// The set of `L` is enabled.
#[inline(always)]
unsafe fn total<L: Lanes>([a, b, c, d]: [L; 4]) -> L {
    // SAFETY: the contract of this function.
    unsafe { a.add(b).add(c.add(d)) }
}

instantiate!(unsafe fn blocks_on = blocks_in(blocks: &Blocks, input: *const f32, output: *mut f32));

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
