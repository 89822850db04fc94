//! CPU kernels of pooling in the `samples` layout.

use std::ops::Range;

use super::Sizes;
use crate::LANES;
use crate::cpu::lanes::Lanes;
use crate::cpu::relu::Relu;
use crate::cpu::{Context, instantiate, walk};

/// Largest element of every window; NaN if there is one in it.
///
/// input [C, H, W, 16] -> output [C, H_out, W_out, 16].
///
/// Panics if a slice does not have its size.
pub fn max_forward(cx: &Context, sizes: &Sizes, input: &[f32], output: &mut [f32]) {
    forward(cx, sizes, input, Relu::NONE, output);
}

/// [`max_forward`], and relu of its output and the bias \[C\] of each channel.
///
/// Panics if a slice does not have its size.
pub fn max_forward_relu(cx: &Context, sizes: &Sizes, input: &[f32], bias: &[f32], output: &mut [f32]) {
    forward(cx, sizes, input, Relu::with_bias(bias, sizes.channels), output);
}

pub(crate) fn forward(cx: &Context, sizes: &Sizes, input: &[f32], relu: Relu<'_>, output: &mut [f32]) {
    check(sizes, "max_forward", LANES, input.len(), output.len());
    // SAFETY: the lengths are checked, and windows are cut to the image; there is a bias for each channel.
    unsafe { max_forward_on(cx.isa, sizes, input.as_ptr(), relu, output.as_mut_ptr()) };
}

/// [`max_forward`], which also saves where in its window the largest element stands, for [`max_grad_saved`].
///
/// input [C, H, W, 16] -> output [C, H_out, W_out, 16], saved [C, H_out, W_out, window], two elements in a float: for each element of
/// the window, row by row as far as it lies in the image, in which samples the first of the largest comes behind it.
///
/// Panics if a slice does not have its size.
pub fn max_forward_saving(cx: &Context, sizes: &Sizes, input: &[f32], output: &mut [f32], saved: &mut [f32]) {
    forward_saving(cx, sizes, input, Relu::NONE, output, saved);
}

/// [`max_forward_saving`], and relu of its output and the bias \[C\] of each channel.
///
/// Panics if a slice does not have its size.
pub fn max_forward_saving_relu(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    bias: &[f32],
    output: &mut [f32],
    saved: &mut [f32],
) {
    forward_saving(cx, sizes, input, Relu::with_bias(bias, sizes.channels), output, saved);
}

pub(crate) fn forward_saving(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    relu: Relu<'_>,
    output: &mut [f32],
    saved: &mut [f32],
) {
    check(sizes, "max_forward_saving", LANES, input.len(), output.len());
    assert_eq!(saved.len(), sizes.saved(), "pool2d::max_forward_saving: what is saved does not fit {sizes:?}");
    let (input, output, saved) = (input.as_ptr(), output.as_mut_ptr(), saved.as_mut_ptr().cast());
    // SAFETY: as in `forward`.
    unsafe { max_forward_saving_on(cx.isa, sizes, input, relu, output, saved) };
}

/// The gradient of [`max_forward`] with respect to its input; `grad_input` is overwritten.
///
/// input [C, H, W, 16], output and grad_output [C, H_out, W_out, 16] -> grad_input [C, H, W, 16]. The first of equal maxima
/// gets the gradient of its window, and an element gets the sum over the windows that it wins. In a window with NaN the
/// gradient goes to the first element.
///
/// Panics if a slice does not have its size.
pub fn max_grad(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    output: &[f32],
    grad_output: &[f32],
    grad_input: &mut [f32],
) {
    check(sizes, "max_grad", LANES, input.len(), output.len());
    check(sizes, "max_grad", LANES, grad_input.len(), grad_output.len());
    clear_unless_covered(sizes, grad_input);
    let (input, output) = (input.as_ptr(), output.as_ptr());
    // SAFETY: the lengths are checked, and windows are cut to the image.
    unsafe { max_grad_on(cx.isa, sizes, input, output, grad_output.as_ptr(), grad_input.as_mut_ptr()) };
}

