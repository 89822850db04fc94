//! Tests of sums over axes against indices.

use super::*;
use crate::cpu::testing::{assert_close, each_context, each_sum, random};

fn check<const RANK: usize>(dims: [usize; RANK], summed: [bool; RANK], samples: Option<usize>) {
    let spec = Sum { dims, summed, samples };
    let input = random(1, dims.iter().product());
    let outputs = dims.iter().zip(summed).map(|(&dim, summed)| if summed { 1 } else { dim }).product();
    let start = random(2, outputs);
    each_sum(&start, |cx, mut total, start| {
        let mut wanted = vec![0.0; outputs];
        for (i, &x) in input.iter().enumerate() {
            let (mut rest, mut output, mut step, mut valid) = (i, 0, 1, true);
            for axis in (0..RANK).rev() {
                let index = rest % dims[axis];
                rest /= dims[axis];
                if summed[axis] {
                    valid &= samples != Some(axis) || index < cx.count;
                } else {
                    output += index * step;
                    step *= dims[axis];
                }
            }
            if valid {
                wanted[output] += f64::from(x);
            }
        }
        let what = format!("{cx:?} {spec:?}");
        let mut output = vec![f32::NAN; outputs];
        sum(&cx, &spec, &input, &mut output);
        assert_close(&what, &output, &wanted, 1e-5);
        sum_into(&cx, &spec, &input, &mut total);
        let wanted: Vec<f64> = wanted.iter().zip(start).map(|(sum, start)| sum + start).collect();
        assert_close(&what, &total, &wanted, 1e-5);
    });
}

#[test]
fn sums_over_any_axes_are_right() {
    check([], [], None);
    check([700], [true], None);
    check([5], [false], None);
    check([13, 16], [true, false], None);
    check([6, 9, 16], [false, true, true], Some(2));
    check([6, 16], [false, true], Some(1));
    check([16, 37], [true, false], Some(0));
    check([16, 37], [true, true], Some(0));
    check([3, 40], [false, true], None);
    check([3, 7, 5], [true, false, true], None);
    check([3, 7, 5], [false, true, false], None);
    check([2, 3, 4, 21], [true, false, true, false], None);
    check([2, 3, 4, 5, 6, 2, 1, 2], [true, false, true, false, true, false, true, false], None);
    check([0, 3], [true, false], None);
}

#[test]
fn many_elements_lose_little_precision() {
    let input = vec![0.1_f32; 1 << 20];
    each_context(|cx| {
        let mut output = [0.0];
        sum(&cx, &Sum { dims: [1 << 20], summed: [true], samples: None }, &input, &mut output);
        let exact = f64::from(0.1_f32) * f64::from(1 << 20);
        assert!((f64::from(output[0]) / exact - 1.0).abs() < 2e-5, "{cx:?} {} {exact}", output[0]);
    });
}
