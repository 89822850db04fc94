//! Files of weights, in the format safetensors.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype as FileDtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};

use crate::device::Device;
use crate::error::{Error, Result};
use crate::home::elements;
use crate::model::StateDict;
use crate::plan::{ModulePlan, ParameterPlan};
use crate::structure::Bound;
use crate::tensor::{Shape, Tensor};

/// Keys of the metadata that are ours start so.
pub(crate) const RESERVED: &str = "graven.";
/// Marks a checkpoint.
pub(crate) const CHECKPOINT: &str = "graven.checkpoint";
/// The seed of dropout, and how many steps have drawn from it.
const SEED: &str = "graven.seed";
const STEP: &str = "graven.step";

/// The metadata of a file.
pub(crate) type Metadata = BTreeMap<String, String>;

/// What `collect` gives. That would sort the pairs first, by code that is compiled anew for every iterator.
pub(crate) fn map_of<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(pairs);
    map
}

/// A copy of all parameters by their keys.
///
/// Errors: a shape is too long for a tensor.
pub(crate) fn state(plan: &ModulePlan, parameters: &[f32]) -> Result<StateDict> {
    let mut state = StateDict::new();
    for parameter in plan.parameters {
        let values = &parameters[parameter.offset..][..elements(parameter)];
        state.insert(parameter.name.to_string(), Tensor::new(values, parameter.dims)?);
    }
    Ok(state)
}

/// A tensor to be written.
pub(crate) struct View {
    key: String,
    dims: &'static [usize],
    /// Little-endian, as the format wants it.
    bytes: Vec<u8>,
}

impl View {
    fn tensor(&self) -> std::result::Result<(&str, TensorView<'_>), SafeTensorError> {
        Ok((&self.key, TensorView::new(FileDtype::F32, self.dims.to_vec(), &self.bytes)?))
    }
}

/// The parameters of a module, or what an optimizer keeps for them, to be written with this prefix to their keys.
pub(crate) fn views(plan: &'static ModulePlan, prefix: &str, values: &[f32]) -> Vec<View> {
    let view = |parameter: &'static ParameterPlan| View {
        key: format!("{prefix}{}", parameter.name),
        dims: parameter.dims,
        bytes: values[parameter.offset..][..elements(parameter)].iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    plan.parameters.iter().map(view).collect()
}

/// The keys and shapes of a module's parameters.
pub(crate) fn keys(plan: &'static ModulePlan) -> Vec<(String, Shape)> {
    keys_with_prefix(plan, "")
}

pub(crate) fn keys_with_prefix(plan: &'static ModulePlan, prefix: &str) -> Vec<(String, Shape)> {
    let key = |parameter: &ParameterPlan| (format!("{prefix}{}", parameter.name), Shape::known(parameter.dims));
    plan.parameters.iter().map(key).collect()
}

/// A state dict whose tensors may lie on a device, in host memory.
///
/// Errors: the driver of a device fails.
pub(crate) fn in_host_memory(state: &StateDict) -> Result<std::borrow::Cow<'_, StateDict>> {
    if state.values().all(|tensor| tensor.remote().is_none()) {
        return Ok(std::borrow::Cow::Borrowed(state));
    }
    let copy = |(key, tensor): (&String, &Tensor)| Ok((key.clone(), tensor.to(&Device::cpu())?));
    state.iter().map(copy).collect::<Result<_>>().map(std::borrow::Cow::Owned)
}

/// Copies a checked state dict, in host memory, into a layout.
pub(crate) fn set(plan: &'static ModulePlan, parameters: &mut [f32], state: &StateDict) {
    set_with_prefix(plan, "", parameters, state);
}

pub(crate) fn set_with_prefix(plan: &'static ModulePlan, prefix: &str, values: &mut [f32], state: &StateDict) {
    for parameter in plan.parameters {
        let tensor = &state[&format!("{prefix}{}", parameter.name)];
        values[parameter.offset..][..elements(parameter)].copy_from_slice(tensor.as_slice());
    }
}

/// The metadata of a network: the mark that PyTorch's tools look for, and where dropout stands. The latter belongs to a
/// whole network, not to a part of it.
pub(crate) fn metadata(bound: &Bound<'_>) -> Metadata {
    let mut metadata = map_of([("format".into(), "pt".into())]);
    if let Some(home) = bound.home.filter(|_| bound.is_whole()) {
        let (seed, step) = home.dropout_state();
        metadata.insert(SEED.into(), seed.to_string());
        metadata.insert(STEP.into(), step.to_string());
    }
    metadata
}

