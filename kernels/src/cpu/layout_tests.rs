//! Tests of the layouts, against indices.

use super::*;
use crate::cpu::testing::{each_context, random};

#[test]
fn tiles_are_loaded_with_copies_of_the_last_sample_and_stored_back() {
    each_context(|cx| {
        for features in [1, 3, 7, 16, 17, 40] {
            let full = random(1, 64 * features);
            let (mut samples, mut rows) = (vec![f32::NAN; features * LANES], vec![f32::NAN; features * LANES]);
            load_samples(&cx, features, &full, &mut samples);
            load_rows(&cx, features, &full, &mut rows);
            for lane in 0..LANES {
                for f in 0..features {
                    let wanted = full[(cx.first + lane.min(cx.count - 1)) * features + f];
                    assert_eq!(samples[f * LANES + lane], wanted, "{cx:?} feature {f} lane {lane}");
                    assert_eq!(rows[lane * features + f], wanted, "{cx:?} feature {f} lane {lane}");
                }
            }
            let mut other = vec![f32::NAN; features * LANES];
            samples_from_rows(&cx, features, &rows, &mut other);
            assert_eq!(other, samples);
            rows_from_samples(&cx, features, &samples, &mut other);
            assert_eq!(other, rows);

            let wanted = &full[cx.first * features..][..cx.count * features];
            let mut output = vec![f32::NAN; cx.count * features];
            store_samples(&cx, features, &samples, &mut output);
            assert_eq!(output, wanted);
            output.fill(f32::NAN);
            store_rows(&cx, features, &rows, &mut output);
            assert_eq!(output, wanted);
        }
    });
}

#[test]
fn integers_move_as_floats_do() {
    each_context(|cx| {
        for features in [1, 5] {
            let full: Vec<i64> = (0..64 * features as i64).collect();
            let (mut samples, mut rows) = (vec![-1; features * LANES], vec![-1; features * LANES]);
            load_samples_i64(&cx, features, &full, &mut samples);
            load_rows_i64(&cx, features, &full, &mut rows);
            for lane in 0..LANES {
                for f in 0..features {
                    let wanted = full[(cx.first + lane.min(cx.count - 1)) * features + f];
                    assert_eq!((samples[f * LANES + lane], rows[lane * features + f]), (wanted, wanted));
                }
            }
            let wanted = &full[cx.first * features..][..cx.count * features];
            let mut output = vec![-1; cx.count * features];
            store_samples_i64(&cx, features, &samples, &mut output);
            assert_eq!(output, wanted);
            output.fill(-1);
            store_rows_i64(&cx, features, &rows, &mut output);
            assert_eq!(output, wanted);
        }
    });
}

#[test]
#[should_panic(expected = "samples is not [3, 16]")]
fn a_wrong_length_is_refused() {
    load_samples(&Context::whole(crate::cpu::Isa::detect(), 0), 3, &[0.0; 3], &mut [0.0; 16]);
}
