//! One vector of 16 floats on every instruction set.
//!
//! Kernels are written over [`Lanes`]; AVX-512 holds the 16 floats in one register, AVX2 in two, NEON in four, and the
//! portable form is an array.
//!
//! Sums over the lanes use one tree on every set: lane i with lane i + 8, then i + 4, i + 2, i + 1.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use self::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use self::avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) use self::neon::Neon;
pub(crate) use self::portable::Portable;
use super::math;
use crate::LANES;

/// The arithmetic that a vector of lanes and a single f32 share, so that a formula of [`math`](super::math) is written once.
///
/// # Safety
/// Methods may be called only where the instruction set of the implementing type is enabled.
pub(crate) trait Arithmetic: Copy {
    unsafe fn splat(value: f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// self · factor + addend; rounded once where the set has such an instruction.
    unsafe fn fma(self, factor: Self, addend: Self) -> Self;
    /// lhs < rhs ? yes : no, which is `no` where one of them is NaN.
    unsafe fn select_lt(lhs: Self, rhs: Self, yes: Self, no: Self) -> Self;
    /// self · 2^n for a whole number n in −252..=254, exact until the result over- or underflows.
    unsafe fn scale(self, n: Self) -> Self;
    /// (m, e) with self = m · 2^e and m in 1/√2..√2, for a positive normal number; anything for others.
    unsafe fn split(self) -> (Self, Self);
}

/// 16 floats.
///
/// # Safety
/// Methods may be called only where the instruction set of the implementing type is enabled; pointers must be valid for as
/// many floats as the method names, with no alignment beyond that of f32.
pub(crate) trait Lanes: Arithmetic {
    /// Output channels in the register tile of a convolution.
    const CONV_CHANNELS: usize;
    /// Columns in the register tile of a convolution.
    const CONV_COLUMNS: usize;
    /// Output channels and tiles in the register tile of a convolution by fewer products.
    const VALUES_TILE: [usize; 2];
    /// Accumulators of a product with a single vector.
    const VECTOR_TILE: usize;
    /// Rows and (in vectors of 16) columns of the register tile of a matrix product; output channels and kernel elements in
    /// the weight gradient of a convolution.
    const TILE: [usize; 2];
    /// Whether long formulas become functions of their own, and loops have one form: without vectors neither costs anything beside
    /// the arithmetic, and each copy takes the compiler as long as a kernel.
    const OUT_OF_LINE: bool = false;

    /// Calls `f` in a function of its own in which the set is enabled, with a copy of the sizes: nothing else points to that, so no
    /// store changes it. `f` has to be `#[inline(always)]`, or it is compiled without the set.
    unsafe fn apart<T: Copy>(sizes: &T, f: impl FnOnce(&T));
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// The first n floats, 1..=16; the other lanes are `fill`.
    unsafe fn load_first(from: *const f32, n: usize, fill: f32) -> Self;
    /// Stores the first n lanes, 1..=16.
    unsafe fn store_first(self, to: *mut f32, n: usize);
    unsafe fn div(self, other: Self) -> Self;
    /// The larger one; NaN if one of them is NaN.
    unsafe fn max(self, other: Self) -> Self;
    /// The larger one of itself and a number; NaN if it is NaN itself.
    #[inline(always)]
    unsafe fn at_least(self, number: Self) -> Self {
        // SAFETY: the trait's contract.
        unsafe { self.max(number) }
    }
    /// The largest of each lane; NaN if one of them is NaN.
    #[inline(always)]
    unsafe fn largest_of_four([a, b, c, d]: [Self; 4]) -> Self {
        // SAFETY: the trait's contract.
        unsafe { a.max(b).max(c.max(d)) }
    }
    /// Bit i says whether lane i of both is equal, or one of them NaN.
    unsafe fn equal(self, other: Self) -> u16;
    /// Those of the bits whose lanes are neither equal nor NaN.
    #[inline(always)]
    unsafe fn unequal(self, other: Self, bits: u16) -> u16 {
        // SAFETY: the trait's contract.
        bits & !unsafe { self.equal(other) }
    }
    /// The lanes whose bit is set, and 0 for the others.
    unsafe fn only(self, bits: u16) -> Self;
    /// The lanes of `other` whose bit is set, and its own elsewhere.
    #[inline(always)]
    unsafe fn blend(self, other: Self, bits: u16) -> Self {
        // SAFETY: the arrays have 16 floats; the set is enabled (the trait's contract).
        unsafe {
            let (own, other) = (self.to_array(), other.to_array());
            let lanes: [f32; LANES] = std::array::from_fn(|i| if bits >> i & 1 == 1 { other[i] } else { own[i] });
            Self::load(lanes.as_ptr())
        }
    }
    /// The matrix whose row i is vector i, transposed.
    unsafe fn transpose(rows: [Self; LANES]) -> [Self; LANES];