/// [`max_grad`] from what [`max_forward_saving`] has saved.
///
/// saved [C, H_out, W_out, window], grad_output [C, H_out, W_out, 16] -> grad_input [C, H, W, 16].
///
/// Panics if a slice does not have its size.
pub fn max_grad_saved(cx: &Context, sizes: &Sizes, saved: &[f32], grad_output: &[f32], grad_input: &mut [f32]) {
    assert_eq!(saved.len(), sizes.saved(), "pool2d::max_grad_saved: what is saved does not fit {sizes:?}");
    check(sizes, "max_grad_saved", LANES, grad_input.len(), grad_output.len());
    clear_unless_covered(sizes, grad_input);
    // SAFETY: the lengths are checked, and windows are cut to the image.
    unsafe { max_grad_saved_on(cx.isa, sizes, saved.as_ptr().cast(), grad_output.as_ptr(), grad_input.as_mut_ptr()) };
}

/// Mean of every window; padding counts as zeros.
///
/// input [C, H, W, 16] -> output [C, H_out, W_out, 16].
///
/// Panics if a slice does not have its size.
pub fn avg_forward(cx: &Context, sizes: &Sizes, input: &[f32], output: &mut [f32]) {
    check(sizes, "avg_forward", LANES, input.len(), output.len());
    // SAFETY: the lengths are checked, and windows are cut to the image.
    unsafe { avg_forward_on(cx.isa, sizes, input.as_ptr(), output.as_mut_ptr()) };
}

/// The gradient of [`avg_forward`] with respect to its input; `grad_input` is overwritten.
///
/// grad_output [C, H_out, W_out, 16] -> grad_input [C, H, W, 16].
///
/// Panics if a slice does not have its size.
pub fn avg_grad(cx: &Context, sizes: &Sizes, grad_output: &[f32], grad_input: &mut [f32]) {
    check(sizes, "avg_grad", LANES, grad_input.len(), grad_output.len());
    clear_unless_covered(sizes, grad_input);
    // SAFETY: the lengths are checked, and windows are cut to the image.
    unsafe { avg_grad_on(cx.isa, sizes, grad_output.as_ptr(), grad_input.as_mut_ptr()) };
}

#[track_caller]
pub(super) fn check(sizes: &Sizes, kernel: &str, lanes: usize, input: usize, output: usize) {
    let Sizes { channels, height, width, kernel_size, stride, padding } = *sizes;
    walk::bounded(&[channels, height, width]);
    [kernel_size, stride, padding].iter().for_each(|pair| walk::bounded(pair));
    let fits = |axis: usize, size: usize| {
        // With at most half a window of padding, every window meets the image.
        stride[axis] > 0
            && 2 * padding[axis] <= kernel_size[axis]
            && (1..=size + 2 * padding[axis]).contains(&kernel_size[axis])
    };
    assert!(fits(0, height) && fits(1, width), "pool2d::{kernel}: {sizes:?} has windows without elements");
    assert_eq!(
        input,
        walk::product(&[channels, height, width, lanes]),
        "pool2d::{kernel}: the input's side does not fit {sizes:?}"
    );
    let outputs = walk::product(&[channels, sizes.out_height(), sizes.out_width(), lanes]);
    assert_eq!(output, outputs, "pool2d::{kernel}: the output's side does not fit {sizes:?}");
}

/// Whether no element lies in two windows, so that gradients need not be added up.
fn is_disjoint(sizes: &Sizes) -> bool {
    sizes.kernel_size[0] <= sizes.stride[0] && sizes.kernel_size[1] <= sizes.stride[1]
}

/// Zeros, unless every element will be written because it lies in exactly one window.
fn clear_unless_covered(sizes: &Sizes, grad_input: &mut [f32]) {
    let covered = sizes.kernel_size == sizes.stride
        && sizes.padding == [0, 0]
        && sizes.height.is_multiple_of(sizes.stride[0])
        && sizes.width.is_multiple_of(sizes.stride[1]);
    if !covered {
        grad_input.fill(0.0);
    }
}

/// The part of window `i` along `axis` that lies in the image.
#[inline(always)]
pub(super) fn window(sizes: &Sizes, axis: usize, i: usize) -> Range<usize> {
    let size = if axis == 0 { sizes.height } else { sizes.width };
    let (start, padding) = (i * sizes.stride[axis], sizes.padding[axis]);
    start.saturating_sub(padding)..(start + sizes.kernel_size[axis] - padding).min(size)
}

