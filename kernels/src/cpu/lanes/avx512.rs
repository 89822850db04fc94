//! AVX-512: 16 floats in one register.

use std::arch::x86_64::*;

use super::avx2::sum_of_8;
use super::{Arithmetic, Lanes, SQRT_HALF};
use crate::LANES;

/// 16 floats in one AVX-512 register.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

// SAFETY of every block: the set is enabled and pointers are valid, by the contract of the traits.
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
    unsafe fn at_least(self, number: Self) -> Self {
        // The instruction answers with its second operand if one of them is NaN.
        unsafe { Avx512(_mm512_max_ps(number.0, self.0)) }
    }
    #[inline(always)]
    unsafe fn largest_of_four([a, b, c, d]: [Self; 4]) -> Self {
        unsafe {
            let numbers = _mm512_cmp_ps_mask::<_CMP_ORD_Q>(a.0, b.0);
            let numbers = _mm512_mask_cmp_ps_mask::<_CMP_ORD_Q>(numbers, c.0, d.0);
            let (first, second) = (_mm512_max_ps(b.0, a.0), _mm512_max_ps(d.0, c.0));
            Avx512(_mm512_mask_max_ps(_mm512_set1_ps(f32::NAN), numbers, second, first))
        }
    }
    #[inline(always)]
    unsafe fn unequal(self, other: Self, bits: u16) -> u16 {
        unsafe { _mm512_mask_cmp_ps_mask::<_CMP_NEQ_OQ>(bits, self.0, other.0) }
    }
    #[inline(always)]
    unsafe fn equal(self, other: Self) -> u16 {
        unsafe { _mm512_cmp_ps_mask::<_CMP_EQ_UQ>(self.0, other.0) }
    }
    #[inline(always)]
    unsafe fn only(self, bits: u16) -> Self {
        unsafe { Avx512(_mm512_maskz_mov_ps(bits, self.0)) }
    }
    #[inline(always)]
    unsafe fn blend(self, other: Self, bits: u16) -> Self {
        unsafe { Avx512(_mm512_mask_blend_ps(bits, self.0, other.0)) }
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
#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1_u32 << n) - 1) as __mmask16
}
