//! Kernels and their values: of the weights, and the gradient of the weights by way of that of their values.

// A tile is indexed by channel and position, which reads better than zips of zips.
#![allow(clippy::needless_range_loop)]

use super::transform::{Coefficients, Eight, Points, Six, Values, Window, apply};
use super::{Block, Walk, columns_in, rows_in, sides, tiling};
use crate::LANES;
use crate::conv2d::Sizes;
use crate::conv2d::cpu::check;
use crate::cpu::gemm::{sums_tile, totals};
use crate::cpu::lanes::Lanes;
use crate::cpu::tile::{parts, with_tile};
use crate::cpu::{Context, instantiate};

/// As [`super::grad_weight`] for a complete tile of samples, with [`Sizes::grad_weight_scratch`] floats of scratch.
///
/// Panics if a slice does not have its size, the tile is not complete, or the kernel has no tiling for its gradient.
pub(in crate::conv2d) fn grad_weight(
    cx: &Context,
    sizes: &Sizes,
    grad_output: &[f32],
    input: &[f32],
    grad_weight: &mut [f32],
    scratch: &mut [f32],
) {
    check(sizes, "grad_weight", LANES, input.len(), grad_weight.len(), grad_output.len());
    assert_eq!(cx.count, LANES, "conv2d::grad_weight: the tile has samples without values");
    let (tiling, [inputs, outputs]) = (tiling(sizes), sides(sizes));
    assert!(tiling.takes_weight_gradient(), "conv2d::grad_weight: {sizes:?} takes all products");
    assert!(
        scratch.len() >= tiling.grad_weight_scratch([inputs.channels, outputs.channels]),
        "conv2d: scratch is too short"
    );
    let walk = Walk { isa: cx.isa, tiling, from: inputs, to: outputs, pairs: [1, inputs.channels] };
    let (weights, scratch) = scratch.split_at_mut(tiling.weights([inputs.channels, outputs.channels]));
    let own = grad_weight.len() / sizes.groups;
    for (group, grad_weight) in grad_weight.chunks_exact_mut(own).enumerate() {
        // SAFETY: as in `forward`.
        unsafe {
            let input = input.as_ptr().add(group * inputs.len());
            let grad_output = grad_output.as_ptr().add(group * outputs.len());
            let (weights, scratch) = (weights.as_mut_ptr(), scratch.as_mut_ptr());
            weights_of(cx.isa, &walk, cx.adds, input, grad_output, grad_weight.as_mut_ptr(), weights, scratch);
        }
    }
}

/// Values of weights: [pairs of channels, R, R] -> [N, N, channels of `from`, channels of `to`].
///
/// # Safety
/// The pointers are valid for these sizes; the set of `L` is enabled.
#[inline(always)]
unsafe fn kernel_in<L: Lanes, P: Points<N>, const R: usize, const N: usize>(
    walk: &Walk,
    weight: *const f32,
    to: *mut f32,
) {
    let outputs = walk.to.channels;
    let pairs = walk.from.channels * outputs;
    for first in (0..pairs).step_by(LANES) {
        let n = LANES.min(pairs - first);
        // SAFETY: pairs first..first + n are read and written.
        unsafe {
            let mut kernels = [weight; LANES];
            for (i, kernel) in kernels[..n].iter_mut().enumerate() {
                let (from, to) = ((first + i) / outputs, (first + i) % outputs);
                *kernel = weight.add((from * walk.pairs[0] + to * walk.pairs[1]) * R * R);
            }
            // Pairs come into the lanes: 16 elements of 16 pairs at a time.
            let mut elements = [L::splat(0.0); MOST_ELEMENTS];
            for start in (0..R * R).step_by(LANES) {
                let mut rows = [L::splat(0.0); LANES];
                for (kernel, row) in kernels.iter().zip(&mut rows[..n]) {
                    *row = L::load_up_to(kernel.add(start), R * R - start);
                }
                for (element, row) in elements[start..].iter_mut().zip(L::transpose(rows)) {
                    *element = row;
                }
            }
            let mut rows = [[L::splat(0.0); R]; N];
            for x in 0..R {
                let mut column = [L::splat(0.0); R];
                for y in 0..R {
                    column[y] = elements[y * R + x];
                }
                for (i, value) in apply::<Values<P>, L, _, _>(column).into_iter().enumerate() {
                    rows[i][x] = value.mul(L::splat(P::SCALES[i]));
                }
            }
            for (i, row) in rows.into_iter().enumerate() {
                for (j, value) in apply::<Values<P>, L, _, _>(row).into_iter().enumerate() {
                    value.mul(L::splat(P::SCALES[j])).store_up_to(to.add((i * N + j) * pairs + first), n);
                }
            }
        }
    }
}