/// Windows side by side that are walked together, where there are vectors.
const WINDOWS: usize = 2;

/// Windows side by side, of which each covers as many rows and columns.
#[derive(Clone, Copy)]
struct Windows {
    channel: usize,
    /// The offsets in the input and in the output of the first one.
    input: usize,
    output: usize,
    /// From one to the next in the input.
    step: usize,
    /// From one row to the next in the input.
    row: usize,
    /// Rows and columns.
    size: [usize; 2],
}

impl Windows {
    /// Calls `f` with the number and the offset in the input of every element of the first window, of K rows and columns or, if
    /// that is 0, of `size`.
    #[inline(always)]
    fn each<const K: usize>(&self, mut f: impl FnMut(usize, usize)) {
        let [rows, columns] = self.size::<K>();
        for row in 0..rows {
            for column in 0..columns {
                f(row * columns + column, self.input + row * self.row + column * LANES);
            }
        }
    }

    /// The elements of window x, if it is one of 2 x 2.
    ///
    /// # Safety
    /// It lies in the input; the set of `L` is enabled.
    #[inline(always)]
    unsafe fn four<L: Lanes>(&self, x: usize, input: *const f32) -> [L; 4] {
        // SAFETY: the contract.
        unsafe {
            let first = input.add(self.input + x * self.step);
            let [above, below] = [first, first.add(self.row)];
            [above, above.add(LANES), below, below.add(LANES)].map(
                #[inline(always)]
                |at| L::load(at),
            )
        }
    }

    /// Elements of a whole window: what the compiler knows of it, or else `window`.
    #[inline(always)]
    fn window<const K: usize>(&self, window: usize) -> usize {
        if K > 0 { K * K } else { window }
    }

    #[inline(always)]
    fn size<const K: usize>(&self) -> [usize; 2] {
        if K > 0 { [K, K] } else { self.size }
    }
}

/// One of the kernels.
trait Pool {
    /// X windows side by side, of K rows and columns if that is not 0.
    ///
    /// # Safety
    /// The windows lie in the images of the kernel; the set of `L` is enabled.
    unsafe fn windows<L: Lanes, const X: usize, const K: usize>(&self, windows: &Windows);
}

/// All windows: those side by side that no border cuts together, the others one by one.
///
/// # Safety
/// The images of the kernel have these sizes, which have passed [`check`]; the set of `L` is enabled.
#[inline(always)]
unsafe fn each_window<L: Lanes>(sizes: &Sizes, pool: &impl Pool) {
    let (out_height, out_width) = (sizes.out_height(), sizes.out_width());
    let [kernel, stride, padding] = [sizes.kernel_size[1], sizes.stride[1], sizes.padding[1]];
    let windows = |c: usize, y: usize, x: usize| {
        let (rows, columns) = (window(sizes, 0, y), window(sizes, 1, x));
        Windows {
            channel: c,
            input: ((c * sizes.height + rows.start) * sizes.width + columns.start) * LANES,
            output: ((c * out_height + y) * out_width + x) * LANES,
            step: stride * LANES,
            row: sizes.width * LANES,
            size: [rows.len(), columns.len()],
        }
    };
    // What the compiler knows of the most usual windows, which no border cuts, makes half the time.
    if sizes.kernel_size == [2, 2] && sizes.padding == [0, 0] && const { !L::OUT_OF_LINE } {
        for c in 0..sizes.channels {
            let mut row = windows(c, 0, 0);
            for _ in 0..out_height {
                // SAFETY: passed on to the caller; without padding, windows lie in the image.
                unsafe { row_of_windows::<L, 2>(row, out_width, pool) };
                row.input += sizes.stride[0] * row.row;
                row.output += out_width * LANES;
            }
        }
        return;
    }
    let first = padding.div_ceil(stride).min(out_width);
    let end = out_width.min((sizes.width + padding + stride).saturating_sub(kernel) / stride).max(first);
    for c in 0..sizes.channels {
        for y in 0..out_height {
            // SAFETY: passed on to the caller; windows are cut to the image, and those between the borders are as wide as the kernel.
            unsafe {
                for x in (0..first).chain(end..out_width) {
                    pool.windows::<L, 1, 0>(&windows(c, y, x));
                }
                if first < end {
                    row_of_windows::<L, 0>(windows(c, y, first), end - first, pool);
                }
            }
        }
    }
}

