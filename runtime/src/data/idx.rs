//! The IDX format of MNIST and its relatives: two zero bytes, a type code, the number of axes, one big-endian `u32` per
//! axis, then the values in row-major order. Source: <http://yann.lecun.com/exdb/mnist/>.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::{Error, Result};

/// The most values a file may hold: 2 GiB, three times the size of the largest known relative of MNIST.
const MAX_VALUES: usize = 1 << 31;

/// The most axes a file may have, as many as a [`Tensor`](crate::Tensor).
const MAX_AXES: usize = 8;

/// The contents of an IDX file of unsigned bytes.
///
/// `data` holds the values in row-major order, as many as the product of `dims`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// The size of every axis, for images [images, height, width].
    pub dims: Vec<usize>,
    /// The values, row-major.
    pub data: Vec<u8>,
}

/// Reads an IDX file of unsigned bytes, plain or compressed with gzip (told apart by content, not by name).
///
/// Errors name the file, what was found and what was expected: the file cannot be read; it is no IDX file; its values
/// are not unsigned bytes; it is cut off or goes on after its last value; the gzip stream is damaged; it claims more
/// than 8 axes or 2 GiB. Memory grows with what the file really holds, not with what its header claims.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("two-by-three");
/// std::fs::write(&path, [0, 0, 8, 2, /* dims */ 0, 0, 0, 2, 0, 0, 0, 3, /* data */ 1, 2, 3, 4, 5, 6])?;
///
/// let idx = graven::data::read_idx(&path)?;
/// assert_eq!(idx.dims, [2, 3]);
/// assert_eq!(idx.data, [1, 2, 3, 4, 5, 6]);
///
/// std::fs::write(&path, [0, 0, 8, 1, 0, 0, 0, 9, 1, 2])?;
/// let error = graven::data::read_idx(&path).unwrap_err();
/// assert!(error.to_string().contains("cut off"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_idx(path: impl AsRef<Path>) -> Result<Idx> {
    let path = path.as_ref();
    let mut reader = BufReader::new(File::open(path).map_err(Error::io("open", path))?);
    if reader.fill_buf().map_err(Error::io("read", path))?.starts_with(&[0x1f, 0x8b]) {
        parse(MultiGzDecoder::new(reader), path)
    } else {
        parse(reader, path)
    }
}

/// Reads one IDX file to its end; `path` is for messages.
fn parse(mut reader: impl Read, path: &Path) -> Result<Idx> {
    let magic = read_up_to(&mut reader, 4, path)?;
    let [zero_0, zero_1, dtype, n_axes] = magic[..] else {
        let found = format!("{} bytes, fewer than the 4 that every IDX file begins with", magic.len());
        return Err(Error::format(path, found, FETCH_AGAIN));
    };
    if [zero_0, zero_1] != [0, 0] {
        let found = format!(
            "not an IDX file: it begins with the bytes {zero_0:02x} {zero_1:02x} {dtype:02x} {n_axes:02x}, expected 00 00 08"
        );
        return Err(Error::format(path, found, "is this one of the files of the data set?"));
    }
    check_dtype(dtype, path)?;
    let dims = read_dims(&mut reader, usize::from(n_axes), path)?;
    let n_values = check_size(&dims, path)?;

    // One byte more than expected shows whether the file goes on, and makes gzip check its sum.
    let data = read_up_to(&mut reader, n_values + 1, path)?;
    if data.len() < n_values {
        let found =
            format!("cut off: the header promises {} = {n_values} bytes, {} follow", product(&dims), data.len());
        return Err(Error::format(path, found, FETCH_AGAIN));
    }
    if data.len() > n_values {
        let found = format!("data after the {} = {n_values} bytes that the header promises", product(&dims));
        return Err(Error::format(path, found, FETCH_AGAIN));
    }
    Ok(Idx { dims, data })
}

const FETCH_AGAIN: &str = "fetch the file again";

