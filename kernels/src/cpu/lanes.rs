//! One vector of 16 floats on every instruction set.
//!
//! Kernels are written over [`Lanes`]; AVX-512 holds the 16 floats in one register, AVX2 in two, NEON in four, and the
//! portable form is an array.
//!
//! Sums over the lanes use one tree on every set: lane i with lane i + 8, then i + 4, i + 2, i + 1.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;

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
    /// Whether long formulas become functions of their own: without vectors a call costs nothing beside them, and each copy of
    /// them takes the compiler as long as a kernel.
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
    /// lhs = rhs, or one of them NaN ? yes : no.
    unsafe fn select_eq(lhs: Self, rhs: Self, yes: Self, no: Self) -> Self;
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

/// 16 floats as an array, for processors of which nothing is known.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

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

    /// `yes` where `condition` of the lanes of `lhs` and `rhs` holds, else `no`.
    #[inline(always)]
    fn choose(lhs: Self, rhs: Self, yes: Self, mut no: Self, condition: impl Fn(f32, f32) -> bool) -> Self {
        for i in 0..LANES {
            no.0[i] = if condition(lhs.0[i], rhs.0[i]) { yes.0[i] } else { no.0[i] };
        }
        no
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
        Portable::choose(lhs, rhs, yes, no, |lhs, rhs| lhs < rhs)
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
    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize, fill: f32) -> Self {
        let mut lanes = [fill; LANES];
        for (i, lane) in lanes.iter_mut().enumerate().take(n) {
            // SAFETY: i < n, and the caller gives n floats.
            *lane = unsafe { *from.add(i) };
        }
        Portable(lanes)
    }
    #[inline(always)]
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
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b || a.is_nan() { a } else { b })
    }
    #[inline(always)]
    unsafe fn select_eq(lhs: Self, rhs: Self, yes: Self, no: Self) -> Self {
        Portable::choose(lhs, rhs, yes, no, |lhs, rhs| lhs == rhs || lhs.is_nan() || rhs.is_nan())
    }
    #[inline(always)]
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

/// 16 floats in one AVX-512 register.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

// SAFETY of every block: the set is enabled and pointers are valid, by the contract of the traits.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks)]
impl Arithmetic for Avx512 {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Avx512(_mm512_set1_ps(value)) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_add_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_sub_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_mul_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, addend: Self) -> Self {
        unsafe { Avx512(_mm512_fmadd_ps(self.0, factor.0, addend.0)) }
    }
    #[inline(always)]
    unsafe fn select_lt(lhs: Self, rhs: Self, yes: Self, no: Self) -> Self {
        unsafe {
            let mask = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(lhs.0, rhs.0);
            Avx512(_mm512_mask_blend_ps(mask, no.0, yes.0))
        }
    }
    #[inline(always)]
    unsafe fn scale(self, n: Self) -> Self {
        unsafe { Avx512(_mm512_scalef_ps(self.0, n.0)) }
    }
    #[inline(always)]
    unsafe fn split(self) -> (Self, Self) {
        unsafe {
            let offset = _mm512_sub_epi32(_mm512_castps_si512(self.0), _mm512_set1_epi32(SQRT_HALF as i32));
            let exponent = _mm512_cvtepi32_ps(_mm512_srai_epi32::<23>(offset));
            let fraction = _mm512_and_si512(offset, _mm512_set1_epi32(0x007F_FFFF));
            let mantissa = _mm512_add_epi32(fraction, _mm512_set1_epi32(SQRT_HALF as i32));
            (Avx512(_mm512_castsi512_ps(mantissa)), Avx512(exponent))
        }
    }
}

