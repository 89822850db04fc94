//! A data set of labelled images.

use std::fmt;
use std::ops::Range;

use super::Batches;
use super::idx::product;
use crate::floats::Shared;
use crate::tensor::Shape;
use crate::{Error, Result, Tensor, pool, threads};

/// Labelled images in memory.
///
/// images [N, C, H, W] with values in 0..1 unless normalised, labels \[N\], each below the number of classes. N may be 0.
///
/// ```
/// use graven::data::ImageDataset;
/// use graven::prelude::*;
///
/// let images = Tensor::new(vec![0.0, 0.5, 1.0, 0.5], [2, 1, 1, 2])?;
/// let labels = Tensor::new(vec![0_i64, 1], [2])?;
/// let dataset = ImageDataset::new(images, labels, &["dark", "bright"])?;
/// assert_eq!(dataset.len(), 2);
/// assert_eq!(dataset.to_string(), "2 images of 1 x 1 x 2 in 2 classes");
/// # Ok::<(), graven::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDataset {
    images: Tensor,
    labels: Tensor<i64>,
    class_names: &'static [&'static str],
}

impl ImageDataset {
    /// A data set of these images [N, C, H, W] and their labels \[N\], which are indices of `class_names`.
    ///
    /// Errors: the images do not have four axes, the labels not one; their numbers differ; a label has no class name.
    pub fn new(images: Tensor, labels: Tensor<i64>, class_names: &'static [&'static str]) -> Result<Self> {
        check_rank("images", images.shape(), "[N, C, H, W]", 4)?;
        check_rank("labels", labels.shape(), "[N]", 1)?;
        if images.shape()[0] != labels.len() {
            return Err(Error::SizeConflict {
                function: NEW.to_owned(),
                symbol: "N".to_owned(),
                first: ("images".to_owned(), images.shape()[0]),
                second: ("labels".to_owned(), labels.len()),
            });
        }
        let classes = class_names.len();
        let names_a_class = |label: i64| usize::try_from(label).is_ok_and(|label| label < classes);
        if let Some(index) = labels.as_slice().iter().position(|&label| !names_a_class(label)) {
            let label = labels.as_slice()[index];
            let (function, argument) = (NEW.to_owned(), "labels".to_owned());
            return Err(Error::LabelOutOfRange { function, argument, index, label, classes });
        }
        Ok(Self { images, labels, class_names })
    }

    /// All images, [N, C, H, W].
    #[must_use]
    pub fn images(&self) -> &Tensor {
        &self.images
    }

    /// All labels, \[N\], indices of [`class_names`](Self::class_names).
    #[must_use]
    pub fn labels(&self) -> &Tensor<i64> {
        &self.labels
    }

    /// What the labels stand for.
    #[must_use]
    pub fn class_names(&self) -> &'static [&'static str] {
        self.class_names
    }

    /// The number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same with `(pixel - mean) / std` in place of every pixel, as torchvision's `Normalize`.
    ///
    /// Errors: `std` is not above 0, or one of the two is not finite.
    ///
    /// ```
    /// use graven::prelude::*;
    ///
    /// let train = Silhouettes::train(10, Seed(0))?.normalized(0.5, 0.5)?;
    /// // The background was 0.
    /// assert_eq!(train.images().get(&[0, 0, 0, 0]), Some(-1.0));
    /// # Ok::<(), graven::Error>(())
    /// ```
    pub fn normalized(mut self, mean: f32, std: f32) -> Result<Self> {
        let owner = "ImageDataset::normalized";
        if !mean.is_finite() {
            let (given, expected) = (mean.to_string(), "a finite number");
            return Err(Error::Setting { owner, setting: "mean", given, expected });
        }
        if !(std.is_finite() && std > 0.0) {
            let (given, expected) = (std.to_string(), "a finite number above 0");
            return Err(Error::Setting { owner, setting: "std", given, expected });
        }
        for pixel in self.images.as_mut_slice() {
            *pixel = (*pixel - mean) / std;
        }
        Ok(self)
    }

    /// Batches of `batch_size` samples in order, the last with the rest: an iterator over (images [B, C, H, W], labels
    /// \[B\]). See [`Batches`] for shuffling, and for a way without allocation.
    ///
    /// A `batch_size` of 0 gives one batch without samples, which every function of a network refuses with
    /// [`Error::EmptyBatch`]: the mistake is reported where the loop has its `?`.
    ///
    /// ```
    /// use graven::prelude::*;
    ///
    /// let train = Silhouettes::train(30, Seed(0))?;
    /// for (images, labels) in train.batches(10).shuffled(Seed(1)) {
    ///     assert_eq!(images.shape(), [10, 1, 28, 28]);
    ///     assert_eq!(labels.shape(), [10]);
    /// }
    /// # Ok::<(), graven::Error>(())
    /// ```
    #[must_use]
    pub fn batches(&self, batch_size: usize) -> Batches<'_> {
        Batches::new(self, batch_size)
    }

    /// Copies the samples at these positions of `order`, or of the data set itself, into the two tensors.
    pub(super) fn gather(
        &self,
        order: Option<&[usize]>,
        positions: Range<usize>,
        images: &mut Tensor,
        labels: &mut Tensor<i64>,
    ) {
        let [_, channels, height, width] = self.images.shape()[..] else { unreachable!("checked by `new`") };
        let n_pixels = channels * height * width;
        images.resize_for(Shape::known(&[positions.len(), channels, height, width]));
        labels.resize_for(Shape::known(&[positions.len()]));
        let n_samples = positions.len();
        let (images, labels) = (Shared::new(images.as_mut_slice()), Shared::new(labels.as_mut_slice()));
        // Images in a random order come from far away: several threads wait at the same time.
        let at_once = (COPIED_AT_ONCE / n_pixels.max(1)).max(1);
        pool::run(threads::get(), n_samples.div_ceil(at_once), &|_, task| {
            let own = task * at_once..((task + 1) * at_once).min(n_samples);
            // SAFETY: each task has samples of its own, and the pool runs each once.
            let (images, labels) =
                unsafe { (images.part_mut(own.start * n_pixels..own.end * n_pixels), labels.part_mut(own.clone())) };
            for (at, label) in labels.iter_mut().enumerate() {
                let position = positions.start + own.start + at;
                let sample = order.map_or(position, |order| order[position]);
                let image = &self.images.as_slice()[sample * n_pixels..][..n_pixels];
                images[at * n_pixels..][..n_pixels].copy_from_slice(image);
                *label = self.labels.as_slice()[sample];
            }
        });
    }
}

