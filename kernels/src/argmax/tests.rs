//! Tests of argmax and the count of equal integers.

use super::*;
use crate::cpu::testing::{each_context, random};

#[test]
fn the_first_of_the_largest_elements_is_found() {
    for (outer, size, inner) in [(1, 10, 16), (16, 10, 1), (3, 7, 21), (2, 1, 4)] {
        let axis = Axis { outer, size, inner };
        let input: Vec<f32> = random(1, outer * size * inner).iter().map(|x| (x * 4.0).round()).collect();
        let mut wanted = vec![0; outer * inner];
        for (row, wanted) in wanted.iter_mut().enumerate() {
            let at = |a: usize| input[(row / inner * size + a) * inner + row % inner];
            for a in 1..size {
                if at(a) > at(*wanted as usize) {
                    *wanted = a as i64;
                }
            }
        }
        each_context(|cx| {
            let mut output = vec![-1; wanted.len()];
            argmax(&cx, &axis, &input, &mut output);
            assert_eq!(output, wanted, "{cx:?} {axis:?}");
        });
    }
}

#[test]
fn the_first_nan_is_the_largest() {
    each_context(|cx| {
        let mut output = [-1; 2];
        let input =
            [1.0, f32::NAN, f32::NAN, 9.0, f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
        argmax(&cx, &Axis { outer: 2, size: 4, inner: 1 }, &input, &mut output);
        assert_eq!(output, [1, 0], "{cx:?}");
    });
}

#[test]
fn equal_integers_of_valid_samples_are_counted() {
    let (samples, features) = (16, 3);
    let lhs: Vec<i64> = (0..48).collect();
    each_context(|cx| {
        for (samples_last, tile) in [(false, false), (false, true), (true, false), (true, true)] {
            let rhs: Vec<i64> = (0..48).map(|i| if i % 5 == 0 { -1 } else { i }).collect();
            let valid = if tile { cx.count } else { samples };
            let sample = |i: usize| if samples_last { i % samples } else { i / features };
            let wanted = (0..48).filter(|&i| i % 5 != 0 && sample(i) < valid).count() as i64;
            for (adds, wanted) in [(true, 100 + wanted), (false, wanted)] {
                let mut total = [100];
                let count = Count { samples, features, samples_last, tile };
                count_equal(&Context { adds, ..cx }, &count, &lhs, &rhs, &mut total);
                assert_eq!(total, [wanted], "{cx:?} {samples_last} {tile} {adds}");
            }
        }
    });
}
