//! Tests of pooling against the loops that define it.

use super::*;
use crate::cpu::testing::{assert_close, each_context, random, wide};
use crate::pool2d::{avg_rows, max_rows};

fn cases() -> Vec<Sizes> {
    let case = |channels, height, width, kernel_size, stride, padding| Sizes {
        channels,
        height,
        width,
        kernel_size,
        stride,
        padding,
    };
    vec![
        case(6, 24, 24, [2, 2], [2, 2], [0, 0]),
        case(3, 7, 9, [2, 2], [2, 2], [0, 0]),
        case(2, 8, 7, [3, 3], [2, 2], [1, 1]),
        case(1, 7, 7, [3, 3], [1, 1], [1, 1]),
        case(2, 10, 9, [2, 2], [3, 3], [1, 0]),
        case(2, 10, 11, [2, 2], [3, 1], [0, 0]),
        case(3, 5, 6, [5, 3], [1, 2], [2, 1]),
    ]
}

/// Calls `f` with the index of every output and the indices of the input in its window, without the sample, in their order.
fn each_output(sizes: &Sizes, mut f: impl FnMut(usize, &[usize])) {
    let mut output = 0;
    for c in 0..sizes.channels {
        for y in 0..sizes.out_height() {
            for x in 0..sizes.out_width() {
                let mut window = Vec::new();
                for i in 0..sizes.kernel_size[0] {
                    for j in 0..sizes.kernel_size[1] {
                        let row = (y * sizes.stride[0] + i).wrapping_sub(sizes.padding[0]);
                        let column = (x * sizes.stride[1] + j).wrapping_sub(sizes.padding[1]);
                        if row < sizes.height && column < sizes.width {
                            window.push((c * sizes.height + row) * sizes.width + column);
                        }
                    }
                }
                f(output, &window);
                output += 1;
            }
        }
    }
}

/// Input with many equal elements, and gradient of the output.
fn tensors(sizes: &Sizes) -> [Vec<f32>; 2] {
    let input = random(1, sizes.channels * sizes.height * sizes.width * LANES);
    let outputs = sizes.channels * sizes.out_height() * sizes.out_width();
    [input.into_iter().map(|x| (x * 3.0).round() - 4.0).collect(), random(2, outputs * LANES)]
}

#[test]
fn max_takes_the_largest_and_its_gradient_goes_to_the_first_of_them() {
    for sizes in cases() {
        let [input, grad_output] = tensors(&sizes);
        let mut largest = vec![f32::NEG_INFINITY; grad_output.len()];
        let mut wanted = vec![0.0; input.len()];
        each_output(&sizes, |o, window| {
            for lane in 0..LANES {
                let largest = &mut largest[o * LANES + lane];
                let mut winner = 0;
                for &i in window {
                    if input[i * LANES + lane] > *largest {
                        (*largest, winner) = (input[i * LANES + lane], i);
                    }
                }
                wanted[winner * LANES + lane] += f64::from(grad_output[o * LANES + lane]);
            }
        });
        each_context(|cx| {
            let (mut output, mut gradient) = (vec![f32::NAN; grad_output.len()], vec![f32::NAN; input.len()]);
            max_forward(&cx, &sizes, &input, &mut output);
            assert_eq!(output, largest, "{cx:?} {sizes:?}");
            // Some elements are positive with their bias, some are not.
            let bias: Vec<f32> = (0..sizes.channels).map(|c| 3.5 - c as f32).collect();
            let plane = output.len() / sizes.channels;
            let relu: Vec<f32> = largest.iter().enumerate().map(|(i, x)| (x + bias[i / plane]).max(0.0)).collect();
            max_forward_relu(&cx, &sizes, &input, &bias, &mut output);
            assert_eq!(output, relu, "{cx:?} {sizes:?}");
            if sizes.can_save() {
                let mut saved = [vec![0.0; sizes.saved()], vec![0.0; sizes.saved()]];
                max_forward_saving_relu(&cx, &sizes, &input, &bias, &mut output, &mut saved[0]);
                assert_eq!(output, relu, "{cx:?} {sizes:?}");
                max_forward_saving(&cx, &sizes, &input, &mut output, &mut saved[1]);
                let [saved, plain] = saved.map(|saved| saved.into_iter().map(f32::to_bits).collect::<Vec<_>>());
                assert_eq!(saved, plain, "{cx:?} {sizes:?}");
            }
            max_forward(&cx, &sizes, &input, &mut output);
            max_grad(&cx, &sizes, &input, &output, &grad_output, &mut gradient);
            assert_close(&format!("{cx:?} {sizes:?}"), &gradient, &wanted, 1e-6);

            let (mut again, mut saved) = (vec![f32::NAN; output.len()], vec![f32::NAN; sizes.saved()]);
            max_forward_saving(&cx, &sizes, &input, &mut again, &mut saved);
            assert_eq!(again, output, "{cx:?} {sizes:?}");
            let mut from_saved = vec![f32::NAN; input.len()];
            max_grad_saved(&cx, &sizes, &saved, &grad_output, &mut from_saved);
            assert_eq!(from_saved, gradient, "{cx:?} {sizes:?}");
        });
    }
}