/// Pixels that a thread copies before it asks for more.
const COPIED_AT_ONCE: usize = 32 * 1024;

impl fmt::Display for ImageDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = product(&self.images.shape()[1..]);
        write!(f, "{} images of {size} in {} classes", self.len(), self.class_names.len())
    }
}

const NEW: &str = "ImageDataset::new";

fn check_rank(argument: &str, given: &Shape, expected: &str, rank: usize) -> Result<()> {
    if given.rank() == rank {
        return Ok(());
    }
    Err(Error::ShapeMismatch {
        function: NEW.to_owned(),
        argument: argument.to_owned(),
        given: given.to_vec(),
        expected: expected.to_owned(),
        note: format!("{} axes, not {rank}", given.rank()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(images: [usize; 4], labels: &[i64]) -> String {
        let labels = Tensor::new(labels, [labels.len()]).unwrap();
        ImageDataset::new(Tensor::zeros(images).unwrap(), labels, &["a", "b"]).unwrap_err().to_string()
    }

    #[test]
    fn images_and_labels_must_fit_together() {
        let message = error([3, 1, 2, 2], &[0, 1]);
        assert!(message.contains("the size N is 3 in `images` but 2 in `labels`"), "{message}");
        let message = error([2, 1, 2, 2], &[0, 2]);
        assert!(message.contains("`labels` holds the label 2 at index 1, but there are 2 classes"), "{message}");
        let message = error([1, 1, 2, 2], &[-1]);
        assert!(message.contains("the label -1 at index 0"), "{message}");
        let flat = Tensor::zeros([3, 4]).unwrap();
        let message = ImageDataset::new(flat, Tensor::zeros([3]).unwrap(), &["a"]).unwrap_err().to_string();
        assert!(message.contains("`images` [N, C, H, W], but was given [3, 4]"), "{message}");
    }

    #[test]
    fn normalising_asks_for_sensible_numbers() {
        let dataset =
            || ImageDataset::new(Tensor::full([1, 1, 1, 2], 0.75).unwrap(), Tensor::zeros([1]).unwrap(), &["a"]);
        assert_eq!(dataset().unwrap().normalized(0.25, 0.5).unwrap().images().as_slice(), [1.0, 1.0]);
        for (mean, std, name) in
            [(0.0, 0.0, "std"), (0.0, -1.0, "std"), (0.0, f32::NAN, "std"), (f32::NAN, 1.0, "mean")]
        {
            let message = dataset().unwrap().normalized(mean, std).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}
