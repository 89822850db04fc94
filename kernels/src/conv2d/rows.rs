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
use super::cpu::{check, group_channels, with_constants};
use super::scratch::Spread;
use crate::LANES;
use crate::cpu::gemm::{tile_start, tiles};
use crate::cpu::lanes::Lanes;
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
    let [in_channels, out_channels] = group_channels(sizes);
    let walk = Walk {
        in_channels,
        out_channels,
        positions: sizes.out_height() * sizes.out_width(),
        taps: sizes.kernel_size,
        input: [spread.channel, spread.column, sizes.out_width()],
        phases: [sizes.stride[0], spread.phase_rows],
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
fn spread_out<'a>(
    cx: &Context,
    sizes: &Sizes,
    spread: &Spread,
    input: &[f32],
    scratch: &'a mut [f32],
) -> &'a [f32] {
    let width = sizes.out_width();
    let scratch = &mut scratch[..sizes.in_channels * spread.channel + LANES];
    let phase = spread.phase_rows * width;
    // A stride larger than the kernel leaves phases that nobody reads.
    let read = |own: usize| (0..sizes.kernel_size[0]).any(|k| k * sizes.dilation[0] % sizes.stride[0] == own);
    cx.isa.run(
        #[inline(always)]
        || {
            for own in (0..sizes.stride[0]).filter(|own| read(*own)) {
                for c in 0..sizes.in_channels {
                    let image = &input[c * sizes.height * sizes.width..][..sizes.height * sizes.width];
                    for k in 0..sizes.kernel_size[1] {
                        let columns = Columns::of(sizes, k);
                        let to = c * spread.channel + k * spread.column + own * phase;
                        for (i, row) in scratch[to..to + phase].chunks_exact_mut(width).enumerate() {
                            let y = (own + i * sizes.stride[0]).wrapping_sub(sizes.padding[0]);
                            if y < sizes.height {
                                columns.copy(sizes.stride[1], &image[y * sizes.width..][..sizes.width], row);
                            } else {
                                row.fill(0.0);
                            }
                        }
                    }
                }
            }
        },
    );
    // What the loads beyond the last channel see is never stored, but it must be there.
    let end = scratch.len() - LANES;
    scratch[end..].fill(0.0);
    scratch
}

/// The output's columns for which a kernel column meets the image, and the first image column that it meets.
struct Columns {
    inside: Range<usize>,
    first: usize,
}

impl Columns {
    fn of(sizes: &Sizes, k: usize) -> Columns {
        let (stride, padding, offset) = (sizes.stride[1], sizes.padding[1], k * sizes.dilation[1]);
        // Output x meets column x · stride + offset − padding.
        let start = padding.saturating_sub(offset).div_ceil(stride).min(sizes.out_width());
        let end = (sizes.width + padding).saturating_sub(offset).div_ceil(stride).min(sizes.out_width());
        Columns { inside: start..end.max(start), first: (start * stride + offset).saturating_sub(padding) }
    }

    #[inline(always)]
    fn copy(&self, stride: usize, image: &[f32], row: &mut [f32]) {
        row[..self.inside.start].fill(0.0);
        row[self.inside.end..].fill(0.0);
        let inside = &mut row[self.inside.clone()];
        // Where nothing is inside, `first` may lie behind the image.
        let image = image.get(self.first..).unwrap_or(&[]);
        match stride {
            1 => copy_by::<1>(image, inside),
            // Known steps, so that the loop is vectorised.
            2 => copy_by::<2>(image, inside),
            3 => copy_by::<3>(image, inside),
            _ => inside.iter_mut().zip(image.iter().step_by(stride)).for_each(|(to, from)| *to = *from),
        }
    }
}

#[inline(always)]
fn copy_by<const STRIDE: usize>(from: &[f32], to: &mut [f32]) {
    if let Some(last) = to.len().checked_sub(1) {
        let from = &from[..last * STRIDE + 1];
        for (i, element) in to.iter_mut().enumerate() {
            *element = from[i * STRIDE];
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
    /// Floats from one channel, kernel column, row of the spread input to the next.
    input: [usize; 3],
    /// The vertical stride, and rows of a phase.
    phases: [usize; 2],
    /// Input rows from one kernel row to the next.
    dilation: usize,
}

/// # Safety
/// Every element that `walk` names lies in memory that is valid for it, and so do 16 floats behind the input; the set of `L`
/// is enabled.
#[inline(always)]
unsafe fn positions_in<L: Lanes>(walk: &Walk, input: *const f32, weight: *const f32, output: *mut f32) {
    let n_vectors = walk.positions.div_ceil(LANES);
    let n_columns = tiles(n_vectors, L::CONV_COLUMNS);
    let n_channels = tiles(walk.out_channels, L::CONV_CHANNELS);
    let weights = walk.in_channels * walk.taps[0] * walk.taps[1];
    for column in 0..n_columns {
        let v = tile_start(column, n_vectors, n_columns);
        let vectors = tile_start(column + 1, n_vectors, n_columns) - v;
        let last = (walk.positions - (v + vectors - 1) * LANES).min(LANES);
        // All tiles of channels one after the other, while this part of the input is in L1.
        for channel in 0..n_channels {
            let o = tile_start(channel, walk.out_channels, n_channels);
            let channels = tile_start(channel + 1, walk.out_channels, n_channels) - o;
            // SAFETY: the tile lies in the walk, which the caller vouches for.
            unsafe {
                let (input, weight) = (input.add(v * LANES), weight.add(o * weights));
                let output = output.add(o * walk.positions + v * LANES);
                with_constants!(
                    L,
                    channels,
                    vectors,
                    [L::CONV_CHANNELS, L::CONV_COLUMNS],
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
    let [stride, phase_rows] = walk.phases;
    let weights = walk.in_channels * walk.taps[0] * walk.taps[1];
    // SAFETY: the tile is valid by the contract; `wrapping` steps, because pointers stand behind their row in the end.
    unsafe {
        let mut sums = [[L::splat(0.0); X]; O];
        for c in 0..walk.in_channels {
            let channel = input.add(c * walk.input[0]);
            // The phase of the kernel row, and the row within it: counted on, since a division costs as much as the row.
            let (mut phase, mut row) = (0, 0);
            for _ in 0..walk.taps[0] {
                let mut input = channel.wrapping_add((phase * phase_rows + row) * walk.input[2]);
                for _ in 0..walk.taps[1] {
                    let mut vectors = [L::splat(0.0); X];
                    for (x, vector) in vectors.iter_mut().enumerate() {
                        *vector = L::load(input.add(x * LANES));
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
                while phase >= stride {
                    phase -= stride;
                    row += 1;
                }
            }
        }
        for (o, sums) in sums.into_iter().enumerate() {
            let output = output.add(o * walk.positions);
            for (x, sum) in sums.into_iter().enumerate() {
                if x + 1 < X || last == LANES {
                    sum.store(output.add(x * LANES));
                } else {
                    sum.store_first(output.add(x * LANES), last);
                }
            }
        }
    }
}

instantiate!(unsafe fn positions = positions_in(walk: &Walk, input: *const f32, weight: *const f32, output: *mut f32));
