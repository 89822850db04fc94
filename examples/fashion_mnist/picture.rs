//! A picture from a file, made to look like the images of the data set: 28 x 28, grey, bright on black.

use std::path::Path;

use graven::prelude::*;
use resize::Pixel::Gray8;
use resize::px::Gray;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_png::PngDecoder;

use crate::options::Dataset;

const SIDE: usize = 28;

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
    let decoded = std::fs::read(path).map_err(anyhow::Error::from).and_then(|bytes| decode(&bytes));
    let mut grey = decoded.map_err(|cause| {
        anyhow::anyhow!("cannot read the picture {}: {cause}\nhelp: it should be a PNG or JPEG file", path.display())
    })?;
    let Grey { width, height, .. } = grey;
    let background = grey.border_median();
    let bright = background > 127;
    // Pictures of the data set itself come through unchanged, also the few that touch most of the border.
    let is_original = [width, height] == [SIDE; 2] && !bright;
    if !is_original {
        grey.blacken(background);
    }
    let Some(thing) = grey.trimmed() else {
        anyhow::bail!("{}: nothing stands out from the background of this picture", path.display())
    };
    if [width, height] != [SIDE; 2] {
        let longest = match dataset {
            Dataset::Fashion => SIDE,
            Dataset::Mnist => 20,
        };
        grey = thing.fit(longest)?;
    }
    let inversion = if bright { "; inverted, as its background is bright" } else { "" };
    let description =
        format!("{}: {width} x {height} pixels, taken as grey {SIDE} x {SIDE}{inversion}", path.display());
    let pixels: Vec<f32> = grey.pixels.into_iter().map(|pixel| f32::from(pixel) / 255.0).collect();
    let tensor = Tensor::new(pixels, [1, 1, SIDE, SIDE])?;
    Ok(Picture { tensor, description })
}

/// The pixels of a PNG or JPEG file as greys.
fn decode(bytes: &[u8]) -> anyhow::Result<Grey> {
    let options =
        DecoderOptions::default().png_set_strip_to_8bit(true).png_set_confirm_crc(true).inflate_set_confirm_adler(true);
    // The libraries end some messages with a line break, and quote others.
    let in_words = |cause: &dyn std::fmt::Display| anyhow::anyhow!("{}", cause.to_string().trim().trim_matches('"'));
    if bytes.starts_with(b"\x89PNG") {
        let mut decoder = PngDecoder::new_with_options(ZCursor::new(bytes), options);
        let pixels = decoder.decode_raw().map_err(|cause| in_words(&cause))?;
        return grey(&pixels, decoder.dimensions(), decoder.colorspace());
    }
    if bytes.starts_with(b"\xFF\xD8") {
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(|cause| in_words(&cause))?;
        if decoder.input_colorspace() == Some(ColorSpace::Luma) {
            decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
        }
        let pixels = decoder.decode().map_err(|cause| in_words(&cause))?;
        let size = decoder.info().map(|info| (usize::from(info.width), usize::from(info.height)));
        return grey(&pixels, size, decoder.output_colorspace());
    }
    anyhow::bail!("its first bytes are those of another format")
}

/// The greys of colours, which may be transparent, on white.
fn grey(pixels: &[u8], size: Option<(usize, usize)>, colors: Option<ColorSpace>) -> anyhow::Result<Grey> {
    // The luminance of sRGB.
    let luminance = |[red, green, blue]: [u8; 3]| {
        ((2126 * u32::from(red) + 7152 * u32::from(green) + 722 * u32::from(blue)) / 10_000) as u8
    };
    let on_white = |value: u8, opacity: u8| {
        let (value, opacity) = (u32::from(value), u32::from(opacity));
        ((value * opacity + 255 * (255 - opacity) + 127) / 255) as u8
    };
    let pixels: Vec<u8> = match colors {
        Some(ColorSpace::Luma) => pixels.to_vec(),
        Some(ColorSpace::LumaA) => pixels.as_chunks().0.iter().map(|&[grey, a]| on_white(grey, a)).collect(),
        Some(ColorSpace::RGB) => pixels.as_chunks().0.iter().map(|&color| luminance(color)).collect(),
        Some(ColorSpace::RGBA) => {
            let of_pixel =
                |&[red, green, blue, a]: &[u8; 4]| luminance([red, green, blue].map(|value| on_white(value, a)));
            pixels.as_chunks().0.iter().map(of_pixel).collect()
        }
        other => anyhow::bail!("its colours are of a kind that is not read ({other:?})"),
    };
    let size = size.filter(|(width, height)| width * height == pixels.len() && !pixels.is_empty());
    let (width, height) = size.ok_or_else(|| anyhow::anyhow!("it does not hold the pixels that it announces"))?;
    Ok(Grey { width, height, pixels })
}

/// A picture in greys, row by row; it has a pixel at least.
#[derive(Debug, Clone, PartialEq)]
struct Grey {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// Every (x, y) of a picture, row by row.
fn positions(width: usize, height: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..height).flat_map(move |y| (0..width).map(move |x| (x, y)))
}

