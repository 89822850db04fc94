//! Tests of dropout.

use super::*;
use crate::cpu::testing::{each_context, random};
use crate::{LANES, cpu::layout};

#[test]
fn masks_belong_to_samples_and_features_whatever_the_layout() {
    each_context(|cx| {
        let features = 37;
        let rows = random(1, LANES * features);
        let mut samples = vec![0.0; rows.len()];
        layout::samples_from_rows(&cx, features, &rows, &mut samples);
        let sizes = Sizes { p: 0.3, stream: 4, samples: LANES, features, samples_last: false };
        let mut dropped = vec![f32::NAN; rows.len()];
        dropout(&cx, &sizes, &rows, &mut dropped);
        for (i, (&x, &y)) in rows.iter().zip(&dropped).enumerate() {
            let kept = rng::uniform(cx.seed, 4, (cx.first * features + i) as u64) >= 0.3;
            assert_eq!(y, if kept { x * (1.0 / 0.7) } else { 0.0 }, "{cx:?} {i}");
        }
        let mut dropped_samples = vec![f32::NAN; rows.len()];
        dropout(&cx, &Sizes { samples_last: true, ..sizes }, &samples, &mut dropped_samples);
        layout::samples_from_rows(&cx, features, &dropped, &mut samples);
        assert_eq!(dropped_samples, samples, "{cx:?}");
    });
}

#[test]
fn the_ends_of_the_range_keep_all_and_nothing() {
    each_context(|cx| {
        let (input, mut output) = (random(1, 40), vec![f32::NAN; 40]);
        let sizes = Sizes { p: 0.0, stream: 0, samples: 4, features: 10, samples_last: false };
        dropout(&cx, &sizes, &input, &mut output);
        assert_eq!(output, input);
        dropout(&cx, &Sizes { p: 1.0, ..sizes }, &input, &mut output);
        assert_eq!(output, [0.0; 40]);
    });
}
