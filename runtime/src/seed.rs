//! Where random numbers start.

/// Where random numbers start. The same seed gives the same numbers on every machine and for any number of threads.
///
/// ```
/// use graven::Seed;
///
/// for epoch in 0..3 {
///     let shuffle = Seed(epoch);
/// #   assert_eq!(shuffle.0, epoch);
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Seed(pub u64);

impl From<u64> for Seed {
    fn from(seed: u64) -> Self {
        Self(seed)
    }
}
