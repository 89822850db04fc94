//! AVX2 and FMA: 16 floats in two registers.

use std::arch::x86_64::*;

use super::{Arithmetic, Lanes, SQRT_HALF};
use crate::LANES;

/// 16 floats in two AVX registers.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256, __m256);

// SAFETY of every block: the set is enabled and pointers are valid, by the contract of the traits.
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
static FIRST_OF_8: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The mask of the first n lanes (at most 8).
#[inline(always)]
unsafe fn first_of_8(n: usize) -> __m256i {
    // SAFETY: the caller runs where AVX is enabled; 8 integers from index 8 − min(n, 8) on lie in the table of 16.
    unsafe { _mm256_loadu_si256(FIRST_OF_8.as_ptr().add(8 - n.min(8)).cast()) }
}

// SAFETY of every block: the set is enabled and pointers are valid, by the contract of the traits.
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
    unsafe fn equal(self, other: Self) -> u16 {
        unsafe {
            let low = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_EQ_UQ>(self.0, other.0));
            let high = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_EQ_UQ>(self.1, other.1));
            (low | high << 8) as u16
        }
    }
    #[inline(always)]
    unsafe fn only(self, bits: u16) -> Self {
        unsafe {
            let all = _mm256_set1_epi32(i32::from(bits));
            let keep = |lanes: __m256, own: __m256i| {
                let is_set = _mm256_cmpeq_epi32(_mm256_and_si256(all, own), own);
                _mm256_and_ps(lanes, _mm256_castsi256_ps(is_set))
            };
            let low = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            Avx2(keep(self.0, low), keep(self.1, _mm256_slli_epi32::<8>(low)))
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

/// Lane i with i + 4, then i + 2, then i + 1.
#[inline(always)]
pub(super) unsafe fn sum_of_8(lanes: __m256) -> f32 {
    // SAFETY: the caller runs where AVX is enabled.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }
}
