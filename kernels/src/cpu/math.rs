//! Branch-free mathematics on f32 that the compiler can vectorise: no calls, no tables, every path computed and selected.
//!
//! A loop over these functions inside [`Isa::run`](super::Isa::run) becomes vector code of that set. Errors are measured by
//! the tests over dense grids: at most 2 ulp (2.4e-7) for [`exp`], [`log`], [`sigmoid`], 3e-7 for the others; infinities,
//! NaN, overflow and underflow come out as IEEE and PyTorch have them.
//!
//! ```
//! use graven_kernels::cpu::math;
//!
//! assert!((math::exp(1.0) - std::f32::consts::E).abs() < 5e-7);
//! assert_eq!(math::exp(f32::NEG_INFINITY), 0.0);
//! assert_eq!(math::pow(-2.0, 3.0), -8.0);
//! ```

// Coefficients stand as their authors print them.
#![allow(clippy::excessive_precision)]

use super::lanes::Arithmetic;

/// `yes` where the condition holds, else `no`.
#[must_use]
#[inline(always)]
pub fn select(condition: bool, yes: f32, no: f32) -> f32 {
    if condition { yes } else { no }
}

/// |x|.
#[must_use]
#[inline(always)]
pub fn abs(x: f32) -> f32 {
    x.abs()
}

/// √x; NaN below zero.
#[must_use]
#[inline(always)]
pub fn sqrt(x: f32) -> f32 {
    x.sqrt()
}

/// The larger one; NaN if one of them is NaN, as `torch.maximum`.
#[must_use]
#[inline(always)]
pub fn max(a: f32, b: f32) -> f32 {
    if a > b || a.is_nan() { a } else { b }
}

/// The smaller one; NaN if one of them is NaN, as `torch.minimum`.
#[must_use]
#[inline(always)]
pub fn min(a: f32, b: f32) -> f32 {
    if a < b || a.is_nan() { a } else { b }
}

/// −1, 0 or 1; 0 for NaN, as `torch.sign`.
#[must_use]
#[inline(always)]
pub fn sign(x: f32) -> f32 {
    select(x > 0.0, 1.0, 0.0) - select(x < 0.0, 1.0, 0.0)
}

/// e^x.
#[must_use]
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // SAFETY: f32 needs no instruction set.
    unsafe { exp_of(x) }
}

/// The natural logarithm: −∞ for 0, NaN below.
#[must_use]
#[inline(always)]
pub fn log(x: f32) -> f32 {
    // SAFETY: f32 needs no instruction set.
    unsafe { log_of(x) }
}

/// e^x − 1, accurate near 0.
#[must_use]
#[inline(always)]
pub fn expm1(x: f32) -> f32 {
    // Near 0 the Taylor series to x^8, whose rest is below 2e-8 for |x| < 0.5.
    let tail = ((1.0 / 40_320.0 * x + 1.0 / 5040.0) * x + 1.0 / 720.0) * x + 1.0 / 120.0;
    let series = x + x * x * (0.5 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x * tail)));
    select(x.abs() < 0.5, series, exp(x) - 1.0)
}

/// log(1 + x), accurate near 0.
#[must_use]
#[inline(always)]
pub fn log1p(x: f32) -> f32 {
    // Kahan: the rounding of 1 + x is undone by the factor x / ((1 + x) − 1).
    let sum = 1.0 + x;
    let corrected = log(sum) * (x / (sum - 1.0));
    select(sum == 1.0, x, select(x == f32::INFINITY, x, corrected))
}

/// 1 / (1 + e^−x).
#[must_use]
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent.
#[must_use]
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    // Near 0 the odd polynomial of Cephes' tanhf; else 1 − 2 / (e^2|x| + 1), with the sign of x.
    let square = x * x;
    let p = ((-5.704_988_7e-3 * square + 2.063_908_9e-2) * square - 5.373_971_6e-2) * square + 1.333_144_2e-1;
    let near = x + x * square * (p * square - 3.333_328_2e-1);
    let far = 1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0);
    select(x.abs() < 0.625, near, far).copysign(x)
}

