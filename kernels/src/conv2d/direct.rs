//! All products of a convolution one by one, in the `samples` layout.
//!
//! All three kernels keep 16 samples in the lanes of a vector and a tile of sums in registers. [`forward`] and [`grad_input`] share
//! one core: sums for a few output channels times a few columns, weights splatted from a packed copy; products with the zeros
//! around the image are left out. [`grad_weight`] keeps sums for a few output channels times a few kernel elements while it
//! walks over the positions of an image with zeros around it, and adds the lanes at the end.

// A tile is indexed by channel and position, which reads better than zips of zips.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::Sizes;
use super::cpu::check;
use crate::LANES;
use crate::cpu::gemm::{add_totals, sums_tile};
use crate::cpu::lanes::{self, Lanes};
use crate::cpu::tile::{parts, strips, with_tile};
use crate::cpu::walk::advance;
use crate::cpu::{Context, Isa, Kind, instantiate};

/// [`super::forward`], which keeps [`Sizes::packed_weights`] floats a group.
pub(super) fn forward(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    weight: &[f32],
    output: &mut [f32],
    kept: &mut [f32],
) {
    check(sizes, "forward", LANES, input.len(), weight.len(), output.len());
    assert!(kept.len() >= sizes.groups * sizes.packed_weights(), "conv2d::forward: what is kept is too short");
    let [in_channels, out_channels] = sizes.group_channels();
    let [kernel_h, kernel_w] = sizes.kernel_size;
    let axis = |axis: usize, inputs: usize, outputs: usize| Axis {
        inputs,
        outputs,
        taps: sizes.kernel_size[axis],
        first: -(sizes.padding[axis] as isize),
        output_step: sizes.stride[axis],
        tap_step: sizes.dilation[axis] as isize,
    };
    let plane = Plane {
        in_channels,
        out_channels,
        axes: [axis(0, sizes.height, sizes.out_height()), axis(1, sizes.width, sizes.out_width())],
        output: [sizes.out_height() * sizes.out_width() * LANES, sizes.out_width() * LANES, LANES],
    };
    let taps = kernel_h * kernel_w;
    for group in 0..sizes.groups {
        let weight = &weight[group * out_channels * in_channels * taps..];
        let kept = &mut kept[group * sizes.packed_weights()..];
        if !cx.prepared {
            pack(cx.isa, &plane, [in_channels * taps, taps, kernel_w, 1], weight, kept);
        }
        // SAFETY: `check` has compared the lengths with the sizes, of which the plane is made: its input and output are those
        // of one group. The packed weights are those of this group.
        unsafe {
            planes(
                cx.isa,
                &plane,
                input.as_ptr().add(group * in_channels * plane.input()[0]),
                kept.as_ptr(),
                output.as_mut_ptr().add(group * out_channels * plane.output[0]),
            );
        }
    }
}

/// [`super::grad_input`], which keeps [`Sizes::packed_weights`] floats a group.
///
/// With stride s the input falls into s · s classes by its position modulo s. Within a class, the same kernel elements meet
/// the gradient, and its outputs stand side by side: each class is a convolution with stride 1, and no zero is multiplied.
pub(super) fn grad_input(
    cx: &Context,
    sizes: &Sizes,
    grad_output: &[f32],
    weight: &[f32],
    grad_input: &mut [f32],
    kept: &mut [f32],
) {
    check(sizes, "grad_input", LANES, grad_input.len(), weight.len(), grad_output.len());
    assert!(kept.len() >= sizes.groups * sizes.packed_weights(), "conv2d::grad_input: what is kept is too short");
    let [in_channels, out_channels] = sizes.group_channels();
    let [kernel_h, kernel_w] = sizes.kernel_size;
    let taps = kernel_h * kernel_w;
    // Each class of inputs and each group has its own part: a kernel element meets one class along each axis.
    let mut rest = kept;
    for y in 0..sizes.stride[0].min(sizes.height) {
        for x in 0..sizes.stride[1].min(sizes.width) {
            let (rows, columns) = (Class::of(sizes, 0, y), Class::of(sizes, 1, x));
            let plane = Plane {
                // The channels change their parts.
                in_channels: out_channels,
                out_channels: in_channels,
                axes: [rows.axis, columns.axis],
                output: [
                    sizes.height * sizes.width * LANES,
                    sizes.stride[0] * sizes.width * LANES,
                    sizes.stride[1] * LANES,
                ],
            };
            for group in 0..sizes.groups {
                let weight =
                    &weight[group * out_channels * in_channels * taps + rows.first * kernel_w + columns.first..];
                let steps = [taps, in_channels * taps, rows.step * kernel_w, columns.step];
                let (packed, others) =
                    rest.split_at_mut(in_channels * out_channels * rows.axis.taps * columns.axis.taps);
                rest = others;
                if !cx.prepared {
                    pack(cx.isa, &plane, steps, weight, packed);
                }
                // SAFETY: `check` has compared the lengths with the sizes, of which the plane is made: its input is the gradient of
                // one group, and its output the inputs of this class.
                unsafe {
                    planes(
                        cx.isa,
                        &plane,
                        grad_output.as_ptr().add(group * out_channels * plane.input()[0]),
                        packed.as_ptr(),
                        grad_input
                            .as_mut_ptr()
                            .add(group * in_channels * plane.output[0] + (y * sizes.width + x) * LANES),
                    );
                }
            }
        }
    }
}

