//! Tests of copies against indices.

use super::*;
use crate::cpu::Isa;

#[test]
fn views_are_read_with_their_strides() {
    let cx = Context::whole(Isa::detect(), 0);
    let input: Vec<f32> = (0..240).map(|i| i as f32).collect();
    let integers: Vec<i64> = (0..240).collect();
    // A permutation, a slice with an offset, a broadcast, rows of 16 lanes.
    for (dims, strides, offset) in [
        ([5, 4, 12], [1, 60, 5], 0),
        ([2, 3, 7], [60, 20, 1], 13),
        ([4, 3, 2], [0, 7, 0], 1),
        ([3, 5, 16], [16, 48, 1], 0),
        ([3, 0, 2], [1, 1, 1], 0),
    ] {
        let wanted = |n: usize| {
            let (i, j, k) = (n / (dims[1] * dims[2]), n / dims[2] % dims[1], n % dims[2]);
            offset + i * strides[0] + j * strides[1] + k * strides[2]
        };
        let n = dims.iter().product();
        let (mut output, mut output_i64) = (vec![-1.0; n], vec![-1; n]);
        super::gather(&cx, &Gather { dims, strides, offset }, &input, &mut output);
        gather_i64(&cx, &Gather { dims, strides, offset }, &integers, &mut output_i64);
        assert!(
            (0..n).all(|n| output[n] == wanted(n) as f32 && output_i64[n] == wanted(n) as i64),
            "{dims:?} {strides:?}"
        );
    }
    let mut scalar = [0.0];
    super::gather(&cx, &Gather { dims: [], strides: [], offset: 9 }, &input, &mut scalar);
    assert_eq!(scalar, [9.0]);
}

#[test]
#[should_panic(expected = "leave a slice of 10 elements")]
fn a_view_outside_of_its_input_is_refused() {
    let cx = Context::whole(Isa::detect(), 0);
    super::gather(&cx, &Gather { dims: [3], strides: [4], offset: 2 }, &[0.0; 10], &mut [0.0; 3]);
}

#[test]
fn parts_stand_side_by_side() {
    let cx = Context::whole(Isa::detect(), 0);
    let mut output = [0.0; 12];
    let spec = Cat { outer: 2, sizes: [1, 2, 0], inner: 2 };
    cat(&cx, &spec, [&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0], &[]], &mut output);
    assert_eq!(output, [1.0, 2.0, 5.0, 6.0, 7.0, 8.0, 3.0, 4.0, 9.0, 10.0, 11.0, 12.0]);
}
