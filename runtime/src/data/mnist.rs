//! MNIST and Fashion-MNIST: two data sets of one shape, in files of the same names.

use std::path::{Path, PathBuf};

use super::idx::product;
use super::{ImageDataset, read_idx};
use crate::{Error, Result, Tensor};

/// Fashion-MNIST: 28 x 28 grey images of garments in ten classes, 60,000 for training and 10,000 for testing.
///
/// Source: Xiao, Rasul, Vollgraf 2017, <https://github.com/zalandoresearch/fashion-mnist>.
///
/// ```
/// use graven::prelude::*;
///
/// assert_eq!(FashionMnist::CLASS_NAMES[9], "Ankle boot");
/// let error = FashionMnist::train("no/such/folder").unwrap_err();
/// assert!(error.to_string().contains("no/such/folder"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct FashionMnist;

/// MNIST: 28 x 28 grey images of handwritten digits, 60,000 for training and 10,000 for testing.
///
/// Source: LeCun, Cortes, Burges, <http://yann.lecun.com/exdb/mnist/>.
///
/// ```
/// use graven::prelude::*;
///
/// assert_eq!(Mnist::CLASS_NAMES[7], "7");
/// let error = Mnist::test("no/such/folder").unwrap_err();
/// assert!(error.to_string().contains("no/such/folder"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Mnist;

impl FashionMnist {
    /// The number of classes.
    pub const CLASSES: usize = 10;
    /// What the labels 0..10 stand for.
    pub const CLASS_NAMES: [&'static str; Self::CLASSES] =
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
    /// The channels of an image: it is grey.
    pub const CHANNELS: usize = 1;
    /// The height of an image in pixels.
    pub const HEIGHT: usize = 28;
    /// The width of an image in pixels.
    pub const WIDTH: usize = 28;

    /// Reads the training images and their labels, all that the files hold, from a folder.
    ///
    /// The files are `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, with or without `.gz`, in `folder`, in
    /// `folder/fashion-mnist` or in `folder/FashionMNIST/raw`, where torchvision puts them.
    ///
    /// Errors: a file is missing or damaged (see [`read_idx`]); the images are not 28 x 28; there is no image; images
    /// and labels differ in number; a label is not below 10.
    pub fn train(folder: impl AsRef<Path>) -> Result<ImageDataset> {
        FASHION_MNIST.read(folder.as_ref(), "train")
    }

    /// Reads the test images and their labels, from `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`: see
    /// [`train`](Self::train).
    pub fn test(folder: impl AsRef<Path>) -> Result<ImageDataset> {
        FASHION_MNIST.read(folder.as_ref(), "t10k")
    }

    /// Whether at least one of the files is there, sound or not, for programs that choose between sources.
    #[must_use]
    pub fn is_in(folder: impl AsRef<Path>) -> bool {
        FASHION_MNIST.is_in(folder.as_ref())
    }
}

impl Mnist {
    /// The number of classes.
    pub const CLASSES: usize = 10;
    /// What the labels 0..10 stand for.
    pub const CLASS_NAMES: [&'static str; Self::CLASSES] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    /// The channels of an image: it is grey.
    pub const CHANNELS: usize = 1;
    /// The height of an image in pixels.
    pub const HEIGHT: usize = 28;
    /// The width of an image in pixels.
    pub const WIDTH: usize = 28;

    /// Reads the training images and their labels, all that the files hold, from a folder.
    ///
    /// The files are `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, with or without `.gz`, in `folder`, in
    /// `folder/mnist` or in `folder/MNIST/raw`, where torchvision puts them.
    ///
    /// Errors: as [`FashionMnist::train`].
    pub fn train(folder: impl AsRef<Path>) -> Result<ImageDataset> {
        MNIST.read(folder.as_ref(), "train")
    }

    /// Reads the test images and their labels, from `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`: see
    /// [`train`](Self::train).
    pub fn test(folder: impl AsRef<Path>) -> Result<ImageDataset> {
        MNIST.read(folder.as_ref(), "t10k")
    }

    /// Whether at least one of the files is there, sound or not, for programs that choose between sources.
    #[must_use]
    pub fn is_in(folder: impl AsRef<Path>) -> bool {
        MNIST.is_in(folder.as_ref())
    }
}

/// Where the files of a data set are looked for, and what must stand in them.
struct Files {
    name: &'static str,
    /// Below the folder that the user names, in this order.
    subfolders: [&'static str; 3],
    classes: &'static [&'static str],
    height: usize,
    width: usize,
}

const FASHION_MNIST: Files = Files {
    name: "Fashion-MNIST",
    subfolders: ["", "fashion-mnist", "FashionMNIST/raw"],
    classes: &FashionMnist::CLASS_NAMES,
    height: FashionMnist::HEIGHT,
    width: FashionMnist::WIDTH,
};

const MNIST: Files = Files {
    name: "MNIST",
    subfolders: ["", "mnist", "MNIST/raw"],
    classes: &Mnist::CLASS_NAMES,
    height: Mnist::HEIGHT,
    width: Mnist::WIDTH,
};

impl Files {
    fn read(&self, folder: &Path, part: &str) -> Result<ImageDataset> {
        let images_name = format!("{part}-images-idx3-ubyte");
        let labels_name = format!("{part}-labels-idx1-ubyte");
        let folders = self.folders(folder);
        let images_path = self.find(&folders, &images_name)?;
        // Both files share their names with other data sets, so the labels must stand beside the images.
        let beside = images_path.parent().unwrap_or(folder).to_owned();
        let labels_path = self.find(&[beside], &labels_name)?;

        let images = self.read_images(&images_path)?;
        let labels = read_labels(&labels_path)?;
        if labels.len() != images.shape()[0] {
            let found =
                format!("{} labels, but {} holds {} images", labels.len(), images_path.display(), images.shape()[0]);
            return Err(Error::format(&labels_path, found, "fetch both files again"));
        }
        if let Some((index, label)) =
            labels.iter().enumerate().find(|&(_, &label)| usize::from(label) >= self.classes.len())
        {
            let found = format!("label {label} at index {index}, but {} has {} classes", self.name, self.classes.len());
            return Err(Error::format(&labels_path, found, "fetch the file again"));
        }
        let labels: Vec<i64> = labels.into_iter().map(i64::from).collect();
        let n_labels = labels.len();
        ImageDataset::new(images, Tensor::new(labels, [n_labels])?, self.classes)
    }

