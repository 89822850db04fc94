//! Conversions between layouts: complete tensors [N, features], tiles `samples` [features, 16] and `rows` [16, features].

use super::lanes::Lanes;
use super::walk;
use super::{Context, instantiate};
use crate::LANES;

/// rows [16, features] -> samples [features, 16].
///
/// Panics if a slice does not have 16 * features elements.
pub fn samples_from_rows(cx: &Context, features: usize, rows: &[f32], samples: &mut [f32]) {
    assert_eq!(rows.len(), walk::product(&[LANES, features]), "samples_from_rows: rows is not [16, {features}]");
    assert_eq!(samples.len(), walk::product(&[LANES, features]), "samples_from_rows: samples is not [{features}, 16]");
    // SAFETY: both lengths are checked above; row 15 is the last one.
    unsafe { rows_to_samples(cx.isa, features, LANES - 1, rows.as_ptr(), samples.as_mut_ptr()) };
}

/// samples [features, 16] -> rows [16, features].
///
/// Panics if a slice does not have 16 * features elements.
pub fn rows_from_samples(cx: &Context, features: usize, samples: &[f32], rows: &mut [f32]) {
    assert_eq!(samples.len(), walk::product(&[LANES, features]), "rows_from_samples: samples is not [{features}, 16]");
    assert_eq!(rows.len(), walk::product(&[LANES, features]), "rows_from_samples: rows is not [16, {features}]");
    // SAFETY: both lengths are checked above.
    unsafe { samples_to_rows(cx.isa, features, LANES, samples.as_ptr(), rows.as_mut_ptr()) };
}

/// [`samples_from_rows`] of integers.
pub fn samples_from_rows_i64(_cx: &Context, features: usize, rows: &[i64], samples: &mut [i64]) {
    transpose(features, LANES, rows, samples);
}

/// [`rows_from_samples`] of integers.
pub fn rows_from_samples_i64(_cx: &Context, features: usize, samples: &[i64], rows: &mut [i64]) {
    transpose(LANES, features, samples, rows);
}

/// from [columns, rows] -> into [rows, columns]
fn transpose(rows: usize, columns: usize, from: &[i64], into: &mut [i64]) {
    let elements = walk::product(&[rows, columns]);
    assert!(from.len() == elements && into.len() == elements, "a slice is not [{rows}, {columns}]");
    for (index, element) in into.iter_mut().enumerate() {
        *element = from[index % columns * rows + index / columns];
    }
}

/// Samples `cx.first..cx.first + cx.count` of the complete tensor `full` [N, features] -> samples [features, 16]; the lanes
/// behind hold copies of the last one.
///
/// Panics if `full` has fewer samples, or if `samples` does not have 16 * features elements.
pub fn load_samples(cx: &Context, features: usize, full: &[f32], samples: &mut [f32]) {
    assert_eq!(samples.len(), walk::product(&[LANES, features]), "load_samples: samples is not [{features}, 16]");
    let rows = tile(cx, features, full);
    // SAFETY: `rows` has cx.count rows, so the last one is cx.count − 1; the length of `samples` is checked above.
    unsafe { rows_to_samples(cx.isa, features, cx.count - 1, rows.as_ptr(), samples.as_mut_ptr()) };
}

/// [`load_samples`] of integers.
pub fn load_samples_i64(cx: &Context, features: usize, full: &[i64], samples: &mut [i64]) {
    assert_eq!(samples.len(), walk::product(&[LANES, features]), "load_samples_i64: samples is not [{features}, 16]");
    let rows = tile(cx, features, full);
    for lane in 0..LANES {
        let row = &rows[lane.min(cx.count - 1) * features..][..features];
        for (sample, element) in samples[lane..].iter_mut().step_by(LANES).zip(row) {
            *sample = *element;
        }
    }
}

/// Samples `cx.first..cx.first + cx.count` of the complete tensor `full` [N, features] -> rows [tile, features]; the rows behind
/// hold copies of the last one.
///
/// Panics if `full` has fewer samples, or if `rows` has no room for them or ends within a row.
pub fn load_rows(cx: &Context, features: usize, full: &[f32], rows: &mut [f32]) {
    load_rows_of(cx, features, full, rows);
}

/// [`load_rows`] of integers.
pub fn load_rows_i64(cx: &Context, features: usize, full: &[i64], rows: &mut [i64]) {
    load_rows_of(cx, features, full, rows);
}

/// The first `cx.count` lanes of samples [features, 16] -> `output` [count, features], the place of just these samples.
///
/// Panics if `samples` does not have 16 * features or `output` not count * features elements.
pub fn store_samples(cx: &Context, features: usize, samples: &[f32], output: &mut [f32]) {
    assert_eq!(samples.len(), walk::product(&[LANES, features]), "store_samples: samples is not [{features}, 16]");
    assert!(cx.count <= LANES, "store_samples: a tile holds {LANES} samples, not {}", cx.count);
    assert_eq!(
        output.len(),
        walk::product(&[cx.count, features]),
        "store_samples: output is not [{}, {features}]",
        cx.count
    );
    // SAFETY: both lengths are checked above.
    unsafe { samples_to_rows(cx.isa, features, cx.count, samples.as_ptr(), output.as_mut_ptr()) };
}

