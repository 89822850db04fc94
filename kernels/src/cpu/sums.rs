//! Sums of rows that lie apart: what the chunks of a batch have gathered.

use super::lanes::{Lanes, prefetch};
use super::{Isa, instantiate};
use crate::LANES;

/// The most rows.
pub const MAX_ROWS: usize = 31;

/// The sum of `n` rows, of which the first is `rows[..into.len()]` and each begins `step` behind the one before, pairwise:
/// 0 + 1, 2 + 3, then (0 + 1) + (2 + 3), and so on.
///
/// ```
/// use graven_kernels::cpu::{Isa, sums::add_rows};
///
/// let mut sums = [0.0; 2];
/// add_rows(Isa::detect(), &[1.0, 2.0, 0.0, 10.0, 20.0, 0.0, 100.0, 200.0], 3, 3, &mut sums);
/// assert_eq!(sums, [111.0, 222.0]);
/// ```
///
/// Panics if `n` is not in 1..=31, or `rows` ends before the last one does.
pub fn add_rows(isa: Isa, rows: &[f32], step: usize, n: usize, into: &mut [f32]) {
    assert!((1..=MAX_ROWS).contains(&n), "add_rows: {n} rows");
    let end = (n - 1).checked_mul(step).and_then(|start| start.checked_add(into.len()));
    assert!(end.is_some_and(|end| end <= rows.len()), "add_rows: {n} rows {step} apart leave {} floats", rows.len());
    // SAFETY: all rows have been found within the slice.
    unsafe { rows_of(isa, rows.as_ptr(), step, n, into) };
}

/// How many vectors in advance they are asked for.
const AHEAD: usize = 8;

/// Vectors of a row that are read before those of the next one. The streams of all rows go on at about the same time, and yet
/// each long enough at a time to be recognised as one.
const WIDTH: usize = 4;

/// # Safety
/// `n` rows of `into.len()` floats, `step` apart, can be read from `rows` on; the set of `L` is enabled.
#[inline(always)]
unsafe fn rows_in<L: Lanes>(rows: *const f32, step: usize, n: usize, into: &mut [f32]) {
    let (wide, narrow) = into.split_at_mut(into.len() / (WIDTH * LANES) * WIDTH * LANES);
    // SAFETY: both are parts of the rows, one behind the other.
    unsafe {
        for (i, into) in wide.chunks_mut(WIDTH * LANES).enumerate() {
            columns::<L, WIDTH>(rows.add(i * WIDTH * LANES), step, n, into);
        }
        for (i, into) in narrow.chunks_mut(LANES).enumerate() {
            columns::<L, 1>(rows.add(wide.len() + i * LANES), step, n, into);
        }
    }
}

/// W vectors, of which the last may be incomplete if it is the only one.
///
/// # Safety
/// As for [`rows_in`], for these columns.
#[inline(always)]
unsafe fn columns<L: Lanes, const W: usize>(rows: *const f32, step: usize, n: usize, into: &mut [f32]) {
    // Halves of a power of two, with what is left of the rows behind them: the parts of n, the smallest first.
    // SAFETY: the contract.
    let mut sums = [unsafe { L::splat(0.0) }; W];
    let mut first = n;
    macro_rules! parts {
        ($($part:literal)*) => {$(
            if n & $part != 0 {
                let is_smallest = first == n;
                first -= $part;
                // SAFETY: these rows are among those that the caller vouches for.
                unsafe {
                    let own = pairwise::<L, W, $part>(rows.add(first * step), step, into.len());
                    for (own, sum) in own.into_iter().zip(&mut sums) {
                        *sum = if is_smallest { own } else { own.add(*sum) };
                    }
                }
            }
        )*};
    }
    parts!(1 2 4 8 16);
    for (sum, into) in sums.into_iter().zip(into.chunks_mut(LANES)) {
        // SAFETY: there is room for what is left of the row.
        unsafe { sum.store_up_to(into.as_mut_ptr(), into.len()) };
    }
}

/// The sums of N rows of W vectors, row by row: what waits for its other half is in registers.
///
/// # Safety
/// As for [`columns`], for N rows from the pointer on, of `len` floats if W is 1.
#[inline(always)]
unsafe fn pairwise<L: Lanes, const W: usize, const N: usize>(rows: *const f32, step: usize, len: usize) -> [L; W] {
    // SAFETY: the contract.
    unsafe {
        let zeros = [L::splat(0.0); W];
        // Of 1, 2, 4, .. rows.
        let mut waiting = [zeros; 5];
        let mut sums = zeros;
        for row in 0..N {
            let from = rows.add(row * step);
            for (w, sum) in sums.iter_mut().enumerate() {
                prefetch(from.wrapping_add((w + AHEAD) * LANES));
                *sum = if W > 1 { L::load(from.add(w * LANES)) } else { L::load_up_to(from, len) };
            }
            let halves = row.trailing_ones() as usize;
            for left in &waiting[..halves] {
                for (sum, left) in sums.iter_mut().zip(left) {
                    *sum = left.add(*sum);
                }
            }
            waiting[halves] = sums;
        }
        sums
    }
}

instantiate!(unsafe fn rows_of = rows_in(rows: *const f32, step: usize, n: usize, into: &mut [f32]));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{each_context, random};

    #[test]
    fn rows_are_added_pairwise() {
        let plain = |rows: &[f32]| {
            let (mut sums, mut distance) = (rows.to_vec(), 1);
            while distance < sums.len() {
                for into in (0..sums.len() - distance).step_by(2 * distance) {
                    sums[into] += sums[into + distance];
                }
                distance *= 2;
            }
            sums[0]
        };
        // Which part of these survives depends on the order of the additions.
        let numbers: Vec<f32> =
            random(1, MAX_ROWS * 40).iter().enumerate().map(|(i, x)| x * 10_f32.powi(i as i32 % 7)).collect();
        each_context(|cx| {
            for n in 1..=MAX_ROWS {
                for len in [1, 15, 16, 37] {
                    let mut into = vec![f32::NAN; len];
                    add_rows(cx.isa, &numbers[..(n - 1) * 40 + len], 40, n, &mut into);
                    for (column, sum) in into.into_iter().enumerate() {
                        let rows: Vec<f32> = (0..n).map(|row| numbers[row * 40 + column]).collect();
                        assert_eq!(sum, plain(&rows), "{cx:?}: {n} rows of {len}, column {column}");
                    }
                }
            }
        });
    }

    #[test]
    #[should_panic(expected = "3 rows 4 apart leave 9 floats")]
    fn rows_that_leave_the_slice_are_refused() {
        add_rows(Isa::detect(), &[0.0; 9], 4, 3, &mut [0.0; 2]);
    }
}
