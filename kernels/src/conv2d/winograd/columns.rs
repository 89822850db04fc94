//! Fewer products along the columns alone: for each of N values, a plain convolution by one row of the kernel.
//!
//! That takes 40 % of the products for a kernel 5 high, and half for one 3 high. Where channels are few, there is no more to win:
//! transforms along both axes would cost what their products save. The values of an output never leave the registers, since all N, or
//! half of them, are summed at once and then transformed; neither do those of a gradient, which are made where they are multiplied.
//! Only AVX-512 has the registers for that.

// A tile is indexed by channel and position, which reads better than zips of zips.
#![allow(clippy::needless_range_loop)]

use super::strip::{Strip, rows_in};
use super::transform::{Coefficients, Eight, Points, Six, Values, apply};
use super::{Side, sides};
use crate::LANES;
use crate::conv2d::Sizes;
use crate::conv2d::cpu::check;
use crate::conv2d::tiling::ColumnTiling;
use crate::cpu::lanes::Lanes;
use crate::cpu::tile::parts;
use crate::cpu::{Context, Isa, Kind, instantiate};

/// As [`super::forward`], with [`ColumnTiling::scratch`] floats of scratch; keeps [`ColumnTiling::weights`] floats a group.
///
/// Panics if a slice does not have its size, or the kernel has no such tiling.
pub(in crate::conv2d) fn forward(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    weight: &[f32],
    output: &mut [f32],
    scratch: &mut [f32],
    kept: &mut [f32],
) {
    check(sizes, "forward", LANES, input.len(), weight.len(), output.len());
    let walk = Walk::of(sizes);
    let values_of_weights = walk.tiling.weights(sizes);
    assert!(scratch.len() >= walk.tiling.scratch(sizes), "conv2d: scratch is too short");
    assert!(kept.len() >= sizes.groups * values_of_weights, "conv2d: what is kept is too short");
    let own = weight.len() / sizes.groups;
    for (group, (weight, kept)) in weight.chunks_exact(own).zip(kept.chunks_exact_mut(values_of_weights)).enumerate() {
        // SAFETY: `check` has compared the lengths with the sizes, of which both sides are made; there is room for values of the
        // group's weights, and of a row of tiles.
        unsafe {
            let input = input.as_ptr().add(group * walk.inputs.len());
            let output = output.as_mut_ptr().add(group * walk.outputs.len());
            if !cx.prepared {
                weight_rows(cx.isa, sizes.kernel_size[0], weight, kept.as_mut_ptr());
            }
            for tile in 0..walk.tiling.tiles {
                rows_in(cx.isa, &walk.strip(walk.inputs, (tile, 1)), input, scratch.as_mut_ptr());
                let row = tile * walk.tiling.step;
                outputs_of(cx.isa, &walk, row, scratch.as_ptr(), kept.as_ptr(), output);
            }
        }
    }
}

/// As [`super::grad_weight`], with [`ColumnTiling::grad_weight_scratch`] floats of scratch.
///
/// Panics if a slice does not have its size, or the kernel has no such tiling.
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
        // SAFETY: as in `forward`; there is room for values of some rows of tiles of one channel.
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

/// Whether the set has the registers.
pub(in crate::conv2d) fn fits(isa: Isa) -> bool {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => true,
        _ => false,
    }
}

/// Accumulators of a register tile.
const fn accumulators<L: Lanes>() -> usize {
    L::TILE[0] * L::TILE[1]
}

/// Both sides of a group.
struct Walk {
    tiling: ColumnTiling,
    /// R.
    kernel: usize,
    inputs: Side,
    outputs: Side,
}

impl Walk {
    fn of(sizes: &Sizes) -> Walk {
        let tiling = ColumnTiling::of(sizes).unwrap_or_else(|| panic!("conv2d: {sizes:?} takes all products"));
        let [inputs, outputs] = sides(sizes);
        Walk { tiling, kernel: sizes.kernel_size[0], inputs, outputs }
    }

    /// Some rows of tiles of the inputs, with zeros on both sides of the image: [channels, N, rows of tiles, columns].
    fn strip(&self, side: Side, tiles: (usize, usize)) -> Strip {
        let row = self.row();
        Strip {
            side,
            values: self.tiling.values,
            step: self.tiling.step,
            tiles,
            column: -(side.corner[1] as isize),
            span: row / LANES,
            floats: [tiles.1 * row, self.tiling.values * tiles.1 * row, row],
        }
    }