// SAFETY of every block: the set is enabled and pointers are valid, by the contract of the traits.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Avx512 {
    // 32 registers: 24 accumulators, 4 columns or weights, and one or two for the other operand.
    const CONV_CHANNELS: usize = 6;
    const CONV_COLUMNS: usize = 4;
    const VALUES_TILE: [usize; 2] = [6, 4];
    const VECTOR_TILE: usize = 8;
    const TILE: [usize; 2] = [4, 6];

    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
    unsafe fn apart<T: Copy>(sizes: &T, f: impl FnOnce(&T)) {
        f(&{ *sizes });
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Avx512(_mm512_loadu_ps(from)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize, fill: f32) -> Self {
        unsafe { Avx512(_mm512_mask_loadu_ps(_mm512_set1_ps(fill), first(n), from)) }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        unsafe { _mm512_mask_storeu_ps(to, first(n), self.0) }
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_div_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe {
            // The instruction answers with its second operand if one of them is NaN.
            let larger = _mm512_max_ps(other.0, self.0);
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(other.0, other.0);
            Avx512(_mm512_mask_blend_ps(nan, larger, other.0))
        }
    }
    #[inline(always)]
    unsafe fn select_eq(lhs: Self, rhs: Self, yes: Self, no: Self) -> Self {
        unsafe {
            let mask = _mm512_cmp_ps_mask::<_CMP_EQ_UQ>(lhs.0, rhs.0);
            Avx512(_mm512_mask_blend_ps(mask, no.0, yes.0))
        }
    }
    #[inline(always)]
    unsafe fn evens_and_odds(first: Self, second: Self) -> [Self; 2] {
        unsafe {
            let evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odds = _mm512_add_epi32(evens, _mm512_set1_epi32(1));
            [evens, odds].map(|index| Avx512(_mm512_permutex2var_ps(first.0, index, second.0)))
        }
    }
    #[inline(always)]
    unsafe fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        unsafe {
            // Pairs of rows, then groups of four, inside the quarters of the registers; the quarters are exchanged last.
            let mut pairs = rows;
            for i in (0..LANES).step_by(2) {
                pairs[i].0 = _mm512_unpacklo_ps(rows[i].0, rows[i + 1].0);
                pairs[i + 1].0 = _mm512_unpackhi_ps(rows[i].0, rows[i + 1].0);
            }
            let mut fours = pairs;
            for i in (0..LANES).step_by(4) {
                fours[i].0 = _mm512_shuffle_ps::<0x44>(pairs[i].0, pairs[i + 2].0);
                fours[i + 1].0 = _mm512_shuffle_ps::<0xEE>(pairs[i].0, pairs[i + 2].0);
                fours[i + 2].0 = _mm512_shuffle_ps::<0x44>(pairs[i + 1].0, pairs[i + 3].0);
                fours[i + 3].0 = _mm512_shuffle_ps::<0xEE>(pairs[i + 1].0, pairs[i + 3].0);
            }
            let mut columns = fours;
            for i in 0..4 {
                // Quarter q of fours[4 g + i] holds column 4 q + i of rows 4 g..4 g + 4.
                let even_top = _mm512_shuffle_f32x4::<0x88>(fours[i].0, fours[4 + i].0);
                let odd_top = _mm512_shuffle_f32x4::<0xDD>(fours[i].0, fours[4 + i].0);
                let even_bottom = _mm512_shuffle_f32x4::<0x88>(fours[8 + i].0, fours[12 + i].0);
                let odd_bottom = _mm512_shuffle_f32x4::<0xDD>(fours[8 + i].0, fours[12 + i].0);
                columns[i].0 = _mm512_shuffle_f32x4::<0x88>(even_top, even_bottom);
                columns[4 + i].0 = _mm512_shuffle_f32x4::<0x88>(odd_top, odd_bottom);
                columns[8 + i].0 = _mm512_shuffle_f32x4::<0xDD>(even_top, even_bottom);
                columns[12 + i].0 = _mm512_shuffle_f32x4::<0xDD>(odd_top, odd_bottom);
            }
            columns
        }
    }
    #[inline(always)]
    unsafe fn sums(vectors: [Self; LANES]) -> Self {
        // Two vectors become one with half the lanes of each, four times: less than half the shuffles of a transpose.
        unsafe {
            let mut left = [_mm512_setzero_ps(); 8];
            for i in 0..8 {
                let (a, b) = (vectors[2 * i].0, vectors[2 * i + 1].0);
                left[i] = _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xEE>(a, b));
            }
            for i in 0..4 {
                let (a, b) = (left[2 * i], left[2 * i + 1]);
                left[i] = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xDD>(a, b));
            }
            for i in 0..2 {
                let (a, b) = (_mm512_castps_pd(left[2 * i]), _mm512_castps_pd(left[2 * i + 1]));
                let (low, high) = (_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
                left[i] = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
            }
            let (a, b) = (left[0], left[1]);
            let sums = _mm512_add_ps(_mm512_shuffle_ps::<0x88>(a, b), _mm512_shuffle_ps::<0xDD>(a, b));
            // Quarter j holds the sums of the vectors j, j + 4, j + 8, j + 12.
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            Avx512(_mm512_permutexvar_ps(order, sums))
        }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe {
            let (low, high) = (_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0));
            sum_of_8(_mm256_add_ps(low, high))
        }
    }
}

/// The mask of the first n lanes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1_u32 << n) - 1) as __mmask16
}