/// The error function 2/√π · ∫ e^−t² dt over 0..x.
#[must_use]
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    // N. Juffa's minimax polynomials: x + x·P(x²) below 0.9277, 1 − e^Q(|x|) above; at |x| = 4 erf rounds to 1.
    let square = x * x;
    let p = -5.967_617e-4 * square + 4.991_194_2e-3;
    let p = ((p * square - 2.676_813_5e-2) * square + 1.128_199_25e-1) * square - 3.761_253_4e-1;
    let near = (p * square + 1.283_791_7e-1) * x + x;

    let t = min(x.abs(), 4.0);
    let square = t * t;
    let even = -1.728_534_7e-5 * t + 3.831_971_3e-4;
    let odd = -3.883_964_4e-3 * t + 2.425_462_2e-2;
    let q = ((even * square + odd) * t - 1.067_778_77e-1) * t - 6.348_467e-1;
    let far = 1.0 - exp((q * t - 1.287_175_1e-1) * t - t);
    select(t < 0.927_734_4, near, far.copysign(x))
}

/// x^c for any real exponent, as IEEE `pow`: a negative base needs a whole exponent, else the result is NaN.
#[must_use]
#[inline(always)]
pub fn pow(x: f32, c: f32) -> f32 {
    // |x|^c = e^(c·log|x|). The logarithm needs more digits than f32 has, because the error of c·log|x| is that of the
    // result, times up to 88: so both halves work in f64, with series that are good to 1e-11.
    let size = x.abs();
    let tiny = size < f32::MIN_POSITIVE;
    // SAFETY: f32 needs no instruction set.
    let (mantissa, exponent) = unsafe { select(tiny, size * TWO_23, size).split() };
    let exponent = f64::from(exponent - select(tiny, 23.0, 0.0));
    // log m = 2·artanh(s), s = (m − 1) / (m + 1), s² < 0.0295.
    let m = f64::from(mantissa);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series =
        1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0 + z * (1.0 / 11.0 + z / 13.0)))));
    let log = exponent * std::f64::consts::LN_2 + 2.0 * s * series;
    let log = if size == 0.0 { f64::NEG_INFINITY } else { log };
    let log = if size == f32::INFINITY { f64::INFINITY } else { log };
    // Beyond ±700 every f32 result is 0 or ∞. The comparisons keep NaN.
    let t = f64::from(c) * log;
    let t = if t > 700.0 { 700.0 } else { t };
    let t = if t < -700.0 { -700.0 } else { t };
    // 1.5 · 2^52 pushes the rounded quotient into the low bits of the mantissa, from where it is shifted into an exponent.
    let shifted = t * std::f64::consts::LOG2_E + 6_755_399_441_055_744.0;
    let n = shifted - 6_755_399_441_055_744.0;
    let r = t - n * std::f64::consts::LN_2;
    let tail = 1.0 / 720.0 + r * (1.0 / 5040.0 + r * (1.0 / 40_320.0 + r * (1.0 / 362_880.0)));
    let power = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * tail)))));
    let power = power * f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    let magnitude = power as f32;

    let is_whole = |v: f32| (v + TWO_23) - TWO_23 == v || v >= TWO_23;
    let whole = is_whole(c.abs());
    let odd = whole && !is_whole(c.abs() * 0.5);
    let negative = x.is_sign_negative();
    let signed = select(negative && odd, -magnitude, magnitude);
    let real = select(negative && !whole && size != 0.0 && size != f32::INFINITY, f32::NAN, signed);
    // 1^c and x^0 are 1, whatever the other operand is; (−1)^±∞ too.
    let one = x == 1.0 || c == 0.0 || (size == 1.0 && c.abs() == f32::INFINITY);
    select(one, 1.0, select(x.is_nan() || c.is_nan(), f32::NAN, real))
}

/// Beyond this, an f32 has no fraction.
const TWO_23: f32 = 8_388_608.0;

