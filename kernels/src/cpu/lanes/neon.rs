//! NEON: 16 floats in four registers.

use std::arch::aarch64::*;

use super::{Arithmetic, Lanes, Portable};
use crate::LANES;

/// 16 floats in four NEON registers.
#[derive(Clone, Copy)]
pub(crate) struct Neon([float32x4_t; 4]);

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
    unsafe fn equal(self, other: Self) -> u16 {
        let mut bits = 0;
        for i in 0..4 {
            let (a, b) = (self.0[i], other.0[i]);
            let own = unsafe {
                let differ = vorrq_u32(vcltq_f32(a, b), vcgtq_f32(a, b));
                vaddvq_u32(vbicq_u32(vld1q_u32([1, 2, 4, 8].as_ptr()), differ))
            };
            bits |= (own as u16) << (4 * i);
        }
        bits
    }
    #[inline(always)]
    unsafe fn only(self, bits: u16) -> Self {
        Neon(std::array::from_fn(|i| unsafe {
            let all = vdupq_n_u32(u32::from(bits) >> (4 * i));
            let is_set = vtstq_u32(all, vld1q_u32([1, 2, 4, 8].as_ptr()));
            vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(self.0[i]), is_set))
        }))
    }
    #[inline(always)]
    unsafe fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        unsafe { Portable::transpose(rows.map(|row| row.portable())).map(|row| Self::load(row.0.as_ptr())) }
    }
}