/// Sets where dropout stands, unless the module is a part of a network or the file did not say.
pub(crate) fn set_dropout(bound: &Bound<'_>, state: Option<(u64, u64)>) {
    if let (Some(home), Some((seed, step)), true) = (bound.home, state, bound.is_whole()) {
        home.set_dropout_state(seed, step);
    }
}

/// Compares keys and shapes with those expected.
///
/// Errors: some are missing, unexpected, or of another shape; all of them are listed.
pub(crate) fn check_keys<'a>(
    path: Option<&Path>,
    model: &'static str,
    expected: &[(String, Shape)],
    given: impl Iterator<Item = (&'a str, Shape)>,
) -> Result<()> {
    let given: BTreeMap<&str, Shape> = map_of(given);
    let names: BTreeMap<&str, Shape> = map_of(expected.iter().map(|(key, shape)| (key.as_str(), *shape)));
    let absent = |key: &&String| !given.contains_key(key.as_str());
    let missing: Vec<String> = expected.iter().map(|(key, _)| key).filter(absent).cloned().collect();
    let unexpected: Vec<String> =
        given.keys().filter(|key| !names.contains_key(*key)).map(ToString::to_string).collect();
    let differs = |(key, expected): &(String, Shape)| {
        given.get(key.as_str()).filter(|given| *given != expected).map(|given| (key.clone(), *given, *expected))
    };
    let misshapen: Vec<(String, Shape, Shape)> = expected.iter().filter_map(differs).collect();
    if missing.is_empty() && unexpected.is_empty() && misshapen.is_empty() {
        return Ok(());
    }
    Err(Error::Keys { path: path.map(Path::to_path_buf), model, missing, unexpected, misshapen })
}

/// Writes a file, completely or not at all.
///
/// Errors: the folder or the file cannot be written.
pub(crate) fn write(path: &Path, views: &[View], metadata: Metadata) -> Result<()> {
    let damaged = |error: SafeTensorError| {
        Error::format(path, format!("the weights cannot be written as safetensors: {error}"), "")
    };
    let tensors = views.iter().map(View::tensor).collect::<std::result::Result<Vec<_>, _>>().map_err(damaged)?;
    let bytes = with_metadata(&safetensors::serialize(tensors, None).map_err(damaged)?, &metadata);

    // A link stays a link, and what it points to is replaced.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // As for any new file, and not for the eyes of its owner only, as temporary files are.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(Error::io("write to the folder", folder))?;
    file.write_all(&bytes).map_err(Error::io("write", path))?;
    file.as_file().sync_all().map_err(Error::io("write", path))?;
    file.persist(&target).map_err(|error| Error::io("write", path)(error.error))?;
    // The new name is on disk once its folder is; not every system lets us ask for that.
    #[cfg(unix)]
    let _ = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Adds metadata to a file without any. (The crate takes a hash map and would write it in another order on every run; equal
/// weights should give equal files.)
fn with_metadata(file: &[u8], metadata: &Metadata) -> Vec<u8> {
    let length = file.first_chunk().map_or(0, |length| u64::from_le_bytes(*length)) as usize;
    let (header, data) = file[8..].split_at(length);
    let entries: Vec<String> =
        metadata.iter().map(|(key, value)| format!("{}:{}", quoted(key), quoted(value))).collect();
    let mut text = format!("{{\"__metadata__\":{{{}}}", entries.join(",")).into_bytes();
    let rest = header[1..].trim_ascii_end();
    text.extend_from_slice(if rest == b"}" { b"" } else { b"," });
    text.extend_from_slice(rest);
    // Data starts at a multiple of 8 bytes.
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes()[..], &text, data].concat()
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => quoted.push_str(&format!("\\u{:04x}", control as u32)),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// A file that was read.
pub(crate) struct File {
    path: PathBuf,
    pub(crate) metadata: Metadata,
    tensors: BTreeMap<String, Entry>,
}

/// A tensor of a file: its shape, and its numbers or, where they cannot be f32, the name of their type.
struct Entry {
    shape: Shape,
    values: std::result::Result<Tensor, FileDtype>,
}

impl File {
    /// Reads a file.
    ///
    /// Errors: there is none; it is damaged, or something else than safetensors.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let damaged = |error: SafeTensorError| damaged(path, &bytes, &error.to_string());
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let entry = |(key, view): (String, TensorView<'_>)| {
            let shape = Shape::new(view.shape())?;
            let values = match to_f32(view.dtype(), view.data()) {
                Some(values) => Ok(Tensor::new(values, shape)?),
                None => Err(view.dtype()),
            };
            Ok((key, Entry { shape, values }))
        };
        Ok(Self {
            path: path.to_path_buf(),
            metadata: map_of(header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone()))),
            tensors: map_of(file.tensors().into_iter().map(entry).collect::<Result<Vec<_>>>()?),
        })
    }

    pub(crate) fn is_checkpoint(&self) -> bool {
        self.metadata.contains_key(CHECKPOINT)
    }

    /// Leaves out what an optimizer keeps.
    pub(crate) fn forget_optimizer(&mut self, plan: &ModulePlan) {
        let is_parameter = |key: &str| plan.parameters.iter().any(|parameter| parameter.name == key);
        self.tensors.retain(|key, _| is_parameter(key) || !key.starts_with("optimizer."));
    }

    /// Where dropout stands, if the file says so.
    ///
    /// Errors: it says something else than numbers.
    pub(crate) fn dropout_state(&self) -> Result<Option<(u64, u64)>> {
        Ok(self.number(SEED)?.zip(self.number(STEP)?))
    }

    /// A number among the metadata.
    ///
    /// Errors: it is there, but is no such number.
    pub(crate) fn number<N: std::str::FromStr>(&self, key: &str) -> Result<Option<N>> {
        let Some(text) = self.metadata.get(key) else { return Ok(None) };
        let number =
            text.parse().map_err(|_| Error::format(&self.path, format!("`{key}` is `{text}`, not a number"), ""));
        number.map(Some)
    }

    /// Its tensors, if they are those that are expected.
    ///
    /// Errors: keys or shapes differ; numbers cannot be f32.
    pub(crate) fn into_state(self, model: &'static str, expected: &[(String, Shape)]) -> Result<StateDict> {
        let given = self.tensors.iter().map(|(key, entry)| (key.as_str(), entry.shape));
        check_keys(Some(&self.path), model, expected, given)?;
        let tensor = |(key, entry): (String, Entry)| match entry.values {
            Ok(tensor) => Ok((key, tensor)),
            Err(dtype) => Err(Error::format(
                &self.path,
                format!("`{key}` holds numbers of the type {dtype}, expected F32"),
                "F64, F16 and BF16 are converted; convert others before saving",
            )),
        };
        Ok(map_of(self.tensors.into_iter().map(tensor).collect::<Result<Vec<_>>>()?))
    }
}

