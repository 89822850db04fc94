//! A picture from a file, made to look like the images of the data set: 28 x 28, grey, bright on black.

use std::path::Path;

use graven::prelude::*;
use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageReader, Luma, Rgba, RgbaImage};

const SIDE: u32 = 28;

pub(crate) struct Picture {
    /// [1, 1, 28, 28], values in 0..1
    pub(crate) tensor: Tensor,
    /// What was done to the picture.
    pub(crate) description: String,
}

/// Reads a PNG or JPEG file: transparent parts become white, colours grey, the whole is fitted into 28 x 28 pixels, and
/// inverted where its border is bright.
pub(crate) fn read(path: &Path) -> anyhow::Result<Picture> {
    let cannot_read = |cause: &dyn std::fmt::Display| {
        anyhow::anyhow!("cannot read the picture {}: {cause}\nhelp: it should be a PNG or JPEG file", path.display())
    };
    let reader =
        ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(|cause| cannot_read(&cause))?;
    let picture = reader.decode().map_err(|cause| cannot_read(&cause))?;
    let size = format!("{} x {}", picture.width(), picture.height());

    let mut grey = to_grey(picture);
    let background = border_mean(&grey);
    let bright = background > 127;
    grey = fit(&grey, background);
    if bright {
        imageops::invert(&mut grey);
    }
    let inversion = if bright { "; inverted, as its background is bright" } else { "" };
    let description = format!("{}: {size} pixels, taken as grey {SIDE} x {SIDE}{inversion}", path.display());
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

/// The mean grey of the outermost pixels.
fn border_mean(grey: &GrayImage) -> u8 {
    let (width, height) = grey.dimensions();
    let (mut sum, mut n_pixels) = (0_u64, 0_u64);
    for (x, y, pixel) in grey.enumerate_pixels() {
        if x == 0 || y == 0 || x + 1 == width || y + 1 == height {
            sum += u64::from(pixel.0[0]);
            n_pixels += 1;
        }
    }
    (sum / n_pixels.max(1)) as u8
}

/// The picture as large as fits into 28 x 28, in the middle of its background.
fn fit(grey: &GrayImage, background: u8) -> GrayImage {
    let (width, height) = grey.dimensions();
    let longest = width.max(height).max(1);
    let scaled =
        |side: u32| (u64::from(side) * u64::from(SIDE)).div_ceil(u64::from(longest)).clamp(1, SIDE.into()) as u32;
    let small = imageops::resize(grey, scaled(width), scaled(height), FilterType::Triangle);
    let mut square = GrayImage::from_pixel(SIDE, SIDE, Luma([background]));
    let middle = |side: u32| i64::from((SIDE - side) / 2);
    imageops::overlay(&mut square, &small, middle(small.width()), middle(small.height()));
    square
}