/// [`store_samples`] of integers.
pub fn store_samples_i64(cx: &Context, features: usize, samples: &[i64], output: &mut [i64]) {
    assert_eq!(samples.len(), walk::product(&[LANES, features]), "store_samples_i64: samples is not [{features}, 16]");
    assert!(cx.count <= LANES, "store_samples_i64: a tile holds {LANES} samples, not {}", cx.count);
    assert_eq!(
        output.len(),
        walk::product(&[cx.count, features]),
        "store_samples_i64: output is not [{}, {features}]",
        cx.count
    );
    for lane in 0..cx.count {
        let row = &mut output[lane * features..][..features];
        for (element, sample) in row.iter_mut().zip(samples[lane..].iter().step_by(LANES)) {
            *element = *sample;
        }
    }
}

/// The first `cx.count` of rows [tile, features] -> `output` [count, features], the place of just these samples.
///
/// Panics if `rows` has less than count * features elements, or `output` another number.
pub fn store_rows(cx: &Context, features: usize, rows: &[f32], output: &mut [f32]) {
    store_rows_of(cx, features, rows, output);
}

/// [`store_rows`] of integers.
pub fn store_rows_i64(cx: &Context, features: usize, rows: &[i64], output: &mut [i64]) {
    store_rows_of(cx, features, rows, output);
}

fn load_rows_of<T: Copy>(cx: &Context, features: usize, full: &[T], rows: &mut [T]) {
    let valid = valid(cx, features, full);
    let fits = rows.len() >= valid.len() && (features == 0 || rows.len().is_multiple_of(features));
    assert!(fits, "load_rows: rows of {} elements is no tile of {} samples of {features}", rows.len(), cx.count);
    let (own, behind) = rows.split_at_mut(valid.len());
    own.copy_from_slice(valid);
    if let Some(last) = own.len().checked_sub(features).map(|start| &own[start..]) {
        behind.chunks_exact_mut(features.max(1)).for_each(|row| row.copy_from_slice(last));
    }
}

fn store_rows_of<T: Copy>(cx: &Context, features: usize, rows: &[T], output: &mut [T]) {
    let valid = walk::product(&[cx.count, features]);
    assert!(rows.len() >= valid, "store_rows: rows has less than {} rows of {features}", cx.count);
    assert_eq!(output.len(), valid, "store_rows: output is not [{}, {features}]", cx.count);
    output.copy_from_slice(&rows[..valid]);
}

/// The samples of a tile of 16, [count, features].
#[track_caller]
fn tile<'a, T>(cx: &Context, features: usize, full: &'a [T]) -> &'a [T] {
    assert!(cx.count <= LANES, "a tile holds 1..={LANES} samples, not {}", cx.count);
    valid(cx, features, full)
}

/// The samples of a tile, [count, features].
#[track_caller]
fn valid<'a, T>(cx: &Context, features: usize, full: &'a [T]) -> &'a [T] {
    assert!(cx.count > 0, "a tile holds at least one sample");
    &full[cx.first * features..][..cx.count * features]
}

/// rows [last + 1, features] -> samples [features, 16], where lane i is row min(i, last).
///
/// # Safety
/// The pointers are valid for as many elements; the set of `L` is enabled.
#[inline(always)]
unsafe fn rows_to_samples_in<L: Lanes>(features: usize, last: usize, rows: *const f32, samples: *mut f32) {
    let mut f = 0;
    while f < features {
        let n = (features - f).min(LANES);
        // SAFETY: columns f..f + n lie in each of the rows 0..=last, and vectors f..f + n in the output.
        unsafe {
            let mut block = [L::splat(0.0); LANES];
            for (lane, vector) in block.iter_mut().enumerate() {
                let from = rows.add(lane.min(last) * features + f);
                *vector = if n == LANES { L::load(from) } else { L::load_first(from, n, 0.0) };
            }
            let block = L::transpose(block);
            for (i, vector) in block.into_iter().enumerate() {
                if i < n {
                    vector.store(samples.add((f + i) * LANES));
                }
            }
        }
        f += LANES;
    }
}

/// samples [features, 16] -> rows [count, features].
///
/// # Safety
/// The pointers are valid for as many elements, count <= 16; the set of `L` is enabled.
#[inline(always)]
unsafe fn samples_to_rows_in<L: Lanes>(features: usize, count: usize, samples: *const f32, rows: *mut f32) {
    let mut f = 0;
    while f < features {
        let n = (features - f).min(LANES);
        // SAFETY: vectors f..f + n lie in the input, and columns f..f + n in each of the rows 0..count.
        unsafe {
            let mut block = [L::splat(0.0); LANES];
            for (i, vector) in block.iter_mut().enumerate() {
                if i < n {
                    *vector = L::load(samples.add((f + i) * LANES));
                }
            }
            let block = L::transpose(block);
            for (lane, vector) in block.into_iter().enumerate() {
                if lane < count {
                    let to = rows.add(lane * features + f);
                    if n == LANES { vector.store(to) } else { vector.store_first(to, n) }
                }
            }
        }
        f += LANES;
    }
}

instantiate!(unsafe fn rows_to_samples = rows_to_samples_in(features: usize, last: usize, rows: *const f32, samples: *mut f32));
instantiate!(unsafe fn samples_to_rows = samples_to_rows_in(features: usize, count: usize, samples: *const f32, rows: *mut f32));

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
