//! Convolution by fewer products (Toom-Cook, Winograd), in the `samples` layout.
//!
//! M outputs of a correlation with R kernel elements are coefficients of a product of polynomials, which N = M + R − 1 of its
//! values determine: N products instead of M · R. Both axes together take 64 products for 16 outputs of a 5 x 5 kernel, which
//! has 400, and 36 for 16 outputs of a 3 x 3 kernel, which has 144. That is what this module does, and [`columns`] along one axis
//! alone; [`Way`](super::tiling::Way) says which of them pays.
//!
//! Per axis, with the values u = G g of the kernel and v = Bᵀ d of the input, the outputs are y = Aᵀ (u · v). Row p of A is
//! 1, p, p², .. for each point p; G is A for the kernel's length, scaled; Bᵀ holds the coefficients of Π (x − q). The gradients
//! are the same three matrices transposed, from right to left. The points ([`transform`]) keep rounding errors near those of
//! plain sums: two to three times as large for kernels of 3 x 3, eight times for 5 x 5, for which the gradient of the weight does
//! not take it ([`Tiling::takes_weight_gradient`](super::tiling::Tiling::takes_weight_gradient)).
//!
//! Tiles are taken in blocks. Values along the columns come first, of whole rows of a block, since neighbouring tiles share
//! them. Then, value by value of these: values along the rows, products, and back over what has been read; what is read again soon
//! is small.

// A tile is indexed by channel and position, which reads better than zips of zips.
#![allow(clippy::needless_range_loop)]

pub(super) mod columns;
mod strip;
mod transform;
mod weight;

use std::ops::Range;

use strip::{Rows, Strip, rows_in, rows_out};
use transform::{Coefficients, Eight, Six, Transform, Values, Window, WindowBack, apply};
pub(super) use weight::grad_weight;
use weight::weight_values;

use super::Sizes;
use super::cpu::check;
use super::tiling::Tiling;
use crate::LANES;
use crate::cpu::lanes::Lanes;
use crate::cpu::tile::{parts, with_tile};
use crate::cpu::walk::Steps;
use crate::cpu::{Context, Isa, instantiate};

/// As [`super::forward`], with [`Tiling::scratch`] floats of scratch; keeps [`Tiling::weights`] floats a group.
///
/// Panics if a slice does not have its size, or the kernel has no tiling.
pub(super) fn forward(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    weight: &[f32],
    output: &mut [f32],
    scratch: &mut [f32],
    kept: &mut [f32],
) {
    check(sizes, "forward", LANES, input.len(), weight.len(), output.len());
    assert!(scratch.len() >= tiling(sizes).scratch(sizes.group_channels()), "conv2d: scratch is too short");
    let (tiling, [inputs, outputs]) = (tiling(sizes), sides(sizes));
    let walk = Walk { isa: cx.isa, tiling, from: inputs, to: outputs, pairs: [1, inputs.channels] };
    each_group(cx, sizes, &walk, weight, kept, |group, weights| {
        // SAFETY: `check` has compared the lengths with the sizes, of which both sides are made; `each_group` gives the values of the
        // group's weights, and there is scratch of the size that the tiling asks for.
        unsafe {
            let (input, output) =
                (input.as_ptr().add(group * inputs.len()), output.as_mut_ptr().add(group * outputs.len()));
            outputs_of(cx.isa, &walk, input, weights, output, scratch.as_mut_ptr());
        }
    });
}