/// Along one axis, the inputs `remainder`, `remainder + stride`, .. and the kernel elements that meet them.
#[derive(Debug, Clone, Copy)]
struct Class {
    /// The first kernel element, and the step to the next one.
    first: usize,
    step: usize,
    axis: Axis,
}

impl Class {
    /// The class of `remainder`: kernel element k meets it if remainder + padding − k · dilation is a multiple of the stride,
    /// and the output that it entered is the quotient.
    fn of(sizes: &Sizes, axis: usize, remainder: usize) -> Class {
        let [size, stride, dilation] = [sizes.kernel_size[axis], sizes.stride[axis], sizes.dilation[axis]];
        let [inputs, outputs] =
            if axis == 0 { [sizes.height, sizes.out_height()] } else { [sizes.width, sizes.out_width()] };
        let position = remainder + sizes.padding[axis];
        let step = (1..=stride).find(|step| (step * dilation).is_multiple_of(stride)).unwrap_or(stride);
        let mut axis = Axis {
            inputs: outputs,
            outputs: (inputs - remainder).div_ceil(stride),
            taps: 0,
            first: 0,
            output_step: 1,
            tap_step: -((step * dilation / stride) as isize),
        };
        let Some(first) = (0..size).find(|k| position % stride == k * dilation % stride) else {
            return Class { first: 0, step, axis };
        };
        axis.taps = (size - first).div_ceil(step);
        axis.first = (position as isize - (first * dilation) as isize) / stride as isize;
        Class { first, step, axis }
    }
}

/// [`super::grad_weight`], with [`Sizes::padded_input`] floats of scratch.
pub(super) fn grad_weight(
    cx: &Context,
    sizes: &Sizes,
    grad_output: &[f32],
    input: &[f32],
    grad_weight: &mut [f32],
    scratch: &mut [f32],
) {
    check(sizes, "grad_weight", LANES, input.len(), grad_weight.len(), grad_output.len());
    assert!(scratch.len() >= sizes.padded_input(), "conv2d::grad_weight: scratch is too short");
    let (input, size) = framed(sizes, input, scratch);
    // SAFETY: `check` has compared the lengths with the sizes, and the input is [C_in, height, width, 16] by now.
    unsafe {
        weight_gradients(
            cx.isa,
            sizes,
            cx.count,
            cx.adds,
            size,
            grad_output.as_ptr(),
            input.as_ptr(),
            grad_weight.as_mut_ptr(),
        );
    }
}

/// The input with its padding as zeros around it, in scratch if there are some, and the size of its images by then.
///
/// Panics if [`Sizes::padded_input`] floats are not there.
pub(super) fn framed<'a>(sizes: &Sizes, input: &'a [f32], scratch: &'a mut [f32]) -> (&'a [f32], [usize; 2]) {
    let size = [sizes.height + 2 * sizes.padding[0], sizes.width + 2 * sizes.padding[1]];
    if sizes.padding == [0, 0] {
        return (input, size);
    }
    frame(sizes.in_channels, [sizes.height, sizes.width], sizes.padding, size, input, scratch);
    (scratch, size)
}