    fn is_in(&self, folder: &Path) -> bool {
        let files =
            ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
        files.into_iter().any(|file| self.find(&self.folders(folder), file).is_ok())
    }

    /// Where files are looked for, in this order.
    fn folders(&self, folder: &Path) -> Vec<PathBuf> {
        // Joining the empty subfolder would add a slash to the messages.
        let join = |subfolder: &str| if subfolder.is_empty() { folder.to_owned() } else { folder.join(subfolder) };
        self.subfolders.into_iter().map(join).collect()
    }

    /// The first that exists of all folders' `file` and `file.gz`.
    fn find(&self, folders: &[PathBuf], file: &str) -> Result<PathBuf> {
        let candidates = || folders.iter().flat_map(|folder| [folder.join(file), folder.join(format!("{file}.gz"))]);
        candidates().find(|path| path.is_file()).ok_or_else(|| {
            let looked_for: Vec<String> = candidates().map(|path| path.display().to_string()).collect();
            let found = format!("no `{file}` of {}: looked for {}", self.name, looked_for.join(", "));
            Error::format(&folders[0], found, "name the folder that holds the files of the data set")
        })
    }

    /// The images as [N, 1, height, width] with values in 0..1, as torchvision's `ToTensor`.
    fn read_images(&self, path: &Path) -> Result<Tensor> {
        let idx = read_idx(path)?;
        let &[n_images, height, width] = &idx.dims[..] else {
            let found = format!("{} axes ({}), images have 3", idx.dims.len(), product(&idx.dims));
            return Err(Error::format(path, found, "are images and labels exchanged?"));
        };
        if [height, width] != [self.height, self.width] {
            let found =
                format!("images of {height} x {width} pixels, {} has {} x {}", self.name, self.height, self.width);
            return Err(Error::format(path, found, "is this a file of another data set?"));
        }
        if n_images == 0 {
            return Err(Error::format(path, "no images", "fetch the file again"));
        }
        let pixels: Vec<f32> = idx.data.into_iter().map(|pixel| f32::from(pixel) / 255.0).collect();
        Tensor::new(pixels, [n_images, 1, height, width])
    }
}

fn read_labels(path: &Path) -> Result<Vec<u8>> {
    let idx = read_idx(path)?;
    if idx.dims.len() != 1 {
        let found = format!("{} axes ({}), labels have 1", idx.dims.len(), product(&idx.dims));
        return Err(Error::format(path, found, "are images and labels exchanged?"));
    }
    Ok(idx.data)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{gzip, idx, real_data};
    use super::*;
    use std::fs;

    /// A folder with three training images, whose first pixels are 0, 51, 102, and their labels.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut pixels = vec![0; 3 * 784];
        pixels[784] = 51;
        pixels[2 * 784] = 102;
        fs::write(folder.path().join("train-images-idx3-ubyte"), idx(&[3, 28, 28], &pixels)).unwrap();
        fs::write(folder.path().join("train-labels-idx1-ubyte.gz"), gzip(&idx(&[3], &[9, 0, 4]))).unwrap();
        folder
    }