    /// Floats of a row of values.
    #[inline(always)]
    fn row(&self) -> usize {
        (self.inputs.size[1] + 2 * self.inputs.corner[1]) * LANES
    }

    /// Values of the weights of a pair of channels.
    #[inline(always)]
    fn weights(&self) -> usize {
        self.tiling.values * self.kernel
    }
}

/// One row of tiles of all output channels, from its values [C_in, N, columns] and those of the weights [C_out, C_in, N, R]; it
/// begins at row `row` of the output.
///
/// # Safety
/// The pointers are valid for the walk; the set of `L` is enabled.
#[inline(always)]
unsafe fn outputs_in<L: Lanes>(walk: &Walk, row: usize, values: *const f32, weights: *const f32, output: *mut f32) {
    let [height, width] = walk.outputs.size;
    let rows = height - row;
    // As many columns as registers hold the sums of. The last tile of a row is moved back so that it is complete; it writes some columns
    // a second time.
    macro_rules! tiles {
        ($tile:ident, [$($columns:literal)*]) => {
            match [$($columns),*].into_iter().find(|&columns| columns <= width) {
                $(Some($columns) => {
                    for x in (0..width).step_by($columns) {
                        let x = x.min(width - $columns);
                        for o in 0..walk.outputs.channels {
                            let output = output.add(((o * height + row) * width + x) * LANES);
                            let weights = weights.add(o * walk.inputs.channels * walk.weights());
                            if rows >= walk.tiling.step {
                                $tile::<L, $columns, false>(walk, rows, values.add(x * LANES), weights, output);
                            } else {
                                $tile::<L, $columns, true>(walk, rows, values.add(x * LANES), weights, output);
                            }
                        }
                    }
                })*
                _ => {}
            }
        };
    }
    // SAFETY: the columns lie in the output, which the caller vouches for.
    unsafe {
        if const { accumulators::<L>() < 24 } {
            unreachable!("24 sums in registers");
        }
        match walk.tiling.values {
            6 => tiles!(tile_of_six, [4 2 1]),
            _ => tiles!(tile_of_eight, [6 4 2 1]),
        }
    }
}

/// 4 rows of X columns of one channel, for a kernel of 3 rows. With `EDGE`, `rows` of them lie in the image: comparisons for each row would
/// take a sixth of the time.
///
/// # Safety
/// As for [`outputs_in`], for the tile from the pointers on.
#[inline(always)]
unsafe fn tile_of_six<L: Lanes, const X: usize, const EDGE: bool>(
    walk: &Walk,
    rows: usize,
    values: *const f32,
    weights: *const f32,
    output: *mut f32,
) {
    // SAFETY: passed on.
    unsafe {
        let sums: [[L; X]; 6] = sums_of::<L, 3, 6, 6, 0, X>(walk, values, weights);
        for x in 0..X {
            let column: [L; 4] = apply::<Coefficients<Six>, L, _, _>(sums.map(
                #[inline(always)]
                |sums| sums[x],
            ));
            store_column::<L, 4, EDGE>(walk, rows, column, output.add(x * LANES));
        }
    }
}

/// [`tile_of_six`] for a kernel of 5 rows. Half of the values at a time: the same registers hold the sums of
/// twice as many columns, each of which reads the weights and its neighbours' inputs once.
///
/// # Safety
/// As for [`outputs_in`], for the tile from the pointers on.
#[inline(always)]
unsafe fn tile_of_eight<L: Lanes, const X: usize, const EDGE: bool>(
    walk: &Walk,
    rows: usize,
    values: *const f32,
    weights: *const f32,
    output: *mut f32,
) {
    // SAFETY: passed on.
    unsafe {
        let sums = sums_of::<L, 5, 8, 4, 7, X>(walk, values, weights);
        let mut columns = [[L::splat(0.0); 4]; X];
        for (x, column) in columns.iter_mut().enumerate() {
            *column = Coefficients::<Eight>::first_of(sums.map(
                #[inline(always)]
                |sums| sums[x],
            ));
        }
        let sums = sums_of::<L, 5, 8, 4, 3, X>(walk, values, weights);
        for (x, mut column) in columns.into_iter().enumerate() {
            Coefficients::<Eight>::add_pair(1, [sums[0][x], sums[1][x]], &mut column);
            Coefficients::<Eight>::add_pair(2, [sums[2][x], sums[3][x]], &mut column);
            store_column::<L, 4, EDGE>(walk, rows, column, output.add(x * LANES));
        }
    }
}

