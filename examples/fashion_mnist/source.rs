//! Where the images come from.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use graven::data::ImageDataset;
use graven::prelude::*;

use crate::options::{Dataset, Options};

/// The folder that is tried where none is named.
const DEFAULT_FOLDER: &str = "data";
const SYNTHETIC_TRAIN: usize = 10_000;
const SYNTHETIC_TEST: usize = 2_000;
/// The synthetic set is always the same one, whatever the seed of the training.
const SYNTHETIC_SEED: Seed = Seed(0);

/// Where the images come from.
#[derive(Debug)]
pub(crate) enum Source {
    Files(Dataset, PathBuf),
    Synthetic,
}

impl Source {
    /// What the ten classes of a data set are called.
    pub(crate) fn class_names(dataset: Dataset) -> [&'static str; 10] {
        match dataset {
            Dataset::Fashion => FashionMnist::CLASS_NAMES,
            Dataset::Mnist => Mnist::CLASS_NAMES,
        }
    }

    /// The data set, without its place.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Source::Files(Dataset::Fashion, _) => "Fashion-MNIST",
            Source::Files(Dataset::Mnist, _) => "MNIST",
            Source::Synthetic => "synthetic silhouettes",
        }
    }

    /// The source that the options name, else the one that is there. Says so on `out` if it is synthetic.
    pub(crate) fn choose(options: &Options, out: &mut impl Write) -> anyhow::Result<Source> {
        let dataset = options.dataset;
        // A folder that the user names is read or refused, never replaced by the synthetic set.
        if let Some(folder) = &options.data {
            return Ok(Source::Files(dataset, folder.clone()));
        }
        let folder = Path::new(DEFAULT_FOLDER);
        let (name, found) = match dataset {
            Dataset::Fashion => ("Fashion-MNIST", FashionMnist::is_in(folder)),
            Dataset::Mnist => ("MNIST", Mnist::is_in(folder)),
        };
        if found {
            return Ok(Source::Files(dataset, folder.to_owned()));
        }
        if dataset == Dataset::Mnist {
            anyhow::bail!(
                "no files of MNIST in {DEFAULT_FOLDER}/ or {DEFAULT_FOLDER}/mnist/, and there are no synthetic digits\n\
                 help: name their folder with --data"
            );
        }
        writeln!(
            out,
            "no files of {name} in {DEFAULT_FOLDER}/ or {DEFAULT_FOLDER}/fashion-mnist/: drawing SYNTHETIC silhouettes \
             instead, whose accuracy says nothing about {name}; name a folder with --data"
        )?;
        Ok(Source::Synthetic)
    }

    /// The images to train with.
    pub(crate) fn train(&self) -> graven::Result<ImageDataset> {
        match self {
            Source::Files(Dataset::Fashion, folder) => FashionMnist::train(folder),
            Source::Files(Dataset::Mnist, folder) => Mnist::train(folder),
            Source::Synthetic => Silhouettes::train(SYNTHETIC_TRAIN, SYNTHETIC_SEED),
        }
    }

    /// The images to measure with, which no training has seen.
    pub(crate) fn test(&self) -> graven::Result<ImageDataset> {
        match self {
            Source::Files(Dataset::Fashion, folder) => FashionMnist::test(folder),
            Source::Files(Dataset::Mnist, folder) => Mnist::test(folder),
            Source::Synthetic => Silhouettes::test(SYNTHETIC_TEST, SYNTHETIC_SEED),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Files(_, folder) => write!(f, "{} in {}", self.name(), folder.display()),
            Source::Synthetic => f.write_str(self.name()),
        }
    }
}
