//! A picture from a file, made to look like the images of the data set: 28 x 28, grey, bright on black.

use std::path::Path;

use graven::prelude::*;
use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageReader, Rgba, RgbaImage};

use crate::options::Dataset;

const SIDE: u32 = 28;

/// How much a pixel must differ from the background to belong to the thing: more than the noise of a JPEG file.
const THRESHOLD: u8 = 24;

pub(crate) struct Picture {
    /// [1, 1, 28, 28], values in 0..1
    pub(crate) tensor: Tensor,
    /// What was done to the picture.
    pub(crate) description: String,
}

/// Reads a PNG or JPEG file. Transparent parts become white, colours grey, the background black, and a bright one is
/// inverted for that. A picture of 28 x 28 keeps its place; of any other, the background around the thing is cut off and
/// the rest is fitted into the box that the makers of the data set used.
///
/// Source: Xiao, Rasul, Vollgraf 2017, section 2, for Fashion-MNIST; <http://yann.lecun.com/exdb/mnist/> for MNIST.
pub(crate) fn read(path: &Path, dataset: Dataset) -> anyhow::Result<Picture> {
    let cannot_read = |cause: &dyn std::fmt::Display| {
        anyhow::anyhow!("cannot read the picture {}: {cause}\nhelp: it should be a PNG or JPEG file", path.display())
    };
    let reader =
        ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(|cause| cannot_read(&cause))?;
    let picture = reader.decode().map_err(|cause| cannot_read(&cause))?;
    let (width, height) = (picture.width(), picture.height());

    let mut grey = to_grey(picture);
    let background = border_median(&grey);
    let bright = background > 127;
    // Pictures of the data set itself come through unchanged, also the few that touch most of the border.
    let is_original = [width, height] == [SIDE; 2] && !bright;
    if !is_original {
        blacken(&mut grey, background);
    }
    let Some(thing) = trimmed(&grey) else {
        anyhow::bail!("{}: nothing stands out from the background of this picture", path.display())
    };
    if [width, height] != [SIDE; 2] {
        let longest = match dataset {
            Dataset::Fashion => SIDE,
            Dataset::Mnist => 20,
        };
        grey = fit(&thing, longest);
    }
    let inversion = if bright { "; inverted, as its background is bright" } else { "" };
    let description =
        format!("{}: {width} x {height} pixels, taken as grey {SIDE} x {SIDE}{inversion}", path.display());
    let pixels: Vec<f32> = grey.into_raw().into_iter().map(|pixel| f32::from(pixel) / 255.0).collect();
    let tensor = Tensor::new(pixels, [1, 1, SIDE as usize, SIDE as usize])?;
    Ok(Picture { tensor, description })
}

fn to_grey(picture: DynamicImage) -> GrayImage {
    if !picture.color().has_alpha() {
        return picture.into_luma8();
    }
    let mut on_white = RgbaImage::from_pixel(picture.width(), picture.height(), Rgba([255; 4]));
    imageops::overlay(&mut on_white, &picture.into_rgba8(), 0, 0);
    DynamicImage::ImageRgba8(on_white).into_luma8()
}

/// The median of the outermost pixels, which is the background even where the thing touches two borders.
fn border_median(grey: &GrayImage) -> u8 {
    let (width, height) = grey.dimensions();
    let is_border = |x, y| x == 0 || y == 0 || x + 1 == width || y + 1 == height;
    let mut border: Vec<u8> =
        grey.enumerate_pixels().filter(|&(x, y, _)| is_border(x, y)).map(|(.., pixel)| pixel.0[0]).collect();
    let middle = border.len() / 2;
    if border.is_empty() { 0 } else { *border.select_nth_unstable(middle).1 }
}

/// Stretches the greys so that the background becomes 0, and the far end of the scale 255.
fn blacken(grey: &mut GrayImage, background: u8) {
    for pixel in grey.pixels_mut() {
        let (distance, range) = if background > 127 {
            (background.saturating_sub(pixel.0[0]), background)
        } else {
            (pixel.0[0].saturating_sub(background), 255 - background)
        };
        pixel.0[0] = (u32::from(distance) * 255 / u32::from(range)) as u8;
    }
}

/// The smallest part of a picture on black that holds the thing, if there is one.
fn trimmed(grey: &GrayImage) -> Option<GrayImage> {
    let (mut left, mut top, mut right, mut bottom) = (u32::MAX, u32::MAX, 0, 0);
    for (x, y, _) in grey.enumerate_pixels().filter(|(.., pixel)| pixel.0[0] > THRESHOLD) {
        (left, top) = (left.min(x), top.min(y));
        (right, bottom) = (right.max(x + 1), bottom.max(y + 1));
    }
    (left < right).then(|| imageops::crop_imm(grey, left, top, right - left, bottom - top).to_image())
}