/// Lane i with i + 4, then i + 2, then i + 1.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn sum_of_8(lanes: __m256) -> f32 {
    // SAFETY: the caller runs where AVX is enabled.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }
}

/// 16 floats in two AVX registers.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256, __m256);

// SAFETY of every block: the set is enabled and pointers are valid, by the contract of the traits.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks)]
impl Arithmetic for Avx2 {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Avx2(_mm256_set1_ps(value), _mm256_set1_ps(value)) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, addend: Self) -> Self {
        unsafe { Avx2(_mm256_fmadd_ps(self.0, factor.0, addend.0), _mm256_fmadd_ps(self.1, factor.1, addend.1)) }
    }
    #[inline(always)]
    unsafe fn select_lt(lhs: Self, rhs: Self, yes: Self, no: Self) -> Self {
        unsafe {
            let low = _mm256_cmp_ps::<_CMP_LT_OQ>(lhs.0, rhs.0);
            let high = _mm256_cmp_ps::<_CMP_LT_OQ>(lhs.1, rhs.1);
            Avx2(_mm256_blendv_ps(no.0, yes.0, low), _mm256_blendv_ps(no.1, yes.1, high))
        }
    }
    #[inline(always)]
    unsafe fn scale(self, n: Self) -> Self {
        unsafe { Avx2(scale_8(self.0, n.0), scale_8(self.1, n.1)) }
    }
    #[inline(always)]
    unsafe fn split(self) -> (Self, Self) {
        unsafe {
            let (low, high) = (split_8(self.0), split_8(self.1));
            (Avx2(low.0, high.0), Avx2(low.1, high.1))
        }
    }
}

/// See [`Arithmetic::scale`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn scale_8(x: __m256, n: __m256) -> __m256 {
    // SAFETY: the caller runs where AVX2 is enabled.
    unsafe {
        // Two factors, because 2^n itself may not be a normal number.
        let (n, bias) = (_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
        let first = _mm256_srai_epi32::<1>(n);
        let second = _mm256_sub_epi32(n, first);
        let first = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(first, bias)));
        let second = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(second, bias)));
        _mm256_mul_ps(_mm256_mul_ps(x, first), second)
    }
}

/// See [`Arithmetic::split`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn split_8(x: __m256) -> (__m256, __m256) {
    // SAFETY: the caller runs where AVX2 is enabled.
    unsafe {
        let offset = _mm256_sub_epi32(_mm256_castps_si256(x), _mm256_set1_epi32(SQRT_HALF as i32));
        let exponent = _mm256_cvtepi32_ps(_mm256_srai_epi32::<23>(offset));
        let fraction = _mm256_and_si256(offset, _mm256_set1_epi32(0x007F_FFFF));
        let mantissa = _mm256_add_epi32(fraction, _mm256_set1_epi32(SQRT_HALF as i32));
        (_mm256_castsi256_ps(mantissa), exponent)
    }
}

/// The masks of the first n of 8 lanes, n = 0..=8, as windows of one table.
#[cfg(target_arch = "x86_64")]
static FIRST_OF_8: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The mask of the first n lanes (at most 8).
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn first_of_8(n: usize) -> __m256i {
    // SAFETY: the caller runs where AVX is enabled; 8 integers from index 8 − min(n, 8) on lie in the table of 16.
    unsafe { _mm256_loadu_si256(FIRST_OF_8.as_ptr().add(8 - n.min(8)).cast()) }
}

