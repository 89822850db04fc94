//! The gradient of the weights, by way of that of their values.

// A tile is indexed by channel and position, which reads better than zips of zips.
#![allow(clippy::needless_range_loop)]

use super::super::Side;
use super::super::strip::rows_in;
use super::super::transform::{Coefficients, Eight, Points, Values, apply};
use super::{Walk, accumulators};
use crate::LANES;
use crate::conv2d::Sizes;
use crate::conv2d::cpu::check;
use crate::cpu::lanes::Lanes;
use crate::cpu::tile::parts;
use crate::cpu::{Context, instantiate};

/// As `grad_weight` of both axes, for any number of samples, with [`ColumnTiling::grad_weight_scratch`] floats of scratch.
///
/// Panics if a slice does not have its size, scratch is too short, or the kernel has no such tiling.
pub(in crate::conv2d) fn grad_weight(
    cx: &Context,
    sizes: &Sizes,
    grad_output: &[f32],
    input: &[f32],
    grad_weight: &mut [f32],
    scratch: &mut [f32],
) {
    check(sizes, "grad_weight", LANES, input.len(), grad_weight.len(), grad_output.len());
    let walk = Walk::of(sizes);
    assert_eq!(walk.kernel, 5, "conv2d::grad_weight: {sizes:?} takes all products");
    assert!(scratch.len() >= walk.tiling.grad_weight_scratch(sizes), "conv2d: scratch is too short");
    let (weights, values) = scratch.split_at_mut(walk.tiling.weights(sizes));
    let (sums, values) = values.split_at_mut(walk.tiling.sums(sizes));
    let channel = Side { channels: 1, ..walk.inputs };
    let own = grad_weight.len() / sizes.groups;
    for (group, grad_weight) in grad_weight.chunks_exact_mut(own).enumerate() {
        // SAFETY: `check` has compared the lengths with the sizes; there is room for values of some rows of tiles of one channel.
        unsafe {
            let input = input.as_ptr().add(group * walk.inputs.len());
            let grad_output = grad_output.as_ptr().add(group * walk.outputs.len());
            let of_channel = walk.outputs.channels * walk.weights();
            for c in 0..walk.inputs.channels {
                for tiles in parts(walk.tiling.tiles, walk.tiling.rows) {
                    let strip = walk.strip(channel, tiles);
                    rows_in(cx.isa, &strip, input.add(c * channel.len()), values.as_mut_ptr());
                    weights_of(cx.isa, &walk, tiles, values.as_ptr(), grad_output, sums.as_mut_ptr());
                }
                lane_sums(cx.isa, cx.count, of_channel, sums.as_ptr(), weights.as_mut_ptr().add(c * of_channel));
            }
            weight_rows_back(cx.isa, &walk, cx.adds, weights.as_ptr(), grad_weight);
        }
    }
}

/// The gradient of the values of the weights of one input channel, over some rows of tiles: values of the input [N, rows of tiles,
/// columns], grad_output -> [C_out, N, R, 16], samples not yet added; the first rows overwrite it.
///
/// # Safety
/// The pointers are valid for the walk; the set of `L` is enabled.
#[inline(always)]
unsafe fn weights_in<L: Lanes>(
    walk: &Walk,
    tiles: (usize, usize),
    values: *const f32,
    grad_output: *const f32,
    sums: *mut f32,
) {
    for o in 0..walk.outputs.channels {
        // SAFETY: passed on, for one output channel.
        unsafe {
            let [height, width] = walk.outputs.size;
            let grad_output = grad_output.add(o * height * width * LANES);
            let sums = sums.add(o * walk.weights() * LANES);
            if const { accumulators::<L>() < 4 * 5 } {
                unreachable!("a register tile of 4 x 5");
            }
            // The values at ∞, 0 and ±1, which need no constants, then one pair of points at a time, which shares most of its sums. In
            // two halves, the constants would leave too few registers for the sums.
            weight_tile::<L, Eight, 5, 8, 4, 4, 7>(walk, tiles, values, grad_output, sums);
            weight_tile::<L, Eight, 5, 8, 4, 2, 3>(walk, tiles, values, grad_output, sums);
            weight_tile::<L, Eight, 5, 8, 4, 2, 5>(walk, tiles, values, grad_output, sums);
        }
    }
}

