//! `weights!("network.safetensors");`: compares a file of weights with the network, name by name and shape by shape. Only the
//! header of the file is read; loading it stays a call of the running program.

use std::env;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use graven_kernels::dim::list;
use syn::LitStr;

use super::header::{Header, HeaderError, Tensor};
use super::instance::LayerInstance;
use crate::diagnostics::{Errors, nearest};
use crate::syntax::Module;

/// The longest header that is read, which is also safetensors' own limit.
const MAX_HEADER: u64 = 100_000_000;

/// Shapes that a message lists; a file of another network differs in all of them.
const MAX_SHAPES: usize = 4;
/// Names that a message lists, of those missing and of those unexpected.
const MAX_NAMES: usize = 8;

/// The types of numbers that loading converts to f32.
const FLOATS: &[&str] = &["F32", "F64", "F16", "BF16"];

/// Compares each file that the block names with the parameters of its layers. Gives the files that fit.
pub(super) fn check(module: &Module, layers: &[LayerInstance], errors: &mut Errors) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for literal in &module.weights {
        match find(literal).and_then(|path| read(&path).map(|header| (path, header))) {
            Ok((path, header)) => match compare(&header, layers) {
                None => files.push(path),
                Some(differences) => {
                    let message = format!(
                        "the weights in `{}` are not those of `{}`{differences}\n\
                         help: save the weights of this network anew, or give its layers these names and sizes",
                        literal.value(),
                        module.name
                    );
                    errors.at(literal, message);
                }
            },
            Err(reason) => errors.at(literal, format!("`{}` {reason}", literal.value())),
        }
    }
    files
}

/// The file: beside the source file, or in the folder of the package's `Cargo.toml`.
fn find(literal: &LitStr) -> Result<PathBuf, String> {
    let beside = literal.span().local_file().and_then(|file| Some(file.parent()?.to_path_buf()));
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let folders: Vec<PathBuf> = beside.into_iter().chain(package).collect();
    let candidates = folders.iter().map(|folder| folder.join(literal.value()));
    let candidates: Vec<PathBuf> = candidates.collect();
    match candidates.iter().filter(|path| path.is_file()).find_map(|path| path.canonicalize().ok()) {
        Some(path) if path.to_str().is_none() => Err("lies in a folder whose name is no UTF-8".to_owned()),
        Some(path) => Ok(path),
        None => {
            let help = match candidates.iter().find_map(|path| near(path)) {
                Some(near) => format!("write `{:?}`", Path::new(&literal.value()).with_file_name(near)),
                None => "save a network there first, or correct the path".to_owned(),
            };
            Err(format!(
                "is not there\nnote: it is looked for beside this source file, then beside Cargo.toml\nhelp: {help}"
            ))
        }
    }
}

/// The name of the file in the same folder that is most like one that is missing.
fn near(missing: &Path) -> Option<String> {
    let entries = missing.parent()?.read_dir().ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".safetensors")).collect();
    names.sort();
    nearest(missing.file_name()?.to_str()?, names.iter().map(String::as_str)).map(str::to_owned)
}

fn read(path: &Path) -> Result<Header, String> {
    let damaged = |what: &str| format!("is no complete safetensors file: {what}\nhelp: save the weights anew");
    let io = |error: io::Error| format!("cannot be read: {error}");
    let mut file = File::open(path).map_err(io)?;
    let n_bytes = file.metadata().map_err(io)?.len();
    let mut start = Vec::new();
    file.by_ref().take(8).read_to_end(&mut start).map_err(io)?;
    // PyTorch's own files are zip archives, older ones pickles.
    if start.starts_with(b"PK") || start.starts_with(&[0x80, 0x02]) {
        return Err("is a file of `torch.save`, expected safetensors\n\
                    help: in Python, `safetensors.torch.save_file(model.state_dict(), \"network.safetensors\")`"
            .to_owned());
    }
    let length = start.first_chunk().map(|length| u64::from_le_bytes(*length));
    let length = length.ok_or_else(|| damaged("it ends in the length of its header"))?;
    if length > MAX_HEADER || length > n_bytes - 8 {
        return Err(damaged(&format!("its header would have {length} bytes, and the file has {n_bytes}")));
    }
    let mut text = Vec::new();
    file.take(length).read_to_end(&mut text).map_err(io)?;
    let header = Header::parse(&text).map_err(|HeaderError { expected, position }| {
        damaged(&format!("its header lacks {expected} at byte {position}"))
    })?;
    if header.data_end.checked_add(8 + length) != Some(n_bytes) {
        return Err(damaged(&format!("it has {n_bytes} bytes, but its header describes {} of data", header.data_end)));
    }
    Ok(header)
}

/// What differs, or None if loading the file will succeed.
fn compare(header: &Header, layers: &[LayerInstance]) -> Option<String> {
    let expected: Vec<(String, Vec<usize>)> = layers
        .iter()
        .flat_map(|layer| {
            layer.weights().into_iter().map(|weight| (format!("{}.{}", layer.path, weight.name), weight.dims))
        })
        .collect();
    let names: std::collections::HashSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    let missing = expected.iter().filter(|(name, _)| !header.tensors.contains_key(name)).map(|(name, _)| name.as_str());
    // What a checkpoint keeps for its optimizer is left out when weights are loaded from it.
    let optimizer = |name: &str| header.is_checkpoint && name.starts_with("optimizer.");
    let unexpected = header.tensors.keys().map(String::as_str).filter(|name| !names.contains(name) && !optimizer(name));
    let mut lines = Vec::new();
    lines.extend(shortened("missing: ", ", ", missing.map(|name| format!("`{name}`")).collect(), MAX_NAMES));
    lines.extend(shortened("unexpected: ", ", ", unexpected.map(|name| format!("`{name}`")).collect(), MAX_NAMES));
    let differs = expected.iter().filter_map(|(name, dims)| {
        let Tensor { dtype, dims: given } = header.tensors.get(name)?;
        if *given != dims.iter().map(|dim| *dim as u64).collect::<Vec<_>>() {
            Some(format!("`{name}` has the shape {}, expected {}", list(given), list(dims)))
        } else if !FLOATS.contains(&dtype.as_str()) {
            Some(format!("`{name}` holds numbers of the type {dtype}, expected F32"))
        } else {
            None
        }
    });
    lines.extend(shortened("", "\n", differs.collect(), MAX_SHAPES));
    (!lines.is_empty()).then(|| format!("\n{}", lines.join("\n")))
}

/// The first items of a list, and how many more there are; None if there are none.
fn shortened(start: &str, between: &str, items: Vec<String>, most: usize) -> Option<String> {
    let rest = items.len().saturating_sub(most);
    let more = if rest == 0 { String::new() } else { format!("{between}and {rest} more") };
    let items = items.into_iter().take(most).collect::<Vec<_>>();
    (!items.is_empty()).then(|| format!("{start}{}{more}", items.join(between)))
}
