//! The gradient of a weight behind max pooling in windows of 2 x 2. Of the four gradients of a window one is not zero, in each sample
//! another; so the inputs that it meets are selected, and a window has one product for each kernel element instead of four. A selection
//! takes one instruction, but half the room of a product, and needs no constants as [fewer products](super::winograd) do: its sums are
//! rounded like plain ones.
//!
//! Only AVX-512 selects by the bits of a mask, and has registers for sums, rows and masks.

// A tile is indexed by row and column, which reads better than zips of zips.
#![allow(clippy::needless_range_loop)]

use super::Sizes;
use super::cpu::check;
use super::direct::framed;
use super::tiling::NEAR;
use super::winograd::columns::accumulators;
use crate::LANES;
use crate::cpu::gemm::add_totals;
use crate::cpu::lanes::Lanes;
use crate::cpu::tile::parts;
use crate::cpu::{Context, instantiate};

/// [`grad_weight_pooled`](super::grad_weight_pooled), with [`Sizes::padded_input`] floats of scratch.
///
/// Panics if a slice does not have its size, or windows do not cover the outputs of such a kernel.
pub(super) fn grad_weight(
    cx: &Context,
    sizes: &Sizes,
    saved: &[f32],
    grad_pooled: &[f32],
    input: &[f32],
    grad_weight: &mut [f32],
    scratch: &mut [f32],
) {
    check(sizes, "grad_weight_pooled", LANES, input.len(), grad_weight.len(), 4 * grad_pooled.len());
    assert!(sizes.takes_windows(), "conv2d::grad_weight_pooled: no windows of 2 x 2 for {sizes:?}");
    let fits = saved.len() == sizes.pooling().saved();
    assert!(fits, "conv2d::grad_weight_pooled: what is saved does not fit {sizes:?}");
    let (input, [height, width]) = framed(sizes, input, scratch);
    let [in_channels, out_channels] = sizes.group_channels();
    let [rows, columns] = [sizes.out_height() / 2, sizes.out_width() / 2];
    let kernel = sizes.kernel_size[0];
    let row = width * LANES;
    // While all outputs come by, the rows of the input stay in the first cache.
    let rows_at_once = ((NEAR / row).saturating_sub(kernel - 1) / 2).max(1);
    let mut walk = Walk {
        kernel,
        out_channels,
        plane: rows * columns,
        windows: [rows, columns],
        row,
        weights: in_channels * kernel * kernel,
        count: cx.count,
        adds: cx.adds,
    };
    for group in 0..sizes.groups {
        for c in 0..in_channels {
            for (first, n) in parts(rows, rows_at_once) {
                walk.windows[0] = n;
                walk.adds = cx.adds || first > 0;
                let window = group * out_channels * walk.plane + first * columns;
                // SAFETY: the lengths are checked, the input is [C_in, height, width, 16] by now: windows and their inputs lie in both.
                unsafe {
                    gradients_of(
                        cx.isa,
                        &walk,
                        saved.as_ptr().cast::<u16>().add(4 * window),
                        grad_pooled.as_ptr().add(window * LANES),
                        input.as_ptr().add(((group * in_channels + c) * height + 2 * first) * row),
                        grad_weight.as_mut_ptr().add(group * out_channels * walk.weights + c * kernel * kernel),
                    );
                }
            }
        }
    }
}

/// Some rows of windows of all output channels of a group, and one input channel.
#[derive(Debug, Clone, Copy)]
struct Walk {
    /// Rows and columns of the kernel.
    kernel: usize,
    out_channels: usize,
    /// Windows of an output channel, and how many rows and columns of them are summed.
    plane: usize,
    windows: [usize; 2],
    /// Floats from one row of the input to the next.
    row: usize,
    /// Weights from one output channel to the next.
    weights: usize,
    /// Samples that count, and whether their sum is added to those of other rows and tiles.
    count: usize,
    adds: bool,
}

