//! The form for processors of which nothing is known: an array. What is rare beside the arithmetic is out of line, and loops count
//! instead of iterating: each use is compiled by itself, sixteen times over.

// Lanes are indexed, for the reason above.
#![allow(clippy::needless_range_loop)]

use super::{Arithmetic, Lanes};
use crate::LANES;
use crate::cpu::math;

/// 16 floats as an array, for processors of which nothing is known.
#[derive(Clone, Copy)]
pub(crate) struct Portable(pub(super) [f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(mut self, other: Portable, f: impl Fn(f32, f32) -> f32) -> Portable {
        for (lane, other) in self.0.iter_mut().zip(other.0) {
            *lane = f(*lane, other);
        }
        self
    }

    /// `f` of every lane, out of line.
    #[inline(never)]
    fn each(self, f: fn(f32) -> f32) -> Portable {
        Portable(self.0.map(f))
    }
}

impl Arithmetic for Portable {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Portable([value; LANES])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, addend: Self) -> Self {
        self.zip(factor, |a, b| a * b).zip(addend, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn select_lt(lhs: Self, rhs: Self, yes: Self, no: Self) -> Self {
        let mut lanes = no.0;
        for i in 0..LANES {
            lanes[i] = if lhs.0[i] < rhs.0[i] { yes.0[i] } else { no.0[i] };
        }
        Portable(lanes)
    }
    #[inline(always)]
    unsafe fn scale(self, n: Self) -> Self {
        // SAFETY: f32 needs no instruction set.
        self.zip(n, |x, n| unsafe { x.scale(n) })
    }
    #[inline(always)]
    unsafe fn split(self) -> (Self, Self) {
        // SAFETY: f32 needs no instruction set.
        let parts = self.0.map(|x| unsafe { x.split() });
        (Portable(parts.map(|part| part.0)), Portable(parts.map(|part| part.1)))
    }
}

impl Lanes for Portable {
    // Sixteen registers of four floats on the processors this is likely to meet.
    const CONV_CHANNELS: usize = 2;
    const CONV_COLUMNS: usize = 1;
    const VALUES_TILE: [usize; 2] = [2, 1];
    const VECTOR_TILE: usize = 2;
    const TILE: [usize; 2] = [2, 1];
    const OUT_OF_LINE: bool = true;

    unsafe fn exp(self) -> Self {
        self.each(math::exp)
    }
    unsafe fn log(self) -> Self {
        self.each(math::log)
    }

    #[inline(never)]
    unsafe fn apart<T: Copy>(sizes: &T, f: impl FnOnce(&T)) {
        f(&{ *sizes });
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives 16 floats.
        Portable(unsafe { from.cast::<[f32; LANES]>().read() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller gives room for 16 floats.
        unsafe { to.cast::<[f32; LANES]>().write(self.0) }
    }
    #[inline(never)]
    unsafe fn load_first(from: *const f32, n: usize, fill: f32) -> Self {
        let mut lanes = [fill; LANES];
        for (i, lane) in lanes.iter_mut().enumerate().take(n) {
            // SAFETY: i < n, and the caller gives n floats.
            *lane = unsafe { *from.add(i) };
        }
        Portable(lanes)
    }
    #[inline(never)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        for (i, lane) in self.0.iter().enumerate().take(n) {
            // SAFETY: i < n, and the caller gives room for n floats.
            unsafe { *to.add(i) = *lane };
        }
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(never)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b || a.is_nan() { a } else { b })
    }
    #[inline(never)]
    unsafe fn equal(self, other: Self) -> u16 {
        let mut bits = 0;
        for (lane, (a, b)) in self.0.into_iter().zip(other.0).enumerate() {
            bits |= u16::from(a == b || a.is_nan() || b.is_nan()) << lane;
        }
        bits
    }
    #[inline(never)]
    unsafe fn only(self, bits: u16) -> Self {
        Portable(std::array::from_fn(|lane| if bits >> lane & 1 == 1 { self.0[lane] } else { 0.0 }))
    }
    #[inline(never)]
    unsafe fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        let mut columns = rows;
        for (i, column) in columns.iter_mut().enumerate() {
            for (lane, row) in column.0.iter_mut().zip(&rows) {
                *lane = row.0[i];
            }
        }
        columns
    }
}
