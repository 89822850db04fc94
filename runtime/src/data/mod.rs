//! Data sets of labelled images, and batches of them.
//!
//! [`FashionMnist`] and [`Mnist`] read the files of the data sets from a folder; [`Silhouettes`] draws a synthetic
//! relative of Fashion-MNIST in memory, for tests and first tries. All give an [`ImageDataset`], whose
//! [`batches`](ImageDataset::batches) a training loop walks through:
//!
//! ```
//! use graven::prelude::*;
//!
//! let train = Silhouettes::train(250, Seed(0))?;
//! let mut n_samples = 0;
//! for epoch in 0..2 {
//!     for (images, labels) in train.batches(100).shuffled(Seed(epoch)) {
//!         assert_eq!(images.shape()[1..], [1, 28, 28]);
//!         assert_eq!(images.shape()[0], labels.len());
//!         n_samples += labels.len();
//!     }
//! }
//! assert_eq!(n_samples, 2 * 250);
//! # Ok::<(), graven::Error>(())
//! ```

mod batches;
mod dataset;
mod garments;
mod idx;
mod mnist;
mod outlines;
mod silhouettes;

pub use batches::Batches;
pub use dataset::ImageDataset;
pub use idx::{Idx, read_idx};
pub use mnist::{FashionMnist, Mnist};
pub use silhouettes::Silhouettes;

#[cfg(test)]
mod testing;
