//! Tests of the lanes: every method on every set against the portable form or plain arithmetic.

use super::*;
use crate::cpu::testing::{each_context, random};
use crate::cpu::{Isa, instantiate};

/// What the methods give for one pair of vectors, in the order of [`expected`].
#[inline(always)]
unsafe fn results_in<L: Lanes>(a: &[f32; 16], b: &[f32; 16], n: usize, results: &mut Vec<[f32; 16]>) {
    // SAFETY: all arrays have 16 floats, n <= 16, and the caller has enabled the set.
    unsafe {
        let (x, y) = (L::load(a.as_ptr()), L::load(b.as_ptr()));
        let mut partial = [7.0; 16];
        x.store_first(partial.as_mut_ptr(), n);
        results.extend([
            x.add(y).to_array(),
            x.sub(y).to_array(),
            x.mul(y).to_array(),
            x.div(y).to_array(),
            x.max(y).to_array(),
            L::select_lt(x, y, x, L::splat(9.0)).to_array(),
            L::splat(9.0).only(x.equal(y)).to_array(),
            x.only(0b1010_0110_0000_1101).to_array(),
            x.blend(y, 0b1010_0110_0000_1101).to_array(),
            L::largest_of_four([x, L::splat(0.25), y, x]).to_array(),
            L::splat(9.0).only(x.unequal(y, 0b1010_0110_0000_1101)).to_array(),
            L::load_first(a.as_ptr(), n, 3.0).to_array(),
            partial,
            [x.sum(); 16],
            x.first(n).to_array(),
            L::evens_and_odds(x, y)[0].to_array(),
            L::evens_and_odds(x, y)[1].to_array(),
            L::sums(std::array::from_fn(|i| x.mul(L::splat(i as f32)))).to_array(),
        ]);
    }
}
instantiate!(unsafe fn results = results_in(a: &[f32; 16], b: &[f32; 16], n: usize, results: &mut Vec<[f32; 16]>));

fn results_of(isa: Isa, a: &[f32; 16], b: &[f32; 16], n: usize) -> Vec<[f32; 16]> {
    let mut list = Vec::new();
    // SAFETY: nothing is asked beyond the set and n <= 16, which the tests keep.
    unsafe { results(isa, a, b, n, &mut list) };
    list
}

fn expected(a: &[f32; 16], b: &[f32; 16], n: usize) -> Vec<[f32; 16]> {
    use std::array::from_fn;
    let tree = |mut lanes: [f32; 16]| {
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
        }
        [lanes[0]; 16]
    };
    let larger = |a: f32, b: f32| if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) };
    vec![
        from_fn(|i| a[i] + b[i]),
        from_fn(|i| a[i] - b[i]),
        from_fn(|i| a[i] * b[i]),
        from_fn(|i| a[i] / b[i]),
        from_fn(|i| larger(a[i], b[i])),
        from_fn(|i| if a[i] < b[i] { a[i] } else { 9.0 }),
        from_fn(|i| if a[i] == b[i] || a[i].is_nan() || b[i].is_nan() { 9.0 } else { 0.0 }),
        from_fn(|i| if [0, 2, 3, 9, 10, 13, 15].contains(&i) { a[i] } else { 0.0 }),
        from_fn(|i| if [0, 2, 3, 9, 10, 13, 15].contains(&i) { b[i] } else { a[i] }),
        from_fn(|i| larger(larger(a[i], 0.25), b[i])),
        from_fn(|i| if [0, 2, 3, 9, 10, 13, 15].contains(&i) && (a[i] - b[i]).abs() > 0.0 { 9.0 } else { 0.0 }),
        from_fn(|i| if i < n { a[i] } else { 3.0 }),
        from_fn(|i| if i < n { a[i] } else { 7.0 }),
        tree(*a),
        from_fn(|i| if i < n { a[i] } else { 0.0 }),
        from_fn(|i| if i < 8 { a[2 * i] } else { b[2 * i - 16] }),
        from_fn(|i| if i < 8 { a[2 * i + 1] } else { b[2 * i - 15] }),
        from_fn(|i| tree(a.map(|a| a * i as f32))[0]),
    ]
}

#[test]
fn every_set_computes_the_same() {
    let numbers = random(1, 32);
    let a: [f32; 16] = std::array::from_fn(|i| numbers[i]);
    let mut b: [f32; 16] = std::array::from_fn(|i| numbers[16 + i]);
    b[3] = a[3];
    let same = |x: &[[f32; 16]], y: &[[f32; 16]]| {
        x.as_flattened().iter().zip(y.as_flattened()).all(|(x, y)| x == y || (x.is_nan() && y.is_nan()))
    };
    each_context(|cx| {
        for n in 1..=16 {
            let (got, wanted) = (results_of(cx.isa, &a, &b, n), expected(&a, &b, n));
            assert!(same(&got, &wanted), "{} n {n}:\n{got:?}\n{wanted:?}", cx.isa.name());
        }
        let (mut a, mut b) = (a, b);
        (a[0], b[1], a[2], b[2]) = (f32::NAN, f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
        let (got, wanted) = (results_of(cx.isa, &a, &b, 16), expected(&a, &b, 16));
        assert!(same(&got, &wanted), "{} with NaN:\n{got:?}\n{wanted:?}", cx.isa.name());
    });
}

/// # Safety
/// The set of `L` is enabled.
#[inline(always)]
unsafe fn transposed_in<L: Lanes>(matrix: &mut [[f32; 16]; 16]) {
    // SAFETY: all rows have 16 floats, and the caller has enabled the set.
    unsafe {
        let rows = L::transpose(matrix.map(|row| L::load(row.as_ptr())));
        *matrix = rows.map(|row| row.to_array());
    }
}
instantiate!(unsafe fn transposed = transposed_in(matrix: &mut [[f32; 16]; 16]));

#[test]
fn transposes_exchange_rows_and_columns() {
    each_context(|cx| {
        let mut matrix = std::array::from_fn(|i| std::array::from_fn(|j| (16 * i + j) as f32));
        // SAFETY: nothing is asked beyond the set.
        unsafe { transposed(cx.isa, &mut matrix) };
        assert!((0..256).all(|k| matrix[k % 16][k / 16] == k as f32), "{}: {matrix:?}", cx.isa.name());
    });
}
