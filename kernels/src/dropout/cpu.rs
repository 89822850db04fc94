//! CPU kernel of dropout.

use super::Sizes;
use crate::cpu::{Context, walk};
use crate::rng;

/// Zero with probability p, else x / (1 − p).
///
/// input, output: [features, samples] or [samples, features]. Element f of sample s is kept if the uniform number
/// (`cx.seed`, `sizes.stream`, (`cx.first` + s) · features + f) is at least p.
///
/// Panics if a slice does not have its size.
pub fn dropout(cx: &Context, sizes: &Sizes, input: &[f32], output: &mut [f32]) {
    let Sizes { p, stream, samples, features, samples_last } = *sizes;
    assert_eq!(input.len(), walk::product(&[samples, features]), "dropout: the input does not fit {sizes:?}");
    assert_eq!(output.len(), walk::product(&[samples, features]), "dropout: the output does not fit {sizes:?}");
    let scale = 1.0 / (1.0 - p);
    let mask = Mask { p, scale, seed: cx.seed, stream, first: cx.first as u64, features: features as u64 };
    let row = if samples_last { samples } else { sizes.features }.max(1);
    cx.isa.run(
        #[inline(always)]
        || {
            for (i, (input, output)) in input.chunks_exact(row).zip(output.chunks_exact_mut(row)).enumerate() {
                let i = i as u64;
                if samples_last {
                    for (j, (&x, y)) in input.iter().zip(output).enumerate() {
                        *y = mask.apply(x, j as u64, i);
                    }
                } else {
                    for (j, (&x, y)) in input.iter().zip(output).enumerate() {
                        *y = mask.apply(x, i, j as u64);
                    }
                }
            }
        },
    );
}

/// Which elements are kept, and what they are multiplied with.
#[derive(Clone, Copy)]
struct Mask {
    p: f32,
    scale: f32,
    seed: u64,
    stream: u64,
    first: u64,
    features: u64,
}

impl Mask {
    #[inline(always)]
    fn apply(self, x: f32, sample: u64, feature: u64) -> f32 {
        let index = (self.first + sample).wrapping_mul(self.features).wrapping_add(feature);
        // With p = 1 no number is kept, and the infinite scale does not matter.
        if rng::uniform(self.seed, self.stream, index) >= self.p { x * self.scale } else { 0.0 }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
