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
use crate::pool2d;

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
    let output = output.as_mut_ptr();
    // SAFETY: `check` has compared the lengths with the sizes.
    unsafe {
        each_row(cx, sizes, input, weight, scratch, kept, |walk, group, row, values, weights| {
            let output = output.add(group * walk.outputs.len());
            outputs_of(cx.isa, walk, row, values, weights, output);
        });
    }
}

/// [`forward`] with max pooling in windows of 2 x 2, as `pool2d::max_forward`, or `max_forward_saving` where there is something
/// to save to.
///
/// Panics as `forward` does, or if the outputs do not fall into such windows.
pub(in crate::conv2d) fn forward_pooled(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    weight: &[f32],
    output: &mut [f32],
    scratch: &mut [f32],
    kept: &mut [f32],
    saved: Option<&mut [f32]>,
) {
    check(sizes, "forward_pooled", LANES, input.len(), weight.len(), 4 * output.len());
    assert!(sizes.falls_into_pairs(), "conv2d::forward_pooled: {sizes:?} has an odd number of rows or columns");
    let output = output.as_mut_ptr();
    let saved: *mut u16 = saved.map_or(std::ptr::null_mut(), |saved| {
        assert_eq!(
            saved.len(),
            sizes.pooling().saved(),
            "conv2d::forward_pooled: what is saved does not fit {sizes:?}"
        );
        saved.as_mut_ptr().cast()
    });
    // SAFETY: as in `forward`; there are as many windows as a quarter of the outputs, and what is saved has room for four elements
    // of each.
    unsafe {
        each_row(cx, sizes, input, weight, scratch, kept, |walk, group, row, values, weights| {
            let windows = group * walk.outputs.len() / 4 / LANES;
            let output = output.add(windows * LANES);
            let saved = if saved.is_null() { saved } else { saved.add(4 * windows) };
            largest_of(cx.isa, walk, row, values, weights, output, saved);
        });
    }
}