/// As [`super::grad_input`], with [`Tiling::scratch`] floats of scratch; keeps [`Tiling::weights`] floats a group.
///
/// Panics if a slice does not have its size, or the kernel has no tiling.
pub(super) fn grad_input(
    cx: &Context,
    sizes: &Sizes,
    grad_output: &[f32],
    weight: &[f32],
    grad_input: &mut [f32],
    scratch: &mut [f32],
    kept: &mut [f32],
) {
    check(sizes, "grad_input", LANES, grad_input.len(), weight.len(), grad_output.len());
    assert!(scratch.len() >= tiling(sizes).scratch(sizes.group_channels()), "conv2d: scratch is too short");
    let (tiling, [inputs, outputs]) = (tiling(sizes), sides(sizes));
    let walk = Walk { isa: cx.isa, tiling, from: outputs, to: inputs, pairs: [inputs.channels, 1] };
    each_group(cx, sizes, &walk, weight, kept, |group, weights| {
        // SAFETY: as in `forward`.
        unsafe {
            let from = grad_output.as_ptr().add(group * outputs.len());
            let to = grad_input.as_mut_ptr().add(group * inputs.len());
            inputs_of(cx.isa, &walk, from, weights, to, scratch.as_mut_ptr());
        }
    });
}

/// The tiling of a convolution that has one.
#[track_caller]
fn tiling(sizes: &Sizes) -> Tiling {
    Tiling::of(sizes).unwrap_or_else(|| panic!("conv2d: {sizes:?} takes all products"))
}

/// Calls `f` with (group, values of its weights) for every group of channels; `kept` holds the values of all.
fn each_group(
    cx: &Context,
    sizes: &Sizes,
    walk: &Walk,
    weight: &[f32],
    kept: &mut [f32],
    mut f: impl FnMut(usize, *const f32),
) {
    let values = walk.tiling.weights(sizes.group_channels());
    assert!(kept.len() >= sizes.groups * values, "conv2d: what is kept is too short");
    let own = weight.len() / sizes.groups;
    for (group, (weight, values)) in weight.chunks_exact(own).zip(kept.chunks_exact_mut(values)).enumerate() {
        if !cx.prepared {
            // SAFETY: the group has [pairs of channels, R, R] weights, and there is room for N · N values of each pair.
            unsafe { weight_values(cx.isa, walk, weight.as_ptr(), values.as_mut_ptr()) };
        }
        f(group, values.as_ptr());
    }
}

/// The images of one group on one side of a convolution.
#[derive(Debug, Clone, Copy)]
struct Side {
    channels: usize,
    /// Rows and columns.
    size: [usize; 2],
    /// Rows and columns by which the first tile begins before the image.
    corner: [usize; 2],
    rows: Rows,
}

/// Inputs and outputs of a group.
fn sides(sizes: &Sizes) -> [Side; 2] {
    let [channels, outputs] = sizes.group_channels();
    [
        Side { channels, size: [sizes.height, sizes.width], corner: sizes.padding, rows: Rows::Inputs },
        Side { channels: outputs, size: [sizes.out_height(), sizes.out_width()], corner: [0, 0], rows: Rows::Outputs },
    ]
}

impl Side {
    fn len(&self) -> usize {
        self.channels * self.size[0] * self.size[1] * LANES
    }

    /// Floats from one row to the next.
    #[inline(always)]
    fn row(&self) -> usize {
        self.size[1] * LANES
    }
}

/// From the images of one side to those of the other.
#[derive(Debug, Clone, Copy)]
struct Walk {
    isa: Isa,
    tiling: Tiling,
    from: Side,
    to: Side,
    /// Kernels of the weights from one channel of `from` to the next, and from one of `to` to the next.
    pairs: [usize; 2],
}

/// Some tiles side by side and below each other.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// Inputs or outputs from one tile to the next.
    step: usize,
    /// (first, number) of the rows and columns of tiles.
    tiles: [(usize, usize); 2],
}

impl Block {
    /// All blocks of a tiling.
    #[inline(always)]
    fn all(tiling: &Tiling) -> impl Iterator<Item = Block> {
        let step = tiling.step;
        let [rows, columns] = [0, 1].map(|axis| parts(tiling.tiles[axis], tiling.block[axis]));
        rows.flat_map(move |rows| columns.clone().map(move |columns| Block { step, tiles: [rows, columns] }))
    }

    #[inline(always)]
    fn n_tiles(&self) -> usize {
        self.tiles[0].1 * self.tiles[1].1
    }