/// Elements of the largest kernel, in whole vectors.
const MOST_ELEMENTS: usize = 64;

/// Back from the gradient of the values of weights: [N, N, pairs of channels], as [`weight_products`] leaves them ->
/// [channels of `to`, channels of `from`, R, R], added if `adds`.
///
/// # Safety
/// The pointers are valid for these sizes; the set of `L` is enabled.
#[inline(always)]
unsafe fn kernel_out<L: Lanes, P: Points<N>, const R: usize, const N: usize>(
    walk: &Walk,
    adds: bool,
    from: *const f32,
    grad_weight: *mut f32,
) {
    let pairs = walk.from.channels * walk.to.channels;
    let [most_rows, most_columns] = sums_tile::<L>();
    let mut tiles = parts(walk.to.channels, most_rows).flat_map(|(o, rows)| {
        parts(walk.from.channels, most_columns).flat_map(move |(c, columns)| {
            (o..o + rows).flat_map(move |o| (c..c + columns).map(move |c| o * walk.pairs[1] + c * walk.pairs[0]))
        })
    });
    for first in (0..pairs).step_by(LANES) {
        let n = LANES.min(pairs - first);
        // SAFETY: n pairs from the first on are read, and as many kernels written, since the tiles hold every pair once.
        unsafe {
            let mut kernels = [grad_weight; LANES];
            for (kernel, pair) in kernels[..n].iter_mut().zip(&mut tiles) {
                *kernel = grad_weight.add(pair * R * R);
            }
            let mut rows = [[L::splat(0.0); R]; N];
            for i in 0..N {
                let mut row = [L::splat(0.0); N];
                for (j, value) in row.iter_mut().enumerate() {
                    let from = from.add((i * N + j) * pairs + first);
                    *value = L::load_up_to(from, n).mul(L::splat(P::SCALES[i] * P::SCALES[j]));
                }
                rows[i] = apply::<Coefficients<P>, L, _, _>(row);
            }
            let mut elements = [L::splat(0.0); MOST_ELEMENTS];
            for x in 0..R {
                let mut column = [L::splat(0.0); N];
                for i in 0..N {
                    column[i] = rows[i][x];
                }
                for (y, element) in apply::<Coefficients<P>, L, N, R>(column).into_iter().enumerate() {
                    elements[y * R + x] = element;
                }
            }
            for start in (0..R * R).step_by(LANES) {
                let mut lines = [L::splat(0.0); LANES];
                lines.copy_from_slice(&elements[start..start + LANES]);
                for (kernel, row) in kernels.iter().zip(&L::transpose(lines)[..n]) {
                    let to = kernel.add(start);
                    let row = if adds { row.add(L::load_up_to(to, R * R - start)) } else { *row };
                    row.store_up_to(to, R * R - start);
                }
            }
        }
    }
}

/// The gradient of the weights of one group, by way of that of their values.
///
/// # Safety
/// The pointers are valid for the walk, `weights` and `scratch` for its tiling; the set of `L` is enabled.
#[inline(always)]
unsafe fn each_weight<L: Lanes, P: Points<N>, const R: usize, const N: usize, const M: usize>(
    walk: &Walk,
    adds: bool,
    input: *const f32,
    grad_output: *const f32,
    grad_weight: *mut f32,
    weights: *mut f32,
    scratch: *mut f32,
) {
    let Walk { tiling, from: inputs, to: outputs, .. } = walk;
    let pairs = inputs.channels * outputs.channels;
    for (n, block) in Block::all(tiling).enumerate() {
        let in_plane = block.rows_plane(inputs.channels, N);
        let out_plane = block.rows_plane(outputs.channels, M);
        // SAFETY: as in `each_block`.
        unsafe {
            let in_rows = scratch;
            let out_rows = in_rows.add(N * in_plane);
            let in_values = out_rows.add(N * out_plane);
            let out_values = in_values.add(N * block.values_plane(inputs.channels));
            rows_in(walk.isa, &block.strip(*inputs, N, N), input, in_rows);
            rows_in(walk.isa, &block.strip(*outputs, N, M), grad_output, out_rows);
            for i in 0..N {
                columns_in::<L, Window<P>, N, N>(inputs.channels, &block, in_rows.add(i * in_plane), in_values);
                for (o, rows) in parts(outputs.channels, sums_tile::<L>()[0]) {
                    let out_rows = out_rows.add(i * out_plane + o * block.tiles[0].1 * block.span(M) * LANES);
                    columns_in::<L, Values<P>, M, N>(rows, &block, out_rows, out_values);
                    let weights = weights.add(i * N * pairs + o * inputs.channels);
                    weight_products::<L>(walk, &block, rows, n > 0, in_values, out_values, weights);
                }
            }
        }
    }
    // SAFETY: passed on.
    unsafe { kernel_out::<L, P, R, N>(walk, adds, weights, grad_weight) };
}

