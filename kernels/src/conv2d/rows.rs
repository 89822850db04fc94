//! The convolution of a single sample, [C, H, W]: its lanes run over positions of the output.
//!
//! Weights are read where they lie. The input is first spread out: for every kernel column, its rows are copied as the
//! output's columns meet them, without what stride, dilation and padding skip, and rows that are a stride apart are put
//! side by side. Then what one kernel element meets, over all positions of the output, is one run of floats: every load is
//! contiguous, no lane computes a position that does not exist, and all strides are the same to the core. The copy is
//! K_w times the input, and is read K_h · C_out times.

// A tile is indexed by channel and position, which reads better than zips of zips.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::Sizes;
use super::cpu::check;
use super::scratch::Spread;
use crate::LANES;
use crate::cpu::lanes::Lanes;
use crate::cpu::tile::{parts, with_tile};
use crate::cpu::{Context, instantiate};

/// The convolution of one sample.
///
/// input [C_in, H, W], weight [C_out, C_in / groups, K_h, K_w] -> output [C_out, H_out, W_out];
/// `scratch` has [`Sizes::forward_rows_scratch`] floats.
///
/// Panics if a slice does not have its size.
pub fn forward_rows(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    weight: &[f32],
    output: &mut [f32],
    scratch: &mut [f32],
) {
    check(sizes, "forward_rows", 1, input.len(), weight.len(), output.len());
    let spread = sizes.spread();
    assert!(scratch.len() >= sizes.forward_rows_scratch(), "conv2d::forward_rows: scratch is too short");
    let [in_channels, out_channels] = sizes.group_channels();
    let walk = Walk {
        in_channels,
        out_channels,
        positions: sizes.out_height() * sizes.out_width(),
        taps: sizes.kernel_size,
        input: [spread.channel, spread.column, spread.phase, sizes.out_width()],
        stride: sizes.stride[0],
        dilation: sizes.dilation[0],
    };
    let input = if spread.is_input { input } else { spread_out(cx, sizes, &spread, input, scratch) };
    for group in 0..sizes.groups {
        let weights = group * out_channels * in_channels * sizes.kernel_size[0] * sizes.kernel_size[1];
        // SAFETY: `check` has compared the lengths with the sizes. The last run of floats that a tap reads ends with its
        // phase, see `Spread`; loads beyond, up to a vector's end, stay within the 16 floats behind the last channel, or do
        // not happen, since an input that is read in place has positions that fill vectors.
        unsafe {
            positions(
                cx.isa,
                &walk,
                input.as_ptr().add(group * in_channels * spread.channel),
                weight.as_ptr().add(weights),
                output.as_mut_ptr().add(group * out_channels * walk.positions),
            );
        }
    }
}

/// Copies the input into `scratch`, see [`Spread`].
fn spread_out<'a>(cx: &Context, sizes: &Sizes, spread: &Spread, input: &[f32], scratch: &'a mut [f32]) -> &'a [f32] {
    let scratch = &mut scratch[..sizes.forward_rows_scratch()];
    // SAFETY: `check` has compared the input with the sizes, and the scratch is as long as `spread` says, with a vector behind.
    unsafe { copies(cx.isa, sizes, spread, input.as_ptr(), scratch.as_mut_ptr()) };
    scratch
}

/// Row after row from the front, in whole vectors: what one writes beyond its end, the next ones overwrite.
///
/// # Safety
/// The pointers are valid for the input of `sizes`, and for what `spread` says and 16 floats behind it; the set of `L` is
/// enabled.
#[inline(always)]
unsafe fn copies_in<L: Lanes>(sizes: &Sizes, spread: &Spread, input: *const f32, scratch: *mut f32) {
    let width = sizes.out_width();
    for k in 0..sizes.kernel_size[1] {
        let columns = Met::of(sizes, 1, k * sizes.dilation[1], width);
        for phase in 0..sizes.stride[0] {
            // A stride larger than the kernel leaves phases that nobody reads.
            if !(0..sizes.kernel_size[0]).any(|k| k * sizes.dilation[0] % sizes.stride[0] == phase) {
                continue;
            }
            let rows = Met::of(sizes, 0, phase, spread.phase_rows);
            for c in 0..sizes.in_channels {
                let image = c * sizes.height * sizes.width;
                let to = k * spread.column + phase * spread.phase + c * spread.channel;
                // SAFETY: the rows and columns that are met lie in the image, and the phase in the scratch.
                unsafe { copy_image::<L>(sizes, &rows, &columns, input.add(image), scratch.add(to)) };
            }
        }
    }
}