    /// Columns of a row of tiles, each of which is `size` wide.
    #[inline(always)]
    fn span(&self, size: usize) -> usize {
        (self.tiles[1].1 - 1) * self.step + size
    }

    /// Floats from one value along the columns to the next, for tiles `size` wide.
    #[inline(always)]
    fn rows_plane(&self, channels: usize, size: usize) -> usize {
        Tiling::plane(channels * self.tiles[0].1 * self.span(size))
    }

    /// Floats from one value along the rows to the next.
    #[inline(always)]
    fn values_plane(&self, channels: usize) -> usize {
        Tiling::plane(channels * self.n_tiles())
    }

    /// Its rows of tiles, which are `size` wide.
    #[inline(always)]
    fn strip(&self, side: Side, values: usize, size: usize) -> Strip {
        let span = self.span(size);
        Strip {
            side,
            values,
            step: self.step,
            tiles: self.tiles[0],
            column: (self.tiles[1].0 * self.step) as isize - side.corner[1] as isize,
            span,
            floats: [self.rows_plane(side.channels, size), self.tiles[0].1 * span * LANES, span * LANES],
        }
    }
}

/// Values along rows: A columns of every tile, `from` [channels, rows of tiles, columns] -> `to` [N, channels, tiles].
///
/// # Safety
/// The pointers are valid for the block; the set of `L` is enabled.
#[inline(always)]
unsafe fn columns_in<L: Lanes, T: Transform<A, N>, const A: usize, const N: usize>(
    channels: usize,
    block: &Block,
    from: *const f32,
    mut to: *mut f32,
) {
    let span = block.span(A);
    let values = Steps::of(block.values_plane(channels));
    for line in 0..channels * block.tiles[0].1 {
        for t in 0..block.tiles[1].1 {
            // SAFETY: the caller vouches for the block.
            unsafe {
                let from = from.add((line * span + t * block.step) * LANES);
                let mut taken = [L::splat(0.0); A];
                for (a, taken) in taken.iter_mut().enumerate() {
                    *taken = L::load(from.add(a * LANES));
                }
                let value_of = values.along_mut(to);
                for (j, value) in apply::<T, L, _, _>(taken).into_iter().enumerate() {
                    value.store(value_of(j));
                }
                to = to.add(LANES);
            }
        }
    }
}

/// Back from values along rows: `from` [N, channels, tiles] -> `to` [channels, rows of tiles, columns], B columns of every tile,
/// each M behind the one before; they are added up where tiles overlap.
///
/// # Safety
/// The pointers are valid for the block; the set of `L` is enabled.
#[inline(always)]
unsafe fn columns_out<L: Lanes, T: Transform<N, B>, const N: usize, const B: usize, const M: usize>(
    channels: usize,
    block: &Block,
    mut from: *const f32,
    to: *mut f32,
) {
    let (span, tiles) = (block.span(B), block.tiles[1].1);
    let values = Steps::of(block.values_plane(channels));
    for line in 0..channels * block.tiles[0].1 {
        // SAFETY: the caller vouches for the block.
        unsafe {
            // What the next tile adds to waits in registers.
            let mut waiting = [L::splat(0.0); B];
            for t in 0..tiles {
                let value_of = values.along(from);
                let mut taken = [L::splat(0.0); N];
                for (j, taken) in taken.iter_mut().enumerate() {
                    *taken = L::load(value_of(j));
                }
                let mut result = apply::<T, L, _, _>(taken);
                give::<L, B, M>(&mut result, &mut waiting, t + 1 == tiles, to.add((line * span + t * M) * LANES));
                from = from.add(LANES);
            }
        }
    }
}

/// Stores the elements of a tile that no further tile of its row adds to; the others wait in registers.
///
/// # Safety
/// `to` is valid for the tile; the set of `L` is enabled.
#[inline(always)]
unsafe fn give<L: Lanes, const B: usize, const M: usize>(
    result: &mut [L; B],
    waiting: &mut [L; B],
    is_last: bool,
    to: *mut f32,
) {
    // SAFETY: the contract.
    unsafe {
        for b in 0..B {
            if b + M < B {
                result[b] = result[b].add(waiting[b]);
            }
            if b < M || is_last {
                result[b].store(to.add(b * LANES));
            }
        }
    }
    waiting[..B - M].copy_from_slice(&result[M..]);
}

