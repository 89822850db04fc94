//! Files that are damaged, missing, or for another network: the error names what is wrong, and nothing was changed.

use std::path::Path;

use graven::prelude::*;

use crate::networks::{Residual, Tutorial, pictures, silhouettes};
use crate::{bits, new};

/// What loading this file says.
fn refused(network: &mut Tutorial, path: &Path) -> String {
    let before = bits(network);
    let error = network.load(path).unwrap_err();
    assert_eq!(bits(network), before, "{error}");
    let mut adam = Adam::new(0.01);
    let checkpoint = Checkpoint::load(path, network, &mut adam).unwrap_err();
    assert_eq!(bits(network), before, "{checkpoint}");
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()), "{text}");
    text
}

#[test]
fn weights_survive_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    let (images, labels) = silhouettes(5);
    let mut network: Tutorial = new(0);
    network.loss_step(&images, &labels, &mut Adam::new(0.01)).unwrap();
    network.save(&file).unwrap();
    let mut other: Tutorial = new(1);
    other.load(&file).unwrap();
    assert_eq!(bits(&network), bits(&other));
    assert_eq!(network.forward(&images).unwrap(), other.forward(&images).unwrap());
}

#[test]
fn a_missing_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let text = refused(&mut new(0), &folder.path().join("none.safetensors"));
    assert!(text.starts_with("cannot ") && text.contains("none.safetensors: "), "{text}");
    // A folder is no file of weights.
    refused(&mut new(0), folder.path());
}

#[test]
fn a_truncated_file_is_an_error_wherever_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    new::<Tutorial>(1).save(&file).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut network: Tutorial = new(0);
    for end in
        [0, 1, 7, 8, 9, header / 2, header - 1, header, header + 1, bytes.len() / 2, bytes.len() - 4, bytes.len() - 1]
    {
        std::fs::write(&file, &bytes[..end]).unwrap();
        let text = refused(&mut network, &file);
        assert!(text.contains(&format!("not a complete safetensors file ({end} bytes)")), "{text}");
    }
    std::fs::write(&file, [&bytes[..], &[0; 4]].concat()).unwrap();
    refused(&mut network, &file);
    std::fs::write(&file, &bytes).unwrap();
    network.load(&file).unwrap();
}

#[test]
fn a_damaged_header_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    new::<Tutorial>(1).save(&file).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut network: Tutorial = new(0);
    // The length of the header, and its JSON.
    for position in (0..8).chain((8..header).step_by(13)) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 0x80;
        std::fs::write(&file, &damaged).unwrap();
        refused(&mut network, &file);
    }
    for other in [&b"PK\x03\x04 an archive of torch.save"[..], &b"not a file of weights at all"[..]] {
        std::fs::write(&file, other).unwrap();
        refused(&mut network, &file);
    }
    std::fs::write(&file, b"PK\x03\x04 an archive of torch.save").unwrap();
    assert!(refused(&mut network, &file).contains("this is a file of `torch.save`, expected safetensors"));
}

#[test]
fn weights_of_another_network_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("residual.safetensors");
    new::<Residual>(1).save(&file).unwrap();
    let text = refused(&mut new(0), &file);
    assert!(
        text.contains(": the weights are not those of `Tutorial`\nmissing: `conv1.weight`, `conv1.bias`, "),
        "{text}"
    );
    assert!(text.contains("\nunexpected: `blocks.0.conv1.bias`, "), "{text}");
}

#[test]
fn keys_that_do_not_fit_are_all_named() {
    let mut network: Tutorial = new(0);
    let before = bits(&network);
    let mut state = new::<Tutorial>(1).state().unwrap();
    state.remove("fc1.bias").unwrap();
    state.insert("fc3.bias".into(), Tensor::zeros([4]).unwrap());
    state.insert("out.weight".into(), Tensor::zeros([60, 10]).unwrap());
    let error = network.load_state(&state).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the weights are not those of `Tutorial`\n\
         missing: `fc1.bias`\n\
         unexpected: `fc3.bias`\n\
         `out.weight` has the shape [60, 10], expected [10, 60]\n\
         help: nothing was loaded; the weights must come from the same network"
    );
    assert_eq!(bits(&network), before);

    let error = network.conv1.weight.set(&Tensor::zeros([6, 25]).unwrap()).unwrap_err();
    assert!(error.to_string().contains("`conv1.weight` [6, 1, 5, 5], but was given [6, 25]"), "{error}");
    assert_eq!(bits(&network), before);
}

#[test]
fn a_resumed_training_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.safetensors");
    let (images, labels) = pictures(21);
    let mut network: Residual = new(0);
    let mut adam = Adam::new(0.01).weight_decay(0.01);
    (0..3).for_each(|_| drop(network.loss_step(&images, &labels, &mut adam).unwrap()));
    Checkpoint::save(&file, &network, &adam, &[("epoch", "3".into())]).unwrap();

    let mut resumed: Residual = new(7);
    let mut optimizer = Adam::new(0.5);
    let metadata = Checkpoint::load(&file, &mut resumed, &mut optimizer).unwrap();
    assert_eq!(metadata["epoch"], "3");
    for _ in 0..3 {
        let losses = [
            network.loss_step(&images, &labels, &mut adam).unwrap(),
            resumed.loss_step(&images, &labels, &mut optimizer).unwrap(),
        ];
        assert_eq!(losses[0], losses[1]);
    }
    assert_eq!(bits(&network), bits(&resumed));

    // Another optimizer, another network.
    let before = bits(&resumed);
    let error = Checkpoint::load(&file, &mut resumed, &mut Sgd::new(0.1)).unwrap_err();
    assert!(error.to_string().contains("made with the optimizer `Adam`, not with `Sgd`"), "{error}");
    assert_eq!(bits(&resumed), before);
    let error = Checkpoint::load(&file, &mut new::<Tutorial>(0), &mut Adam::new(0.1)).unwrap_err();
    assert!(error.to_string().contains("the weights are not those of `Tutorial`"), "{error}");
    // And the bare weights of it.
    let mut weights: Residual = new(7);
    weights.load(&file).unwrap();
}
