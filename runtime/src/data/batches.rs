//! Batches of a data set, in order or shuffled.

use std::iter::FusedIterator;
use std::ops::Range;

use graven_kernels::rng;

use super::ImageDataset;
use crate::{Seed, Tensor};

/// Batches of an [`ImageDataset`]: an iterator over (images [B, C, H, W], labels \[B\]).
///
/// Made by [`ImageDataset::batches`]. Without [`shuffled`](Self::shuffled) the samples come in the order of the data
/// set; the last batch holds the rest unless [`drop_last`](Self::drop_last) leaves it out.
///
/// The iterator makes new tensors for every batch; [`next_into`](Self::next_into) fills given ones and allocates
/// nothing once they have held a batch.
///
/// ```
/// use graven::prelude::*;
///
/// let train = Silhouettes::train(250, Seed(0))?;
/// let sizes: Vec<usize> = train.batches(100).map(|(_, labels)| labels.len()).collect();
/// assert_eq!(sizes, [100, 100, 50]);
/// assert_eq!(train.batches(100).drop_last().len(), 2);
/// # Ok::<(), graven::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    dataset: &'a ImageDataset,
    batch_size: usize,
    /// The samples in the order in which they come, if that is not the data set's own.
    order: Option<Vec<usize>>,
    /// How many of the samples take part: all, or all but the last that make no full batch.
    n_samples: usize,
    position: usize,
}

/// The stream of [`rng::bits`] that shuffles.
const SHUFFLE: u64 = 0x7368_7566_666c_6500;

impl<'a> Batches<'a> {
    pub(super) fn new(dataset: &'a ImageDataset, batch_size: usize) -> Self {
        Batches { dataset, batch_size, order: None, n_samples: dataset.len(), position: 0 }
    }

    /// Puts the samples in a random order, every order equally likely; the same seed gives the same order.
    ///
    /// ```
    /// use graven::prelude::*;
    ///
    /// let train = Silhouettes::train(100, Seed(0))?;
    /// let labels = |seed| train.batches(100).shuffled(Seed(seed)).next().unwrap().1;
    /// assert_eq!(labels(1), labels(1));
    /// assert_ne!(labels(1), labels(2));
    /// # Ok::<(), graven::Error>(())
    /// ```
    #[must_use]
    pub fn shuffled(mut self, seed: Seed) -> Self {
        self.restart(seed);
        self
    }

    /// Leaves out the last batch if it is smaller than the others, as PyTorch's `drop_last`.
    #[must_use]
    pub fn drop_last(mut self) -> Self {
        self.n_samples -= self.n_samples.checked_rem(self.batch_size).unwrap_or(0);
        self
    }

    /// Begins anew in the random order that belongs to `seed`, without allocating after the first call.
    ///
    /// The order is the one of [`shuffled`](Self::shuffled) with this seed, whatever came before.
    pub fn restart(&mut self, seed: Seed) {
        self.position = 0;
        let order = self.order.get_or_insert_with(|| Vec::with_capacity(self.dataset.len()));
        order.clear();
        order.extend(0..self.dataset.len());
        shuffle(order, seed);
    }

    /// Writes the next batch into `images` and `labels`, whatever their shapes were, and says whether there was one.
    ///
    /// After the last batch both stay as they are.
    ///
    /// ```
    /// use graven::prelude::*;
    ///
    /// let train = Silhouettes::train(250, Seed(0))?;
    /// let (mut images, mut labels) = (Tensor::empty(), Tensor::empty());
    /// let mut batches = train.batches(100).shuffled(Seed(0));
    /// let mut n_samples = 0;
    /// while batches.next_into(&mut images, &mut labels) {
    ///     n_samples += labels.len();
    /// }
    /// assert_eq!(n_samples, 250);
    /// assert_eq!(images.shape(), [50, 1, 28, 28]);
    /// # Ok::<(), graven::Error>(())
    /// ```
    pub fn next_into(&mut self, images: &mut Tensor, labels: &mut Tensor<i64>) -> bool {
        let Some(samples) = self.next_range() else { return false };
        self.dataset.gather(self.order.as_deref(), samples, images, labels);
        true
    }

    /// The positions of the next batch, in the order in which samples come.
    fn next_range(&mut self) -> Option<Range<usize>> {
        if self.len() == 0 {
            return None;
        }
        let start = self.position;
        if self.batch_size == 0 {
            // The one empty batch of `ImageDataset::batches(0)`.
            self.position = self.n_samples;
            return Some(start..start);
        }
        self.position = start.saturating_add(self.batch_size).min(self.n_samples);
        Some(start..self.position)
    }
}

impl Iterator for Batches<'_> {
    type Item = (Tensor, Tensor<i64>);

    fn next(&mut self) -> Option<Self::Item> {
        let (mut images, mut labels) = (Tensor::empty(), Tensor::empty());
        self.next_into(&mut images, &mut labels).then_some((images, labels))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let n_left = self.n_samples - self.position;
        let n_batches = if self.batch_size == 0 { n_left.min(1) } else { n_left.div_ceil(self.batch_size) };
        (n_batches, Some(n_batches))
    }
}

impl ExactSizeIterator for Batches<'_> {}
impl FusedIterator for Batches<'_> {}