/// `n` windows side by side.
///
/// # Safety
/// As for [`Pool::windows`].
#[inline(always)]
unsafe fn row_of_windows<L: Lanes, const K: usize>(mut windows: Windows, n: usize, pool: &impl Pool) {
    // SAFETY: passed on to the caller.
    unsafe {
        let at_once = if const { L::OUT_OF_LINE } { 0 } else { n / WINDOWS };
        for _ in 0..at_once {
            pool.windows::<L, WINDOWS, K>(&windows);
            windows.input += WINDOWS * windows.step;
            windows.output += WINDOWS * LANES;
        }
        for _ in 0..n - at_once * WINDOWS {
            pool.windows::<L, 1, K>(&windows);
            windows.input += windows.step;
            windows.output += LANES;
        }
    }
}

/// The largest elements of X windows side by side.
///
/// # Safety
/// As for [`Pool::windows`].
#[inline(always)]
unsafe fn largest<L: Lanes, const X: usize, const K: usize>(windows: &Windows, input: *const f32) -> [L; X] {
    // SAFETY: the contract.
    unsafe {
        let mut largest = [L::splat(0.0); X];
        if K == 2 {
            for (x, largest) in largest.iter_mut().enumerate() {
                *largest = L::largest_of_four(windows.four(x, input));
            }
            return largest;
        }
        windows.each::<K>(
            #[inline(always)]
            |i, at| {
                for (x, largest) in largest.iter_mut().enumerate() {
                    let element = L::load(input.add(at + x * windows.step));
                    *largest = if i == 0 { element } else { largest.max(element) };
                }
            },
        );
        largest
    }
}

struct MaxForward<'a> {
    input: *const f32,
    relu: Relu<'a>,
    output: *mut f32,
}

impl Pool for MaxForward<'_> {
    #[inline(always)]
    unsafe fn windows<L: Lanes, const X: usize, const K: usize>(&self, windows: &Windows) {
        // SAFETY: the contract.
        unsafe {
            let largest = largest::<L, X, K>(windows, self.input);
            for (x, largest) in largest.into_iter().enumerate() {
                self.relu.of(windows.channel, largest).store(self.output.add(windows.output + x * LANES));
            }
        }
    }
}

struct MaxForwardSaving<'a> {
    /// Elements of a window.
    window: usize,
    input: *const f32,
    relu: Relu<'a>,
    output: *mut f32,
    saved: *mut u16,
}

impl Pool for MaxForwardSaving<'_> {
    #[inline(always)]
    unsafe fn windows<L: Lanes, const X: usize, const K: usize>(&self, windows: &Windows) {
        // SAFETY: the contract.
        unsafe {
            let largest = largest::<L, X, K>(windows, self.input);
            let window = windows.window::<K>(self.window);
            let saved = self.saved.add(windows.output / LANES * window);
            if K == 2 {
                for (x, largest) in largest.into_iter().enumerate() {
                    save_window(windows.four::<L>(x, self.input), largest, saved.add(4 * x));
                    self.relu.of(windows.channel, largest).store(self.output.add(windows.output + x * LANES));
                }
                return;
            }
            let mut rest = [u16::MAX; X];
            windows.each::<K>(
                #[inline(always)]
                |i, at| {
                    for x in 0..X {
                        let element = L::load(self.input.add(at + x * windows.step));
                        save(element, largest[x], &mut rest[x], saved.add(x * window + i));
                    }
                },
            );
            for (x, largest) in largest.into_iter().enumerate() {
                self.relu.of(windows.channel, largest).store(self.output.add(windows.output + x * LANES));
            }
        }
    }
}

/// Saves an element of a window: the samples, of those that are left, whose largest element has not come by with it.
///
/// # Safety
/// `to` is valid; the set of `L` is enabled.
#[inline(always)]
unsafe fn save<L: Lanes>(element: L, largest: L, left: &mut u16, to: *mut u16) {
    // SAFETY: the contract.
    unsafe {
        *left = element.unequal(largest, *left);
        *to = *left;
    }
}

