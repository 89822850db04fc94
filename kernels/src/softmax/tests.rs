//! Tests of softmax against its formula in f64.

use super::*;
use crate::cpu::testing::{assert_close, each_context, random};

#[test]
fn softmax_and_its_logarithm_follow_the_formula() {
    for (outer, size, inner) in [(1, 10, 16), (3, 7, 48), (16, 10, 1), (5, 37, 1), (2, 3, 5), (2, 1, 20), (4, 64, 1)] {
        let axis = Axis { outer, size, inner };
        // Large enough that exponentials overflow without the maximum.
        let input: Vec<f32> = random(1, outer * size * inner).iter().map(|x| x * 200.0).collect();
        let (mut wanted, mut wanted_log) = (vec![0.0; input.len()], vec![0.0; input.len()]);
        for o in 0..outer {
            for i in 0..inner {
                let at = |a: usize| (o * size + a) * inner + i;
                let largest = (0..size).map(|a| f64::from(input[at(a)])).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = (0..size).map(|a| (f64::from(input[at(a)]) - largest).exp()).sum();
                for a in 0..size {
                    let log = f64::from(input[at(a)]) - largest - sum.ln();
                    (wanted[at(a)], wanted_log[at(a)]) = (log.exp(), log);
                }
            }
        }
        each_context(|cx| {
            let what = format!("{cx:?} {axis:?}");
            let mut output = vec![f32::NAN; input.len()];
            softmax(&cx, &axis, &input, &mut output);
            assert_close(&what, &output, &wanted, 1e-6);
            log_softmax(&cx, &axis, &input, &mut output);
            assert_close(&what, &output, &wanted_log, 1e-6);
        });
    }
}

#[test]
fn masked_elements_get_no_probability() {
    each_context(|cx| {
        for inner in [1, LANES] {
            let axis = Axis { outer: 1, size: 3, inner };
            let mut input = vec![0.0; 3 * inner];
            input[inner..2 * inner].fill(f32::NEG_INFINITY);
            let mut output = vec![f32::NAN; 3 * inner];
            softmax(&cx, &axis, &input, &mut output);
            assert_eq!((output[0], output[inner], output[2 * inner]), (0.5, 0.0, 0.5), "{cx:?}");
        }
    });
}