/// For each of the N values along a row: weight(o, c) = Σ over tiles and samples of outputs(o, ..) · inputs(c, ..), added if
/// `adds`, for `rows` output channels. The weights are [N, pairs of channels], those of a register tile side by side.
///
/// # Safety
/// `inputs` [N, channels, tiles], `outputs` [N, rows, tiles] and the weights are valid; the set of `L` is enabled.
#[inline(always)]
unsafe fn weight_products<L: Lanes>(
    walk: &Walk,
    block: &Block,
    rows: usize,
    adds: bool,
    inputs: *const f32,
    outputs: *const f32,
    weights: *mut f32,
) {
    let steps = WeightSteps {
        values: walk.tiling.values,
        tiles: block.n_tiles(),
        inputs: block.values_plane(walk.from.channels),
        outputs: block.values_plane(rows),
        weights: walk.from.channels * walk.to.channels,
        adds,
    };
    for (c, columns) in parts(walk.from.channels, sums_tile::<L>()[1]) {
        // SAFETY: the tile lies in the product, which the caller vouches for.
        unsafe {
            let inputs = inputs.add(c * steps.tiles * LANES);
            let weights = weights.add(rows * c);
            with_tile!(L, [rows, columns], [sums_tile::<L>()], weight_product_tile, (&steps, inputs, outputs, weights));
        }
    }
}

/// The sizes of [`weight_products`], and steps in floats.
#[derive(Debug, Clone, Copy)]
struct WeightSteps {
    values: usize,
    tiles: usize,
    /// From one value to the next.
    inputs: usize,
    outputs: usize,
    weights: usize,
    adds: bool,
}

/// O output channels times C input channels, for each value of a row.
///
/// # Safety
/// As for [`weight_products`], for the tile from the pointers on.
#[inline(always)]
unsafe fn weight_product_tile<L: Lanes, const O: usize, const C: usize>(
    steps: &WeightSteps,
    inputs: *const f32,
    outputs: *const f32,
    weights: *mut f32,
) {
    for j in 0..steps.values {
        // SAFETY: the caller vouches for the tile.
        unsafe {
            let (inputs, outputs) = (inputs.add(j * steps.inputs), outputs.add(j * steps.outputs));
            let mut sums = [[L::splat(0.0); C]; O];
            for t in 0..steps.tiles {
                let mut factors = [L::splat(0.0); O];
                for o in 0..O {
                    factors[o] = L::load(outputs.add((o * steps.tiles + t) * LANES));
                }
                for c in 0..C {
                    let element = L::load(inputs.add((c * steps.tiles + t) * LANES));
                    for o in 0..O {
                        sums[o][c] = factors[o].fma(element, sums[o][c]);
                    }
                }
            }
            let totals = totals(sums);
            let totals = totals.as_flattened();
            let to = std::slice::from_raw_parts_mut(weights.add(j * steps.weights), O * C);
            if steps.adds {
                for (to, total) in to.iter_mut().zip(totals) {
                    *to += total;
                }
            } else {
                to.copy_from_slice(totals);
            }
        }
    }
}

/// # Safety
/// As for [`each_weight`].
#[inline(always)]
unsafe fn weights_in<L: Lanes>(
    walk: &Walk,
    adds: bool,
    input: *const f32,
    grad_output: *const f32,
    grad_weight: *mut f32,
    weights: *mut f32,
    scratch: *mut f32,
) {
    // SAFETY: passed on.
    unsafe { each_weight::<L, Six, 3, 6, 4>(walk, adds, input, grad_output, grad_weight, weights, scratch) };
}

/// # Safety
/// As for [`kernel_in`].
#[inline(always)]
unsafe fn weight_values_in<L: Lanes>(walk: &Walk, weight: *const f32, to: *mut f32) {
    // SAFETY: passed on.
    unsafe {
        match walk.tiling.values {
            6 => kernel_in::<L, Six, 3, 6>(walk, weight, to),
            _ => kernel_in::<L, Eight, 5, 8>(walk, weight, to),
        }
    }
}

instantiate!(unsafe fn weights_of = weights_in(
    walk: &Walk, adds: bool, input: *const f32, grad_output: *const f32, grad_weight: *mut f32, weights: *mut f32,
    scratch: *mut f32,
));
instantiate!(pub(super) unsafe fn weight_values = weight_values_in(walk: &Walk, weight: *const f32, to: *mut f32));