/// The picture with its longer side as long as that, in the middle of 28 x 28 black pixels.
fn fit(grey: &GrayImage, longest: u32) -> GrayImage {
    let (width, height) = grey.dimensions();
    let scaled = |side: u32| {
        let side = u64::from(side) * u64::from(longest) / u64::from(width.max(height).max(1));
        (side as u32).clamp(1, longest)
    };
    let small = imageops::resize(grey, scaled(width), scaled(height), FilterType::Triangle);
    let mut square = GrayImage::new(SIDE, SIDE);
    let middle = |side: u32| i64::from((SIDE - side) / 2);
    imageops::overlay(&mut square, &small, middle(small.width()), middle(small.height()));
    square
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    /// The first silhouette of this class, as pixels.
    fn silhouette(class: usize) -> GrayImage {
        let set = Silhouettes::test(10, Seed(0)).unwrap();
        let image = set.images().rows(class..class + 1).unwrap();
        let pixels = image.as_slice().iter().map(|pixel| (pixel * 255.0).round() as u8);
        GrayImage::from_vec(SIDE, SIDE, pixels.collect()).unwrap()
    }

    fn saved_and_read(picture: impl Into<DynamicImage>, dataset: Dataset) -> anyhow::Result<Picture> {
        let file =
            std::env::temp_dir().join(format!("graven-{:?}-{}.png", std::thread::current().id(), std::process::id()));
        picture.into().save(&file)?;
        let picture = read(&file, dataset);
        std::fs::remove_file(&file)?;
        picture
    }

    #[test]
    fn an_image_of_the_data_set_comes_through_unchanged() {
        for class in 0..10 {
            let grey = silhouette(class);
            let pixels: Vec<f32> = grey.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
            let picture = saved_and_read(grey, Dataset::Fashion).unwrap();
            assert_eq!(picture.tensor, Tensor::new(pixels, [1, 1, 28, 28]).unwrap());
            assert!(
                picture.description.ends_with(": 28 x 28 pixels, taken as grey 28 x 28"),
                "{}",
                picture.description
            );
        }
    }

    /// Four times as large, on a wide page, inverted and tinted.
    #[test]
    fn a_photograph_on_paper_looks_like_the_image_of_the_data_set() {
        let grey = silhouette(1);
        let paper = [250, 240, 220];
        let photograph = RgbImage::from_fn(300, 150, |x, y| {
            let inside = x.checked_sub(100).zip(y.checked_sub(20)).filter(|&(x, y)| x < 112 && y < 112);
            let pixel = inside.map_or(0, |(x, y)| u32::from(grey.get_pixel(x / 4, y / 4).0[0]));
            Rgb(paper.map(|white: u8| (u32::from(white) * (255 - pixel) / 255) as u8))
        });
        let picture = saved_and_read(photograph, Dataset::Fashion).unwrap();
        assert!(picture.description.contains(": 300 x 150 pixels"), "{}", picture.description);
        assert!(picture.description.ends_with("; inverted, as its background is bright"), "{}", picture.description);
        // The trousers themselves, as large as the picture, stand for what the data set would hold.
        let expected = fit(&trimmed(&grey).unwrap(), SIDE);
        let differences = picture.tensor.as_slice().iter().zip(expected.iter());
        let mean =
            differences.map(|(pixel, &expected)| (pixel - f32::from(expected) / 255.0).abs()).sum::<f32>() / 784.0;
        assert!(mean < 0.03, "{mean}");
    }

    #[test]
    fn digits_leave_the_margin_of_mnist() {
        let stroke = GrayImage::from_fn(90, 120, |x, _| image::Luma([if (40..50).contains(&x) { 255 } else { 0 }]));
        let pixels = saved_and_read(stroke, Dataset::Mnist).unwrap().tensor.to_vec().unwrap();
        let rows: Vec<bool> = pixels.chunks(28).map(|row| row.iter().any(|&pixel| pixel > 0.5)).collect();
        assert_eq!(rows.iter().position(|&row| row), Some(4));
        assert_eq!(rows.iter().filter(|&&row| row).count(), 20);
    }

    #[test]
    fn transparent_parts_are_white_and_an_empty_picture_is_an_error() {
        let clear =
            RgbaImage::from_fn(
                40,
                40,
                |x, y| if x.max(y) < 20 && x.min(y) > 5 { Rgba([0, 0, 0, 255]) } else { Rgba([0; 4]) },
            );
        let picture = saved_and_read(clear, Dataset::Fashion).unwrap();
        assert!(picture.description.contains("inverted"), "{}", picture.description);
        assert!(picture.tensor.as_slice().iter().all(|&pixel| pixel == 1.0));
        for size in [1, 28, 50] {
            let Err(error) = saved_and_read(GrayImage::from_pixel(size, size, image::Luma([200])), Dataset::Fashion)
            else {
                panic!("{size}")
            };
            assert!(error.to_string().ends_with("nothing stands out from the background of this picture"), "{error}");
        }
        let message = read(Path::new("no/such.png"), Dataset::Fashion).err().unwrap().to_string();
        assert!(message.starts_with("cannot read the picture no/such.png: "), "{message}");
    }
}