/// e^x by Cody and Waite: x = n·log 2 + r with |r| <= log(2) / 2, the Taylor-like minimax polynomial of Cephes' expf for
/// e^r, and an exact multiplication by 2^n.
///
/// # Safety
/// The instruction set of `T` is enabled.
#[inline(always)]
pub(crate) unsafe fn exp_of<T: Arithmetic>(x: T) -> T {
    // SAFETY: the contract of this function.
    unsafe {
        // Outside of −105..90 the result is 0 or ∞ anyway; clamped so that n stays small. The comparisons keep NaN.
        let (low, high) = (T::splat(-105.0), T::splat(90.0));
        let x = T::select_lt(x, low, low, x);
        let x = T::select_lt(high, x, high, x);
        // 1.5 · 2^23 rounds the quotient to the nearest whole number.
        let magic = T::splat(12_582_912.0);
        let n = x.fma(T::splat(std::f32::consts::LOG2_E), magic).sub(magic);
        // log 2 in two parts; n times the first one is exact.
        let r = n.fma(T::splat(-0.693_359_4), x);
        let r = n.fma(T::splat(2.121_944_4e-4), r);
        let p = T::splat(1.987_569_1e-4);
        let p = p.fma(r, T::splat(1.398_199_9e-3));
        let p = p.fma(r, T::splat(8.333_452e-3));
        let p = p.fma(r, T::splat(4.166_579_6e-2));
        let p = p.fma(r, T::splat(1.666_666_5e-1));
        let p = p.fma(r, T::splat(0.5));
        let p = p.fma(r.mul(r), r).add(T::splat(1.0));
        p.scale(n)
    }
}