fn damaged(path: &Path, bytes: &[u8], error: &str) -> Error {
    // PyTorch's own files are zip archives, older ones pickles.
    if bytes.starts_with(b"PK") || bytes.starts_with(&[0x80, 0x02]) {
        return Error::format(
            path,
            "this is a file of `torch.save`, expected safetensors",
            "in Python: `safetensors.torch.save_file(model.state_dict(), \"weights.safetensors\")`",
        );
    }
    Error::format(
        path,
        format!("not a complete safetensors file ({} bytes): {error}", bytes.len()),
        "the file is damaged, or something else",
    )
}

/// Numbers of a floating point type as f32; `None` for other types.
fn to_f32(dtype: FileDtype, bytes: &[u8]) -> Option<Vec<f32>> {
    Some(match dtype {
        FileDtype::F32 => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        FileDtype::F64 => bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes) as f32).collect(),
        FileDtype::F16 => bytes.as_chunks().0.iter().map(|&bytes| half(u16::from_le_bytes(bytes))).collect(),
        FileDtype::BF16 => {
            let float = |&bytes: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16);
            bytes.as_chunks().0.iter().map(float).collect()
        }
        _ => return None,
    })
}

/// IEEE binary16: 1 bit of sign, 5 of exponent, 10 of fraction.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_converted() {
        let cases =
            [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (0x0001, 5.960_464_5e-8), (0x3555, 0.333_251_95)];
        for (bits, value) in cases {
            assert_eq!(half(bits), value);
        }
        assert_eq!(half(0xfc00), f32::NEG_INFINITY);
        assert!(half(0x7e00).is_nan());
        assert_eq!(to_f32(FileDtype::BF16, &[0x80, 0x3f, 0x20, 0xc0]), Some(vec![1.0, -2.5]));
        assert_eq!(to_f32(FileDtype::F64, &0.5_f64.to_le_bytes()), Some(vec![0.5]));
        assert_eq!(to_f32(FileDtype::I64, &[0; 8]), None);
    }

    #[test]
    fn metadata_survives_whatever_it_holds() {
        let metadata = Metadata::from([("a \"b\"\\".to_string(), "line\n\u{1}é".to_string())]);
        for tensors in [vec![], vec![("w", TensorView::new(FileDtype::F32, vec![1], &[0; 4]).unwrap())]] {
            let n_tensors = tensors.len();
            let file = with_metadata(&safetensors::serialize(tensors, None).unwrap(), &metadata);
            let (_, header) = SafeTensors::read_metadata(&file).unwrap();
            let read: Metadata = header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(read, metadata);
            assert_eq!(SafeTensors::deserialize(&file).unwrap().len(), n_tensors);
        }
    }
}