/// Which elements of an axis of the output, or rows of a phase, meet the image when the first of them would meet the padded
/// image at an offset.
struct Met {
    /// How many there are.
    all: usize,
    /// Those that meet the image; the others meet zeros.
    inside: Range<usize>,
    /// What the first of them meets.
    first: usize,
}

impl Met {
    #[inline(always)]
    fn of(sizes: &Sizes, axis: usize, offset: usize, all: usize) -> Met {
        let (stride, padding) = (sizes.stride[axis], sizes.padding[axis]);
        let size = if axis == 0 { sizes.height } else { sizes.width };
        // Element i meets i · stride + offset − padding.
        let start = padding.saturating_sub(offset).div_ceil(stride).min(all);
        let end = (size + padding).saturating_sub(offset).div_ceil(stride).min(all).max(start);
        Met { all, inside: start..end, first: (start * stride + offset).saturating_sub(padding) }
    }
}

/// The part of one image that one kernel column and one phase meet.
///
/// # Safety
/// What is met lies in the image; `to` is valid for all rows and columns and 16 floats behind them; the set of `L` is enabled.
#[inline(always)]
unsafe fn copy_image<L: Lanes>(sizes: &Sizes, rows: &Met, columns: &Met, image: *const f32, to: *mut f32) {
    let (all, start, n) = (columns.all, columns.inside.start, columns.inside.len());
    let step = sizes.stride[0] * sizes.width;
    let first = image.wrapping_add(rows.first * sizes.width + columns.first);
    // One loop over rows for each case, since a row takes no longer than the choice.
    // SAFETY: by the contract; rows are written from the front.
    unsafe {
        fill::<L>(to, rows.inside.start * all);
        let own = to.add(rows.inside.start * all);
        let n_rows = rows.inside.len();
        match sizes.stride[1] {
            1 if n == all && n <= LANES => {
                for i in 0..n_rows {
                    L::load_first(first.add(i * step), n, 0.0).store(own.add(i * all));
                }
            }
            1 if n == all && n <= 2 * LANES => {
                for i in 0..n_rows {
                    let (from, to) = (first.add(i * step), own.add(i * all));
                    L::load(from).store(to);
                    L::load_first(from.add(LANES), n - LANES, 0.0).store(to.add(LANES));
                }
            }
            stride => {
                for i in 0..n_rows {
                    let (from, to) = (first.wrapping_add(i * step), own.add(i * all));
                    fill::<L>(to, start);
                    match stride {
                        1 => copy_row::<L>(n, from, to.add(start)),
                        2 => copy_every_second::<L>(n, sizes.width - columns.first, from, to.add(start)),
                        _ => (0..n).for_each(|x| *to.add(start + x) = *from.add(x * stride)),
                    }
                    fill::<L>(to.add(start + n), all - start - n);
                }
            }
        }
        fill::<L>(to.add(rows.inside.end * all), (rows.all - rows.inside.end) * all);
    }
}

/// Zeros, up to the end of a vector.
///
/// # Safety
/// The pointer is valid for n floats, and 15 behind them; the set of `L` is enabled.
#[inline(always)]
unsafe fn fill<L: Lanes>(to: *mut f32, n: usize) {
    for x in (0..n).step_by(LANES) {
        // SAFETY: by the contract.
        unsafe { L::splat(0.0).store(to.add(x)) };
    }
}

/// n floats, written up to the end of a vector.
///
/// # Safety
/// As for [`fill`], and n floats are readable.
#[inline(always)]
unsafe fn copy_row<L: Lanes>(n: usize, from: *const f32, to: *mut f32) {
    for x in (0..n).step_by(LANES) {
        // SAFETY: by the contract.
        unsafe { L::load_up_to(from.add(x), n - x).store(to.add(x)) };
    }
}

/// Every second of `readable` floats, n in all, written up to the end of a vector.
///
/// # Safety
/// As for [`fill`]; `readable` floats are, and n of them are taken.
#[inline(always)]
unsafe fn copy_every_second<L: Lanes>(n: usize, readable: usize, from: *const f32, to: *mut f32) {
    for x in (0..n).step_by(LANES) {
        let left = readable - 2 * x;
        // SAFETY: by the contract; the second vector is read where it begins before the end.
        unsafe {
            let first = L::load_up_to(from.add(2 * x), left);
            let second =
                if left > LANES { L::load_up_to(from.add(2 * x + LANES), left - LANES) } else { L::splat(0.0) };
            let [evens, _] = L::evens_and_odds(first, second);
            evens.store(to.add(x));
        }
    }
}

