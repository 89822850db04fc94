//! A convolution with max pooling in windows of 2 x 2 behind it, whose outputs no memory holds, where they are in registers anyway
//! ([`columns`]); and the gradient of its weight, from that of the windows ([`windows`]). Other sets of instructions take one after the
//! other.

use super::winograd::columns;
use super::{Sizes, cpu, windows};
use crate::cpu::Context;
use crate::cpu::relu::Relu;
use crate::pool2d;

/// [`forward`](super::forward), and [`max_forward`](pool2d::max_forward) of its output.
///
/// input [C_in, H, W, 16], weight [C_out, C_in / groups, K_h, K_w] -> output [C_out, H_out / 2, W_out / 2, 16];
/// `scratch` has [`Sizes::pooled_scratch`] floats, `kept` [`Sizes::kept`].
///
/// Panics if a slice does not have its size, or the kernel is not [pooled](Sizes::is_pooled).
pub fn forward_pooled(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    weight: &[f32],
    output: &mut [f32],
    scratch: &mut [f32],
    kept: &mut [f32],
) {
    pooled(cx, sizes, input, weight, Relu::NONE, output, scratch, kept, None);
}

/// [`forward_pooled`], and relu of its output and the bias \[C_out\] of each channel.
///
/// Panics as `forward_pooled` does, or if `bias` does not have its size.
pub fn forward_pooled_relu(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    output: &mut [f32],
    scratch: &mut [f32],
    kept: &mut [f32],
) {
    pooled(cx, sizes, input, weight, Relu::with_bias(bias, sizes.out_channels), output, scratch, kept, None);
}

/// [`forward_pooled`], which saves for [`grad_weight_pooled`] what [`max_forward_saving`](pool2d::max_forward_saving) does.
///
/// Panics as `forward_pooled` does.
pub fn forward_pooled_saving(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    weight: &[f32],
    output: &mut [f32],
    scratch: &mut [f32],
    kept: &mut [f32],
    saved: &mut [f32],
) {
    pooled(cx, sizes, input, weight, Relu::NONE, output, scratch, kept, Some(saved));
}

/// [`forward_pooled_relu`], which saves what [`forward_pooled_saving`] does.
///
/// Panics as `forward_pooled_relu` does.
pub fn forward_pooled_saving_relu(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    output: &mut [f32],
    scratch: &mut [f32],
    kept: &mut [f32],
    saved: &mut [f32],
) {
    pooled(cx, sizes, input, weight, Relu::with_bias(bias, sizes.out_channels), output, scratch, kept, Some(saved));
}

fn pooled(
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
    assert!(sizes.is_pooled(), "conv2d::forward_pooled: {sizes:?} is not pooled");
    if columns::fits(cx.isa) {
        return columns::forward_pooled(cx, sizes, input, weight, relu, output, scratch, kept, saved);
    }
    let (outputs, scratch) = scratch.split_at_mut(sizes.outputs());
    cpu::forward(cx, sizes, input, weight, outputs, scratch, kept);
    match saved {
        Some(saved) => pool2d::forward_saving(cx, &sizes.pooling(), outputs, relu, output, saved),
        None => pool2d::forward(cx, &sizes.pooling(), outputs, relu, output),
    }
}

/// [`max_grad_saved`](pool2d::max_grad_saved), and [`grad_weight`](super::grad_weight) of its result, added to `grad_weight` if `cx.adds`.
///
/// saved as [`forward_pooled_saving`] left it, grad_pooled [C_out, H_out / 2, W_out / 2, 16], input [C_in, H, W, 16] -> grad_weight
/// [C_out, C_in / groups, K_h, K_w]; `scratch` has [`Sizes::grad_weight_pooled_scratch`] floats.
///
/// Panics if a slice does not have its size, or the kernel's gradient is not [pooled](Sizes::is_gradient_pooled).
pub fn grad_weight_pooled(
    cx: &Context,
    sizes: &Sizes,
    saved: &[f32],
    grad_pooled: &[f32],
    input: &[f32],
    grad_weight: &mut [f32],
    scratch: &mut [f32],
) {
    assert!(sizes.is_gradient_pooled(), "conv2d::grad_weight_pooled: {sizes:?} is not pooled");
    if columns::fits(cx.isa) {
        return windows::grad_weight(cx, sizes, saved, grad_pooled, input, grad_weight, scratch);
    }
    let (grad_output, scratch) = scratch.split_at_mut(sizes.outputs());
    pool2d::max_grad_saved(cx, &sizes.pooling(), saved, grad_pooled, grad_output);
    cpu::grad_weight(cx, sizes, grad_output, input, grad_weight, scratch);
}