#[test]
fn avg_is_the_mean_and_its_gradient_is_spread() {
    for sizes in cases() {
        let [input, grad_output] = tensors(&sizes);
        let area = (sizes.kernel_size[0] * sizes.kernel_size[1]) as f64;
        let (mut mean, mut wanted) = (vec![0.0; grad_output.len()], vec![0.0; input.len()]);
        let (input_f64, grad_f64) = (wide(&input), wide(&grad_output));
        each_output(&sizes, |o, window| {
            for lane in 0..LANES {
                for &i in window {
                    mean[o * LANES + lane] += input_f64[i * LANES + lane] / area;
                    wanted[i * LANES + lane] += grad_f64[o * LANES + lane] / area;
                }
            }
        });
        each_context(|cx| {
            let (mut output, mut gradient) = (vec![f32::NAN; grad_output.len()], vec![f32::NAN; input.len()]);
            avg_forward(&cx, &sizes, &input, &mut output);
            assert_close(&format!("{cx:?} {sizes:?}"), &output, &mean, 1e-6);
            avg_grad(&cx, &sizes, &grad_output, &mut gradient);
            assert_close(&format!("{cx:?} {sizes:?}"), &gradient, &wanted, 1e-6);
        });
    }
}

#[test]
fn one_sample_is_pooled_as_a_tile_is() {
    let narrow = Sizes { channels: 2, height: 9, width: 12, kernel_size: [3, 3], stride: [2, 3], padding: [1, 0] };
    for sizes in cases().into_iter().chain([narrow]) {
        let [input, grad_output] = tensors(&sizes);
        let input = &input[..input.len() / LANES];
        let area = (sizes.kernel_size[0] * sizes.kernel_size[1]) as f64;
        let outputs = grad_output.len() / LANES;
        let (mut largest, mut mean) = (vec![f32::NEG_INFINITY; outputs], vec![0.0; outputs]);
        each_output(&sizes, |o, window| {
            for &i in window {
                largest[o] = largest[o].max(input[i]);
                mean[o] += f64::from(input[i]) / area;
            }
        });
        each_context(|cx| {
            let (mut output, mut scratch) = (vec![f32::NAN; outputs], vec![f32::NAN; sizes.rows_scratch()]);
            max_rows(&cx, &sizes, input, &mut output, &mut scratch);
            assert_eq!(output, largest, "{cx:?} {sizes:?}");
            avg_rows(&cx, &sizes, input, &mut output, &mut scratch);
            assert_close(&format!("{cx:?} {sizes:?}"), &output, &mean, 1e-6);
        });
    }
}

#[test]
fn maxima_are_saved_where_that_is_smaller_than_the_input() {
    let sizes = |kernel: usize, stride: usize| Sizes {
        channels: 3,
        height: 40,
        width: 40,
        kernel_size: [kernel; 2],
        stride: [stride; 2],
        padding: [0; 2],
    };
    // Two elements of a window in a float: 3 channels, 20 x 20 windows of 4.
    assert_eq!(sizes(2, 2).saved(), 2400);
    // 35 x 35 windows of 36 are 44,100 elements, 34 x 34 of 49 are 56,644; an image is 32 times 1,600.
    for (kernel, stride, can_save) in [(2, 2, true), (6, 1, true), (40, 1, true), (7, 1, false), (20, 1, false)] {
        let sizes = sizes(kernel, stride);
        assert_eq!(sizes.can_save(), can_save, "{sizes:?}");
        assert_eq!(sizes.saved() < 3 * 40 * 40 * LANES, can_save, "{sizes:?}");
    }
    // No number of elements is too large to be asked about.
    assert!(!Sizes { height: usize::MAX >> 2, width: usize::MAX >> 2, ..sizes(1 << 40, 1) }.can_save());
}

#[test]
fn nan_wins_a_maximum() {
    let sizes = Sizes { channels: 1, height: 2, width: 2, kernel_size: [2, 2], stride: [2, 2], padding: [0, 0] };
    each_context(|cx| {
        for place in 0..4 {
            let (mut input, mut output) = (vec![1.0; 4 * LANES], vec![0.0; LANES]);
            input[place * LANES] = f32::NAN;
            max_forward(&cx, &sizes, &input, &mut output);
            assert!(output[0].is_nan() && output[1] == 1.0, "{cx:?} {place}");
            // The gradient goes to the first element, from what was saved as well.
            let (grad_output, mut gradients, mut saved) =
                ([1.0; LANES], [[f32::NAN; 4 * LANES]; 2], vec![f32::NAN; sizes.saved()]);
            max_grad(&cx, &sizes, &input, &output, &grad_output, &mut gradients[0]);
            max_forward_saving(&cx, &sizes, &input, &mut output, &mut saved);
            max_grad_saved(&cx, &sizes, &saved, &grad_output, &mut gradients[1]);
            assert!(output[0].is_nan() && output[1] == 1.0, "{cx:?} {place}");
            let wanted: Vec<f32> = (0..4 * LANES).map(|i| if i < LANES { 1.0 } else { 0.0 }).collect();
            assert_eq!(gradients.map(Vec::from), [wanted.clone(), wanted], "{cx:?} {place}");
            let (mut input, mut output) = ([1.0; 4], [0.0]);
            input[place] = f32::NAN;
            max_rows(&cx, &sizes, &input, &mut output, &mut [0.0; 99]);
            assert!(output[0].is_nan(), "{cx:?} {place}");
        }
    });
}