fn check_dtype(code: u8, path: &Path) -> Result<()> {
    let name = match code {
        0x08 => return Ok(()),
        0x09 => "signed bytes (type 0x09)",
        0x0b => "16-bit integers (type 0x0b)",
        0x0c => "32-bit integers (type 0x0c)",
        0x0d => "32-bit floats (type 0x0d)",
        0x0e => "64-bit floats (type 0x0e)",
        _ => {
            let found = format!("type code {code:#04x}, expected 0x08 (unsigned bytes)");
            return Err(Error::format(path, found, FETCH_AGAIN));
        }
    };
    let found = format!("{name}, expected unsigned bytes (type 0x08)");
    Err(Error::format(path, found, "convert the values to unsigned bytes"))
}

fn read_dims(reader: &mut impl Read, n_axes: usize, path: &Path) -> Result<Vec<usize>> {
    if n_axes == 0 || n_axes > MAX_AXES {
        let found = format!("{n_axes} axes, expected 1 to {MAX_AXES} (images have 3, labels 1)");
        return Err(Error::format(path, found, FETCH_AGAIN));
    }
    let bytes = read_up_to(reader, 4 * n_axes, path)?;
    if bytes.len() < 4 * n_axes {
        let found = format!(
            "cut off: the sizes of its {n_axes} axes take {} bytes after the first 4, {} follow",
            4 * n_axes,
            bytes.len()
        );
        return Err(Error::format(path, found, FETCH_AGAIN));
    }
    let (sizes, _) = bytes.as_chunks::<4>();
    Ok(sizes.iter().map(|&size| u32::from_be_bytes(size) as usize).collect())
}

/// The number of values, or an error where it is beyond [`MAX_VALUES`].
fn check_size(dims: &[usize], path: &Path) -> Result<usize> {
    let n_values = dims.iter().try_fold(1_usize, |n_values, &dim| n_values.checked_mul(dim));
    // A zero may stand after sizes whose product overflows.
    let n_values = if dims.contains(&0) { Some(0) } else { n_values };
    n_values.filter(|&n_values| n_values <= MAX_VALUES).ok_or_else(|| {
        let found = format!("the header promises {} bytes, more than the limit of {MAX_VALUES}", product(dims));
        Error::format(path, found, FETCH_AGAIN)
    })
}

/// `60000 x 28 x 28`.
pub(super) fn product(dims: &[usize]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ")
}

