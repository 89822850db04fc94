//! Tests of the cross-entropy against its formula in f64.

use super::*;
use crate::cpu::testing::{assert_close, each_context, random};

#[test]
fn losses_and_gradients_follow_the_formula() {
    for (outer, size, inner) in [(1, 10, 16), (3, 7, 48), (16, 10, 1), (5, 37, 1), (2, 3, 5)] {
        let axis = Axis { outer, size, inner };
        let logits: Vec<f32> = random(1, outer * size * inner).iter().map(|x| x * 50.0).collect();
        let labels: Vec<i64> = (0..outer * inner).map(|i| (i * 7 % size) as i64).collect();
        let grad_output = random(2, outer * inner);
        let (mut losses, mut gradients) = (vec![0.0; outer * inner], vec![0.0; logits.len()]);
        for o in 0..outer {
            for i in 0..inner {
                let (row, at) = (o * inner + i, |a: usize| (o * size + a) * inner + i);
                let label = labels[row] as usize;
                let largest = (0..size).map(|a| f64::from(logits[at(a)])).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = (0..size).map(|a| (f64::from(logits[at(a)]) - largest).exp()).sum();
                losses[row] = sum.ln() - (f64::from(logits[at(label)]) - largest);
                for a in 0..size {
                    let p = (f64::from(logits[at(a)]) - largest).exp() / sum;
                    gradients[at(a)] = (p - if a == label { 1.0 } else { 0.0 }) * f64::from(grad_output[row]);
                }
            }
        }
        each_context(|cx| {
            let what = format!("{cx:?} {axis:?}");
            let mut output = vec![f32::NAN; losses.len()];
            forward(&cx, &axis, &logits, &labels, &mut output);
            assert_close(&what, &output, &losses, 1e-6);
            let mut output = vec![f32::NAN; logits.len()];
            grad(&cx, &axis, &logits, &labels, &grad_output, &mut output);
            assert_close(&what, &output, &gradients, 1e-6);
        });
    }
}

#[test]
fn labels_out_of_range_give_nan_and_touch_nothing_else() {
    each_context(|cx| {
        for (outer, inner) in [(16, 1), (1, 16)] {
            let axis = Axis { outer, size: 2, inner };
            let mut labels = vec![1; 16];
            (labels[0], labels[3], labels[5]) = (-1, 2, i64::MAX);
            let (mut losses, mut gradients) = (vec![0.0; 16], vec![0.0; 32]);
            forward(&cx, &axis, &[0.0; 32], &labels, &mut losses);
            grad(&cx, &axis, &[0.0; 32], &labels, &[1.0; 16], &mut gradients);
            for (i, loss) in losses.into_iter().enumerate() {
                let wrong = [0, 3, 5].contains(&i);
                let (first, second) = if inner == 1 { (2 * i, 2 * i + 1) } else { (i, 16 + i) };
                assert_eq!(loss.is_nan(), wrong, "{cx:?} {i}");
                assert_eq!((gradients[first].is_nan(), gradients[second].is_nan()), (wrong, wrong), "{cx:?} {i}");
                assert!(wrong || (gradients[first], gradients[second]) == (0.5, -0.5), "{cx:?} {i}");
            }
        }
    });
}