    /// Elements 0, 2, .. 30 of two vectors, one behind the other, and elements 1, 3, .. 31.
    #[inline(always)]
    unsafe fn evens_and_odds(first: Self, second: Self) -> [Self; 2] {
        // SAFETY: the arrays have 16 floats; the set is enabled (the trait's contract).
        unsafe {
            let pair = [first.to_array(), second.to_array()];
            [0, 1].map(|odd| {
                let half: [f32; LANES] = std::array::from_fn(|i| pair[i / 8][2 * (i % 8) + odd]);
                Self::load(half.as_ptr())
            })
        }
    }

    /// The first floats of what may be the last vector: `left` of them, or 16 if there are more, with zeros behind.
    #[inline(always)]
    unsafe fn load_up_to(from: *const f32, left: usize) -> Self {
        // SAFETY: the trait's contract.
        unsafe { if left >= LANES { Self::load(from) } else { Self::load_first(from, left, 0.0) } }
    }

    /// Stores into what may be the last vector: the first `left` lanes, or all 16 if there is room for more.
    #[inline(always)]
    unsafe fn store_up_to(self, to: *mut f32, left: usize) {
        // SAFETY: the trait's contract.
        unsafe { if left >= LANES { self.store(to) } else { self.store_first(to, left) } }
    }

    /// The lanes as an array.
    #[inline(always)]
    unsafe fn to_array(self) -> [f32; LANES] {
        let mut array = [0.0; LANES];
        // SAFETY: the array has 16 floats; the set is enabled (the trait's contract).
        unsafe { self.store(array.as_mut_ptr()) };
        array
    }

    /// e^self.
    #[inline(always)]
    unsafe fn exp(self) -> Self {
        // SAFETY: the trait's contract.
        unsafe { math::exp_of(self) }
    }

    /// The natural logarithm.
    #[inline(always)]
    unsafe fn log(self) -> Self {
        // SAFETY: the trait's contract.
        unsafe { math::log_of(self) }
    }

    /// The sum of the lanes.
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the trait's contract.
        let mut a = unsafe { self.to_array() };
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                a[i] += a[i + half];
            }
        }
        a[0]
    }

    /// The sums of the lanes of 16 vectors, in the same tree.
    #[inline(always)]
    unsafe fn sums(vectors: [Self; LANES]) -> Self {
        // SAFETY: the trait's contract.
        unsafe {
            let mut columns = Self::transpose(vectors);
            for half in [8, 4, 2, 1] {
                for i in 0..half {
                    columns[i] = columns[i].add(columns[i + half]);
                }
            }
            columns[0]
        }
    }

    /// The first n lanes, 1..=16, with zeros behind.
    #[inline(always)]
    unsafe fn first(self, n: usize) -> Self {
        // SAFETY: the array has 16 floats; the set is enabled (the trait's contract).
        unsafe { Self::load_first(self.to_array().as_ptr(), n, 0.0) }
    }
}

/// f32 as the one-lane case, for the scalar functions of [`math`](super::math).
impl Arithmetic for f32 {
    #[inline(always)]
    unsafe fn splat(value: f32) -> f32 {
        value
    }
    #[inline(always)]
    unsafe fn add(self, other: f32) -> f32 {
        self + other
    }
    #[inline(always)]
    unsafe fn sub(self, other: f32) -> f32 {
        self - other
    }
    #[inline(always)]
    unsafe fn mul(self, other: f32) -> f32 {
        self * other
    }
    #[inline(always)]
    unsafe fn fma(self, factor: f32, addend: f32) -> f32 {
        self * factor + addend
    }
    #[inline(always)]
    unsafe fn select_lt(lhs: f32, rhs: f32, yes: f32, no: f32) -> f32 {
        if lhs < rhs { yes } else { no }
    }
    #[inline(always)]
    unsafe fn scale(self, n: f32) -> f32 {
        // 1.5 · 2^23 pushes a whole number into the low bits of the mantissa, which a shift turns into an exponent. Two
        // factors, because 2^n itself may not be a normal number.
        let (first, second) = halves(n);
        let power = |n: f32| f32::from_bits((n + 12_582_912.0).to_bits().wrapping_add(127) << 23);
        self * power(first) * power(second)
    }
    #[inline(always)]
    unsafe fn split(self) -> (f32, f32) {
        // The bits of 1/√2: what lies above in the difference is the exponent, rounded so that m is around 1.
        let offset = self.to_bits().wrapping_sub(SQRT_HALF);
        let exponent = (offset as i32) >> 23;
        (f32::from_bits((offset & 0x007F_FFFF).wrapping_add(SQRT_HALF)), exponent as f32)
    }
}

/// The bits of 1/√2.
const SQRT_HALF: u32 = 0x3F35_04F3;

/// Two whole numbers near n / 2 whose sum is n.
#[inline(always)]
fn halves(n: f32) -> (f32, f32) {
    let first = (n * 0.5 + 12_582_912.0) - 12_582_912.0;
    (first, n - first)
}

/// Asks for the line of the cache that holds `address`, which may lie anywhere, where the processor can be asked.
#[inline(always)]
pub(crate) fn prefetch(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has SSE, and the instruction reads nothing.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests;
