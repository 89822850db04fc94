//! The matrices of the [module above](super): from coefficients to values and back, along one axis.

use std::marker::PhantomData;

use crate::cpu::lanes::Lanes;

/// N points: 0, pairs p and −p, single ones, and ∞, in this order.
pub(super) trait Points<const N: usize> {
    const PAIRS: &[f32];
    const SINGLES: &[f32];

    /// Bᵀ: row p holds the coefficients of Π (x − q) over the other points q, that of ∞ over all.
    ///
    /// # Safety
    /// The set of `L` is enabled.
    unsafe fn window<L: Lanes>(d: [L; N]) -> [L; N];

    /// B.
    ///
    /// # Safety
    /// The set of `L` is enabled.
    unsafe fn window_back<L: Lanes>(v: [L; N]) -> [L; N];

    /// 1 / Π (p − q), and 1 for ∞: what G has beyond the powers of p.
    const SCALES: [f32; N] = {
        let mut points = [0.0; N];
        let mut n = 1;
        let mut i = 0;
        while i < Self::PAIRS.len() {
            points[n] = Self::PAIRS[i] as f64;
            points[n + 1] = -points[n];
            (n, i) = (n + 2, i + 1);
        }
        i = 0;
        while i < Self::SINGLES.len() {
            points[n] = Self::SINGLES[i] as f64;
            (n, i) = (n + 1, i + 1);
        }
        let mut scales = [1.0; N];
        i = 0;
        while i < N - 1 {
            let mut product = 1.0;
            let mut j = 0;
            while j < N - 1 {
                if j != i {
                    product *= points[i] - points[j];
                }
                j += 1;
            }
            scales[i] = (1.0 / product) as f32;
            i += 1;
        }
        scales
    };
}

/// 0, 1, −1, ½, −2, ∞.
pub(super) struct Six;

impl Points<6> for Six {
    const PAIRS: &[f32] = &[1.0];
    const SINGLES: &[f32] = &[0.5, -2.0];

    /// By way of the factors x² − 1 (e) and (x − ½)(x + 2) = x² + 1.5 x − 1 (f).
    #[inline(always)]
    unsafe fn window<L: Lanes>(d: [L; 6]) -> [L; 6] {
        // SAFETY: the contract.
        unsafe {
            let e = [d[2].sub(d[0]), d[3].sub(d[1]), d[4].sub(d[2]), d[5].sub(d[3])];
            let mut f = e;
            for k in 0..4 {
                f[k] = d[k + 1].fma(L::splat(1.5), e[k]);
            }
            [
                f[2].sub(f[0]),
                f[2].add(f[1]),
                f[2].sub(f[1]),
                e[1].fma(L::splat(2.0), e[2]),
                e[1].fma(L::splat(-0.5), e[2]),
                f[3].sub(f[1]),
            ]
        }
    }

    #[inline(always)]
    unsafe fn window_back<L: Lanes>(v: [L; 6]) -> [L; 6] {
        // SAFETY: the contract.
        unsafe {
            let f1 = v[1].sub(v[2]).sub(v[5]);
            let f2 = v[0].add(v[1].add(v[2]));
            let e1 = v[3].fma(L::splat(2.0), v[4].fma(L::splat(-0.5), f1));
            let e2 = f2.add(v[3].add(v[4]));
            [
                v[0],
                v[0].fma(L::splat(-1.5), L::splat(0.0).sub(e1)),
                f1.fma(L::splat(1.5), L::splat(0.0).sub(v[0].add(e2))),
                f2.fma(L::splat(1.5), e1.sub(v[5])),
                v[5].fma(L::splat(1.5), e2),
                v[5],
            ]
        }
    }
}

/// 0, ±1, ±2, ±½, ∞.
pub(super) struct Eight;

impl Points<8> for Eight {
    const PAIRS: &[f32] = &[1.0, 2.0, 0.5];
    const SINGLES: &[f32] = &[];