/// For each of the N values along a row: to(o, t) = Σ over c of weight(o, c) · from(c, t), over the tiles of a block, for `rows`
/// channels o.
///
/// # Safety
/// `from` [N, channels, tiles], `to` [N, rows, tiles] and the weights are valid; the set of `L` is enabled.
#[inline(always)]
unsafe fn products<L: Lanes>(
    walk: &Walk,
    block: &Block,
    rows: usize,
    from: *const f32,
    weights: *const f32,
    to: *mut f32,
) {
    let tiles = block.n_tiles();
    let steps = ProductSteps {
        values: walk.tiling.values,
        depth: walk.from.channels,
        weights: [walk.from.channels * walk.to.channels, walk.to.channels],
        from: [block.values_plane(walk.from.channels), tiles * LANES],
        to: [block.values_plane(rows), tiles * LANES],
    };
    for (t, columns) in parts(tiles, L::VALUES_TILE[1]) {
        // SAFETY: the tile lies in the product, which the caller vouches for.
        unsafe {
            let (from, to) = (from.add(t * LANES), to.add(t * LANES));
            with_tile!(L, [rows, columns], [L::VALUES_TILE], product_tile, (&steps, from, weights, to));
        }
    }
}

/// The sizes of [`products`], and steps in floats.
#[derive(Debug, Clone, Copy)]
struct ProductSteps {
    values: usize,
    depth: usize,
    /// From one value and channel of `from` to the next; those of `to` lie side by side.
    weights: [usize; 2],
    /// From one value and channel to the next.
    from: [usize; 2],
    to: [usize; 2],
}

/// O channels of X tiles, for each value of a row.
///
/// # Safety
/// As for [`products`], for the tile from the pointers on.
#[inline(always)]
unsafe fn product_tile<L: Lanes, const O: usize, const X: usize>(
    steps: &ProductSteps,
    from: *const f32,
    weights: *const f32,
    to: *mut f32,
) {
    for j in 0..steps.values {
        // SAFETY: the caller vouches for the tile; the pointers stand behind it in the end.
        unsafe {
            let mut from = from.wrapping_add(j * steps.from[0]);
            let mut weight = weights.wrapping_add(j * steps.weights[0]);
            let mut sums = [[L::splat(0.0); X]; O];
            for _ in 0..steps.depth {
                let mut factors = [L::splat(0.0); O];
                for o in 0..O {
                    factors[o] = L::splat(*weight.add(o));
                }
                for x in 0..X {
                    let element = L::load(from.add(x * LANES));
                    for o in 0..O {
                        sums[o][x] = factors[o].fma(element, sums[o][x]);
                    }
                }
                from = from.wrapping_add(steps.from[1]);
                weight = weight.wrapping_add(steps.weights[1]);
            }
            for o in 0..O {
                for x in 0..X {
                    sums[o][x].store(to.add(j * steps.to[0] + o * steps.to[1] + x * LANES));
                }
            }
        }
    }
}

/// Channels up to which all values along a row are summed at once where vectors are multiplied in halves. Each multiply-add reads its
/// weight then, but no sum goes through memory on its way back, which costs more where sums are short.
const SHORT: usize = 16;

