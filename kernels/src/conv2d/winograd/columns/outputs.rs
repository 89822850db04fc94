//! The outputs of a tile, and what is made of them while they are in registers.

// A tile is indexed by channel and position, which reads better than zips of zips.
#![allow(clippy::needless_range_loop)]

use super::super::strip::rows_in;
use super::super::transform::{Coefficients, Eight, Points, Six, Values, apply};
use super::{Walk, accumulators};
use crate::LANES;
use crate::conv2d::Sizes;
use crate::conv2d::cpu::check;
use crate::cpu::lanes::Lanes;
use crate::cpu::relu::Relu;
use crate::cpu::{Context, instantiate};
use crate::pool2d;

/// As [`forward`](super::super::forward), with [`ColumnTiling::scratch`] floats of scratch; keeps [`ColumnTiling::weights`] floats a group.
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
/// to save to, and what comes behind it.
///
/// Panics as `forward` does, or if the outputs do not fall into such windows.
pub(in crate::conv2d) fn forward_pooled(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    weight: &[f32],
    relu: Relu<'_>,
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
            let relu = relu.from(group * walk.outputs.channels);
            largest_of(cx.isa, walk, row, values, weights, relu, output, saved);
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

/// The largest of each 2 x 2 of them becomes the output. Where it stands is saved unless there is no room (null).
#[derive(Clone, Copy)]
struct Largest<'a> {
    relu: Relu<'a>,
    output: *mut f32,
    saved: *mut u16,
}

impl Target for Largest<'_> {
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
                    self.relu.of(channel, largest).store(self.output.add(window * LANES));
                    if !self.saved.is_null() {
                        pool2d::save_window(elements, largest, self.saved.add(4 * window));
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
    // As many columns as registers hold the sums of; images that are not as wide are few, so that the form for the last row serves all
    // of theirs. The last tile of a row is moved back so that it is complete; it writes some columns a second time.
    macro_rules! tiles {
        ($tile:ident, $widest:literal) => {
            match width {
                $widest.. if rows >= walk.tiling.step => tiles!($tile, $widest, false),
                $widest.. => tiles!($tile, $widest, true),
                2.. => tiles!($tile, 2, true),
                _ => tiles!($tile, 1, true),
            }
        };
        ($tile:ident, $columns:literal, $edge:literal) => {
            L::apart(
                walk,
                #[inline(always)]
                |walk| {
                    for x in (0..width).step_by($columns) {
                        let column = x.min(width - $columns);
                        for channel in 0..walk.outputs.channels {
                            let weights = weights.add(channel * walk.inputs.channels * walk.weights());
                            let (values, place) = (values.add(column * LANES), Place { channel, row, column });
                            $tile::<L, T, $columns, $edge>(walk, place, rows, values, weights, target);
                        }
                    }
                },
            )
        };
    }
    // SAFETY: the columns lie in the output, which the caller vouches for.
    unsafe {
        if const { accumulators::<L>() < 24 } {
            unreachable!("24 sums in registers");
        }
        match walk.tiling.values {
            6 => tiles!(tile_of_six, 4),
            _ => tiles!(tile_of_eight, 6),
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
    relu: Relu<'_>,
    output: *mut f32,
    saved: *mut u16,
) {
    // SAFETY: passed on.
    unsafe { outputs_in::<L, _>(walk, row, values, weights, Largest { relu, output, saved }) };
}

instantiate!(unsafe fn outputs_of = plain_in(
    walk: &Walk, row: usize, values: *const f32, weights: *const f32, output: *mut f32,
));
instantiate!(unsafe fn largest_of = largest_in(
    walk: &Walk, row: usize, values: *const f32, weights: *const f32, relu: Relu<'_>, output: *mut f32, saved: *mut u16,
));
instantiate!(unsafe fn weight_rows = weight_rows_in(kernel: usize, weight: &[f32], to: *mut f32));