/// log x = e·log 2 + log m with m in 1/√2..√2, and the minimax polynomial of Cephes' logf for log m.
///
/// # Safety
/// The instruction set of `T` is enabled.
#[inline(always)]
pub(crate) unsafe fn log_of<T: Arithmetic>(x: T) -> T {
    // SAFETY: the contract of this function.
    unsafe {
        let (zero, smallest) = (T::splat(0.0), T::splat(f32::MIN_POSITIVE));
        // Denormal numbers are brought into the range of normal ones.
        let (m, e) = T::select_lt(x, smallest, x.mul(T::splat(TWO_23)), x).split();
        let e = e.sub(T::select_lt(x, smallest, T::splat(23.0), zero));
        let f = m.sub(T::splat(1.0));
        let p = T::splat(7.037_683_6e-2);
        let p = p.fma(f, T::splat(-1.151_461e-1));
        let p = p.fma(f, T::splat(1.167_699_9e-1));
        let p = p.fma(f, T::splat(-1.242_014_1e-1));
        let p = p.fma(f, T::splat(1.424_932_3e-1));
        let p = p.fma(f, T::splat(-1.666_805_8e-1));
        let p = p.fma(f, T::splat(2.000_071_5e-1));
        let p = p.fma(f, T::splat(-2.499_999_4e-1));
        let p = p.fma(f, T::splat(3.333_333e-1));
        let square = f.mul(f);
        let p = p.mul(f).mul(square);
        let p = e.fma(T::splat(-2.121_944_4e-4), p);
        let p = square.fma(T::splat(-0.5), p);
        let finite = e.fma(T::splat(0.693_359_4), f.add(p));
        // ∞ stays, 0 gives −∞, below is NaN; NaN compares with nothing and takes the sum.
        let positive = T::select_lt(x, T::splat(f32::INFINITY), finite, x);
        let other = T::select_lt(x, zero, T::splat(f32::NAN), T::splat(f32::NEG_INFINITY).add(x));
        T::select_lt(zero, x, positive, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Isa;
    use crate::cpu::lanes::Lanes;

    /// Every f32 whose bits are a multiple of `step`, both signs.
    fn grid(step: usize) -> impl Iterator<Item = f32> {
        (0..u32::MAX).step_by(step).map(f32::from_bits)
    }

    /// |got − wanted| in units of |wanted|, or of the smallest normal number where `wanted` is denormal.
    fn relative(got: f32, wanted: f64) -> f64 {
        if f64::from(got) == wanted || (got.is_nan() && wanted.is_nan()) {
            return 0.0;
        }
        if got.is_infinite() && wanted.abs() > f64::from(f32::MAX) && (got > 0.0) == (wanted > 0.0) {
            return 0.0;
        }
        (f64::from(got) - wanted).abs() / wanted.abs().max(f64::from(f32::MIN_POSITIVE))
    }

    #[track_caller]
    fn check(name: &str, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64, tolerance: f64) {
        let mut worst = (0.0, 0.0);
        for x in grid(977) {
            let (got, wanted) = (f(x), exact(f64::from(x)));
            let error = relative(got, wanted);
            assert!(error <= tolerance, "{name}({x:e}) = {got:e}, wanted {wanted:e}, error {error:e}");
            if error > worst.0 {
                worst = (error, x);
            }
        }
        println!("{name}: largest relative error {:.2e} at {}", worst.0, worst.1);
    }

    #[test]
    fn exponentials_and_logarithms_have_two_units_in_the_last_place() {
        check("exp", exp, f64::exp, 2.4e-7);
        check("log", log, f64::ln, 2.4e-7);
    }

    #[test]
    fn functions_near_zero_keep_their_relative_accuracy() {
        check("expm1", expm1, f64::exp_m1, 3e-7);
        check("log1p", log1p, f64::ln_1p, 3e-7);
        check("tanh", tanh, f64::tanh, 3e-7);
        check("erf", erf, erf_f64, 3e-7);
        check(
            "sigmoid",
            |x| if x > -87.0 { sigmoid(x) } else { 0.0 },
            |x| if x > -87.0 { 1.0 / (1.0 + (-x).exp()) } else { 0.0 },
            3e-7,
        );
    }

    /// erf by its Taylor series below 3, and by the continued fraction of erfc above.
    fn erf_f64(x: f64) -> f64 {
        if x.is_nan() {
            return x;
        }
        let t = x.abs();
        if t > 6.0 {
            return x.signum();
        }
        let value = if t < 3.0 {
            // erf x = 2/√π · e^−x² · Σ 2^n x^(2n+1) / (1·3·5···(2n+1)): all terms are positive.
            let (mut term, mut sum) = (t, t);
            for n in 1..200 {
                term *= 2.0 * t * t / f64::from(2 * n + 1);
                sum += term;
            }
            2.0 / std::f64::consts::PI.sqrt() * (-t * t).exp() * sum
        } else {
            let fraction = (1..=100).rev().fold(t, |rest, n| t + f64::from(n) / 2.0 / rest);
            1.0 - (-t * t).exp() / std::f64::consts::PI.sqrt() / fraction
        };
        value.copysign(x)
    }

    #[test]
    fn the_reference_for_erf_is_right() {
        // Abramowitz and Stegun, table 7.1.
        for (x, wanted) in [(0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0)] {
            assert!((erf_f64(x) - wanted).abs() < 1e-10);
        }
        assert!((erf_f64(2.999_999) - erf_f64(3.000_001)).abs() < 1e-9);
    }

    #[test]
    fn special_values_come_out_as_ieee_has_them() {
        let infinity = f32::INFINITY;
        assert_eq!(
            (exp(-infinity), exp(100.0), exp(infinity), exp(0.0), exp(-200.0)),
            (0.0, infinity, infinity, 1.0, 0.0)
        );
        assert_eq!((log(0.0), log(-0.0), log(1.0), log(infinity)), (-infinity, -infinity, 0.0, infinity));
        assert!(log(-1.0).is_nan() && log(-infinity).is_nan() && log(f32::NAN).is_nan() && exp(f32::NAN).is_nan());
        assert_eq!(
            (tanh(infinity), tanh(-infinity), tanh(40.0), tanh(-0.0).to_bits()),
            (1.0, -1.0, 1.0, (-0.0_f32).to_bits())
        );
        assert_eq!((erf(infinity), erf(-infinity), erf(9.0)), (1.0, -1.0, 1.0));
        assert_eq!((sigmoid(infinity), sigmoid(-infinity), sigmoid(0.0)), (1.0, 0.0, 0.5));
        assert!(tanh(f32::NAN).is_nan() && erf(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
        assert!(
            max(f32::NAN, 1.0).is_nan()
                && max(1.0, f32::NAN).is_nan()
                && min(f32::NAN, 1.0).is_nan()
                && min(1.0, f32::NAN).is_nan()
        );
        assert_eq!((max(1.0, 2.0), min(1.0, 2.0), sign(-3.0), sign(0.0), sign(2.0)), (2.0, 1.0, -1.0, 0.0, 1.0));
        assert_eq!((sqrt(4.0), abs(-2.0), select(true, 1.0, 2.0), sign(f32::NAN)), (2.0, 2.0, 1.0, 0.0));
        assert_eq!((expm1(-infinity), log1p(-1.0), log1p(infinity)), (-1.0, -infinity, infinity));
    }

    #[test]
    fn powers_agree_with_the_standard_library() {
        let mut bases: Vec<f32> = grid(9_999_991).collect();
        bases.extend([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 1e-40, f32::INFINITY, f32::NEG_INFINITY, f32::NAN]);
        let mut exponents: Vec<f32> = grid(49_999_991).collect();
        exponents.extend([
            0.0,
            -0.0,
            0.5,
            -0.5,
            1.0,
            -1.0,
            2.0,
            -2.0,
            3.0,
            -3.0,
            2.5,
            1.0 / 3.0,
            7.0,
            10.0,
            16_777_217.0,
        ]);
        exponents.extend([8_388_609.0, -8_388_609.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN]);
        for &x in &bases {
            for &c in &exponents {
                let (got, wanted) = (pow(x, c), f64::from(x).powf(f64::from(c)));
                assert!(relative(got, wanted) <= 1.3e-7, "pow({x:e}, {c:e}) = {got:e}, wanted {wanted:e}");
                if wanted == 0.0 {
                    assert_eq!(got.is_sign_negative(), wanted.is_sign_negative(), "pow({x:e}, {c:e})");
                }
            }
        }
    }

    /// The bits of exp and log of 16 numbers.
    unsafe fn exp_and_log<L: Lanes>(x: &[f32; 16], exps: &mut [f32; 16], logs: &mut [f32; 16]) {
        // SAFETY: the arrays have 16 floats, and the caller has enabled the set.
        unsafe {
            exp_of(L::load(x.as_ptr())).store(exps.as_mut_ptr());
            log_of(L::load(x.as_ptr())).store(logs.as_mut_ptr());
        }
    }
    crate::cpu::instantiate!(unsafe fn exp_and_log_on = exp_and_log(x: &[f32; 16], exps: &mut [f32; 16], logs: &mut [f32; 16]));

    #[test]
    fn lanes_agree_with_scalars() {
        for isa in Isa::available() {
            for start in (0..u32::MAX - 160_000).step_by(1_234_577) {
                let x = std::array::from_fn(|i| f32::from_bits(start + i as u32 * 9973));
                let (mut exps, mut logs) = ([0.0; 16], [0.0; 16]);
                // SAFETY: nothing is asked beyond the set, which is available.
                unsafe { exp_and_log_on(isa, &x, &mut exps, &mut logs) };
                for i in 0..16 {
                    let (e, l) = (f64::from(x[i]).exp(), f64::from(x[i]).ln());
                    assert!(relative(exps[i], e) <= 2.4e-7, "{}: exp({}) = {}", isa.name(), x[i], exps[i]);
                    assert!(relative(logs[i], l) <= 2.4e-7, "{}: log({}) = {}", isa.name(), x[i], logs[i]);
                }
            }
        }
    }
}