/// The next `limit` bytes, fewer where the reader ends before.
fn read_up_to(reader: &mut impl Read, limit: usize, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match reader.take(limit as u64).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        // What the gzip decoder answers with; a file system has other reasons.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Error::format(path, "cut off: the gzip stream has no end", FETCH_AGAIN))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            Err(Error::format(path, format!("damaged gzip stream: {error}"), FETCH_AGAIN))
        }
        Err(source) => Err(Error::io("read", path)(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{gzip, idx};
    use super::*;
    use graven_kernels::rng;

    fn read(bytes: &[u8]) -> std::result::Result<Idx, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let path = file.path().display().to_string();
        read_idx(file.path()).map_err(|error| {
            let message = error.to_string();
            assert!(message.contains(&path), "no file named: {message}");
            message
        })
    }

    #[test]
    fn plain_and_compressed_files_read_the_same() {
        let expected = Idx { dims: vec![2, 3], data: vec![1, 2, 3, 4, 5, 6] };
        let bytes = idx(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        assert_eq!(read(&bytes).unwrap(), expected);
        assert_eq!(read(&gzip(&bytes)).unwrap(), expected);
        // gzip allows several members one after the other.
        assert_eq!(read(&[gzip(&bytes[..7]), gzip(&bytes[7..])].concat()).unwrap(), expected);
    }

    #[test]
    fn an_axis_of_size_zero_holds_no_values() {
        assert!(read(&idx(&[0, 28, 28], &[])).unwrap().data.is_empty());
        let huge = u32::MAX as usize;
        assert!(read(&idx(&[huge, huge, huge, 0], &[])).unwrap().data.is_empty());
    }

    #[test]
    fn faults_are_named() {
        let good = idx(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        let zipped = gzip(&good);
        let mut bad_sum = zipped.clone();
        let at = bad_sum.len() - 8;
        bad_sum[at] ^= 1;
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        let cases: [(&str, Vec<u8>, &str); 15] = [
            ("empty", vec![], ": 0 bytes, fewer than the 4"),
            ("short magic", good[..3].to_vec(), ": 3 bytes, fewer than the 4"),
            (
                "a picture",
                b"\x89PNG\r\n".to_vec(),
                "not an IDX file: it begins with the bytes 89 50 4e 47, expected 00 00 08",
            ),
            ("floats", with(2, 0x0d), ": 32-bit floats (type 0x0d), expected unsigned bytes"),
            ("no such type", with(2, 0x42), "type code 0x42"),
            ("no axes", with(3, 0), ": 0 axes, expected 1 to 8"),
            ("many axes", with(3, 9), ": 9 axes, expected 1 to 8"),
            ("cut in the sizes", good[..9].to_vec(), "take 8 bytes after the first 4, 5 follow"),
            ("cut in the values", good[..16].to_vec(), "promises 2 x 3 = 6 bytes, 4 follow"),
            ("longer", [&good[..], &[0]].concat(), "data after the 2 x 3 = 6 bytes"),
            ("absurd size", idx(&[u32::MAX as usize; 8], &[1]), "more than the limit of 2147483648"),
            ("gzip cut off", zipped[..zipped.len() - 9].to_vec(), "cut off: the gzip stream has no end"),
            ("gzip with a wrong sum", bad_sum, "damaged gzip stream"),
            ("gzip and a tail", [&zipped[..], b"tail of text"].concat(), "damaged gzip stream"),
            ("gzip of text", gzip(b"hello"), "not an IDX file"),
        ];
        for (name, bytes, expected) in cases {
            let message = read(&bytes).expect_err(name);
            assert!(message.contains(expected), "{name}: {message}");
        }
    }

    #[test]
    fn a_missing_file_and_a_folder_are_errors_that_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("nothing-here");
        for path in [&missing, folder.path()] {
            let message = read_idx(path).unwrap_err().to_string();
            assert!(message.contains(&path.display().to_string()), "{message}");
        }
    }

    /// 2 GiB are promised, 9 bytes stand there: the answer must come at once and without the memory.
    #[test]
    fn a_header_that_lies_costs_no_memory() {
        let message = read(&idx(&[1 << 31], &[7; 9])).unwrap_err();
        assert!(message.contains("promises 2147483648 = 2147483648 bytes, 9 follow"), "{message}");
    }

    #[test]
    fn random_and_mutated_bytes_never_panic() {
        let path = Path::new("in-memory");
        let check = |bytes: &[u8]| {
            let answer = if bytes.starts_with(&[0x1f, 0x8b]) {
                parse(MultiGzDecoder::new(bytes), path)
            } else {
                parse(bytes, path)
            };
            match answer {
                Ok(idx) => assert_eq!(idx.data.len(), idx.dims.iter().product::<usize>()),
                Err(error) => assert!(error.to_string().contains("in-memory"), "{error}"),
            }
        };
        let plain = idx(&[3, 4, 5], &(0..60).collect::<Vec<u8>>());
        let zipped = gzip(&plain);
        for case in 0..3000 {
            let bits = |index| rng::bits(1, case, index);
            let noise: Vec<u8> = (0..bits(0) % 64).map(|index| bits(index + 1) as u8).collect();
            check(&noise);
            check(&[&[0, 0, 8], &noise[..]].concat());
            for original in [&plain, &zipped] {
                let mut bytes = original.clone();
                for index in 0..1 + bits(100) % 4 {
                    let at = bits(101 + index) as usize % bytes.len();
                    bytes[at] = bits(201 + index) as u8;
                }
                bytes.truncate(bytes.len() - (bits(300) as usize % bytes.len()) * (case as usize % 2));
                check(&bytes);
            }
        }
    }
}