/// Calls `f` with (group, first row of the output, values of the inputs, those of the weights) for every row of tiles.
///
/// Panics if scratch or what is kept is too short, or the kernel has no such tiling.
///
/// # Safety
/// Input and weight have their sizes.
unsafe fn each_row(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    weight: &[f32],
    scratch: &mut [f32],
    kept: &mut [f32],
    f: impl Fn(&Walk, usize, usize, *const f32, *const f32),
) {
    let walk = Walk::of(sizes);
    let values_of_weights = walk.tiling.weights(sizes);
    assert!(scratch.len() >= walk.tiling.scratch(sizes), "conv2d: scratch is too short");
    assert!(kept.len() >= sizes.groups * values_of_weights, "conv2d: what is kept is too short");
    let own = weight.len() / sizes.groups;
    for (group, (weight, kept)) in weight.chunks_exact(own).zip(kept.chunks_exact_mut(values_of_weights)).enumerate() {
        // SAFETY: the caller vouches for the slices, of whose sizes both sides are made; there is room for values of the group's
        // weights, and of a row of tiles.
        unsafe {
            let input = input.as_ptr().add(group * walk.inputs.len());
            if !cx.prepared {
                weight_rows(cx.isa, sizes.kernel_size[0], weight, kept.as_mut_ptr());
            }
            for tile in 0..walk.tiling.tiles {
                rows_in(cx.isa, &walk.strip(walk.inputs, (tile, 1)), input, scratch.as_mut_ptr());
                f(&walk, group, tile * walk.tiling.step, scratch.as_ptr(), kept.as_ptr());
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
    let gradients = Gradients { saved: std::ptr::null(), room: std::ptr::null_mut(), gradients: grad_output.as_ptr() };
    // SAFETY: `check` has compared the lengths with the sizes.
    unsafe { each_weight(cx, sizes, gradients, input, grad_weight, scratch) };
}

/// [`grad_weight`] from the gradient behind [`forward_pooled`] and what that has saved, with room for the gradient of one channel of
/// the outputs beside the scratch.
///
/// Panics as `grad_weight` does, or if the outputs do not fall into such windows.
pub(in crate::conv2d) fn grad_weight_pooled(
    cx: &Context,
    sizes: &Sizes,
    saved: &[f32],
    grad_pooled: &[f32],
    input: &[f32],
    grad_weight: &mut [f32],
    scratch: &mut [f32],
) {
    check(sizes, "grad_weight_pooled", LANES, input.len(), grad_weight.len(), 4 * grad_pooled.len());
    assert!(sizes.falls_into_pairs(), "conv2d::grad_weight_pooled: {sizes:?} has an odd number of rows or columns");
    let fits = saved.len() == sizes.pooling().saved();
    assert!(fits, "conv2d::grad_weight_pooled: what is saved does not fit {sizes:?}");
    let (room, scratch) = scratch.split_at_mut(sizes.out_height() * sizes.out_width() * LANES);
    let (saved, room) = (saved.as_ptr().cast(), room.as_mut_ptr());
    let gradients = Gradients { saved, room, gradients: grad_pooled.as_ptr() };
    // SAFETY: as in `grad_weight`; the gradients of the windows, and where their maxima stand, are a quarter of those of the outputs.
    unsafe { each_weight(cx, sizes, gradients, input, grad_weight, scratch) };
}

/// All groups, channels of the inputs, and rows of tiles.
///
/// Panics if scratch is too short, or the kernel has no such tiling.
///
/// # Safety
/// The slices have their sizes, and the gradients are valid for the outputs.
unsafe fn each_weight(
    cx: &Context,
    sizes: &Sizes,
    gradients: Gradients,
    input: &[f32],
    grad_weight: &mut [f32],
    scratch: &mut [f32],
) {
    let walk = Walk::of(sizes);
    assert_eq!(walk.kernel, 5, "conv2d::grad_weight: {sizes:?} takes all products");
    assert!(scratch.len() >= walk.tiling.grad_weight_scratch(sizes), "conv2d: scratch is too short");
    let (weights, values) = scratch.split_at_mut(walk.tiling.weights(sizes));
    let (sums, values) = values.split_at_mut(walk.tiling.sums(sizes));
    let channel = Side { channels: 1, ..walk.inputs };
    let own = grad_weight.len() / sizes.groups;
    for (group, grad_weight) in grad_weight.chunks_exact_mut(own).enumerate() {
        // SAFETY: the caller vouches for the slices; there is room for values of some rows of tiles of one channel.
        unsafe {
            let input = input.as_ptr().add(group * walk.inputs.len());
            let gradients = gradients.of_group(&walk, group);
            let of_channel = walk.outputs.channels * walk.weights();
            for c in 0..walk.inputs.channels {
                for tiles in parts(walk.tiling.tiles, walk.tiling.rows) {
                    let strip = walk.strip(channel, tiles);
                    rows_in(cx.isa, &strip, input.add(c * channel.len()), values.as_mut_ptr());
                    weights_of(cx.isa, &walk, tiles, values.as_ptr(), gradients, sums.as_mut_ptr());
                }
                lane_sums(cx.isa, cx.count, of_channel, sums.as_ptr(), weights.as_mut_ptr().add(c * of_channel));
            }
            weight_rows_back(cx.isa, &walk, cx.adds, weights.as_ptr(), grad_weight);
        }
    }
}

/// The gradients of the outputs, or of what 2 x 2 of them were pooled to.
#[derive(Clone, Copy)]
struct Gradients {
    /// What pooling has saved; null if there was none.
    saved: *const u16,
    /// If there was, room for the gradient of one channel of the outputs.
    room: *mut f32,
    gradients: *const f32,
}

impl Gradients {
    /// Those of a group.
    ///
    /// # Safety
    /// They are valid for the outputs of all groups up to this one.
    unsafe fn of_group(self, walk: &Walk, group: usize) -> Gradients {
        let outputs = group * walk.outputs.len();
        // SAFETY: the contract.
        unsafe {
            if self.saved.is_null() {
                return Gradients { gradients: self.gradients.add(outputs), ..self };
            }
            Gradients { saved: self.saved.add(outputs / LANES), gradients: self.gradients.add(outputs / 4), ..self }
        }
    }

    /// Where row 0 of channel `o` of the outputs would stand: at least the `n` rows from row `first` on are there, as far as there are
    /// some.
    ///
    /// # Safety
    /// They are valid for the channel; the set of `L` is enabled.
    #[inline(always)]
    unsafe fn rows<L: Lanes>(self, walk: &Walk, o: usize, first: usize, n: usize) -> *const f32 {
        let [height, width] = walk.outputs.size;
        let outputs = o * height * width;
        // SAFETY: the contract; windows of two rows lie in the rows, since their number is even.
        unsafe {
            if self.saved.is_null() {
                return self.gradients.add(outputs * LANES);
            }
            let rows = n.min(height - first);
            let before = outputs + first * width;
            let pooling = pool2d::Sizes::of_pairs(1, rows, width);
            let (saved, gradients) = (self.saved.add(before), self.gradients.add(before / 4 * LANES));
            pool2d::max_grad_saved_in::<L>(&pooling, saved, gradients, self.room);
            self.room.wrapping_sub(first * walk.outputs.row())
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

/// Where the outputs of a tile go: [C_out, H, W], or what is made of them on the way.
trait Target: Copy {
    /// X columns of 4 rows. With `EDGE`, `rows` of them lie in the image: comparisons for each row would take a sixth of the time.
    ///
    /// # Safety
    /// The target has room for them; the set of `L` is enabled.
    unsafe fn take<L: Lanes, const X: usize, const EDGE: bool>(
        self,
        walk: &Walk,
        place: Place,
        rows: usize,
        columns: [[L; 4]; X],
    );
}

/// Where a tile begins.
#[derive(Clone, Copy)]
struct Place {
    channel: usize,
    row: usize,
    column: usize,
}

/// They are the output.
#[derive(Clone, Copy)]
struct Plain {
    output: *mut f32,
}

impl Target for Plain {
    #[inline(always)]
    unsafe fn take<L: Lanes, const X: usize, const EDGE: bool>(
        self,
        walk: &Walk,
        Place { channel, row, column }: Place,
        rows: usize,
        columns: [[L; 4]; X],
    ) {
        let [height, width] = walk.outputs.size;
        let output = self.output.wrapping_add(((channel * height + row) * width + column) * LANES);
        for (x, column) in columns.into_iter().enumerate() {
            for (y, element) in column.into_iter().enumerate() {
                if !EDGE || y < rows {
                    // SAFETY: the contract.
                    unsafe { element.store(output.add(y * walk.outputs.row() + x * LANES)) };
                }
            }
        }
    }
}

/// The largest of each 2 x 2 of them is the output. Where it stands is saved unless there is no room (null).
#[derive(Clone, Copy)]
struct Largest {
    output: *mut f32,
    saved: *mut u16,
}

impl Target for Largest {
    #[inline(always)]
    unsafe fn take<L: Lanes, const X: usize, const EDGE: bool>(
        self,
        walk: &Walk,
        Place { channel, row, column }: Place,
        rows: usize,
        columns: [[L; 4]; X],
    ) {
        let [height, width] = walk.outputs.size.map(|size| size / 2);
        let first = (channel * height + row / 2) * width + column / 2;
        for y in 0..2 {
            if EDGE && 2 * y >= rows {
                break;
            }
            for x in 0..X / 2 {
                let window = first + y * width + x;
                let [left, right] = [columns[2 * x], columns[2 * x + 1]];
                let elements = [left[2 * y], right[2 * y], left[2 * y + 1], right[2 * y + 1]];
                // SAFETY: the contract.
                unsafe {
                    let largest = L::largest_of_four(elements);
                    largest.store(self.output.add(window * LANES));
                    if !self.saved.is_null() {
                        let mut left = u16::MAX;
                        for (i, element) in elements.into_iter().enumerate() {
                            pool2d::save(element, largest, &mut left, self.saved.add(4 * window + i));
                        }
                    }
                }
            }
        }
    }
}

/// One row of tiles of all output channels, from its values [C_in, N, columns] and those of the weights [C_out, C_in, N, R]; it
/// begins at row `row` of the output.
///
/// # Safety
/// The pointers are valid for the walk, and the target for the outputs; the set of `L` is enabled.
#[inline(always)]
unsafe fn outputs_in<L: Lanes, T: Target>(walk: &Walk, row: usize, values: *const f32, weights: *const f32, target: T) {
    let [height, width] = walk.outputs.size;
    let rows = height - row;
    // As many columns as registers hold the sums of. The last tile of a row is moved back so that it is complete; it writes some columns
    // a second time.
    macro_rules! tiles {
        ($tile:ident, [$($columns:literal)*]) => {
            match [$($columns),*].into_iter().find(|&columns| columns <= width) {
                $(Some($columns) => {
                    for x in (0..width).step_by($columns) {
                        let column = x.min(width - $columns);
                        for channel in 0..walk.outputs.channels {
                            let weights = weights.add(channel * walk.inputs.channels * walk.weights());
                            let (values, place) = (values.add(column * LANES), Place { channel, row, column });
                            if rows >= walk.tiling.step {
                                $tile::<L, T, $columns, false>(walk, place, rows, values, weights, target);
                            } else {
                                $tile::<L, T, $columns, true>(walk, place, rows, values, weights, target);
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

/// 4 rows of X columns of one channel, for a kernel of 3 rows.
///
/// # Safety
/// As for [`outputs_in`], for the tile from the pointers on.
#[inline(always)]
unsafe fn tile_of_six<L: Lanes, T: Target, const X: usize, const EDGE: bool>(
    walk: &Walk,
    place: Place,
    rows: usize,
    values: *const f32,
    weights: *const f32,
    target: T,
) {
    // SAFETY: passed on.
    unsafe {
        let sums: [[L; X]; 6] = sums_of::<L, 3, 6, 6, 0, X>(walk, values, weights);
        give::<L, T, X, EDGE>(
            walk,
            place,
            rows,
            target,
            #[inline(always)]
            |x| {
                apply::<Coefficients<Six>, L, _, _>(sums.map(
                    #[inline(always)]
                    |sums| sums[x],
                ))
            },
        );
    }
}

/// [`tile_of_six`] for a kernel of 5 rows. Half of the values at a time: the same registers hold the sums of
/// twice as many columns, each of which reads the weights and its neighbours' inputs once.
///
/// # Safety
/// As for [`outputs_in`], for the tile from the pointers on.
#[inline(always)]
unsafe fn tile_of_eight<L: Lanes, T: Target, const X: usize, const EDGE: bool>(
    walk: &Walk,
    place: Place,
    rows: usize,
    values: *const f32,
    weights: *const f32,
    target: T,
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
        give::<L, T, X, EDGE>(
            walk,
            place,
            rows,
            target,
            #[inline(always)]
            |x| {
                let mut column = columns[x];
                Coefficients::<Eight>::add_pair(1, [sums[0][x], sums[1][x]], &mut column);
                Coefficients::<Eight>::add_pair(2, [sums[2][x], sums[3][x]], &mut column);
                column
            },
        );
    }
}

/// Gives the columns of a tile to its target, two at a time, before the next ones are made: all of them do not fit into registers.
///
/// # Safety
/// As for [`outputs_in`], for the tile.
#[inline(always)]
unsafe fn give<L: Lanes, T: Target, const X: usize, const EDGE: bool>(
    walk: &Walk,
    place: Place,
    rows: usize,
    target: T,
    column: impl Fn(usize) -> [L; 4],
) {
    // SAFETY: passed on.
    unsafe {
        for x in (0..X - X % 2).step_by(2) {
            let place = Place { column: place.column + x, ..place };
            target.take::<L, 2, EDGE>(walk, place, rows, [column(x), column(x + 1)]);
        }
        if !X.is_multiple_of(2) {
            target.take::<L, 1, EDGE>(walk, place, rows, [column(0)]);
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
    gradients: Gradients,
    sums: *mut f32,
) {
    let [first, rows] = [tiles.0, tiles.1].map(|tiles| tiles * walk.tiling.step);
    for o in 0..walk.outputs.channels {
        // SAFETY: passed on, for one output channel.
        unsafe {
            let grad_output = gradients.rows::<L>(walk, o, first, rows);
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

/// # Safety
/// As for [`outputs_in`].
#[inline(always)]
unsafe fn plain_in<L: Lanes>(walk: &Walk, row: usize, values: *const f32, weights: *const f32, output: *mut f32) {
    // SAFETY: passed on.
    unsafe { outputs_in::<L, _>(walk, row, values, weights, Plain { output }) };
}

/// # Safety
/// As for [`outputs_in`]; where `saved` is not null, what max pooling saves goes there.
#[inline(always)]
unsafe fn largest_in<L: Lanes>(
    walk: &Walk,
    row: usize,
    values: *const f32,
    weights: *const f32,
    output: *mut f32,
    saved: *mut u16,
) {
    // SAFETY: passed on.
    unsafe { outputs_in::<L, _>(walk, row, values, weights, Largest { output, saved }) };
}

instantiate!(unsafe fn outputs_of = plain_in(
    walk: &Walk, row: usize, values: *const f32, weights: *const f32, output: *mut f32,
));
instantiate!(unsafe fn largest_of = largest_in(
    walk: &Walk, row: usize, values: *const f32, weights: *const f32, output: *mut f32, saved: *mut u16,
));
instantiate!(unsafe fn weights_of = weights_in(
    walk: &Walk, tiles: (usize, usize), values: *const f32, gradients: Gradients, sums: *mut f32,
));
instantiate!(unsafe fn lane_sums = lane_sums_in(count: usize, n: usize, from: *const f32, to: *mut f32));
instantiate!(unsafe fn weight_rows = weight_rows_in(kernel: usize, weight: &[f32], to: *mut f32));
instantiate!(unsafe fn weight_rows_back = weight_rows_out(
    walk: &Walk, adds: bool, from: *const f32, grad_weight: &mut [f32],
));
