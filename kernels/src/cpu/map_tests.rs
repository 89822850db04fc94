//! Tests of the elementwise loops, against indices.

use super::*;
use crate::cpu::testing::{each_context, random};
use crate::cpu::{Isa, math};

#[test]
fn operands_are_broadcast_and_gathered() {
    each_context(|cx| {
        // Rows of 700 elements: several blocks, the last one short.
        let spec = Map { dims: [2, 3, 700], strides: [[2100, 700, 1], [1, 0, 0], [3, 9, 13], [0, 0, 1]] };
        let operands = [random(1, 4200), random(2, 2), random(3, 3 + 18 + 13 * 699 + 1), random(4, 700)];
        let mut output = vec![f32::NAN; 4200];
        map(&cx, &spec, operands.each_ref().map(Vec::as_slice), &mut output, |[a, b, c, d]| a * b + c - d);
        for (n, &y) in output.iter().enumerate() {
            let (i, j, k) = (n / 2100, n / 700 % 3, n % 700);
            let wanted = operands[0][n] * operands[1][i] + operands[2][3 * i + 9 * j + 13 * k] - operands[3][k];
            // A set with fused multiply-add may not use it here: Rust never contracts.
            assert_eq!(y, wanted, "{} element {n}", cx.isa.name());
        }
    });
}

#[test]
fn an_operand_may_be_overwritten() {
    each_context(|cx| {
        let spec = Map { dims: [3, 700], strides: [[1, 0], [700, 1], [9, 13]] };
        let operands = [random(1, 3), random(2, 2100), random(3, 18 + 13 * 699 + 1)];
        let f = |[a, b, c]: [f32; 3]| a * b + c - b;
        let mut wanted = vec![f32::NAN; 2100];
        map(&cx, &spec, operands.each_ref().map(Vec::as_slice), &mut wanted, f);
        let mut output = operands[1].clone();
        map_in_place::<1, _, _>(&cx, &spec, [&operands[0], &[], &operands[2]], &mut output, f);
        assert_eq!(output, wanted, "{cx:?}");
    });
}

#[test]
#[should_panic(expected = "operand 0 does not lie as the output")]
fn a_broadcast_operand_is_not_overwritten() {
    let spec = Map { dims: [2, 3], strides: [[1, 0]] };
    map_in_place::<0, _, _>(&Context::whole(Isa::detect(), 0), &spec, [&[]], &mut [0.0; 6], |[a]| a);
}

#[test]
fn short_rows_and_few_axes_work() {
    each_context(|cx| {
        let mut scalar = [0.0];
        map(&cx, &Map { dims: [], strides: [[], []] }, [&[2.0], &[3.0]], &mut scalar, |[a, b]| a * b);
        assert_eq!(scalar, [6.0]);

        let mut constant = [0.0; 5];
        map(&cx, &Map { dims: [5], strides: [] }, [], &mut constant, |[]| 4.0);
        assert_eq!(constant, [4.0; 5]);

        let mut empty: [f32; 0] = [];
        map(&cx, &Map { dims: [3, 0], strides: [[0, 1]] }, [&[]], &mut empty, |[a]| a);

        let input = random(1, 5 * 16 * 3);
        let mut output = vec![0.0; 5 * 16 * 3];
        map(
            &cx,
            &Map { dims: [5, 3, 16], strides: [[48, 16, 1], [48, 0, 1]] },
            [&input, &input],
            &mut output,
            |[a, b]| a + b,
        );
        assert!((0..240).all(|n| output[n] == input[n] + input[n / 48 * 48 + n % 16]));
    });
}

#[test]
fn mathematics_in_a_loop_agrees_with_single_calls() {
    let input = random(1, 1000);
    for isa in Isa::available() {
        let mut output = vec![0.0; 1000];
        let f = |x: f32| math::tanh(x) + math::erf(x) * math::exp(x) + math::log(x * x) + math::pow(x, 3.0);
        map(&Context::whole(isa, 0), &Map { dims: [1000], strides: [[1]] }, [&input], &mut output, |[x]| f(x));
        assert!(input.iter().zip(&output).all(|(&x, &y)| y == f(x)), "{}", isa.name());
    }
}

#[test]
#[should_panic(expected = "leave a slice of 3 elements")]
fn a_short_operand_is_refused() {
    map(&Context::whole(Isa::detect(), 0), &Map { dims: [4], strides: [[1]] }, [&[0.0; 3]], &mut [0.0; 4], |[x]| x);
}

#[test]
#[should_panic(expected = "leave a slice")]
fn strides_that_overflow_are_refused() {
    let spec = Map { dims: [4], strides: [[usize::MAX / 2]] };
    map(&Context::whole(Isa::detect(), 0), &spec, [&[0.0; 3]], &mut [0.0; 4], |[x]| x);
}