/// Puts zeros around images: image [channels, size, 16] -> framed [channels, framed size, 16], its corner at `corner`.
fn frame(
    channels: usize,
    size: [usize; 2],
    corner: [usize; 2],
    framed_size: [usize; 2],
    image: &[f32],
    framed: &mut [f32],
) {
    let (row, framed_row) = (size[1] * LANES, framed_size[1] * LANES);
    let left = corner[1] * LANES;
    let framed = &mut framed[..channels * framed_size[0] * framed_row];
    for (image, framed) in image.chunks_exact(size[0] * row).zip(framed.chunks_exact_mut(framed_size[0] * framed_row)) {
        let (above, rest) = framed.split_at_mut(corner[0] * framed_row);
        let (middle, below) = rest.split_at_mut(size[0] * framed_row);
        above.fill(0.0);
        below.fill(0.0);
        for (from, to) in image.chunks_exact(row).zip(middle.chunks_exact_mut(framed_row)) {
            to[..left].fill(0.0);
            to[left..left + row].copy_from_slice(from);
            to[left + row..].fill(0.0);
        }
    }
}

/// One run of the core: out(o, y, x) = Σ over c, i, j of weight(o, c, i, j) · in(c, row of y and i, column of x and j).
#[derive(Debug, Clone, Copy)]
struct Plane {
    in_channels: usize,
    out_channels: usize,
    /// Rows and columns.
    axes: [Axis; 2],
    /// Floats from one channel, row, column of the output to the next.
    output: [usize; 3],
}

impl Plane {
    /// Floats from one channel and one row of the input to the next.
    #[inline(always)]
    fn input(&self) -> [usize; 2] {
        let row = self.axes[1].inputs * LANES;
        [self.axes[0].inputs * row, row]
    }
}

/// The rows or the columns of a [`Plane`]: output y meets by tap i the input `first + y * output_step + i * tap_step`, if there
/// is one: around the image are zeros.
#[derive(Debug, Clone, Copy)]
struct Axis {
    inputs: usize,
    outputs: usize,
    /// Kernel elements.
    taps: usize,
    first: isize,
    output_step: usize,
    /// Negative in a gradient.
    tap_step: isize,
}

impl Axis {
    /// The input that output y meets by tap 0.
    #[inline(always)]
    fn input(&self, y: usize) -> isize {
        self.first + (y * self.output_step) as isize
    }

    /// The taps by which at least one of `outputs` meets the image, and whether one of them meets zeros for another output.
    /// Products with zeros are left out: the gradient of a 5 x 5 convolution from 12 x 12 to 8 x 8 would have 2.25 products for
    /// every one of the forward pass.
    #[inline(always)]
    fn taps(&self, outputs: Range<usize>) -> (Range<usize>, bool) {
        let [low, high] = [self.input(outputs.start), self.input(outputs.end - 1)];
        let inputs = self.inputs as isize;
        let reach = (self.taps as isize - 1) * self.tap_step;
        if low.min(low + reach) >= 0 && high.max(high + reach) < inputs {
            return (0..self.taps, false);
        }
        let meets = |i: usize| {
            let step = i as isize * self.tap_step;
            high + step >= 0 && low + step < inputs
        };
        let misses = |i: usize| {
            let step = i as isize * self.tap_step;
            low + step < 0 || high + step >= inputs
        };
        let mut taps = 0..self.taps;
        while taps.start < taps.end && !meets(taps.start) {
            taps.start += 1;
        }
        while taps.start < taps.end && !meets(taps.end - 1) {
            taps.end -= 1;
        }
        let at_edge = !taps.is_empty() && (misses(taps.start) || misses(taps.end - 1));
        (taps, at_edge)
    }
}

/// Copies weights into the order in which the core reads them: [tile of output channels, c, i, j, channel in the tile]. They
/// lie `steps` apart in o, c, i and j.
fn pack(isa: Isa, plane: &Plane, [o_step, c_step, i_step, j_step]: [usize; 4], weight: &[f32], packed: &mut [f32]) {
    let [rows, columns] = plane.axes.map(|axis| axis.taps);
    let depth = plane.in_channels * rows * columns;
    if depth == 0 {
        return;
    }
    for (first, channels) in parts(plane.out_channels, channel_tile(isa)) {
        let packed = &mut packed[first * depth..(first + channels) * depth];
        for slot in 0..channels {
            let o = first + slot;
            let mut packed = packed[slot..].iter_mut().step_by(channels);
            for c in 0..plane.in_channels {
                for i in 0..rows {
                    let row = &weight[o * o_step + c * c_step + i * i_step..];
                    for (weight, packed) in row.iter().step_by(j_step).take(columns).zip(&mut packed) {
                        *packed = *weight;
                    }
                }
            }
        }
    }
}

