//! Tests of the convolution against the seven loops that define it.

use super::*;
use crate::conv2d::tiling::{ColumnTiling, Tiling};
use crate::conv2d::{
    forward_pooled, forward_pooled_relu, forward_pooled_saving, forward_pooled_saving_relu, forward_rows,
    grad_weight_pooled, windows,
};
use crate::cpu::testing::{assert_close, each_context, each_sum, random};
use crate::cpu::{Isa, math};
use crate::pool2d;

/// Calls `f` with the indices of (output, weight, input), without the sample, of every product of the convolution.
fn each_product(sizes: &Sizes, mut f: impl FnMut(usize, usize, usize)) {
    let (in_group, out_group) = (sizes.in_channels / sizes.groups, sizes.out_channels / sizes.groups);
    let [kernel_h, kernel_w] = sizes.kernel_size;
    for o in 0..sizes.out_channels {
        for y in 0..sizes.out_height() {
            for x in 0..sizes.out_width() {
                for c in 0..in_group {
                    for i in 0..kernel_h {
                        for j in 0..kernel_w {
                            let row = (y * sizes.stride[0] + i * sizes.dilation[0]).wrapping_sub(sizes.padding[0]);
                            let column = (x * sizes.stride[1] + j * sizes.dilation[1]).wrapping_sub(sizes.padding[1]);
                            if row < sizes.height && column < sizes.width {
                                let channel = o / out_group * in_group + c;
                                f(
                                    (o * sizes.out_height() + y) * sizes.out_width() + x,
                                    ((o * in_group + c) * kernel_h + i) * kernel_w + j,
                                    (channel * sizes.height + row) * sizes.width + column,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Square sizes but for the image, to keep the list readable.
fn sizes(
    channels: [usize; 2],
    image: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    groups: usize,
) -> Sizes {
    Sizes {
        in_channels: channels[0],
        out_channels: channels[1],
        height: image[0],
        width: image[1],
        kernel_size: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
        dilation: [dilation; 2],
        groups,
    }
}

fn cases() -> Vec<Sizes> {
    vec![
        sizes([1, 6], [11, 9], 5, 1, 0, 1, 1),
        sizes([6, 12], [8, 8], 5, 1, 0, 1, 1),
        sizes([3, 7], [6, 7], 3, 1, 1, 1, 1),
        sizes([13, 1], [5, 5], 1, 1, 0, 1, 1),
        sizes([7, 13], [4, 9], 1, 2, 1, 1, 1),
        sizes([4, 6], [9, 8], 3, 2, 1, 1, 2),
        sizes([3, 3], [7, 10], 3, 3, 2, 1, 3),
        sizes([2, 5], [10, 11], 3, 1, 2, 2, 1),
        sizes([2, 3], [12, 13], 3, 2, 1, 2, 1),
        sizes([2, 3], [13, 12], 3, 4, 3, 2, 1),
        sizes([2, 3], [13, 12], 2, 3, 0, 5, 1),
        // More padding than the kernel reaches, an output of one element, a kernel smaller than the stride.
        sizes([1, 2], [3, 3], 2, 1, 3, 1, 1),
        sizes([3, 19], [3, 3], 3, 1, 0, 1, 1),
        sizes([2, 2], [7, 7], 1, 3, 0, 1, 1),
        Sizes {
            in_channels: 3,
            out_channels: 4,
            height: 6,
            width: 9,
            kernel_size: [1, 4],
            stride: [2, 1],
            padding: [0, 2],
            dilation: [1, 2],
            groups: 1,
        },
        // Enough positions for several passes of the weight gradient.
        sizes([2, 5], [20, 21], 3, 1, 1, 1, 1),
        // Tiles that leave the image on every side, several blocks of them, one tile alone, groups.
        sizes([3, 5], [21, 35], 3, 1, 2, 1, 1),
        sizes([3, 7], [19, 37], 5, 1, 4, 1, 1),
        sizes([6, 8], [7, 6], 5, 1, 2, 1, 2),
        sizes([5, 9], [4, 4], 3, 1, 1, 1, 1),
        sizes([17, 18], [9, 10], 5, 1, 0, 1, 1),
        // One column, rows of tiles in several parts, the last one not complete.
        sizes([1, 3], [42, 5], 5, 1, 0, 1, 1),
        sizes([2, 4], [31, 50], 5, 1, 1, 1, 2),
        // Fewer columns than a register tile has, and not a power of two.
        sizes([2, 3], [9, 7], 5, 1, 0, 1, 1),
        sizes([3, 2], [6, 5], 3, 1, 0, 1, 1),
    ]
}

/// Calls `f` with every way that the kernel can take, whether it pays or not.
fn each_way(sizes: &Sizes, mut f: impl FnMut(Way)) {
    f(Way::Direct);
    if let (Some(columns), Some(both)) = (ColumnTiling::of(sizes), Tiling::of(sizes)) {
        f(Way::Columns(columns));
        f(Way::Both(both));
    }
}

/// Plain sums are off by a few roundings of their own terms, fewer products by roundings of the largest output.
fn tolerance(way: Way, wanted: &[f64]) -> f64 {
    let largest = wanted.iter().fold(1.0, |largest: f64, wanted| largest.max(wanted.abs()));
    if way == Way::Direct { 1e-5 } else { 1e-5 * largest }
}

#[test]
fn fewer_products_are_taken_where_they_pay() {
    let values = |sizes: Sizes| match sizes.grad_input_way() {
        Way::Both(tiling) => Some((tiling.values, tiling.step, tiling.tiles)),
        _ => None,
    };
    assert_eq!(values(sizes([6, 12], [12, 12], 5, 1, 0, 1, 1)), Some((8, 4, [2, 2])));
    assert_eq!(values(sizes([16, 16], [32, 30], 3, 1, 1, 1, 1)), Some((6, 4, [8, 8])));
    // Those of tests/fixtures/wide.safetensors.
    assert_eq!(values(sizes([12, 16], [12, 11], 3, 1, 1, 1, 1)), Some((6, 4, [3, 3])));
    assert_eq!(values(sizes([16, 12], [12, 11], 5, 1, 2, 1, 1)), Some((8, 4, [3, 3])));
    assert_eq!(values(sizes([12, 12], [12, 11], 3, 1, 1, 1, 1)), Some((6, 4, [3, 3])));
    // More products than 64 bits count.
    assert!(values(sizes([1 << 21, 1 << 21], [1 << 10, 1 << 10], 5, 1, 2, 1, 1)).is_some());
    // One channel, steps, other kernels, groups of one channel, more values of weights than outputs to share them.
    for sizes in [
        sizes([512, 512], [4, 4], 3, 1, 1, 1, 1),
        sizes([1, 6], [28, 28], 5, 1, 0, 1, 1),
        sizes([16, 16], [32, 32], 3, 2, 1, 1, 1),
        sizes([16, 16], [32, 32], 3, 1, 1, 2, 1),
        sizes([16, 16], [32, 32], 1, 1, 0, 1, 1),
        sizes([16, 16], [32, 32], 3, 1, 1, 1, 16),
    ] {
        assert_eq!(values(sizes), None, "{sizes:?}");
    }
}

#[test]
fn few_channels_take_fewer_products_along_the_columns() {
    let ways =
        |sizes: Sizes| [sizes.forward_way(true), sizes.grad_weight_way(true)].map(|way| matches!(way, Way::Columns(_)));
    assert_eq!(ways(sizes([1, 6], [28, 28], 5, 1, 0, 1, 1)), [true, true]);
    assert_eq!(ways(sizes([3, 16], [32, 32], 3, 1, 1, 1, 1)), [true, false]);
    // A set without the registers.
    let sizes_of_few = sizes([1, 6], [28, 28], 5, 1, 0, 1, 1);
    assert_eq!([sizes_of_few.forward_way(false), sizes_of_few.grad_weight_way(false)], [Way::Direct; 2]);
    // Many channels, short rows, steps, more products than 64 bits count.
    for sizes in [
        sizes([16, 16], [32, 32], 3, 1, 1, 1, 1),
        sizes([6, 12], [12, 12], 5, 1, 0, 1, 1),
        sizes([1, 6], [28, 28], 5, 2, 0, 1, 1),
        sizes([1 << 21, 1 << 21], [1 << 10, 1 << 10], 3, 1, 2, 1, 1),
    ] {
        assert_eq!(ways(sizes), [false, false], "{sizes:?}");
    }
}

/// Scratch, and what is kept, for `forward` and `grad_input` one way.
fn memory(sizes: &Sizes, way: Way) -> [Vec<f32>; 2] {
    let (scratch, kept) = match way {
        Way::Direct => (0, sizes.packed_weights()),
        Way::Columns(tiling) => (tiling.scratch(sizes), tiling.weights(sizes)),
        Way::Both(tiling) => (tiling.scratch(sizes.group_channels()), tiling.weights(sizes.group_channels())),
    };
    [scratch, sizes.groups * kept].map(|floats| vec![f32::NAN; floats])
}

/// Input, weight and gradient of the output.
fn tensors(sizes: &Sizes) -> [Vec<f32>; 3] {
    let weights = sizes.out_channels * sizes.in_channels / sizes.groups * sizes.kernel_size[0] * sizes.kernel_size[1];
    let outputs = sizes.out_channels * sizes.out_height() * sizes.out_width();
    [random(1, sizes.in_channels * sizes.height * sizes.width * LANES), random(2, weights), random(3, outputs * LANES)]
}

#[test]
fn forward_is_the_sum_of_its_products() {
    for sizes in cases() {
        let [input, weight, output] = tensors(&sizes);
        let mut wanted = vec![0.0; output.len()];
        each_product(&sizes, |o, w, i| {
            for lane in 0..LANES {
                wanted[o * LANES + lane] += f64::from(weight[w]) * f64::from(input[i * LANES + lane]);
            }
        });
        each_way(&sizes, |way| {
            each_context(|cx| {
                if matches!(way, Way::Columns(_)) && !columns::fits(cx.isa) {
                    return;
                }
                let [mut scratch, mut kept] = memory(&sizes, way);
                let mut run = |cx: &Context, weight: &[f32]| {
                    let mut output = vec![f32::NAN; wanted.len()];
                    match way {
                        Way::Both(_) => {
                            winograd::forward(cx, &sizes, &input, weight, &mut output, &mut scratch, &mut kept);
                        }
                        Way::Columns(_) => {
                            columns::forward(cx, &sizes, &input, weight, &mut output, &mut scratch, &mut kept);
                        }
                        Way::Direct => direct::forward(cx, &sizes, &input, weight, &mut output, &mut kept),
                    }
                    output
                };
                let output = run(&cx, &weight);
                assert_close(&format!("{way:?} {cx:?} {sizes:?}"), &output, &wanted, tolerance(way, &wanted));
                // What is kept is used again, the weights are not read.
                assert_eq!(output, run(&Context { prepared: true, ..cx }, &vec![f32::NAN; weight.len()]));
            });
        });
    }
}

#[test]
fn grad_input_is_the_adjoint() {
    for sizes in cases() {
        let [input, weight, grad_output] = tensors(&sizes);
        let mut wanted = vec![0.0; input.len()];
        each_product(&sizes, |o, w, i| {
            for lane in 0..LANES {
                wanted[i * LANES + lane] += f64::from(weight[w]) * f64::from(grad_output[o * LANES + lane]);
            }
        });
        each_way(&sizes, |way| {
            each_context(|cx| {
                let [mut scratch, mut kept] = memory(&sizes, way);
                let mut run = |cx: &Context, weight: &[f32]| {
                    let mut gradient = vec![f32::NAN; input.len()];
                    if way == Way::Direct {
                        direct::grad_input(cx, &sizes, &grad_output, weight, &mut gradient, &mut kept);
                    } else {
                        winograd::grad_input(cx, &sizes, &grad_output, weight, &mut gradient, &mut scratch, &mut kept);
                    }
                    gradient
                };
                if matches!(way, Way::Columns(_)) {
                    return;
                }
                let gradient = run(&cx, &weight);
                assert_close(&format!("{way:?} {cx:?} {sizes:?}"), &gradient, &wanted, tolerance(way, &wanted));
                assert_eq!(gradient, run(&Context { prepared: true, ..cx }, &vec![f32::NAN; weight.len()]));
            });
        });
    }
}

#[test]
fn grad_weight_adds_the_adjoint_of_the_valid_samples() {
    for sizes in cases() {
        let [input, weight, grad_output] = tensors(&sizes);
        each_way(&sizes, |way| {
            each_sum(&weight, |cx, mut gradient, mut wanted| {
                let takes_it = match way {
                    Way::Direct => true,
                    Way::Columns(tiling) => tiling.values == 8 && columns::fits(cx.isa),
                    Way::Both(tiling) => tiling.takes_weight_gradient() && cx.count == LANES,
                };
                if !takes_it {
                    return;
                }
                each_product(&sizes, |o, w, i| {
                    for lane in 0..cx.count {
                        wanted[w] += f64::from(grad_output[o * LANES + lane]) * f64::from(input[i * LANES + lane]);
                    }
                });
                let scratch = match way {
                    Way::Direct => sizes.padded_input(),
                    Way::Columns(tiling) => tiling.grad_weight_scratch(&sizes),
                    Way::Both(tiling) => tiling.grad_weight_scratch(sizes.group_channels()),
                };
                let mut scratch = vec![f32::NAN; scratch];
                match way {
                    Way::Both(_) => {
                        winograd::grad_weight(&cx, &sizes, &grad_output, &input, &mut gradient, &mut scratch);
                    }
                    Way::Columns(_) => {
                        columns::grad_weight(&cx, &sizes, &grad_output, &input, &mut gradient, &mut scratch);
                    }
                    Way::Direct => direct::grad_weight(&cx, &sizes, &grad_output, &input, &mut gradient, &mut scratch),
                }
                // Up to 1392 · 16 products of numbers below 1.
                let tolerance = tolerance(way, &wanted).max(1e-4);
                assert_close(&format!("{way:?} {cx:?} {sizes:?}"), &gradient, &wanted, tolerance);
            });
        });
    }
}

/// Convolutions that are pooled: rows of tiles that end within the image, padding, groups, channels.
fn pooled() -> Vec<Sizes> {
    vec![
        sizes([1, 6], [28, 28], 5, 1, 0, 1, 1),
        sizes([1, 9], [22, 30], 5, 1, 0, 1, 1),
        sizes([2, 16], [26, 22], 5, 1, 2, 1, 2),
        sizes([3, 16], [32, 32], 3, 1, 1, 1, 1),
    ]
}

#[test]
fn pooling_behind_a_convolution_is_the_same_in_one_kernel() {
    for sizes in pooled() {
        assert!(sizes.is_pooled(), "{sizes:?}");
        let [input, weight, outputs] = tensors(&sizes);
        // Few different numbers, so that windows have several maxima.
        let (input, weight) = (rounded(&input), rounded(&weight));
        each_context(|cx| {
            let mut kept = vec![f32::NAN; sizes.kept()];
            let mut scratch = vec![f32::NAN; sizes.scratch()];
            let mut outputs = vec![f32::NAN; outputs.len()];
            forward(&cx, &sizes, &input, &weight, &mut outputs, &mut scratch, &mut kept);
            let (mut wanted, mut wanted_saved) =
                (vec![f32::NAN; outputs.len() / 4], vec![f32::NAN; sizes.pooling().saved()]);
            pool2d::max_forward_saving(&cx, &sizes.pooling(), &outputs, &mut wanted, &mut wanted_saved);

            let mut scratch = vec![f32::NAN; sizes.pooled_scratch()];
            let mut output = vec![f32::NAN; wanted.len()];
            forward_pooled(&cx, &sizes, &input, &weight, &mut output, &mut scratch, &mut kept);
            assert_eq!(output, wanted, "{cx:?} {sizes:?}");
            let cx = Context { prepared: true, ..cx };
            let (mut output, mut saved) = (vec![f32::NAN; wanted.len()], vec![f32::NAN; wanted_saved.len()]);
            forward_pooled_saving(&cx, &sizes, &input, &weight, &mut output, &mut scratch, &mut kept, &mut saved);
            assert_eq!(output, wanted, "{cx:?} {sizes:?}");
            let bits = |saved: &[f32]| saved.iter().map(|pair| pair.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&saved), bits(&wanted_saved), "{cx:?} {sizes:?}");
        });
    }
}

#[test]
fn bias_and_relu_behind_pooling_are_those_of_each_channel() {
    for sizes in pooled() {
        let [mut input, weight, _] = tensors(&sizes);
        // What is no number is none behind relu either.
        input.iter_mut().step_by(LANES).for_each(|x| *x = f32::NAN);
        let bias = random(4, sizes.out_channels);
        let windows = sizes.pooling().saved() / 2;
        each_context(|cx| {
            let (mut scratch, mut kept) = (vec![f32::NAN; sizes.pooled_scratch()], vec![f32::NAN; sizes.kept()]);
            let empty = || (vec![f32::NAN; windows * LANES], vec![0.0; sizes.pooling().saved()]);
            let (mut largest, mut wanted_saved) = empty();
            let (scratch, kept) = (&mut scratch, &mut kept);
            forward_pooled_saving(&cx, &sizes, &input, &weight, &mut largest, scratch, kept, &mut wanted_saved);
            let plane = largest.len() / sizes.out_channels;
            let wanted: Vec<f32> =
                largest.iter().enumerate().map(|(i, x)| math::max(x + bias[i / plane], 0.0)).collect();
            assert!(wanted.iter().enumerate().all(|(i, x)| x.is_nan() == (i % LANES == 0)));
            let equal = |output: &[f32]| wanted.iter().zip(output).all(|(a, b)| a == b || a.is_nan() && b.is_nan());

            let (mut output, mut saved) = empty();
            forward_pooled_relu(&cx, &sizes, &input, &weight, &bias, &mut output, scratch, kept);
            assert!(equal(&output), "{cx:?} {sizes:?}");
            output.fill(f32::NAN);
            forward_pooled_saving_relu(&cx, &sizes, &input, &weight, &bias, &mut output, scratch, kept, &mut saved);
            assert!(equal(&output), "{cx:?} {sizes:?}");
            assert!(saved.iter().zip(&wanted_saved).all(|(a, b)| a.to_bits() == b.to_bits()), "{cx:?} {sizes:?}");
        });
    }
}

#[test]
fn the_width_of_the_units_changes_no_bit() {
    for sizes in [
        sizes([6, 12], [12, 12], 5, 1, 0, 1, 1),
        sizes([3, 4], [21, 9], 5, 1, 2, 1, 1),
        sizes([16, 15], [9, 8], 3, 1, 1, 1, 1),
        sizes([8, 18], [7, 30], 3, 1, 0, 1, 2),
    ] {
        let [input, weight, grad_output] = tensors(&sizes);
        let [mut scratch, mut kept] = memory(&sizes, Way::Both(Tiling::of(&sizes).unwrap()));
        for isa in Isa::available() {
            let mut both = [false, true].map(|in_halves| {
                let cx = Context { count: LANES, ..Context::whole(isa.with_halves(in_halves), 0) };
                let (mut output, mut gradient) = (vec![f32::NAN; grad_output.len()], vec![f32::NAN; input.len()]);
                winograd::forward(&cx, &sizes, &input, &weight, &mut output, &mut scratch, &mut kept);
                winograd::grad_input(&cx, &sizes, &grad_output, &weight, &mut gradient, &mut scratch, &mut kept);
                output.append(&mut gradient);
                output
            });
            assert!(both[0].iter().all(|x| x.is_finite()));
            assert_eq!(std::mem::take(&mut both[0]), both[1], "{isa:?} {sizes:?}");
        }
    }
}

#[test]
fn the_gradient_through_pooling_takes_the_products_of_windows() {
    let more = [
        // Odd numbers of windows, several passes over rows, groups, more channels than pay.
        sizes([6, 12], [12, 12], 5, 1, 0, 1, 1),
        sizes([4, 6], [10, 18], 5, 1, 0, 1, 2),
        sizes([3, 5], [6, 70], 3, 1, 1, 1, 1),
        sizes([2, 3], [4, 4], 3, 1, 0, 1, 1),
        sizes([17, 18], [6, 6], 3, 1, 1, 1, 1),
    ];
    for sizes in pooled().into_iter().chain(more) {
        let [input, weight, outputs] = tensors(&sizes);
        let pooling = sizes.pooling();
        let (outputs, grad_pooled) = (rounded(&outputs), random(7, outputs.len() / 4));
        each_sum(&weight, |cx, mut gradient, mut wanted| {
            // Samples that do not count may be anything.
            let uncounted = |numbers: &[f32]| -> Vec<f32> {
                let lane = |i: usize, x: &f32| if i % LANES < cx.count { *x } else { f32::NAN };
                numbers.iter().enumerate().map(|(i, x)| lane(i, x)).collect()
            };
            let (input, outputs, grad_pooled) = (uncounted(&input), uncounted(&outputs), uncounted(&grad_pooled));
            let mut saved = vec![f32::NAN; pooling.saved()];
            pool2d::max_forward_saving(&cx, &pooling, &outputs, &mut vec![0.0; grad_pooled.len()], &mut saved);
            let mut grad_output = vec![f32::NAN; outputs.len()];
            pool2d::max_grad_saved(&cx, &pooling, &saved, &grad_pooled, &mut grad_output);
            each_product(&sizes, |o, w, i| {
                for lane in 0..cx.count {
                    wanted[w] += f64::from(grad_output[o * LANES + lane]) * f64::from(input[i * LANES + lane]);
                }
            });
            let mut scratch = vec![f32::NAN; sizes.grad_weight_pooled_scratch()];
            let what = format!("{cx:?} {sizes:?}");
            if columns::fits(cx.isa) {
                let mut gradient = gradient.clone();
                windows::grad_weight(&cx, &sizes, &saved, &grad_pooled, &input, &mut gradient, &mut scratch);
                assert_close(&what, &gradient, &wanted, tolerance(Way::Direct, &wanted).max(1e-4));
            }
            if sizes.is_gradient_pooled() {
                grad_weight_pooled(&cx, &sizes, &saved, &grad_pooled, &input, &mut gradient, &mut scratch);
                let way = sizes.grad_weight_way(columns::fits(cx.isa));
                assert_close(&what, &gradient, &wanted, tolerance(way, &wanted).max(1e-4));
            }
        });
    }
}

#[test]
fn windows_pay_unless_channels_are_many() {
    let pays = |sizes: Sizes| sizes.is_gradient_pooled();
    assert!(pays(sizes([1, 6], [28, 28], 5, 1, 0, 1, 1)));
    assert!(pays(sizes([64, 64], [12, 12], 5, 1, 0, 1, 1)));
    assert!(pays(sizes([3, 16], [32, 32], 3, 1, 1, 1, 1)));
    // Fewer products along both axes; windows that do not cover the outputs; steps; other kernels.
    for sizes in [
        sizes([64, 64], [32, 32], 3, 1, 1, 1, 1),
        sizes([1, 6], [27, 28], 5, 1, 0, 1, 1),
        sizes([1, 6], [28, 29], 5, 1, 0, 1, 1),
        sizes([1, 6], [28, 28], 5, 2, 0, 1, 1),
        sizes([1, 6], [28, 28], 3, 1, 2, 2, 1),
        sizes([1, 6], [28, 28], 7, 1, 0, 1, 1),
    ] {
        assert!(!pays(sizes), "{sizes:?}");
    }
}

/// Multiples of a half.
fn rounded(numbers: &[f32]) -> Vec<f32> {
    numbers.iter().map(|x| (x * 2.0).round() / 2.0).collect()
}

#[test]
fn one_sample_gives_what_a_tile_does() {
    let more = [
        sizes([5, 9], [4, 4], 1, 1, 0, 1, 1),
        sizes([3, 7], [5, 7], 1, 2, 0, 1, 1),
        sizes([2, 3], [10, 11], 3, 4, 1, 2, 1),
        sizes([4, 4], [6, 5], 3, 3, 2, 1, 4),
        sizes([1, 2], [3, 2], 3, 2, 1, 1, 1),
        sizes([2, 13], [33, 20], 3, 1, 1, 1, 1),
        sizes([1, 1], [2, 2], 2, 5, 3, 3, 1),
    ];
    for sizes in cases().into_iter().chain(more) {
        let [input, weight, _] = tensors(&sizes);
        let input = &input[..sizes.in_channels * sizes.height * sizes.width];
        let mut wanted = vec![0.0; sizes.out_channels * sizes.out_height() * sizes.out_width()];
        each_product(&sizes, |o, w, i| wanted[o] += f64::from(weight[w]) * f64::from(input[i]));
        each_context(|cx| {
            let mut output = vec![f32::NAN; wanted.len()];
            let mut scratch = vec![f32::NAN; sizes.forward_rows_scratch()];
            forward_rows(&cx, &sizes, input, &weight, &mut output, &mut scratch);
            assert_close(&format!("{cx:?} {sizes:?}"), &output, &wanted, 1e-5);
        });
    }
}

#[test]
fn the_same_call_gives_the_same_bits() {
    let sizes = sizes([16, 15], [9, 8], 3, 1, 1, 1, 1);
    assert!(matches!(sizes.grad_input_way(), Way::Both(_)));
    let [input, weight, grad_output] = tensors(&sizes);
    each_context(|cx| {
        let output = || {
            let (mut output, mut gradient) = (vec![f32::NAN; grad_output.len()], vec![f32::NAN; input.len()]);
            let [mut scratch, mut kept] = [sizes.scratch(), sizes.kept()].map(|floats| vec![f32::NAN; floats]);
            forward(&cx, &sizes, &input, &weight, &mut output, &mut scratch, &mut kept);
            grad_input(&cx, &sizes, &grad_output, &weight, &mut gradient, &mut scratch, &mut kept);
            [output, gradient]
        };
        assert_eq!(output(), output());
        let gradient = || {
            let mut gradient = vec![0.0; weight.len()];
            grad_weight(&cx, &sizes, &grad_output, &input, &mut gradient, &mut vec![0.0; sizes.grad_weight_scratch()]);
            gradient
        };
        assert_eq!(gradient(), gradient());
    });
}

#[test]
#[should_panic(expected = "the weight's side does not fit")]
fn a_wrong_length_is_refused() {
    let sizes = sizes([1, 1], [3, 3], 3, 1, 0, 1, 1);
    let mut output = vec![0.0; LANES];
    let isa = Isa::detect();
    forward(&Context::whole(isa, 0), &sizes, &[0.0; 9 * LANES], &[0.0; 8], &mut output, &mut [0.0; 99], &mut [0.0; 99]);
}