impl Grey {
    /// A picture whose pixel (x, y) is that.
    fn from_fn(width: usize, height: usize, pixel: impl Fn(usize, usize) -> u8) -> Grey {
        Grey { width, height, pixels: positions(width, height).map(|(x, y)| pixel(x, y)).collect() }
    }

    fn at(&self, x: usize, y: usize) -> u8 {
        self.pixels[y * self.width + x]
    }

    /// The median of the outermost pixels, which is the background even where the thing touches two borders.
    fn border_median(&self) -> u8 {
        let is_border = |&(x, y): &(usize, usize)| x == 0 || y == 0 || x + 1 == self.width || y + 1 == self.height;
        let positions = positions(self.width, self.height).filter(is_border);
        let mut border: Vec<u8> = positions.map(|(x, y)| self.at(x, y)).collect();
        let middle = border.len() / 2;
        *border.select_nth_unstable(middle).1
    }

    /// Stretches the greys so that the background becomes 0, and the far end of the scale 255.
    fn blacken(&mut self, background: u8) {
        for pixel in &mut self.pixels {
            let (distance, range) = if background > 127 {
                (background.saturating_sub(*pixel), background)
            } else {
                (pixel.saturating_sub(background), 255 - background)
            };
            *pixel = (u32::from(distance) * 255 / u32::from(range)) as u8;
        }
    }

    /// The smallest part of a picture on black that holds the thing, if there is one.
    fn trimmed(&self) -> Option<Grey> {
        let (mut left, mut top, mut right, mut bottom) = (usize::MAX, usize::MAX, 0, 0);
        for (x, y) in positions(self.width, self.height).filter(|&(x, y)| self.at(x, y) > THRESHOLD) {
            (left, top) = (left.min(x), top.min(y));
            (right, bottom) = (right.max(x + 1), bottom.max(y + 1));
        }
        (left < right).then(|| Grey::from_fn(right - left, bottom - top, |x, y| self.at(left + x, top + y)))
    }