/// [`Lanes::CONV_CHANNELS`] of a set.
fn channel_tile(isa: Isa) -> usize {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => lanes::Avx512::CONV_CHANNELS,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => lanes::Avx2::CONV_CHANNELS,
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => lanes::Neon::CONV_CHANNELS,
        Kind::Portable => lanes::Portable::CONV_CHANNELS,
    }
}

/// The core of [`forward`] and [`grad_input`].
///
/// # Safety
/// Every element that `plane` names lies in memory that is valid for it, `weight` is what [`pack`] made for this set; the
/// set of `L` is enabled.
#[inline(always)]
unsafe fn planes_in<L: Lanes>(plane: &Plane, input: *const f32, weight: *const f32, output: *mut f32) {
    let channel_tiles = parts(plane.out_channels, L::CONV_CHANNELS);
    let [rows, columns] = plane.axes;
    let weights = plane.in_channels * rows.taps * columns.taps;
    let width = L::CONV_COLUMNS.min(columns.outputs);
    for y in 0..rows.outputs {
        let (row_taps, _) = rows.taps(y..y + 1);
        // All tiles of channels one after the other, while the rows of the input are near.
        for (o, channels) in channel_tiles.clone() {
            // SAFETY: the row lies in the plane, which the caller vouches for.
            unsafe {
                let weight = weight.add(o * weights);
                let output = output.add(o * plane.output[0] + y * plane.output[1]);
                with_tile!(
                    L,
                    [channels, width],
                    [[L::CONV_CHANNELS, L::CONV_COLUMNS]],
                    plane_row,
                    (plane, &row_taps, rows.input(y), input, weight, output)
                );
            }
        }
    }
}

/// O output channels of one row, X columns at a time; `first_row` is the row of the input that tap 0 meets.
///
/// # Safety
/// As for [`planes_in`], for the row from `weight` and `output` on.
#[inline(always)]
unsafe fn plane_row<L: Lanes, const O: usize, const X: usize>(
    plane: &Plane,
    row_taps: &Range<usize>,
    first_row: isize,
    input: *const f32,
    weight: *const f32,
    output: *mut f32,
) {
    let columns = plane.axes[1];
    // The last tile of a row is moved back so that it is complete; it writes some sums a second time.
    for x in (0..columns.outputs).step_by(X) {
        let x = x.min(columns.outputs - X);
        let (column_taps, at_edge) = columns.taps(x..x + X);
        let window = Window { taps: [row_taps.clone(), column_taps], corner: [first_row, columns.input(x)] };
        // SAFETY: passed on to the caller; without an edge, all columns lie in the image. Two functions, because the comparisons
        // of the one take time; images narrower than a tile are few, and take that one.
        unsafe {
            let output = output.add(x * plane.output[2]);
            if at_edge || const { X < L::CONV_COLUMNS } {
                plane_tile::<L, O, X, true>(plane, &window, input, weight, output);
            } else {
                plane_tile::<L, O, X, false>(plane, &window, input, weight, output);
            }
        }
    }
}

/// What a tile of the core sees of the image.
struct Window {
    /// The taps by which its row meets the image, and those by which one of its columns does.
    taps: [Range<usize>; 2],
    /// The row and column that tap (0, 0) of its first column meets, maybe outside of the image.
    corner: [isize; 2],
}