/// Saves a window of four.
///
/// # Safety
/// `to` is valid for four elements; the set of `L` is enabled.
#[inline(always)]
pub(crate) unsafe fn save_window<L: Lanes>(elements: [L; 4], largest: L, to: *mut u16) {
    let mut left = u16::MAX;
    // SAFETY: the contract.
    unsafe {
        for (i, element) in elements.into_iter().take(3).enumerate() {
            save(element, largest, &mut left, to.add(i));
        }
        // The largest is one of them, or NaN.
        *to.add(3) = 0;
    }
}

struct MaxGradSaved {
    /// Whether no element lies in two windows.
    disjoint: bool,
    /// Elements of a window.
    window: usize,
    saved: *const u16,
    grad_output: *const f32,
    grad_input: *mut f32,
}

impl Pool for MaxGradSaved {
    #[inline(always)]
    unsafe fn windows<L: Lanes, const X: usize, const K: usize>(&self, windows: &Windows) {
        // SAFETY: the contract.
        unsafe {
            let window = windows.window::<K>(self.window);
            let saved = self.saved.add(windows.output / LANES * window);
            let mut gradient = [L::splat(0.0); X];
            for (x, gradient) in gradient.iter_mut().enumerate() {
                *gradient = L::load(self.grad_output.add(windows.output + x * LANES));
            }
            let mut rest = [u16::MAX; X];
            windows.each::<K>(
                #[inline(always)]
                |i, at| {
                    for (x, gradient) in gradient.iter().enumerate() {
                        let after = *saved.add(x * window + i);
                        let taken = gradient.only(rest[x] & !after);
                        rest[x] = after;
                        let to = self.grad_input.add(at + x * windows.step);
                        if self.disjoint { taken.store(to) } else { L::load(to).add(taken).store(to) }
                    }
                },
            );
        }
    }
}

struct MaxGrad {
    /// Whether no element lies in two windows.
    disjoint: bool,
    input: *const f32,
    output: *const f32,
    grad_output: *const f32,
    grad_input: *mut f32,
}

impl Pool for MaxGrad {
    #[inline(always)]
    unsafe fn windows<L: Lanes, const X: usize, const K: usize>(&self, windows: &Windows) {
        // SAFETY: the contract.
        unsafe {
            let zero = L::splat(0.0);
            let mut largest = [zero; X];
            // What is left of the gradients: zero once the first maximum has taken it.
            let mut rest = [zero; X];
            for x in 0..X {
                largest[x] = L::load(self.output.add(windows.output + x * LANES));
                rest[x] = L::load(self.grad_output.add(windows.output + x * LANES));
            }
            windows.each::<K>(
                #[inline(always)]
                |_, at| {
                    for x in 0..X {
                        let at = at + x * windows.step;
                        let element = L::load(self.input.add(at));
                        let here = element.equal(largest[x]);
                        let taken = rest[x].only(here);
                        rest[x] = rest[x].only(!here);
                        let to = self.grad_input.add(at);
                        if self.disjoint { taken.store(to) } else { L::load(to).add(taken).store(to) }
                    }
                },
            );
        }
    }
}

struct AvgForward {
    /// Elements of a window, zeros of the padding as well.
    area: f32,
    input: *const f32,
    output: *mut f32,
}

impl Pool for AvgForward {
    #[inline(always)]
    unsafe fn windows<L: Lanes, const X: usize, const K: usize>(&self, windows: &Windows) {
        // SAFETY: the contract.
        unsafe {
            let mut sums = [L::splat(0.0); X];
            windows.each::<K>(
                #[inline(always)]
                |_, at| {
                    for (x, sum) in sums.iter_mut().enumerate() {
                        *sum = sum.add(L::load(self.input.add(at + x * windows.step)));
                    }
                },
            );
            for (x, sum) in sums.into_iter().enumerate() {
                sum.div(L::splat(self.area)).store(self.output.add(windows.output + x * LANES));
            }
        }
    }
}

struct AvgGrad {
    /// Whether no element lies in two windows.
    disjoint: bool,
    /// Elements of a window, zeros of the padding as well.
    area: f32,
    grad_output: *const f32,
    grad_input: *mut f32,
}

