//! Files of weights and checkpoints: what is written is read again, and nothing damaged is.

use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};

use super::Checkpoint;
use crate::testing::{Line, Pair, points};
use crate::{Adam, Device, Error, Model, Optimizer, Seed, Sgd, StateDict, Tensor};

fn line(seed: u64) -> Line {
    Line::init(Seed(seed), &Device::cpu()).unwrap()
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line.safetensors");
    (folder, path)
}

fn train(line: &mut Line, optimizer: &mut impl Optimizer, steps: std::ops::Range<usize>) {
    for step in steps {
        let (x, targets, labels) = points(20 + step);
        line.loss_step(&x, &targets, &labels, optimizer).unwrap();
    }
}

/// Writes tensors of a type that is not ours.
fn write(path: &Path, tensors: &[(&str, Dtype, &[usize], &[u8])]) {
    let view = |&(key, dtype, shape, bytes): &(&'static str, Dtype, &[usize], &'static [u8])| {
        (key, TensorView::new(dtype, shape.to_vec(), bytes).unwrap())
    };
    let tensors: Vec<(&'static str, Dtype, &[usize], &'static [u8])> =
        tensors.iter().map(|&(key, dtype, shape, bytes)| (leak(key), dtype, shape, leak_bytes(bytes))).collect();
    std::fs::write(path, safetensors::serialize(tensors.iter().map(view), None).unwrap()).unwrap();
}

fn leak(text: &str) -> &'static str {
    text.to_string().leak()
}

fn leak_bytes(bytes: &[u8]) -> &'static [u8] {
    bytes.to_vec().leak()
}

#[test]
fn weights_survive_a_round_trip() {
    let (_folder, path) = folder();
    let (one, mut two) = (line(0), line(1));
    one.save(&path).unwrap();
    two.load(&path).unwrap();
    assert_eq!(two.state().unwrap(), one.state().unwrap());
    // PyTorch's keys and layouts, little-endian f32, and the metadata that its tools look for.
    let bytes = std::fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("fc.weight").unwrap().shape(), [1, 1]);
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
    // Equal weights give equal files.
    two.save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    // A part of a network is saved under its own keys.
    let mut pair = Pair::init(Seed(3), &Device::cpu()).unwrap();
    pair.lines[1].load(&path).unwrap();
    assert_eq!(pair.lines[1].state().unwrap(), one.state().unwrap());
}

#[test]
fn a_resumed_training_equals_an_uninterrupted_one() {
    fn check(make: impl Fn() -> Box<dyn FnMut(&Path) -> [StateDict; 2]>) {
        let (_folder, path) = folder();
        let [uninterrupted, resumed] = make()(&path);
        assert_eq!(uninterrupted, resumed);
    }
    fn run<O: Optimizer + Clone>(path: &Path, optimizer: &O, other: &mut O) -> [StateDict; 2] {
        let (mut one, mut two) = (line(4), line(99));
        let mut optimizer = optimizer.clone();
        train(&mut one, &mut optimizer, 0..5);
        optimizer.set_lr(0.07);
        Checkpoint::save(path, &one, &optimizer, &[("epoch", "5".to_string())]).unwrap();
        train(&mut one, &mut optimizer, 5..10);
        let metadata = Checkpoint::load(path, &mut two, other).unwrap();
        assert_eq!(metadata.into_iter().collect::<Vec<_>>(), [("epoch".to_string(), "5".to_string())]);
        train(&mut two, other, 5..10);
        [one.state().unwrap(), two.state().unwrap()]
    }
    check(|| Box::new(|path| run(path, &Adam::new(0.05).weight_decay(0.1), &mut Adam::new(9.0))));
    check(|| Box::new(|path| run(path, &Sgd::new(0.05).momentum(0.9).nesterov(true), &mut Sgd::new(9.0))));
    check(|| Box::new(|path| run(path, &Sgd::new(0.05), &mut Sgd::new(9.0).momentum(0.5))));
}

#[test]
fn a_checkpoint_before_the_first_step_is_one() {
    let (_folder, path) = folder();
    let (mut one, mut two) = (line(4), line(99));
    let (mut sgd_one, mut sgd_two) = (Sgd::new(0.05).momentum(0.9), Sgd::new(1.0));
    Checkpoint::save(&path, &one, &sgd_one, &[]).unwrap();
    train(&mut one, &mut sgd_one, 0..3);
    Checkpoint::load(&path, &mut two, &mut sgd_two).unwrap();
    train(&mut two, &mut sgd_two, 0..3);
    assert_eq!(one.state().unwrap(), two.state().unwrap());
}