    fn error_after(change: impl FnOnce(&Path)) -> String {
        let folder = folder();
        change(folder.path());
        FashionMnist::train(folder.path()).unwrap_err().to_string()
    }

    #[test]
    fn images_are_scaled_to_one_and_keep_their_labels() {
        let folder = folder();
        let train = FashionMnist::train(folder.path()).unwrap();
        assert_eq!(train.images().shape(), [3, 1, 28, 28]);
        assert_eq!(train.labels().as_slice(), [9, 0, 4]);
        assert_eq!(train.class_names()[9], "Ankle boot");
        let first_pixels: Vec<f32> = train.images().as_slice().chunks(784).map(|image| image[0]).collect();
        assert_eq!(first_pixels, [0.0, 0.2, 0.4]);
    }

    #[test]
    fn files_are_found_in_the_subfolders_of_their_data_set_only() {
        let files = folder();
        let root = tempfile::tempdir().unwrap();
        let raw = root.path().join("FashionMNIST/raw");
        fs::create_dir_all(&raw).unwrap();
        for file in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"] {
            fs::copy(files.path().join(file), raw.join(file)).unwrap();
        }
        assert_eq!(FashionMnist::train(root.path()).unwrap().len(), 3);
        assert!(Mnist::train(root.path()).is_err());
        assert!(FashionMnist::is_in(root.path()) && !Mnist::is_in(root.path()));
    }

    #[test]
    fn a_missing_file_is_answered_with_all_that_was_looked_for() {
        let folder = folder();
        let message = Mnist::test(folder.path()).unwrap_err().to_string();
        for name in
            ["t10k-images-idx3-ubyte,", "t10k-images-idx3-ubyte.gz", "mnist/t10k-images", "MNIST/raw/t10k-images"]
        {
            assert!(message.contains(name), "no {name} in: {message}");
        }
        let message = error_after(|folder| fs::remove_file(folder.join("train-labels-idx1-ubyte.gz")).unwrap());
        assert!(message.contains("no `train-labels-idx1-ubyte` of Fashion-MNIST"), "{message}");
    }

    #[test]
    fn files_that_do_not_fit_are_named() {
        let images = "train-images-idx3-ubyte";
        let labels = "train-labels-idx1-ubyte";
        let cases = [
            (images, idx(&[3, 32, 32], &[0; 3 * 1024]), ": images of 32 x 32 pixels, Fashion-MNIST has 28 x 28"),
            (images, idx(&[3], &[1, 2, 3]), ": 1 axes (3), images have 3"),
            (images, idx(&[0, 28, 28], &[]), ": no images"),
            (labels, idx(&[2], &[1, 2]), ": 2 labels, but"),
            (labels, idx(&[3], &[1, 10, 2]), ": label 10 at index 1, but Fashion-MNIST has 10 classes"),
            (labels, idx(&[3, 1, 1], &[1, 2, 3]), ": 3 axes (3 x 1 x 1), labels have 1"),
        ];
        for (file, bytes, expected) in cases {
            let message = error_after(|folder| fs::write(folder.join(file), bytes).unwrap());
            assert!(message.contains(file) && message.contains(expected), "{message}");
        }
    }

    #[test]
    fn the_real_fashion_mnist_reads() {
        let Some(folder) = real_data("fashion-mnist") else { return };
        for dataset in [FashionMnist::train(&folder).unwrap(), FashionMnist::test(&folder).unwrap()] {
            check_real(&dataset);
        }
        // The first labels of the published training set.
        assert_eq!(FashionMnist::train(&folder).unwrap().labels().as_slice()[..5], [9, 0, 0, 3, 0]);
    }

    #[test]
    fn the_real_mnist_reads() {
        let Some(folder) = real_data("mnist") else { return };
        let test = Mnist::test(&folder).unwrap();
        check_real(&test);
        // The first labels of the published test set.
        assert_eq!(test.labels().as_slice()[..5], [7, 2, 1, 0, 4]);
    }

    fn check_real(dataset: &ImageDataset) {
        assert_eq!(dataset.images().shape(), [dataset.len(), 1, 28, 28]);
        let mut counts = [0; 10];
        for &label in dataset.labels().as_slice() {
            counts[usize::try_from(label).unwrap()] += 1;
        }
        assert!(counts.iter().all(|&count| count > dataset.len() / 20), "{counts:?}");
        let pixels = dataset.images().as_slice();
        assert!(pixels.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
        assert!(pixels.contains(&1.0) && pixels.contains(&0.0));
    }
}