/// V of the N values of one pair of channels, from value FIRST on around to value 0.
///
/// # Safety
/// As for [`weights_in`], for the pair from the pointers on.
#[inline(always)]
unsafe fn weight_tile<
    L: Lanes,
    P: Points<N>,
    const R: usize,
    const N: usize,
    const M: usize,
    const V: usize,
    const FIRST: usize,
>(
    walk: &Walk,
    tiles: (usize, usize),
    values: *const f32,
    grad_output: *const f32,
    to: *mut f32,
) {
    let height = walk.outputs.size[0];
    let row = walk.row();
    // SAFETY: the caller vouches for the rows of tiles.
    unsafe {
        let mut sums = [[L::splat(0.0); R]; V];
        if tiles.0 > 0 {
            for (v, sums) in sums.iter_mut().enumerate() {
                for (k, sum) in sums.iter_mut().enumerate() {
                    *sum = L::load(to.add(((FIRST + v) % N * R + k) * LANES));
                }
            }
        }
        for r in 0..tiles.1 {
            let first = (tiles.0 + r) * M;
            let grad_output = grad_output.wrapping_add(first * walk.outputs.row());
            let values = values.add(r * row);
            if first + M <= height {
                weight_row::<L, P, R, N, M, V, FIRST, false>(walk, M, tiles.1 * row, values, grad_output, &mut sums);
            } else {
                weight_row::<L, P, R, N, M, V, FIRST, true>(
                    walk,
                    height - first,
                    tiles.1 * row,
                    values,
                    grad_output,
                    &mut sums,
                );
            }
        }
        for (v, sums) in sums.into_iter().enumerate() {
            for (k, sum) in sums.into_iter().enumerate() {
                sum.store(to.add(((FIRST + v) % N * R + k) * LANES));
            }
        }
    }
}

/// Adds the first `count` lanes of each of n vectors: [n, 16] -> [n].
///
/// # Safety
/// The pointers are valid for these elements; the set of `L` is enabled.
#[inline(always)]
unsafe fn lane_sums_in<L: Lanes>(count: usize, n: usize, from: *const f32, to: *mut f32) {
    for first in (0..n).step_by(LANES) {
        let own = LANES.min(n - first);
        // SAFETY: `own` vectors from the first on are read, and as many sums written.
        unsafe {
            let mut vectors = [L::splat(0.0); LANES];
            for (i, vector) in vectors[..own].iter_mut().enumerate() {
                *vector = L::load_up_to(from.add((first + i) * LANES), count);
            }
            L::sums(vectors).store_up_to(to.add(first), own);
        }
    }
}

/// One row of tiles; `plane` floats lie from one value to the next. With `EDGE`, it has `rows` rows and zeros below.
///
/// # Safety
/// As for [`weight_tile`], for the row from the pointers on.
#[inline(always)]
unsafe fn weight_row<
    L: Lanes,
    P: Points<N>,
    const R: usize,
    const N: usize,
    const M: usize,
    const V: usize,
    const FIRST: usize,
    const EDGE: bool,
>(
    walk: &Walk,
    rows: usize,
    plane: usize,
    values: *const f32,
    grad_output: *const f32,
    sums: &mut [[L; R]; V],
) {
    let width = walk.outputs.size[1];
    // SAFETY: the contract; the pointers stand behind the row in the end.
    unsafe {
        let mut own = *sums;
        let (mut values, mut grad_output) = (values, grad_output);
        for _ in 0..width / 2 {
            weight_columns::<L, P, R, N, M, V, FIRST, 2, EDGE>(walk, rows, plane, values, grad_output, &mut own);
            values = values.wrapping_add(2 * LANES);
            grad_output = grad_output.wrapping_add(2 * LANES);
        }
        if !width.is_multiple_of(2) {
            weight_columns::<L, P, R, N, M, V, FIRST, 1, EDGE>(walk, rows, plane, values, grad_output, &mut own);
        }
        *sums = own;
    }
}