/// [`products`] and [`columns_out`] of all channels: the values never leave the registers.
///
/// # Safety
/// `from` [N, channels, tiles], the weights and `to` [channels, rows of tiles, columns] are valid; the set of `L` is enabled.
#[inline(always)]
unsafe fn outputs_at_once<L: Lanes, T: Transform<N, B>, const N: usize, const B: usize, const M: usize>(
    walk: &Walk,
    block: &Block,
    from: *const f32,
    weights: *const f32,
    to: *mut f32,
) {
    let (inputs, outputs, tiles) = (walk.from.channels, walk.to.channels, block.n_tiles());
    let span = block.span(B) * LANES;
    let steps = AtOnceSteps {
        depth: inputs,
        weights: [inputs * outputs, outputs],
        from: [block.values_plane(inputs), tiles * LANES],
        to: [block.tiles[0].1 * span, span],
        tiles: block.tiles.map(|(_, tiles)| tiles),
    };
    // As many channels as there are registers for, and then what is left one by one.
    let end = outputs - outputs % if N == 6 { 4 } else { 3 };
    // SAFETY: the tiles and channels lie in what the caller vouches for.
    unsafe {
        match N {
            6 => channels_at_once::<L, T, N, B, M, 4>(&steps, 0..end, from, weights, to),
            _ => channels_at_once::<L, T, N, B, M, 3>(&steps, 0..end, from, weights, to),
        }
        channels_at_once::<L, T, N, B, M, 1>(&steps, end..outputs, from, weights, to);
    }
}

/// The sizes of [`outputs_at_once`], and steps in floats.
#[derive(Debug, Clone, Copy)]
struct AtOnceSteps {
    depth: usize,
    /// From one value and channel of `from` to the next; those of `to` lie side by side.
    weights: [usize; 2],
    /// From one value and channel to the next.
    from: [usize; 2],
    /// From one channel and row of tiles of `to` to the next.
    to: [usize; 2],
    /// Rows and columns of tiles.
    tiles: [usize; 2],
}

/// Some channels, O at a time.
///
/// # Safety
/// As for [`outputs_at_once`], of which these are some channels.
#[inline(always)]
unsafe fn channels_at_once<
    L: Lanes,
    T: Transform<N, B>,
    const N: usize,
    const B: usize,
    const M: usize,
    const O: usize,
>(
    steps: &AtOnceSteps,
    channels: Range<usize>,
    from: *const f32,
    weights: *const f32,
    to: *mut f32,
) {
    // SAFETY: passed on; the pointers stand behind the tiles in the end.
    unsafe {
        L::apart(
            steps,
            #[inline(always)]
            |steps| {
                for o in channels.step_by(O) {
                    let mut from = from;
                    for row in 0..steps.tiles[0] {
                        let mut to = to.add(o * steps.to[0] + row * steps.to[1]);
                        // What the next tile adds to.
                        let mut waiting = [[L::splat(0.0); B]; O];
                        for tile in 0..steps.tiles[1] {
                            let sums = values_at_once::<L, N, O>(steps, from, weights.add(o));
                            let is_last = tile + 1 == steps.tiles[1];
                            for o in 0..O {
                                let mut result = apply::<T, L, _, _>(sums[o]);
                                give::<L, B, M>(&mut result, &mut waiting[o], is_last, to.add(o * steps.to[0]));
                            }
                            (from, to) = (from.wrapping_add(LANES), to.wrapping_add(M * LANES));
                        }
                    }
                }
            },
        );
    }
}

/// All values along a row of one tile, of O channels.
///
/// # Safety
/// As for [`outputs_at_once`], for the tile from the pointers on.
#[inline(always)]
unsafe fn values_at_once<L: Lanes, const N: usize, const O: usize>(
    steps: &AtOnceSteps,
    mut from: *const f32,
    mut weights: *const f32,
) -> [[L; N]; O] {
    // SAFETY: the caller vouches for the tile; the pointers stand behind it in the end.
    unsafe {
        let mut sums = [[L::splat(0.0); N]; O];
        for _ in 0..steps.depth {
            for j in 0..N {
                let element = L::load(from.add(j * steps.from[0]));
                for o in 0..O {
                    sums[o][j] = L::splat(*weights.add(j * steps.weights[0] + o)).fma(element, sums[o][j]);
                }
            }
            from = from.wrapping_add(steps.from[1]);
            weights = weights.wrapping_add(steps.weights[1]);
        }
        sums
    }
}

