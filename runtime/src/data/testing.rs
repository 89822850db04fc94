//! What the tests of this module share.

use std::io::Write;
use std::path::PathBuf;

/// The bytes of an IDX file with these sizes and values, which need not agree.
pub(super) fn idx(dims: &[usize], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, u8::try_from(dims.len()).unwrap()];
    for &dim in dims {
        bytes.extend(u32::try_from(dim).unwrap().to_be_bytes());
    }
    bytes.extend(data);
    bytes
}

/// The bytes, compressed.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The folder of a real data set: below `GRAVEN_DATA`, or below `shared/data` beside the repository. None, with the
/// reason printed, where it is absent.
pub(super) fn real_data(name: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("GRAVEN_DATA") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no folder {}; set GRAVEN_DATA to the folder that holds `{name}`", folder.display());
    None
}