/// O output channels of X columns, kept in registers over all input channels and the taps of the window. With `EDGE`, columns
/// that meet zeros are left out.
///
/// # Safety
/// As for [`planes_in`], for the tile from `weight` and `output` on. Without `EDGE`, all columns meet the image by all taps of the
/// window.
#[inline(always)]
unsafe fn plane_tile<L: Lanes, const O: usize, const X: usize, const EDGE: bool>(
    plane: &Plane,
    window: &Window,
    input: *const f32,
    weight: *const f32,
    output: *mut f32,
) {
    let [rows, columns] = plane.axes;
    let [channel, row] = plane.input();
    let [row_taps, column_taps] = &window.taps;
    let [corner_row, corner_column] = window.corner;
    let first_row = corner_row + row_taps.start as isize * rows.tap_step;
    let first_column = corner_column + column_taps.start as isize * columns.tap_step;
    let row_step = rows.tap_step * row as isize;
    // SAFETY: the tile is valid by the contract, and what is read of the input lies in the image: its rows by `taps`, its columns
    // by the contract or a comparison. `wrapping` steps, because pointers pass the ends of rows in between.
    unsafe {
        let mut sums = [[L::splat(0.0); X]; O];
        let mut channel_input = input.wrapping_offset(first_row * row as isize + first_column * LANES as isize);
        let mut channel_weight = weight.wrapping_add((row_taps.start * columns.taps + column_taps.start) * O);
        for _ in 0..plane.in_channels {
            let (mut row_input, mut row_weight) = (channel_input, channel_weight);
            for _ in 0..row_taps.len() {
                let (mut column, mut input, mut weight) = (first_column, row_input, row_weight);
                for _ in 0..column_taps.len() {
                    let mut factors = [L::splat(0.0); O];
                    for o in 0..O {
                        factors[o] = L::splat(*weight.add(o));
                    }
                    for x in 0..X {
                        let step = x * columns.output_step;
                        if EDGE && column.wrapping_add_unsigned(step) as usize >= columns.inputs {
                            continue;
                        }
                        let element = L::load(input.wrapping_add(step * LANES));
                        for o in 0..O {
                            sums[o][x] = factors[o].fma(element, sums[o][x]);
                        }
                    }
                    column += columns.tap_step;
                    input = input.wrapping_offset(columns.tap_step * LANES as isize);
                    weight = weight.wrapping_add(O);
                }
                row_input = row_input.wrapping_offset(row_step);
                row_weight = row_weight.wrapping_add(columns.taps * O);
            }
            channel_input = channel_input.wrapping_add(channel);
            channel_weight = channel_weight.wrapping_add(rows.taps * columns.taps * O);
        }
        // By value: with indices, portable code would keep the sums in memory.
        for (o, sums) in sums.into_iter().enumerate() {
            for (x, sum) in sums.into_iter().enumerate() {
                sum.store(output.add(o * plane.output[0] + x * plane.output[2]));
            }
        }
    }
}

/// Positions after which the sums of a weight gradient leave the registers: enough to hide the addition of the lanes, few
/// enough that the rows of all channels stay in L2 while every pair of channels comes by.
const POSITIONS: usize = 192;