// SAFETY of every block: the set is enabled and pointers are valid, by the contract of the traits.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Avx2 {
    // 16 registers of 8: 12 for six accumulators, 2 for splatted factors, 1 or 2 for the vector. With 3 x 2 instead of 2 x 3
    // one accumulator was spilled, and a convolution ran at half the speed.
    const CONV_CHANNELS: usize = 2;
    const CONV_COLUMNS: usize = 3;
    const VALUES_TILE: [usize; 2] = [3, 2];
    const VECTOR_TILE: usize = 6;
    const TILE: [usize; 2] = [2, 3];

    #[inline(never)]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn apart<T: Copy>(sizes: &T, f: impl FnOnce(&T)) {
        f(&{ *sizes });
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Avx2(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize, fill: f32) -> Self {
        unsafe {
            // `wrapping_add`: with n <= 8 nothing is read from the second half, which may lie outside of the slice.
            let (low, high) = (first_of_8(n), first_of_8(n.saturating_sub(8)));
            let fill = _mm256_set1_ps(fill);
            Avx2(
                _mm256_blendv_ps(fill, _mm256_maskload_ps(from, low), _mm256_castsi256_ps(low)),
                _mm256_blendv_ps(fill, _mm256_maskload_ps(from.wrapping_add(8), high), _mm256_castsi256_ps(high)),
            )
        }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        unsafe {
            _mm256_maskstore_ps(to, first_of_8(n), self.0);
            _mm256_maskstore_ps(to.wrapping_add(8), first_of_8(n.saturating_sub(8)), self.1);
        }
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_div_ps(self.0, other.0), _mm256_div_ps(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { Avx2(max_8(self.0, other.0), max_8(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn select_eq(lhs: Self, rhs: Self, yes: Self, no: Self) -> Self {
        unsafe {
            let low = _mm256_cmp_ps::<_CMP_EQ_UQ>(lhs.0, rhs.0);
            let high = _mm256_cmp_ps::<_CMP_EQ_UQ>(lhs.1, rhs.1);
            Avx2(_mm256_blendv_ps(no.0, yes.0, low), _mm256_blendv_ps(no.1, yes.1, high))
        }
    }
    #[inline(always)]
    unsafe fn evens_and_odds(first: Self, second: Self) -> [Self; 2] {
        unsafe {
            // Within the halves of the registers first; the middle quarters are exchanged last.
            let order = |x: __m256| _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(x)));
            let evens = |own: Avx2| order(_mm256_shuffle_ps::<0b10_00_10_00>(own.0, own.1));
            let odds = |own: Avx2| order(_mm256_shuffle_ps::<0b11_01_11_01>(own.0, own.1));
            [Avx2(evens(first), evens(second)), Avx2(odds(first), odds(second))]
        }
    }
    #[inline(always)]
    unsafe fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        unsafe {
            // Four 8 x 8 blocks; the two beside the diagonal change places.
            let zero = _mm256_setzero_ps();
            let mut blocks = [[zero; 8]; 4];
            for i in 0..8 {
                (blocks[0][i], blocks[1][i]) = (rows[i].0, rows[i].1);
                (blocks[2][i], blocks[3][i]) = (rows[8 + i].0, rows[8 + i].1);
            }
            for block in &mut blocks {
                *block = transpose_8(*block);
            }
            let mut columns = rows;
            for i in 0..8 {
                columns[i] = Avx2(blocks[0][i], blocks[2][i]);
                columns[8 + i] = Avx2(blocks[1][i], blocks[3][i]);
            }
            columns
        }
    }
    #[inline(always)]
    unsafe fn sums(vectors: [Self; LANES]) -> Self {
        // Two vectors become one with half the lanes of each, as with AVX-512; a transpose takes three times the shuffles.
        unsafe {
            let halves = [0, 8].map(|first| {
                let mut left = [_mm256_setzero_ps(); 8];
                for i in 0..8 {
                    left[i] = _mm256_add_ps(vectors[first + i].0, vectors[first + i].1);
                }
                for i in 0..4 {
                    let (a, b) = (left[2 * i], left[2 * i + 1]);
                    left[i] = _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b));
                }
                for i in 0..2 {
                    let (a, b) = (_mm256_castps_pd(left[2 * i]), _mm256_castps_pd(left[2 * i + 1]));
                    let (low, high) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
                    left[i] = _mm256_add_ps(_mm256_castpd_ps(low), _mm256_castpd_ps(high));
                }
                let (a, b) = (left[0], left[1]);
                let sums = _mm256_add_ps(_mm256_shuffle_ps::<0x88>(a, b), _mm256_shuffle_ps::<0xDD>(a, b));
                // The lower half holds the sums of the vectors 0, 2, 4, 6, the upper half those of 1, 3, 5, 7.
                _mm256_permutevar8x32_ps(sums, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
            });
            Avx2(halves[0], halves[1])
        }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe { sum_of_8(_mm256_add_ps(self.0, self.1)) }
    }
}

/// The larger one; NaN if one of them is NaN.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn max_8(a: __m256, b: __m256) -> __m256 {
    // SAFETY: the caller runs where AVX is enabled.
    unsafe {
        // The instruction answers with its second operand if one of them is NaN.
        let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(b, b);
        _mm256_blendv_ps(_mm256_max_ps(b, a), b, nan)
    }
}