    /// Each row is x² or x times a polynomial in x², of which a pair of points shares both parts.
    #[inline(always)]
    unsafe fn window<L: Lanes>(d: [L; 8]) -> [L; 8] {
        // SAFETY: the contract.
        unsafe {
            let ends = |low: usize| [d[low], d[low + 2], d[low + 4], d[low + 6]];
            let [mut first, mut last] = [d[0]; 2];
            for (low, end) in [(0, &mut first), (1, &mut last)] {
                let [a, b, c, d] = ends(low);
                *end = b.sub(c).fma(L::splat(5.25), d.sub(a));
            }
            let mut pairs = [[d[0]; 2]; 3];
            for (pair, (middle, low, factor)) in
                pairs.iter_mut().zip([(-4.25, 1.0, 1.0), (-1.25, 0.25, 2.0), (-5.0, 4.0, 0.5)])
            {
                let even = d[4].fma(L::splat(middle), d[2].fma(L::splat(low), d[6]));
                let odd = d[3].fma(L::splat(middle), d[1].fma(L::splat(low), d[5]));
                *pair = [odd.fma(L::splat(factor), even), odd.fma(L::splat(-factor), even)];
            }
            let [one, two, half] = pairs;
            [first, one[0], one[1], two[0], two[1], half[0], half[1], last]
        }
    }

    #[inline(always)]
    unsafe fn window_back<L: Lanes>(v: [L; 8]) -> [L; 8] {
        // SAFETY: the contract.
        unsafe {
            let [e1, e2, e3] = [v[1].add(v[2]), v[3].add(v[4]), v[5].add(v[6])];
            let [o1, o2, o3] = [v[1].sub(v[2]), v[3].sub(v[4]), v[5].sub(v[6])];
            let zero = L::splat(0.0);
            // Twice o2 and half of o3 enter.
            [
                zero.sub(v[0]),
                o3.fma(L::splat(2.0), o2.fma(L::splat(0.5), o1.sub(v[7]))),
                e3.fma(L::splat(4.0), e2.fma(L::splat(0.25), v[0].fma(L::splat(5.25), e1))),
                o3.fma(L::splat(-2.5), o2.fma(L::splat(-2.5), o1.fma(L::splat(-4.25), v[7].mul(L::splat(5.25))))),
                e3.fma(L::splat(-5.0), e2.fma(L::splat(-1.25), e1.fma(L::splat(-4.25), v[0].mul(L::splat(-5.25))))),
                o3.fma(L::splat(0.5), o2.fma(L::splat(2.0), v[7].fma(L::splat(-5.25), o1))),
                v[0].add(e1).add(e2.add(e3)),
                v[7],
            ]
        }
    }
}

/// One of the matrices.
pub(super) trait Transform<const A: usize, const B: usize> {
    /// # Safety
    /// The set of `L` is enabled.
    unsafe fn of<L: Lanes>(from: [L; A]) -> [L; B];
}

/// [`Transform::of`], out of line where the set wants that.
///
/// # Safety
/// The set of `L` is enabled.
#[inline(always)]
pub(super) unsafe fn apply<T: Transform<A, B>, L: Lanes, const A: usize, const B: usize>(from: [L; A]) -> [L; B] {
    // SAFETY: passed on.
    unsafe { if L::OUT_OF_LINE { out_of_line::<T, L, A, B>(from) } else { T::of(from) } }
}

/// # Safety
/// As for [`apply`].
#[inline(never)]
unsafe fn out_of_line<T: Transform<A, B>, L: Lanes, const A: usize, const B: usize>(from: [L; A]) -> [L; B] {
    // SAFETY: passed on.
    unsafe { T::of(from) }
}

/// Bᵀ.
pub(super) struct Window<P>(PhantomData<P>);

impl<P: Points<N>, const N: usize> Transform<N, N> for Window<P> {
    #[inline(always)]
    unsafe fn of<L: Lanes>(from: [L; N]) -> [L; N] {
        // SAFETY: the contract.
        unsafe { P::window(from) }
    }
}

/// B.
pub(super) struct WindowBack<P>(PhantomData<P>);