    /// The picture with its longer side as long as that, in the middle of 28 x 28 black pixels.
    fn fit(&self, longest: usize) -> anyhow::Result<Grey> {
        let scaled = |side: usize| (side * longest / self.width.max(self.height)).clamp(1, longest);
        let (width, height) = (scaled(self.width), scaled(self.height));
        let large: Vec<Gray<u8>> = self.pixels.iter().copied().map(Gray::new).collect();
        let mut small = vec![Gray::new(0); width * height];
        resize::new(self.width, self.height, width, height, Gray8, resize::Type::Triangle)?
            .resize(&large, &mut small)?;
        let (left, top) = ((SIDE - width) / 2, (SIDE - height) / 2);
        let inside = |x: usize, y: usize| Some((x.checked_sub(left)?, y.checked_sub(top)?));
        let pixel = |(x, y): (usize, usize)| if x < width && y < height { small[y * width + x].value() } else { 0 };
        Ok(Grey::from_fn(SIDE, SIDE, |x, y| inside(x, y).map_or(0, pixel)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zune_core::bit_depth::BitDepth;
    use zune_core::options::EncoderOptions;
    use zune_png::PngEncoder;

    /// The first silhouette of this class, as pixels.
    fn silhouette(class: usize) -> Grey {
        let set = Silhouettes::test(10, Seed(0)).unwrap();
        let image = set.images().rows(class..class + 1).unwrap();
        let pixels: Vec<u8> = image.as_slice().iter().map(|pixel| (pixel * 255.0).round() as u8).collect();
        Grey { width: SIDE, height: SIDE, pixels }
    }

    fn png(pixels: &[u8], [width, height]: [usize; 2], colors: ColorSpace) -> Vec<u8> {
        let mut file = Vec::new();
        let options = EncoderOptions::new(width, height, colors, BitDepth::Eight);
        PngEncoder::new(pixels, options).encode(&mut file).unwrap();
        file
    }

    fn saved_and_read(file: &[u8], dataset: Dataset) -> anyhow::Result<Picture> {
        let path =
            std::env::temp_dir().join(format!("graven-{:?}-{}.png", std::thread::current().id(), std::process::id()));
        std::fs::write(&path, file)?;
        let picture = read(&path, dataset);
        std::fs::remove_file(&path)?;
        picture
    }

    impl Grey {
        fn png(&self) -> Vec<u8> {
            png(&self.pixels, [self.width, self.height], ColorSpace::Luma)
        }
    }

    #[test]
    fn an_image_of_the_data_set_comes_through_unchanged() {
        for class in 0..10 {
            let grey = silhouette(class);
            let pixels: Vec<f32> = grey.pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
            let picture = saved_and_read(&grey.png(), Dataset::Fashion).unwrap();
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
        let pixel = |(x, y): (usize, usize)| {
            let inside = x.checked_sub(100).zip(y.checked_sub(20)).filter(|&(x, y)| x < 112 && y < 112);
            let pixel = inside.map_or(0, |(x, y)| u32::from(grey.at(x / 4, y / 4)));
            paper.map(|white: u8| (u32::from(white) * (255 - pixel) / 255) as u8)
        };
        let pixels: Vec<u8> = positions(300, 150).flat_map(pixel).collect();
        let picture = saved_and_read(&png(&pixels, [300, 150], ColorSpace::RGB), Dataset::Fashion).unwrap();
        assert!(picture.description.contains(": 300 x 150 pixels"), "{}", picture.description);
        assert!(picture.description.ends_with("; inverted, as its background is bright"), "{}", picture.description);
        // The trousers themselves, as large as the picture, stand for what the data set would hold.
        let expected = grey.trimmed().unwrap().fit(SIDE).unwrap();
        let differences = picture.tensor.as_slice().iter().zip(&expected.pixels);
        let mean =
            differences.map(|(pixel, &expected)| (pixel - f32::from(expected) / 255.0).abs()).sum::<f32>() / 784.0;
        assert!(mean < 0.03, "{mean}");
    }

    #[test]
    fn digits_leave_the_margin_of_mnist() {
        let stroke = Grey::from_fn(90, 120, |x, _| if (40..50).contains(&x) { 255 } else { 0 });
        let pixels = saved_and_read(&stroke.png(), Dataset::Mnist).unwrap().tensor.to_vec().unwrap();
        let rows: Vec<bool> = pixels.chunks(28).map(|row| row.iter().any(|&pixel| pixel > 0.5)).collect();
        assert_eq!(rows.iter().position(|&row| row), Some(4));
        assert_eq!(rows.iter().filter(|&&row| row).count(), 20);
    }

    #[test]
    fn transparent_parts_are_white_and_an_empty_picture_is_an_error() {
        let is_black = |x: usize, y: usize| x.max(y) < 20 && x.min(y) > 5;
        let opacity = Grey::from_fn(40, 40, |x, y| if is_black(x, y) { 255 } else { 0 });
        for (colors, clear) in [(ColorSpace::RGBA, &[0, 0, 0][..]), (ColorSpace::LumaA, &[0])] {
            let pixels: Vec<u8> = opacity.pixels.iter().flat_map(|opacity| [clear, &[*opacity]].concat()).collect();
            let picture = saved_and_read(&png(&pixels, [40, 40], colors), Dataset::Fashion).unwrap();
            assert!(picture.description.contains("inverted"), "{}", picture.description);
            assert!(picture.tensor.as_slice().iter().all(|&pixel| pixel == 1.0));
        }
        for size in [1, 28, 50] {
            let plain = Grey::from_fn(size, size, |_, _| 200).png();
            let Err(error) = saved_and_read(&plain, Dataset::Fashion) else { panic!("{size}") };
            assert!(error.to_string().ends_with("nothing stands out from the background of this picture"), "{error}");
        }
    }

    /// Luminances, and what half of a colour is on white.
    #[test]
    fn colors_are_taken_as_greys() {
        let grey = |pixel: &[u8], colors| decode(&png(pixel, [1, 1], colors)).unwrap().pixels[0];
        assert_eq!([[255, 0, 0], [0, 255, 0], [0, 0, 255]].map(|color| grey(&color, ColorSpace::RGB)), [54, 182, 18]);
        assert_eq!(grey(&[77, 77, 77], ColorSpace::RGB), 77);
        assert_eq!(grey(&[0, 0, 0, 128], ColorSpace::RGBA), 127);
        assert_eq!(grey(&[100, 51], ColorSpace::LumaA), 224);
    }

    /// 16 x 8 pixels, the left half red (200, 40, 40) or its luma by ITU-R 601, 88, the right half white; written by Pillow 13 with a
    /// quality of 90.
    #[test]
    fn jpeg_files_are_read() {
        for (file, left) in [(&include_bytes!("colour.jpg")[..], 74), (include_bytes!("grey.jpg"), 88)] {
            let picture = decode(file).unwrap();
            assert_eq!([picture.width, picture.height], [16, 8]);
            // Away from the edge, where the format blurs.
            for (x, y) in positions(16, 8).filter(|(x, _)| !(6..10).contains(x)) {
                let wanted: u8 = if x < 8 { left } else { 255 };
                assert!(picture.at(x, y).abs_diff(wanted) <= 4, "({x}, {y}): {}, wanted {wanted}", picture.at(x, y));
            }
        }
    }

    #[test]
    fn what_is_no_picture_is_an_error_in_words() {
        let message = read(Path::new("no/such.png"), Dataset::Fashion).err().unwrap().to_string();
        assert!(message.starts_with("cannot read the picture no/such.png: No such file"), "{message}");
        let file = silhouette(0).png();
        let mut flipped = file.clone();
        flipped[60] ^= 1;
        for damaged in [&file[..file.len() / 2], &file[..20], &flipped, b"\xFF\xD8\xFF", b"GIF89a", b""] {
            let message = saved_and_read(damaged, Dataset::Fashion).err().unwrap().to_string();
            let (cause, help) = message.split_once('\n').unwrap();
            assert!(cause.starts_with("cannot read the picture ") && !cause.ends_with(['"', ' ', ':']), "{message}");
            assert_eq!(help, "help: it should be a PNG or JPEG file", "{message}");
        }
    }
}