/// The gradients of the kernels of one input channel.
///
/// # Safety
/// The pointers are valid for what `walk` names; the set of `L` is enabled.
#[inline(always)]
unsafe fn gradients_in<L: Lanes>(
    walk: &Walk,
    saved: *const u16,
    gradients: *const f32,
    input: *const f32,
    grad_weight: *mut f32,
) {
    if const { accumulators::<L>() < 5 * 3 } {
        unreachable!("a register tile of 5 x 3");
    }
    for o in 0..walk.out_channels {
        // SAFETY: passed on, for one output channel; a tile begins in column 0 or 3 of the kernel.
        unsafe {
            let saved = saved.add(o * walk.plane * 4);
            let gradients = gradients.add(o * walk.plane * LANES);
            let grad_weight = grad_weight.add(o * walk.weights);
            let (next, next_weight) = (input.wrapping_add(3 * LANES), grad_weight.wrapping_add(3));
            if walk.kernel == 3 {
                L::apart(
                    walk,
                    #[inline(always)]
                    |walk| tile::<L, 3, 3>(walk, saved, gradients, input, grad_weight),
                );
            } else {
                L::apart(
                    walk,
                    #[inline(always)]
                    |walk| tile::<L, 5, 3>(walk, saved, gradients, input, grad_weight),
                );
                L::apart(
                    walk,
                    #[inline(always)]
                    |walk| tile::<L, 5, 2>(walk, saved, gradients, next, next_weight),
                );
            }
        }
    }
}

/// T columns of a kernel of K rows.
///
/// # Safety
/// As for [`gradients_in`], from the pointers on.
#[inline(always)]
unsafe fn tile<L: Lanes, const K: usize, const T: usize>(
    walk: &Walk,
    mut saved: *const u16,
    mut gradients: *const f32,
    input: *const f32,
    grad_weight: *mut f32,
) {
    // SAFETY: the tile is valid by the contract; `wrapping` steps, because the pointers stand behind the windows in the end.
    unsafe {
        let mut sums = [[L::splat(0.0); T]; K];
        for y in 0..walk.windows[0] {
            let mut input = input.wrapping_add(2 * y * walk.row);
            for _ in 0..walk.windows[1] / 2 {
                add_windows::<L, K, T, 2>(walk.row, saved, gradients, input, &mut sums);
                saved = saved.wrapping_add(2 * 4);
                gradients = gradients.wrapping_add(2 * LANES);
                input = input.wrapping_add(4 * LANES);
            }
            if !walk.windows[1].is_multiple_of(2) {
                add_windows::<L, K, T, 1>(walk.row, saved, gradients, input, &mut sums);
                saved = saved.wrapping_add(4);
                gradients = gradients.wrapping_add(LANES);
            }
        }
        add_totals(sums, walk.count, walk.adds, grad_weight, walk.kernel);
    }
}

/// X windows side by side, which read the vectors that they share once.
///
/// # Safety
/// As for [`tile`], for these windows.
#[inline(always)]
unsafe fn add_windows<L: Lanes, const K: usize, const T: usize, const X: usize>(
    row: usize,
    saved: *const u16,
    gradients: *const f32,
    input: *const f32,
    sums: &mut [[L; T]; K],
) {
    // SAFETY: the contract.
    unsafe {
        let (mut below, mut right) = ([0; X], [0; X]);
        let mut gradient = [L::splat(0.0); X];
        for x in 0..X {
            // In which samples the maximum comes behind the first element, the second, the third; so it is in the second row, and in
            // the second column.
            let [first, second, third] = [0, 1, 2].map(
                #[inline(always)]
                |i| *saved.add(4 * x + i),
            );
            (below[x], right[x]) = (second, first ^ second ^ third);
            gradient[x] = L::load(gradients.add(x * LANES));
        }
        let mut upper: [[L; T]; X] = selected(input, right);
        for k in 0..K {
            let lower: [[L; T]; X] = selected(input.wrapping_add((k + 1) * row), right);
            for x in 0..X {
                for t in 0..T {
                    sums[k][t] = gradient[x].fma(upper[x][t].blend(lower[x][t], below[x]), sums[k][t]);
                }
            }
            upper = lower;
        }
    }
}

/// A row of the inputs of X windows: each of T columns, and in the samples of `right` the column behind it.
///
/// # Safety
/// `from` is valid for the columns; the set of `L` is enabled.
#[inline(always)]
unsafe fn selected<L: Lanes, const T: usize, const X: usize>(from: *const f32, right: [u16; X]) -> [[L; T]; X] {
    // SAFETY: the contract.
    unsafe {
        let mut selected = [[L::load(from); T]; X];
        let mut column = selected[0][0];
        for i in 0..T + 2 * (X - 1) {
            let next = L::load(from.add((i + 1) * LANES));
            for x in 0..X {
                if i >= 2 * x && i < 2 * x + T {
                    selected[x][i - 2 * x] = column.blend(next, right[x]);
                }
            }
            column = next;
        }
        selected
    }
}

instantiate!(unsafe fn gradients_of = gradients_in(
    walk: &Walk, saved: *const u16, gradients: *const f32, input: *const f32, grad_weight: *mut f32,
));