impl<P: Points<N>, const N: usize> Transform<N, N> for WindowBack<P> {
    #[inline(always)]
    unsafe fn of<L: Lanes>(from: [L; N]) -> [L; N] {
        // SAFETY: the contract.
        unsafe { P::window_back(from) }
    }
}

/// A: Σ `y[i]` pⁱ at every point p; `y[M − 1]` at ∞. With the scales it is G.
pub(super) struct Values<P>(PhantomData<P>);

impl<P: Points<N>, const N: usize, const M: usize> Transform<M, N> for Values<P> {
    #[inline(always)]
    unsafe fn of<L: Lanes>(y: [L; M]) -> [L; N] {
        let mut values = [y[M - 1]; N];
        values[0] = y[0];
        // SAFETY: the contract.
        unsafe {
            for (i, &p) in P::PAIRS.iter().enumerate() {
                // Even and odd powers, of p² by Horner.
                let [mut even, mut odd] = if M.is_multiple_of(2) { [y[M - 2], y[M - 1]] } else { [y[M - 1], y[M - 2]] };
                for k in (0..(M - 1) / 2).rev() {
                    even = even.fma(L::splat(p * p), y[2 * k]);
                }
                for k in (0..M / 2 - 1).rev() {
                    odd = odd.fma(L::splat(p * p), y[2 * k + 1]);
                }
                values[1 + 2 * i] = odd.fma(L::splat(p), even);
                values[2 + 2 * i] = odd.fma(L::splat(-p), even);
            }
            for (i, &p) in P::SINGLES.iter().enumerate() {
                let mut value = y[M - 1];
                for k in (0..M - 1).rev() {
                    value = value.fma(L::splat(p), y[k]);
                }
                values[1 + 2 * P::PAIRS.len() + i] = value;
            }
        }
        values
    }
}

/// Aᵀ.
pub(super) struct Coefficients<P>(PhantomData<P>);

impl<P: Points<N>, const N: usize, const M: usize> Transform<N, M> for Coefficients<P> {
    #[inline(always)]
    unsafe fn of<L: Lanes>(v: [L; N]) -> [L; M] {
        // SAFETY: the contract.
        unsafe {
            let mut sums = Self::first_of([v[N - 1], v[0], v[1], v[2]]);
            for i in 1..P::PAIRS.len() {
                Self::add_pair(i, [v[1 + 2 * i], v[2 + 2 * i]], &mut sums);
            }
            for (i, &p) in P::SINGLES.iter().enumerate() {
                let mut power = 1.0;
                for sum in &mut sums {
                    *sum = v[1 + 2 * P::PAIRS.len() + i].fma(L::splat(power), *sum);
                    power *= p;
                }
            }
            sums
        }
    }
}

impl<P> Coefficients<P> {
    /// What the values at ∞, 0 and the first pair, ±1, add to the M coefficients.
    ///
    /// # Safety
    /// The set of `L` is enabled.
    #[inline(always)]
    pub(super) unsafe fn first_of<L: Lanes, const M: usize>([infinity, zero, plus, minus]: [L; 4]) -> [L; M] {
        // SAFETY: the contract.
        unsafe {
            let parts = [plus.add(minus), plus.sub(minus)];
            let mut sums = [parts[0]; M];
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum = parts[k % 2];
            }
            sums[0] = zero.add(sums[0]);
            sums[M - 1] = infinity.add(sums[M - 1]);
            sums
        }
    }

    /// Adds what the values at pair i add.
    ///
    /// # Safety
    /// The set of `L` is enabled.
    #[inline(always)]
    pub(super) unsafe fn add_pair<L: Lanes, const N: usize, const M: usize>(
        i: usize,
        [plus, minus]: [L; 2],
        sums: &mut [L; M],
    ) where
        P: Points<N>,
    {
        // SAFETY: the contract.
        unsafe {
            let parts = [plus.add(minus), plus.sub(minus)];
            let mut power = 1.0;
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum = parts[k % 2].fma(L::splat(power), *sum);
                power *= P::PAIRS[i];
            }
        }
    }
}