/// An 8 x 8 transpose.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_8(rows: [__m256; 8]) -> [__m256; 8] {
    // SAFETY: the caller runs where AVX is enabled.
    unsafe {
        // Pairs of rows, then groups of four, inside the halves of the registers; the halves are exchanged last.
        let mut pairs = rows;
        for i in (0..8).step_by(2) {
            pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
            pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
        }
        let mut fours = pairs;
        for i in (0..8).step_by(4) {
            fours[i] = _mm256_shuffle_ps::<0x44>(pairs[i], pairs[i + 2]);
            fours[i + 1] = _mm256_shuffle_ps::<0xEE>(pairs[i], pairs[i + 2]);
            fours[i + 2] = _mm256_shuffle_ps::<0x44>(pairs[i + 1], pairs[i + 3]);
            fours[i + 3] = _mm256_shuffle_ps::<0xEE>(pairs[i + 1], pairs[i + 3]);
        }
        let mut columns = fours;
        for i in 0..4 {
            columns[i] = _mm256_permute2f128_ps::<0x20>(fours[i], fours[i + 4]);
            columns[i + 4] = _mm256_permute2f128_ps::<0x31>(fours[i], fours[i + 4]);
        }
        columns
    }
}

/// 16 floats in four NEON registers.
#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy)]
pub(crate) struct Neon([float32x4_t; 4]);

#[cfg(target_arch = "aarch64")]
impl Neon {
    #[inline(always)]
    fn zip(self, other: Neon, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Neon {
        Neon(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }

    /// By way of arrays, which the compiler turns into vector code.
    #[inline(always)]
    unsafe fn portable(self) -> Portable {
        // SAFETY: the set is enabled, by the contract of the traits.
        Portable(unsafe { self.to_array() })
    }
}

// SAFETY of every block: the set is enabled and pointers are valid, by the contract of the traits.
#[cfg(target_arch = "aarch64")]
#[allow(clippy::undocumented_unsafe_blocks)]
impl Arithmetic for Neon {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Neon([vdupq_n_f32(value); 4]) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vaddq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vsubq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vmulq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, addend: Self) -> Self {
        Neon(std::array::from_fn(|i| unsafe { vfmaq_f32(addend.0[i], self.0[i], factor.0[i]) }))
    }
    #[inline(always)]
    unsafe fn select_lt(lhs: Self, rhs: Self, yes: Self, no: Self) -> Self {
        Neon(std::array::from_fn(|i| unsafe { vbslq_f32(vcltq_f32(lhs.0[i], rhs.0[i]), yes.0[i], no.0[i]) }))
    }
    #[inline(always)]
    unsafe fn scale(self, n: Self) -> Self {
        unsafe {
            let scaled = self.portable().scale(n.portable());
            Self::load(scaled.0.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn split(self) -> (Self, Self) {
        unsafe {
            let (mantissa, exponent) = self.portable().split();
            (Self::load(mantissa.0.as_ptr()), Self::load(exponent.0.as_ptr()))
        }
    }
}

// SAFETY of every block: the set is enabled and pointers are valid, by the contract of the traits.
#[cfg(target_arch = "aarch64")]
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Neon {
    // 32 registers of four: six accumulators are 24 of them.
    const CONV_CHANNELS: usize = 2;
    const CONV_COLUMNS: usize = 3;
    const VALUES_TILE: [usize; 2] = [3, 2];
    const VECTOR_TILE: usize = 6;
    const TILE: [usize; 2] = [2, 3];

    #[inline(never)]
    #[target_feature(enable = "neon")]
    unsafe fn apart<T: Copy>(sizes: &T, f: impl FnOnce(&T)) {
        f(&{ *sizes });
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Neon(std::array::from_fn(|i| unsafe { vld1q_f32(from.add(4 * i)) }))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        for (i, &register) in self.0.iter().enumerate() {
            unsafe { vst1q_f32(to.add(4 * i), register) };
        }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize, fill: f32) -> Self {
        unsafe { Self::load(Portable::load_first(from, n, fill).0.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        unsafe { self.portable().store_first(to, n) }
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vdivq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vmaxq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn select_eq(lhs: Self, rhs: Self, yes: Self, no: Self) -> Self {
        Neon(std::array::from_fn(|i| unsafe {
            let differ = vorrq_u32(vcltq_f32(lhs.0[i], rhs.0[i]), vcgtq_f32(lhs.0[i], rhs.0[i]));
            vbslq_f32(differ, no.0[i], yes.0[i])
        }))
    }
    #[inline(always)]
    unsafe fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        unsafe { Portable::transpose(rows.map(|row| row.portable())).map(|row| Self::load(row.0.as_ptr())) }
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;

/// Asks for the line of the cache that holds `address`, which may lie anywhere, where the processor can be asked.
#[inline(always)]
pub(crate) fn prefetch(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has SSE, and the instruction reads nothing.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
