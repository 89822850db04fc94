//! What the tests of the kernels share: every instruction set in turn, numbers, comparisons.

use super::{Context, Isa, KINDS};
use crate::{LANES, rng};

/// Calls `f` on every set of this machine, with units of both widths, with a full tile and with ragged ones; says which sets are
/// skipped.
pub(crate) fn each_context(f: impl Fn(Context)) {
    for kind in KINDS.iter().filter(|kind| !kind.is_here()) {
        println!("skipped: this processor has no {}", kind.name());
    }
    for isa in Isa::available() {
        for in_halves in [false, true] {
            for count in [LANES, 1, 11] {
                let isa = isa.with_halves(in_halves);
                f(Context { isa, count, first: 32, seed: 5, adds: true, prepared: false });
            }
        }
    }
}

/// [`each_context`], to add to an output that holds `start`, and to overwrite one: `f` gets the output, and what it is to be
/// without the sum.
pub(crate) fn each_sum(start: &[f32], f: impl Fn(Context, Vec<f32>, Vec<f64>)) {
    each_context(|cx| {
        f(cx, start.to_vec(), wide(start));
        f(Context { adds: false, ..cx }, vec![f32::NAN; start.len()], vec![0.0; start.len()]);
    });
}

/// `n` numbers in −1..1 that belong to `seed`.
pub(crate) fn random(seed: u64, n: usize) -> Vec<f32> {
    (0..n as u64).map(|i| rng::uniform(seed, 0, i) * 2.0 - 1.0).collect()
}

/// Panics unless |got − wanted| <= tolerance · (1 + |wanted|) everywhere.
#[track_caller]
pub(crate) fn assert_close(what: &str, got: &[f32], wanted: &[f64], tolerance: f64) {
    assert_eq!(got.len(), wanted.len(), "{what}: lengths");
    for (i, (&got, &wanted)) in got.iter().zip(wanted).enumerate() {
        let error = (f64::from(got) - wanted).abs();
        assert!(error <= tolerance * (1.0 + wanted.abs()), "{what}: element {i} is {got}, wanted {wanted}");
    }
}

/// The numbers in f64.
pub(crate) fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&x| f64::from(x)).collect()
}
