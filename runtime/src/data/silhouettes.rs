//! A synthetic data set: silhouettes of garments, drawn in memory. What a garment looks like stands in `garments.rs`.

use std::f32::consts::{FRAC_PI_2, TAU};

use graven_kernels::rng;

use super::garments::garment;
use super::outlines::Point;
use super::{FashionMnist, ImageDataset};
use crate::{Result, Seed, Tensor};

/// Synthetic garments: 28 x 28 grey silhouettes in the ten classes of [`FashionMnist`], drawn in memory.
///
/// **Synthetic**: these are outlines with random cuts, positions, sizes, patterns and noise, not photographs. They
/// serve tests, examples and first tries where no data set is at hand; an accuracy on them says nothing about
/// Fashion-MNIST. As there, shirts, coats, pullovers and T-shirts are easily taken for each other.
///
/// Classes take turns (sample `i` is of class `i % 10`), and sample `i` depends on the seed and on `i` alone: a larger
/// set begins with the smaller one. Training and test images of one seed differ.
///
/// ```
/// use graven::prelude::*;
///
/// let train = Silhouettes::train(20, Seed(0))?;
/// assert_eq!(train.images().shape(), [20, 1, 28, 28]);
/// assert_eq!(train.labels().as_slice()[..4], [0, 1, 2, 3]);
/// assert_eq!(train.class_names()[9], "Ankle boot");
/// assert!(train.images().as_slice().iter().all(|pixel| (0.0..=1.0).contains(pixel)));
/// # Ok::<(), graven::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Silhouettes;

const SIDE: usize = 28;

impl Silhouettes {
    /// The number of classes.
    pub const CLASSES: usize = FashionMnist::CLASSES;
    /// What the labels 0..10 stand for.
    pub const CLASS_NAMES: [&'static str; Self::CLASSES] = FashionMnist::CLASS_NAMES;
    /// The channels of an image: it is grey.
    pub const CHANNELS: usize = 1;
    /// The height of an image in pixels.
    pub const HEIGHT: usize = SIDE;
    /// The width of an image in pixels.
    pub const WIDTH: usize = SIDE;

    /// Draws `n` images for training.
    ///
    /// Errors: more images than memory holds.
    pub fn train(n: usize, seed: Seed) -> Result<ImageDataset> {
        draw_set(n, seed, 0)
    }

    /// Draws `n` images for testing, other ones than [`train`](Self::train).
    ///
    /// Errors: more images than memory holds.
    pub fn test(n: usize, seed: Seed) -> Result<ImageDataset> {
        draw_set(n, seed, 1 << 63)
    }
}

/// Sample `i` draws its numbers from the stream `first_stream + i`.
fn draw_set(n: usize, seed: Seed, first_stream: u64) -> Result<ImageDataset> {
    let labels = Tensor::from_fn([n], |sample| (sample % Silhouettes::CLASSES) as i64)?;
    let mut images = Tensor::zeros([n, 1, SIDE, SIDE])?;
    for (sample, image) in images.as_mut_slice().chunks_exact_mut(SIDE * SIDE).enumerate() {
        let mut chance = Chance { seed, stream: first_stream + sample as u64, index: 0 };
        draw(sample % Silhouettes::CLASSES, &mut chance, image);
    }
    ImageDataset::new(images, labels, &FashionMnist::CLASS_NAMES)
}

/// Random numbers of one sample.
pub(super) struct Chance {
    seed: Seed,
    stream: u64,
    index: u64,
}

impl Chance {
    /// A number between the two, every one equally likely.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        self.index += 1;
        low + (high - low) * rng::uniform(self.seed.0, self.stream, self.index)
    }

    pub(super) fn happens(&mut self, probability: f32) -> bool {
        self.between(0.0, 1.0) < probability
    }

    /// A normally distributed number, standard deviation 1 (Box and Muller 1958).
    fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.between(0.0, 1.0)).ln()).sqrt();
        radius * (TAU * self.between(0.0, 1.0)).cos()
    }
}

/// Draws a garment of the class into image [28, 28].
fn draw(class: usize, chance: &mut Chance, image: &mut [f32]) {
    let parts = garment(class, chance);
    let pose = Pose::new(chance);
    let fabric = Fabric::new(chance);
    let noise = chance.between(0.01, 0.08);
    let pixel_width = 2.0 / SIDE as f32;
    for (at, pixel) in image.iter_mut().enumerate() {
        let centre = |index: usize| (index as f32 + 0.5) * pixel_width - 1.0;
        let point = pose.to_garment([centre(at % SIDE), centre(at / SIDE)]);
        let paint = parts.iter().fold(0.0, |below, part| part.paint(below, point, pixel_width));
        if paint > 0.0 {
            let grey = paint * fabric.brightness_at(point) + noise * chance.normal();
            // As in a file of bytes: 256 levels.
            *pixel = (grey.clamp(0.0, 1.0) * 255.0).round() / 255.0;
        }
    }
}

/// Where and how large the garment lies in the picture.
struct Pose {
    centre: Point,
    /// From picture to garment coordinates, after the centre has been subtracted.
    matrix: [[f32; 2]; 2],
}