/// The core of [`grad_weight`]; the input is [C_in, framed size, 16].
///
/// # Safety
/// The pointers are valid for the elements that `sizes` and `framed` name; the set of `L` is enabled.
#[inline(always)]
unsafe fn weight_gradients_in<L: Lanes>(
    sizes: &Sizes,
    count: usize,
    adds: bool,
    framed: [usize; 2],
    grad_output: *const f32,
    input: *const f32,
    grad_weight: *mut f32,
) {
    let [in_channels, out_channels] = sizes.group_channels();
    let [kernel_h, kernel_w] = sizes.kernel_size;
    let (height, width) = (sizes.out_height(), sizes.out_width());
    let (row, channel) = (framed[1] * LANES, framed[0] * framed[1] * LANES);
    let n_taps = in_channels * kernel_h * kernel_w;
    let [rows, columns] = sums_tile::<L>();
    let channel_tiles = parts(out_channels, rows);
    let rows_at_once = POSITIONS.div_ceil(width).min(height);
    let tap_steps = [channel, sizes.dilation[0] * row, sizes.dilation[1] * LANES];
    let mut taps = [0; TAPS];
    for group in 0..sizes.groups {
        for y in (0..height).step_by(rows_at_once) {
            let walk = Positions {
                adds: adds || y > 0,
                rows: rows_at_once.min(height - y),
                columns: width,
                grad_output: [height * width * LANES, width * LANES],
                input: [sizes.stride[0] * row, sizes.stride[1] * LANES],
            };
            let (mut index, mut at) = ([0; 3], [0]);
            for (t, n) in parts(n_taps, TAPS) {
                for tap in &mut taps[..n] {
                    *tap = at[0];
                    advance(&mut index, &[in_channels, kernel_h, kernel_w], |_, axis| tap_steps[axis], &mut at);
                }
                for (o, o_size) in channel_tiles.clone() {
                    for (first, t_size, n_tiles) in strips(n, columns) {
                        // SAFETY: the strip lies in the tensors, which the caller vouches for.
                        unsafe {
                            let grad_output = grad_output
                                .add((group * out_channels + o) * walk.grad_output[0] + y * walk.grad_output[1]);
                            let input = input.add(group * in_channels * channel + y * walk.input[0]);
                            let grad_weight = grad_weight.add((group * out_channels + o) * n_taps + t + first);
                            with_tile!(
                                L,
                                [o_size, t_size],
                                [sums_tile::<L>()],
                                weight_strip,
                                (
                                    &walk,
                                    count,
                                    &taps[first..][..n_tiles * t_size],
                                    n_taps,
                                    grad_output,
                                    input,
                                    grad_weight
                                )
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Kernel elements whose inputs are looked up together.
const TAPS: usize = 192;

/// The positions over which one tile of weight gradients is summed; steps in floats.
#[derive(Debug, Clone, Copy)]
struct Positions {
    /// Whether the sum is added to those of other positions and tiles.
    adds: bool,
    rows: usize,
    columns: usize,
    /// From one channel and one row of the gradient to the next.
    grad_output: [usize; 2],
    /// From the input of one output row and column to that of the next.
    input: [usize; 2],
}

/// O output channels times the kernel elements `taps`, T at a time; each is where the input lies that it meets, in floats from `input` on.
///
/// # Safety
/// As for [`weight_gradients_in`], for the strip from the pointers on.
#[inline(always)]
unsafe fn weight_strip<L: Lanes, const O: usize, const T: usize>(
    walk: &Positions,
    count: usize,
    taps: &[usize],
    n_taps: usize,
    grad_output: *const f32,
    input: *const f32,
    grad_weight: *mut f32,
) {
    for (tile, offsets) in taps.as_chunks::<T>().0.iter().enumerate() {
        // One pointer for each tap and one offset for all: with sums of offsets, registers run out and the sums are moved about.
        let mut taps = [input; T];
        for t in 0..T {
            taps[t] = input.wrapping_add(offsets[t]);
        }
        // SAFETY: the tile lies in the strip, which the caller vouches for.
        unsafe { weight_tile::<L, O, T>(walk, count, taps, n_taps, grad_output, grad_weight.add(tile * T)) };
    }
}

/// O output channels times T kernel elements, which meet the input from `taps` on.
///
/// # Safety
/// As for [`weight_gradients_in`], for the tile from the pointers on.
#[inline(always)]
unsafe fn weight_tile<L: Lanes, const O: usize, const T: usize>(
    walk: &Positions,
    count: usize,
    taps: [*const f32; T],
    n_taps: usize,
    grad_output: *const f32,
    grad_weight: *mut f32,
) {
    // SAFETY: the tile is valid by the contract; `wrapping` steps, because the pointers of a row stand behind it in the end.
    unsafe {
        let mut sums = [[L::splat(0.0); T]; O];
        for y in 0..walk.rows {
            let mut grad_output = grad_output.wrapping_add(y * walk.grad_output[1]);
            let mut offset = y * walk.input[0];
            for _ in 0..walk.columns {
                let mut gradients = [L::splat(0.0); O];
                for o in 0..O {
                    gradients[o] = L::load(grad_output.add(o * walk.grad_output[0]));
                }
                for t in 0..T {
                    let element = L::load(taps[t].add(offset));
                    for o in 0..O {
                        sums[o][t] = gradients[o].fma(element, sums[o][t]);
                    }
                }
                grad_output = grad_output.wrapping_add(LANES);
                offset += walk.input[1];
            }
        }
        add_totals(sums, count, walk.adds, grad_weight, n_taps);
    }
}

instantiate!(unsafe fn planes = planes_in(plane: &Plane, input: *const f32, weight: *const f32, output: *mut f32));
instantiate!(unsafe fn weight_gradients = weight_gradients_in(
    sizes: &Sizes, count: usize, adds: bool, framed: [usize; 2], grad_output: *const f32, input: *const f32, grad_weight: *mut f32,
));
