//! Counter-based random numbers: a value is a function of its key and its index, so any part of a sequence can be drawn
//! by any thread in any order.

/// The 64 random bits that belong to `index` in the stream `stream` of `seed`.
///
/// Two rounds of the SplitMix64 finaliser (Steele, Lea, Flood 2014) over the three words.
#[must_use]
#[inline(always)]
pub const fn bits(seed: u64, stream: u64, index: u64) -> u64 {
    let key = mix(seed ^ mix(stream.wrapping_add(0x9E37_79B9_7F4A_7C15)));
    mix(key.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// A number in 0..1 with 24 random bits, the same for the same arguments.
#[must_use]
#[inline(always)]
pub const fn uniform(seed: u64, stream: u64, index: u64) -> f32 {
    (bits(seed, stream, index) >> 40) as f32 * (1.0 / (1 << 24) as f32)
}

#[inline(always)]
const fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_numbers_have_the_mean_and_variance_of_their_distribution() {
        let n = 100_000;
        let numbers: Vec<f64> = (0..n).map(|index| f64::from(uniform(7, 3, index))).collect();
        let mean = numbers.iter().sum::<f64>() / n as f64;
        let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        // Five standard errors of the mean of n uniform numbers.
        assert!((mean - 0.5).abs() < 5.0 * (1.0 / 12.0 / n as f64).sqrt(), "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < 1e-3, "{variance}");
    }

    #[test]
    fn streams_differ() {
        assert_ne!(bits(1, 0, 0), bits(1, 1, 0));
        assert_ne!(bits(1, 0, 0), bits(2, 0, 0));
        assert_ne!(bits(1, 0, 0), bits(1, 0, 1));
    }
}