/// One run of the core: out(o, p) = Σ over c, i, j of weight(o, c, i, j) · spread(c, j, i, p).
#[derive(Debug, Clone, Copy)]
struct Walk {
    in_channels: usize,
    out_channels: usize,
    /// H_out · W_out.
    positions: usize,
    /// Kernel rows and columns.
    taps: [usize; 2],
    /// Floats from one channel, kernel column, phase, row of the spread input to the next.
    input: [usize; 4],
    /// The vertical stride.
    stride: usize,
    /// Input rows from one kernel row to the next.
    dilation: usize,
}

/// # Safety
/// Every element that `walk` names lies in memory that is valid for it, and so do 16 floats behind the input; the set of `L`
/// is enabled.
#[inline(always)]
unsafe fn positions_in<L: Lanes>(walk: &Walk, input: *const f32, weight: *const f32, output: *mut f32) {
    let n_vectors = walk.positions.div_ceil(LANES);
    let channel_tiles = parts(walk.out_channels, L::CONV_CHANNELS);
    let weights = walk.in_channels * walk.taps[0] * walk.taps[1];
    for (v, vectors) in parts(n_vectors, L::CONV_COLUMNS) {
        let last = (walk.positions - (v + vectors - 1) * LANES).min(LANES);
        // All tiles of channels one after the other, while this part of the input is in L1.
        for (o, channels) in channel_tiles.clone() {
            // SAFETY: the tile lies in the walk, which the caller vouches for.
            unsafe {
                let (input, weight) = (input.add(v * LANES), weight.add(o * weights));
                let output = output.add(o * walk.positions + v * LANES);
                with_tile!(
                    L,
                    [channels, vectors],
                    [[L::CONV_CHANNELS, L::CONV_COLUMNS]],
                    position_tile,
                    (walk, last, input, weight, output)
                );
            }
        }
    }
}

/// O output channels of X vectors of positions, kept in registers over all input channels and kernel elements; of the last
/// vector, `last` lanes are stored.
///
/// # Safety
/// As for [`positions_in`], for the tile from the pointers on.
#[inline(always)]
unsafe fn position_tile<L: Lanes, const O: usize, const X: usize>(
    walk: &Walk,
    last: usize,
    input: *const f32,
    mut weight: *const f32,
    output: *mut f32,
) {
    let weights = walk.in_channels * walk.taps[0] * walk.taps[1];
    // SAFETY: the tile is valid by the contract; `wrapping` steps, because pointers stand behind their row in the end.
    unsafe {
        let mut sums = [[L::splat(0.0); X]; O];
        for c in 0..walk.in_channels {
            let channel = input.add(c * walk.input[0]);
            // The phase of the kernel row, and the row within it: counted on, since a division costs as much as the row.
            let (mut phase, mut row) = (0, 0);
            for _ in 0..walk.taps[0] {
                let mut input = channel.wrapping_add(phase * walk.input[2] + row * walk.input[3]);
                for _ in 0..walk.taps[1] {
                    let mut vectors = [L::splat(0.0); X];
                    for x in 0..X {
                        vectors[x] = L::load(input.add(x * LANES));
                    }
                    for o in 0..O {
                        let factor = L::splat(*weight.add(o * weights));
                        for x in 0..X {
                            sums[o][x] = factor.fma(vectors[x], sums[o][x]);
                        }
                    }
                    input = input.wrapping_add(walk.input[1]);
                    weight = weight.wrapping_add(1);
                }
                phase += walk.dilation;
                while phase >= walk.stride {
                    phase -= walk.stride;
                    row += 1;
                }
            }
        }
        for o in 0..O {
            let output = output.add(o * walk.positions);
            for x in 0..X {
                if x + 1 < X || last == LANES {
                    sums[o][x].store(output.add(x * LANES));
                } else {
                    sums[o][x].store_first(output.add(x * LANES), last);
                }
            }
        }
    }
}

instantiate!(unsafe fn copies = copies_in(sizes: &Sizes, spread: &Spread, input: *const f32, scratch: *mut f32));
instantiate!(unsafe fn positions = positions_in(walk: &Walk, input: *const f32, weight: *const f32, output: *mut f32));
