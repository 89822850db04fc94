//! Tests of products with weights against plain loops.

use super::*;
use crate::LANES;
use crate::cpu::testing::{assert_close, each_context, each_sum, random};

/// Calls `f` with (weight index, o, i) of every weight.
fn each_weight(sizes: &Sizes, mut f: impl FnMut(usize, usize, usize)) {
    for o in 0..sizes.out_features {
        for i in 0..sizes.in_features {
            f(if sizes.transposed { i * sizes.out_features + o } else { o * sizes.in_features + i }, o, i);
        }
    }
}

#[test]
fn products_are_right() {
    let features = [(1, 1), (3, 7), (13, 1), (16, 16), (19, 10), (40, 33), (7, 120), (150, 115), (21, 17), (32, 60)];
    for vectors in [1, 2, 5, 16, 17] {
        for (in_features, out_features) in features {
            for transposed in [false, true] {
                let sizes = Sizes { vectors, in_features, out_features, transposed };
                let n = vectors * LANES;
                let (input, weight) = (random(1, n * in_features), random(2, in_features * out_features));
                let mut wanted = vec![0.0; n * out_features];
                each_weight(&sizes, |w, o, i| {
                    for v in 0..n {
                        wanted[v * out_features + o] += f64::from(weight[w]) * f64::from(input[v * in_features + i]);
                    }
                });
                each_context(|cx| {
                    let mut output = vec![f32::NAN; wanted.len()];
                    forward(&cx, &sizes, &input, &weight, &mut output);
                    let (valid, behind) = output.split_at(cx.count * vectors * out_features);
                    assert_close(&format!("{cx:?} {sizes:?}"), valid, &wanted[..valid.len()], 1e-5);
                    assert!(behind.iter().all(|element| element.is_nan()));
                    let Some(packed) = sizes.packed() else { return };
                    let mut kept = vec![f32::NAN; packed];
                    for (prepared, weight) in [(false, &weight), (true, &vec![f32::NAN; weight.len()])] {
                        let cx = Context { prepared, ..cx };
                        let mut output = vec![f32::NAN; wanted.len()];
                        forward_packed(&cx, &sizes, &input, weight, &mut output, &mut kept);
                        let (valid, behind) = output.split_at(cx.count * vectors * out_features);
                        assert_close(&format!("packed {cx:?} {sizes:?}"), valid, &wanted[..valid.len()], 1e-5);
                        assert!(behind.iter().all(|element| element.is_nan()));
                    }
                });
            }
        }
    }
}

#[test]
fn the_weight_gradient_adds_the_valid_vectors() {
    for (vectors, rows, columns) in [(1, 1, 1), (1, 7, 13), (3, 5, 40), (2, 33, 16), (1, 10, 120), (9, 70, 115)] {
        let sizes = GradSizes { vectors, rows, columns };
        let (lhs, rhs) = (random(1, LANES * vectors * rows), random(2, LANES * vectors * columns));
        let start = random(3, rows * columns);
        each_sum(&start, |cx, mut gradient, mut wanted| {
            for n in 0..cx.count * vectors {
                for r in 0..rows {
                    for c in 0..columns {
                        wanted[r * columns + c] += f64::from(lhs[n * rows + r]) * f64::from(rhs[n * columns + c]);
                    }
                }
            }
            grad_weight(&cx, &sizes, &lhs, &rhs, &mut gradient);
            assert_close(&format!("{cx:?} {sizes:?}"), &gradient, &wanted, 1e-5);
        });
    }
}

#[test]
fn small_weights_of_whole_vectors_are_packed() {
    let packed =
        |in_features, out_features, transposed| Sizes { vectors: 1, in_features, out_features, transposed }.packed();
    assert_eq!(packed(192, 120, false), Some(192 * 128));
    assert_eq!(packed(1024, 64, false), Some(1024 * 64));
    for (in_features, out_features, transposed) in
        [(192, 15, false), (192, 120, true), (1025, 64, false), (usize::MAX, 16, false), (1, usize::MAX, false)]
    {
        assert_eq!(packed(in_features, out_features, transposed), None, "{in_features} -> {out_features} {transposed}");
    }
}

#[test]
#[should_panic(expected = "the weight does not fit")]
fn a_wrong_length_is_refused() {
    let sizes = Sizes { vectors: 1, in_features: 2, out_features: 2, transposed: false };
    let isa = crate::cpu::Isa::detect();
    forward(&Context::whole(isa, 0), &sizes, &[0.0; 2], &[0.0; 3], &mut [0.0; 2]);
}