/// V of the N values of X columns of one output channel, from value FIRST on around to value 0.
///
/// # Safety
/// As for [`outputs_in`], for the tile from the pointers on.
#[inline(always)]
unsafe fn sums_of<L: Lanes, const R: usize, const N: usize, const V: usize, const FIRST: usize, const X: usize>(
    walk: &Walk,
    mut values: *const f32,
    mut weights: *const f32,
) -> [[L; X]; V] {
    // SAFETY: the caller vouches for the tile; the pointers stand behind it in the end.
    unsafe {
        let mut sums = [[L::splat(0.0); X]; V];
        for _ in 0..walk.inputs.channels {
            for (v, sums) in sums.iter_mut().enumerate() {
                let i = (FIRST + v) % N;
                let mut factors = [L::splat(0.0); R];
                for (k, factor) in factors.iter_mut().enumerate() {
                    *factor = L::splat(*weights.add(i * R + k));
                }
                for column in 0..X + R - 1 {
                    let value = L::load(values.add(i * walk.row() + column * LANES));
                    for x in (column + 1).saturating_sub(R)..X.min(column + 1) {
                        sums[x] = factors[column - x].fma(value, sums[x]);
                    }
                }
            }
            values = values.wrapping_add(N * walk.row());
            weights = weights.wrapping_add(N * R);
        }
        sums
    }
}

/// The first `rows` of the elements below each other.
///
/// # Safety
/// The output has these rows from the pointer on; the set of `L` is enabled.
#[inline(always)]
unsafe fn store_column<L: Lanes, const M: usize, const EDGE: bool>(
    walk: &Walk,
    rows: usize,
    column: [L; M],
    output: *mut f32,
) {
    for (y, element) in column.into_iter().enumerate() {
        if !EDGE || y < rows {
            // SAFETY: the contract.
            unsafe { element.store(output.add(y * walk.outputs.row())) };
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
            let grad_output = grad_output.add(o * walk.outputs.size[0] * walk.outputs.row());
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
            let grad_output = grad_output.add(first * walk.outputs.row());
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

/// Values of weights: [pairs of channels, R, R] -> [pairs, N, R].
///
/// # Safety
/// `to` is valid for the values; the set of `L` is enabled.
#[inline(always)]
unsafe fn kernel_in<L: Lanes, P: Points<N>, const R: usize, const N: usize>(weight: &[f32], to: *mut f32) {
    for (pair, weight) in weight.chunks_exact(R * R).enumerate() {
        // SAFETY: R elements of every row of the pair, and of every value.
        unsafe {
            let mut rows = [L::splat(0.0); R];
            for (row, weight) in rows.iter_mut().zip(weight.chunks_exact(R)) {
                *row = L::load_first(weight.as_ptr(), R, 0.0);
            }
            for (i, value) in apply::<Values<P>, L, _, _>(rows).into_iter().enumerate() {
                value.mul(L::splat(P::SCALES[i])).store_first(to.add((pair * N + i) * R), R);
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
        // SAFETY: as in `kernel_in`.
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
/// As for [`kernel_in`].
#[inline(always)]
unsafe fn weight_rows_in<L: Lanes>(kernel: usize, weight: &[f32], to: *mut f32) {
    // SAFETY: passed on.
    unsafe {
        match kernel {
            3 => kernel_in::<L, Six, 3, 6>(weight, to),
            _ => kernel_in::<L, Eight, 5, 8>(weight, to),
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

instantiate!(unsafe fn outputs_of = outputs_in(
    walk: &Walk, row: usize, values: *const f32, weights: *const f32, output: *mut f32,
));
instantiate!(unsafe fn weights_of = weights_in(
    walk: &Walk, tiles: (usize, usize), values: *const f32, grad_output: *const f32, sums: *mut f32,
));
instantiate!(unsafe fn lane_sums = lane_sums_in(count: usize, n: usize, from: *const f32, to: *mut f32));
instantiate!(unsafe fn weight_rows = weight_rows_in(kernel: usize, weight: &[f32], to: *mut f32));
instantiate!(unsafe fn weight_rows_back = weight_rows_out(
    walk: &Walk, adds: bool, from: *const f32, grad_weight: &mut [f32],
));