impl Pool for AvgGrad {
    #[inline(always)]
    unsafe fn windows<L: Lanes, const X: usize, const K: usize>(&self, windows: &Windows) {
        // SAFETY: the contract.
        unsafe {
            let mut shares = [L::splat(self.area); X];
            for (x, share) in shares.iter_mut().enumerate() {
                *share = L::load(self.grad_output.add(windows.output + x * LANES)).div(*share);
            }
            windows.each::<K>(
                #[inline(always)]
                |_, at| {
                    for (x, &share) in shares.iter().enumerate() {
                        let to = self.grad_input.add(at + x * windows.step);
                        if self.disjoint { share.store(to) } else { L::load(to).add(share).store(to) }
                    }
                },
            );
        }
    }
}

/// # Safety
/// As for [`each_window`].
#[inline(always)]
unsafe fn max_forward_in<L: Lanes>(sizes: &Sizes, input: *const f32, relu: Relu<'_>, output: *mut f32) {
    // SAFETY: passed on to the caller.
    unsafe { each_window::<L>(sizes, &MaxForward { input, relu, output }) };
}

/// # Safety
/// As for [`each_window`].
#[inline(always)]
unsafe fn max_forward_saving_in<L: Lanes>(
    sizes: &Sizes,
    input: *const f32,
    relu: Relu<'_>,
    output: *mut f32,
    saved: *mut u16,
) {
    // SAFETY: passed on to the caller.
    unsafe { each_window::<L>(sizes, &MaxForwardSaving { window: area(sizes), input, relu, output, saved }) };
}

/// # Safety
/// As for [`each_window`].
#[inline(always)]
unsafe fn max_grad_saved_in<L: Lanes>(sizes: &Sizes, saved: *const u16, grad_output: *const f32, grad_input: *mut f32) {
    let pool = MaxGradSaved { disjoint: is_disjoint(sizes), window: area(sizes), saved, grad_output, grad_input };
    // SAFETY: passed on to the caller.
    unsafe { each_window::<L>(sizes, &pool) };
}

/// # Safety
/// As for [`each_window`].
#[inline(always)]
unsafe fn max_grad_in<L: Lanes>(
    sizes: &Sizes,
    input: *const f32,
    output: *const f32,
    grad_output: *const f32,
    grad_input: *mut f32,
) {
    let pool = MaxGrad { disjoint: is_disjoint(sizes), input, output, grad_output, grad_input };
    // SAFETY: passed on to the caller.
    unsafe { each_window::<L>(sizes, &pool) };
}

/// # Safety
/// As for [`each_window`].
#[inline(always)]
unsafe fn avg_forward_in<L: Lanes>(sizes: &Sizes, input: *const f32, output: *mut f32) {
    // SAFETY: passed on to the caller.
    unsafe { each_window::<L>(sizes, &AvgForward { area: area(sizes) as f32, input, output }) };
}

/// # Safety
/// As for [`each_window`].
#[inline(always)]
unsafe fn avg_grad_in<L: Lanes>(sizes: &Sizes, grad_output: *const f32, grad_input: *mut f32) {
    let pool = AvgGrad { disjoint: is_disjoint(sizes), area: area(sizes) as f32, grad_output, grad_input };
    // SAFETY: passed on to the caller.
    unsafe { each_window::<L>(sizes, &pool) };
}

/// Elements of a window.
fn area(sizes: &Sizes) -> usize {
    sizes.kernel_size[0] * sizes.kernel_size[1]
}

instantiate!(unsafe fn max_forward_on = max_forward_in(sizes: &Sizes, input: *const f32, relu: Relu<'_>, output: *mut f32));
instantiate!(unsafe fn max_forward_saving_on = max_forward_saving_in(
    sizes: &Sizes, input: *const f32, relu: Relu<'_>, output: *mut f32, saved: *mut u16,
));
instantiate!(unsafe fn max_grad_saved_on = max_grad_saved_in(
    sizes: &Sizes, saved: *const u16, grad_output: *const f32, grad_input: *mut f32,
));
instantiate!(unsafe fn max_grad_on = max_grad_in(
    sizes: &Sizes, input: *const f32, output: *const f32, grad_output: *const f32, grad_input: *mut f32,
));
instantiate!(unsafe fn avg_forward_on = avg_forward_in(sizes: &Sizes, input: *const f32, output: *mut f32));
instantiate!(unsafe fn avg_grad_on = avg_grad_in(sizes: &Sizes, grad_output: *const f32, grad_input: *mut f32));

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