/// X columns of a row: their input values are read once.
///
/// # Safety
/// As for [`weight_row`].
#[inline(always)]
unsafe fn weight_columns<
    L: Lanes,
    P: Points<N>,
    const R: usize,
    const N: usize,
    const M: usize,
    const V: usize,
    const FIRST: usize,
    const X: usize,
    const EDGE: bool,
>(
    walk: &Walk,
    rows: usize,
    plane: usize,
    values: *const f32,
    grad_output: *const f32,
    sums: &mut [[L; R]; V],
) {
    // SAFETY: the contract.
    unsafe {
        let mut gradients = [[L::splat(0.0); N]; X];
        for x in 0..X {
            let mut taken = [L::splat(0.0); M];
            for (y, taken) in taken.iter_mut().enumerate() {
                if !EDGE || y < rows {
                    *taken = L::load(grad_output.add(y * walk.outputs.row() + x * LANES));
                }
            }
            gradients[x] = apply::<Values<P>, L, _, _>(taken);
        }
        for v in 0..V {
            let i = (FIRST + v) % N;
            for k in 0..R + X - 1 {
                let value = L::load(values.add(i * plane + k * LANES));
                for x in 0..X {
                    if k >= x && k - x < R {
                        sums[v][k - x] = gradients[x][i].fma(value, sums[v][k - x]);
                    }
                }
            }
        }
    }
}

/// Back from the gradient of the values of weights [C_in, C_out, N, R], added if `adds`.
///
/// # Safety
/// `from` is valid for the values; the set of `L` is enabled.
#[inline(always)]
unsafe fn kernel_out<L: Lanes, P: Points<N>, const R: usize, const N: usize>(
    walk: &Walk,
    adds: bool,
    from: *const f32,
    grad_weight: &mut [f32],
) {
    for (pair, weight) in grad_weight.chunks_exact_mut(R * R).enumerate() {
        let (o, c) = (pair / walk.inputs.channels, pair % walk.inputs.channels);
        // SAFETY: R elements of every row of the pair, and of every value.
        unsafe {
            let from = from.add((c * walk.outputs.channels + o) * N * R);
            let mut values = [L::splat(0.0); N];
            for (i, value) in values.iter_mut().enumerate() {
                *value = L::load_first(from.add(i * R), R, 0.0).mul(L::splat(P::SCALES[i]));
            }
            let rows: [L; R] = apply::<Coefficients<P>, L, _, _>(values);
            for (row, weight) in rows.into_iter().zip(weight.chunks_exact_mut(R)) {
                let row = if adds { row.add(L::load_first(weight.as_ptr(), R, 0.0)) } else { row };
                row.store_first(weight.as_mut_ptr(), R);
            }
        }
    }
}

/// # Safety
/// As for [`kernel_out`].
#[inline(always)]
unsafe fn weight_rows_out<L: Lanes>(walk: &Walk, adds: bool, from: *const f32, grad_weight: &mut [f32]) {
    // SAFETY: passed on.
    unsafe { kernel_out::<L, Eight, 5, 8>(walk, adds, from, grad_weight) };
}

instantiate!(unsafe fn weights_of = weights_in(
    walk: &Walk, tiles: (usize, usize), values: *const f32, grad_output: *const f32, sums: *mut f32,
));
instantiate!(unsafe fn lane_sums = lane_sums_in(count: usize, n: usize, from: *const f32, to: *mut f32));
instantiate!(unsafe fn weight_rows_back = weight_rows_out(
    walk: &Walk, adds: bool, from: *const f32, grad_weight: &mut [f32],
));