#[test]
fn a_checkpoint_can_be_told_from_bare_weights() {
    let (_folder, path) = folder();
    let mut line_one = line(0);
    let mut adam = Adam::new(0.1);
    train(&mut line_one, &mut adam, 0..2);
    line_one.save(&path).unwrap();
    assert!(!Checkpoint::is_checkpoint(&path).unwrap());
    let error = Checkpoint::load(&path, &mut line_one, &mut adam).unwrap_err().to_string();
    assert!(error.contains("the file holds weights, but is no checkpoint"), "{error}");
    Checkpoint::save(&path, &line_one, &adam, &[("seed", "7".into())]).unwrap();
    assert!(Checkpoint::is_checkpoint(&path).unwrap());
    assert_eq!(Checkpoint::read_metadata(&path).unwrap()["seed"], "7");
    let mut two = line(1);
    two.load(&path).unwrap();
    assert_eq!(two.state().unwrap(), line_one.state().unwrap());
    let error = Checkpoint::load(&path, &mut two, &mut Sgd::new(0.1)).unwrap_err().to_string();
    assert!(error.contains("the checkpoint was made with the optimizer `Adam`, not with `Sgd`"), "{error}");
    assert!(matches!(Checkpoint::save(&path, &two, &adam, &[]), Err(Error::ForeignOptimizer { .. })));
    let reserved = Checkpoint::save(&path, &line_one, &adam, &[("graven.seed", "7".into())]);
    assert!(matches!(reserved, Err(Error::Setting { .. })));
}

#[test]
fn all_wrong_keys_are_listed_and_nothing_is_loaded() {
    let (_folder, path) = folder();
    let mut line = line(0);
    let before = line.state().unwrap();
    write(&path, &[("fc.weight", Dtype::F32, &[2], &[0; 8]), ("fc.bais", Dtype::F32, &[1], &[0; 4])]);
    let text = line.load(&path).unwrap_err().to_string();
    assert!(
        text.contains("the weights are not those of `Line`\nmissing: `fc.bias`\nunexpected: `fc.bais`\n"),
        "{text}"
    );
    assert!(text.contains("\n`fc.weight` has the shape [2], expected [1, 1]\n"), "{text}");
    let state = StateDict::from([("fc.weight".to_string(), Tensor::full([1, 1], 5.0).unwrap())]);
    let error = line.load_state(&state).unwrap_err();
    assert!(matches!(&error, Error::Keys { missing, .. } if *missing == ["fc.bias"]), "{error}");
    assert_eq!(line.state().unwrap(), before);
}

#[test]
fn other_types_are_converted_or_named() {
    let (_folder, path) = folder();
    let mut line = line(0);
    let half = 0.5_f64.to_le_bytes();
    write(&path, &[("fc.weight", Dtype::F64, &[1, 1], &half), ("fc.bias", Dtype::F16, &[1], &[0x00, 0xbc])]);
    line.load(&path).unwrap();
    assert_eq!(line.fc.weight.to_vec().unwrap(), [0.5]);
    assert_eq!(line.fc.bias.as_ref().unwrap().to_vec().unwrap(), [-1.0]);
    write(&path, &[("fc.weight", Dtype::I8, &[1, 1], &[1]), ("fc.bias", Dtype::F32, &[1], &[0; 4])]);
    let text = line.load(&path).unwrap_err().to_string();
    assert!(text.contains("`fc.weight` holds numbers of the type I8, expected F32"), "{text}");
}

#[test]
fn damaged_files_are_errors_that_name_the_file() {
    let (_folder, path) = folder();
    let mut line = line(0);
    line.save(&path).unwrap();
    let (bytes, before) = (std::fs::read(&path).unwrap(), line.state().unwrap());
    for length in 0..bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = line.load(&path).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error}");
        assert!(error.to_string().contains("line.safetensors"));
    }
    // Any changed bit of the header is an error or changes metadata only; none panics.
    for bit in 0..8 * (bytes.len() - 8) {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &changed).unwrap();
        let _ = line.load(&path);
    }
    std::fs::write(&path, "PK\u{3}\u{4}").unwrap();
    assert!(line.load(&path).unwrap_err().to_string().contains("a file of `torch.save`"));
    assert!(matches!(line.load(path.with_extension("none")), Err(Error::Io { .. })));
    line.load_state(&before).unwrap();
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let (folder, path) = folder();
    let line = line(0);
    line.save(&path).unwrap();
    let old = std::fs::read(&path).unwrap();
    // A folder in place of the file cannot be replaced, and nothing stays beside it.
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("file"), "").unwrap();
    let error = line.save(&taken).unwrap_err();
    assert!(matches!(error, Error::Io { doing: "write", .. }), "{error}");
    let error = line.save(folder.path().join("no").join("folder")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    assert_eq!(std::fs::read(&path).unwrap(), old);
}

#[cfg(unix)]
#[test]
fn a_folder_without_permission_keeps_its_file() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, path) = folder();
    let line = line(0);
    line.save(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o600, 0o600);
    let old = std::fs::read(&path).unwrap();
    let permit = |mode| std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    permit(0o555);
    let saved = line.save(&path);
    permit(0o755);
    // The superuser may write everywhere.
    if let Err(error) = saved {
        assert!(error.to_string().starts_with("cannot write to the folder "), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), old);
}