/// Block by block: A x A elements of each tile to their values, products, and back to B x B elements.
///
/// # Safety
/// The pointers are valid for the walk, the scratch for its tiling; the set of `L` is enabled.
#[inline(always)]
unsafe fn each_block<L, I, O, const A: usize, const N: usize, const B: usize, const M: usize>(
    walk: &Walk,
    from: *const f32,
    weights: *const f32,
    to: *mut f32,
    scratch: *mut f32,
) where
    L: Lanes,
    I: Transform<A, N>,
    O: Transform<N, B>,
{
    let Walk { tiling, from: inputs, to: outputs, .. } = walk;
    let pairs = inputs.channels * outputs.channels;
    for block in Block::all(tiling) {
        let in_plane = block.rows_plane(inputs.channels, A);
        let out_plane = block.rows_plane(outputs.channels, B);
        // SAFETY: the scratch is cut into the three parts that `Tiling::scratch` adds up. Rows of both sides share the first: those of
        // the outputs for value i end before those of the inputs for value i + 1.
        unsafe {
            let out_rows = scratch;
            let in_rows = out_rows.add((N - 1) * out_plane.saturating_sub(in_plane));
            let in_values = out_rows.add(N * in_plane.max(out_plane));
            let out_values = in_values.add(N * block.values_plane(inputs.channels));
            rows_in(walk.isa, &block.strip(*inputs, N, A), from, in_rows);
            for i in 0..N {
                columns_in::<L, I, A, N>(inputs.channels, &block, in_rows.add(i * in_plane), in_values);
                if const { columns::accumulators::<L>() >= 24 } && walk.isa.in_halves() && inputs.channels <= SHORT {
                    let weights = weights.add(i * N * pairs);
                    outputs_at_once::<L, O, N, B, M>(walk, &block, in_values, weights, out_rows.add(i * out_plane));
                    continue;
                }
                // Channels of a register tile at a time: their values are read again while they are near.
                for (o, rows) in parts(outputs.channels, L::VALUES_TILE[0]) {
                    let weights = weights.add(i * N * pairs + o);
                    products::<L>(walk, &block, rows, in_values, weights, out_values);
                    let out_rows = out_rows.add(i * out_plane + o * block.tiles[0].1 * block.span(B) * LANES);
                    columns_out::<L, O, N, B, M>(rows, &block, out_values, out_rows);
                }
            }
            rows_out(walk.isa, &block.strip(*outputs, N, B), out_rows, to);
        }
    }
}

/// # Safety
/// As for [`each_block`].
#[inline(always)]
unsafe fn outputs_in<L: Lanes>(walk: &Walk, from: *const f32, weights: *const f32, to: *mut f32, scratch: *mut f32) {
    // SAFETY: passed on.
    unsafe {
        match walk.tiling.values {
            6 => each_block::<L, Window<Six>, Coefficients<Six>, 6, 6, 4, 4>(walk, from, weights, to, scratch),
            _ => each_block::<L, Window<Eight>, Coefficients<Eight>, 8, 8, 4, 4>(walk, from, weights, to, scratch),
        }
    }
}

/// # Safety
/// As for [`each_block`].
#[inline(always)]
unsafe fn inputs_in<L: Lanes>(walk: &Walk, from: *const f32, weights: *const f32, to: *mut f32, scratch: *mut f32) {
    // SAFETY: passed on.
    unsafe {
        match walk.tiling.values {
            6 => each_block::<L, Values<Six>, WindowBack<Six>, 4, 6, 6, 4>(walk, from, weights, to, scratch),
            _ => each_block::<L, Values<Eight>, WindowBack<Eight>, 4, 8, 8, 4>(walk, from, weights, to, scratch),
        }
    }
}

instantiate!(unsafe fn outputs_of = outputs_in(
    walk: &Walk, from: *const f32, weights: *const f32, to: *mut f32, scratch: *mut f32,
));
instantiate!(unsafe fn inputs_of = inputs_in(
    walk: &Walk, from: *const f32, weights: *const f32, to: *mut f32, scratch: *mut f32,
));