/// Fisher-Yates, from the end.
fn shuffle(order: &mut [usize], seed: Seed) {
    for last in (1..order.len()).rev() {
        let bits = rng::bits(seed.0, SHUFFLE, last as u64);
        // The high word of the product is in 0..=last; it is uneven by less than (last + 1) / 2^64.
        let other = (u128::from(bits) * (last as u128 + 1)) >> 64;
        order.swap(last, other as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` images of 1 x 1 x 2 pixels: image `i` holds `i` twice and has the label `i`.
    fn dataset(n: usize) -> ImageDataset {
        const NAMES: [&str; 64] = [""; 64];
        let pixels: Vec<f32> = (0..2 * n).map(|at| (at / 2) as f32).collect();
        let labels: Vec<i64> = (0..n as i64).collect();
        ImageDataset::new(Tensor::new(pixels, [n, 1, 1, 2]).unwrap(), Tensor::new(labels, [n]).unwrap(), &NAMES)
            .unwrap()
    }

    /// The labels of all batches; every image must be the one of its label.
    fn labels<'a>(batches: impl Iterator<Item = (Tensor, Tensor<i64>)> + 'a) -> Vec<Vec<i64>> {
        batches
            .map(|(images, labels)| {
                assert_eq!(images.shape(), [labels.len(), 1, 1, 2]);
                let pixels: Vec<f32> = labels.as_slice().iter().flat_map(|&label| [label as f32; 2]).collect();
                assert_eq!(images.as_slice(), pixels);
                labels.as_slice().to_vec()
            })
            .collect()
    }

    #[test]
    fn batches_come_in_order_and_the_last_holds_the_rest() {
        let dataset = dataset(7);
        assert_eq!(labels(dataset.batches(3)), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
        assert_eq!(labels(dataset.batches(3).drop_last()), [vec![0, 1, 2], vec![3, 4, 5]]);
        assert_eq!(labels(dataset.batches(7).drop_last()), [vec![0, 1, 2, 3, 4, 5, 6]]);
        assert_eq!(labels(dataset.batches(usize::MAX)), [vec![0, 1, 2, 3, 4, 5, 6]]);
        assert_eq!(dataset.batches(8).drop_last().len(), 0);
        assert_eq!(dataset.batches(3).len(), 3);
    }

    #[test]
    fn a_batch_that_several_threads_copy_holds_its_images() {
        // 33 of these images are what a thread copies at once.
        let pixels = Tensor::from_fn([90, 1, 31, 32], |index| index as f32).unwrap();
        let labels = Tensor::new((0..90).collect::<Vec<i64>>(), [90]).unwrap();
        let dataset = ImageDataset::new(pixels.clone(), labels, &[""; 90]).unwrap();
        let mut batches = dataset.batches(80).shuffled(Seed(0));
        let mut seen = Vec::new();
        for n in [80, 10] {
            let (images, labels) = batches.next().unwrap();
            assert_eq!(images.shape(), [n, 1, 31, 32]);
            seen.extend_from_slice(labels.as_slice());
            for (image, &label) in images.as_slice().chunks_exact(31 * 32).zip(labels.as_slice()) {
                assert_eq!(image, &pixels.as_slice()[label as usize * 31 * 32..][..31 * 32], "image {label}");
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..90).collect::<Vec<i64>>());
    }

    #[test]
    fn shuffling_is_a_permutation_that_the_seed_decides() {
        let dataset = dataset(50);
        let shuffled = |seed| labels(dataset.batches(8).shuffled(Seed(seed))).concat();
        let first = shuffled(0);
        assert_eq!(first, shuffled(0));
        assert_ne!(first, shuffled(1));
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<i64>>());
        assert_ne!(first, sorted);
    }

    #[test]
    fn all_orders_are_equally_likely() {
        let mut counts = [[0_u32; 4]; 4];
        for seed in 0..4000 {
            let mut order = [0, 1, 2, 3];
            shuffle(&mut order, Seed(seed));
            for (at, sample) in order.into_iter().enumerate() {
                counts[at][sample] += 1;
            }
        }
        // Expected 1000 each, standard deviation sqrt(4000 * 1/4 * 3/4) = 27; 5 of them.
        assert!(counts.as_flattened().iter().all(|count| count.abs_diff(1000) < 137), "{counts:?}");
    }

    #[test]
    fn restarting_gives_the_order_of_its_seed_whatever_came_before() {
        let dataset = dataset(20);
        let mut batches = dataset.batches(6).shuffled(Seed(3)).drop_last();
        batches.next();
        batches.restart(Seed(8));
        assert_eq!(labels(&mut batches), labels(dataset.batches(6).shuffled(Seed(8)).drop_last()));
        assert!(batches.next().is_none());
    }

    #[test]
    fn next_into_reuses_the_tensors() {
        let dataset = dataset(5);
        let (mut images, mut labels) = (Tensor::empty(), Tensor::empty());
        let mut batches = dataset.batches(3);
        assert!(batches.next_into(&mut images, &mut labels));
        let address = images.as_slice().as_ptr();
        assert!(batches.next_into(&mut images, &mut labels));
        assert_eq!(images.shape(), [2, 1, 1, 2]);
        assert_eq!(images.as_slice(), [3.0, 3.0, 4.0, 4.0]);
        assert_eq!(labels.as_slice(), [3, 4]);
        assert_eq!(images.as_slice().as_ptr(), address);
        assert!(!batches.next_into(&mut images, &mut labels));
        assert_eq!(labels.as_slice(), [3, 4]);
    }

    #[test]
    fn batch_size_zero_gives_one_empty_batch() {
        let dataset = dataset(5);
        for batches in [dataset.batches(0), dataset.batches(0).drop_last(), dataset.batches(0).shuffled(Seed(0))] {
            assert_eq!(batches.len(), 1);
            assert_eq!(labels(batches), [vec![0_i64; 0]]);
        }
    }
}