impl Pose {
    fn new(chance: &mut Chance) -> Self {
        let centre = [chance.between(-0.1, 0.1), chance.between(-0.08, 0.08)];
        let (sin, cos) = chance.between(-0.12, 0.12).sin_cos();
        let shear = chance.between(-0.12, 0.12);
        let scale = [1.0 / chance.between(0.82, 1.06), 1.0 / chance.between(0.82, 1.06)];
        let matrix = [[scale[0] * cos, scale[0] * (sin + shear)], [-scale[1] * sin, scale[1] * cos]];
        Pose { centre, matrix }
    }

    fn to_garment(&self, point: Point) -> Point {
        let [x, y] = [point[0] - self.centre[0], point[1] - self.centre[1]];
        self.matrix.map(|row| row[0] * x + row[1] * y)
    }
}

/// How bright the cloth is, with stripes and a shadow to one side.
struct Fabric {
    brightness: f32,
    stripes: f32,
    /// Stripes per unit, and their phase.
    wave: [f32; 3],
    shadow: Point,
}

impl Fabric {
    fn new(chance: &mut Chance) -> Self {
        let stripes = if chance.happens(0.3) { chance.between(0.1, 0.35) } else { 0.0 };
        let direction = if chance.happens(0.6) { FRAC_PI_2 } else { chance.between(0.0, FRAC_PI_2) };
        let (sin, cos) = direction.sin_cos();
        let frequency = chance.between(8.0, 22.0);
        Fabric {
            brightness: chance.between(0.35, 1.0),
            stripes,
            wave: [frequency * cos, frequency * sin, chance.between(0.0, TAU)],
            shadow: [chance.between(-0.2, 0.2), chance.between(-0.2, 0.2)],
        }
    }

    fn brightness_at(&self, [x, y]: Point) -> f32 {
        let stripes = 1.0 - self.stripes * (0.5 + 0.5 * (self.wave[0] * x + self.wave[1] * y + self.wave[2]).sin());
        let shadow = 1.0 + self.shadow[0] * x + self.shadow[1] * y;
        self.brightness * stripes * shadow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_set_begins_with_the_smaller_one() {
        let small = Silhouettes::train(12, Seed(5)).unwrap();
        let large = Silhouettes::train(30, Seed(5)).unwrap();
        assert_eq!(small.images().as_slice(), &large.images().as_slice()[..12 * SIDE * SIDE]);
        assert_eq!(small.labels().as_slice(), &large.labels().as_slice()[..12]);
    }

    #[test]
    fn seeds_and_the_two_parts_differ() {
        let images = [
            Silhouettes::train(10, Seed(0)).unwrap(),
            Silhouettes::train(10, Seed(1)).unwrap(),
            Silhouettes::test(10, Seed(0)).unwrap(),
        ];
        for class in 0..10 {
            let [a, b, c] = images.each_ref().map(|set| &set.images().as_slice()[class * 784..][..784]);
            assert!(a != b && a != c && b != c, "class {class}");
        }
    }

    #[test]
    fn garments_fill_a_good_part_of_the_picture_and_are_grey_levels_of_a_byte() {
        let set = Silhouettes::train(500, Seed(2)).unwrap();
        for (sample, image) in set.images().as_slice().chunks_exact(SIDE * SIDE).enumerate() {
            let n_painted = image.iter().filter(|&&pixel| pixel > 0.1).count();
            assert!((40..600).contains(&n_painted), "sample {sample} paints {n_painted} pixels");
            for &pixel in image {
                let level = pixel * 255.0;
                assert!((0.0..=1.0).contains(&pixel) && (level - level.round()).abs() < 1e-3, "{pixel}");
            }
        }
    }

    #[test]
    fn no_image_is_an_empty_set() {
        assert!(Silhouettes::train(0, Seed(0)).unwrap().is_empty());
    }

    /// The classes can be told apart, but not by the crudest means: the nearest mean image.
    #[test]
    fn the_nearest_mean_is_right_often_but_not_always() {
        let train = Silhouettes::train(1000, Seed(0)).unwrap();
        let test = Silhouettes::test(500, Seed(0)).unwrap();
        let mut means = vec![[0.0; SIDE * SIDE]; 10];
        for (sample, image) in train.images().as_slice().chunks_exact(SIDE * SIDE).enumerate() {
            means[sample % 10].iter_mut().zip(image).for_each(|(mean, pixel)| *mean += pixel / 100.0);
        }
        let distance =
            |mean: &[f32], image: &[f32]| -> f32 { mean.iter().zip(image).map(|(m, p)| (m - p).powi(2)).sum() };
        let n_right = test.images().as_slice().chunks_exact(SIDE * SIDE).enumerate().filter(|&(sample, image)| {
            let nearest = (0..10).min_by(|&a, &b| distance(&means[a], image).total_cmp(&distance(&means[b], image)));
            nearest == Some(sample % 10)
        });
        let accuracy = n_right.count() as f32 / 500.0;
        assert!((0.4..0.85).contains(&accuracy), "{accuracy}");
    }
}
