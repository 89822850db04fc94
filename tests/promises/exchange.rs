//! Layers, optimizers and gradients belong to one network. Safe code can mix them up: that is an error, and nothing was
//! changed.

use std::mem::swap;

use graven::prelude::*;

use crate::networks::{Residual, Tutorial, pictures, silhouettes};
use crate::{bits, new};

/// Every way to use a network, and what it answers.
fn uses(network: &mut Tutorial) -> Vec<Result<()>> {
    let (images, labels) = silhouettes(5);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    new::<Tutorial>(9).save(&file).unwrap();
    let state = new::<Tutorial>(9).state().unwrap();
    let mut gradients = new::<Tutorial>(9).gradients().unwrap();
    let mut adam = Adam::new(0.01);
    vec![
        network.forward(&images).map(drop),
        network.forward_into(&images, &mut Tensor::empty()),
        network.loss(&images, &labels).map(drop),
        network.loss_grad(&images, &labels).map(drop),
        network.loss_grad_into(&images, &labels, &mut gradients).map(drop),
        network.loss_step(&images, &labels, &mut adam).map(drop),
        adam.step(network, &gradients),
        network.gradients().map(drop),
        network.state().map(drop),
        network.load_state(&state),
        network.save(folder.path().join("other.safetensors")),
        network.load(&file),
        Checkpoint::save(folder.path().join("other.safetensors"), network, &adam, &[]),
        Checkpoint::load(&file, network, &mut adam).map(drop),
    ]
}

#[test]
fn swapped_layers_are_an_error_everywhere() {
    let (images, _) = silhouettes(5);
    let [mut first, mut second] = [0, 1].map(new::<Tutorial>);
    let output = first.forward(&images).unwrap();
    swap(&mut first.fc2, &mut second.fc2);
    let before = [bits(&first), bits(&second)];
    for network in [&mut first, &mut second] {
        for (index, answer) in uses(network).into_iter().enumerate() {
            match answer {
                Err(Error::ForeignParameters { parameter, .. }) => assert_eq!(parameter, "fc2.weight", "use {index}"),
                other => panic!("use {index}: {other:?}"),
            }
        }
    }
    assert_eq!([bits(&first), bits(&second)], before);
    let message = first.forward(&images).unwrap_err().to_string();
    assert_eq!(
        message,
        "`Tutorial::forward`: `fc2.weight` is not the parameter that this network was made with\n\
         help: layers cannot move between networks; copy the values: `a.weight.set(&b.weight.to_tensor()?)`"
    );

    swap(&mut first.fc2, &mut second.fc2);
    assert_eq!(first.forward(&images).unwrap(), output);
}

#[test]
fn single_parameters_do_not_move_either() {
    let (images, _) = silhouettes(5);
    let [mut first, mut second] = [0, 1].map(new::<Tutorial>);
    swap(&mut first.fc1.weight, &mut second.fc1.weight);
    assert!(
        matches!(first.forward(&images), Err(Error::ForeignParameters { parameter, .. }) if parameter == "fc1.weight")
    );
    swap(&mut first.fc1.weight, &mut second.fc1.weight);
    first.out.bias = None;
    assert!(
        matches!(first.forward(&images), Err(Error::ForeignParameters { parameter, .. }) if parameter == "out.bias")
    );
    second.forward(&images).unwrap();
}

#[test]
fn layers_of_one_network_keep_their_order() {
    let (images, labels) = pictures(5);
    let mut network: Residual = new(0);
    let output = network.forward(&images).unwrap();
    let before = bits(&network.head);

    network.blocks.swap(0, 1);
    let error = network.forward(&images).unwrap_err();
    assert!(
        matches!(&error, Error::ForeignParameters { parameter, .. } if parameter == "blocks.0.conv1.weight"),
        "{error}"
    );
    network.blocks.swap(0, 1);

    let block = &mut network.blocks[1];
    swap(&mut block.conv1, &mut block.conv2);
    let error = network.loss_step(&images, &labels, &mut Sgd::new(0.1)).unwrap_err();
    assert!(
        matches!(&error, Error::ForeignParameters { parameter, .. } if parameter == "blocks.1.conv1.weight"),
        "{error}"
    );
    let block = &mut network.blocks[1];
    swap(&mut block.conv1, &mut block.conv2);

    assert_eq!(bits(&network.head), before);
    assert_eq!(network.forward(&images).unwrap(), output);
}

/// Whole networks may change places: then every parameter is again with those it was made with.
#[test]
fn whole_networks_may_be_swapped() {
    let (images, _) = pictures(5);
    let [mut first, mut second] = [0, 1].map(new::<Residual>);
    let outputs = [&first, &second].map(|network| network.forward(&images).unwrap());
    swap(&mut first.stem, &mut second.stem);
    swap(&mut first.blocks, &mut second.blocks);
    swap(&mut first.head, &mut second.head);
    assert_eq!([&second, &first].map(|network| network.forward(&images).unwrap()), outputs);
}

#[test]
fn an_optimizer_belongs_to_the_first_network_it_steps() {
    let (images, labels) = silhouettes(7);
    let [mut first, mut second] = [0, 1].map(new::<Tutorial>);
    let mut undisturbed: Tutorial = new(0);
    let (mut adam, mut own) = (Adam::new(0.01), Adam::new(0.01));
    let before = bits(&second);
    for _ in 0..2 {
        first.loss_step(&images, &labels, &mut adam).unwrap();
        undisturbed.loss_step(&images, &labels, &mut own).unwrap();

        let error = second.loss_step(&images, &labels, &mut adam).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this `Adam` belongs to another network than the `Tutorial` it was used with: its state would not fit\n\
             help: make one optimizer per network"
        );
        let gradients = second.gradients().unwrap();
        assert!(matches!(adam.step(&mut second, &gradients), Err(Error::ForeignOptimizer { .. })));
    }
    assert_eq!(bits(&second), before);
    assert_eq!(bits(&first), bits(&undisturbed));
}

#[test]
fn gradients_belong_to_one_network() {
    let (images, labels) = silhouettes(7);
    let [mut first, second] = [0, 1].map(new::<Tutorial>);
    let (_, _, mut gradients) = second.loss_grad(&images, &labels).unwrap();
    let (before, norm) = (bits(&first), gradients.norm());

    let error = Sgd::new(0.1).step(&mut first, &gradients).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`Optimizer::step`: these gradients were made for another network\n\
         help: take them from this one: `network.gradients()?`"
    );
    let error = first.loss_grad_into(&images, &labels, &mut gradients).unwrap_err();
    assert!(error.to_string().starts_with("`Tutorial::loss_grad`: these gradients"), "{error}");
    assert!(matches!(gradients.of(&first.conv1.weight), Err(Error::ForeignGradients { .. })));
    assert_eq!(bits(&first), before);
    assert_eq!(gradients.norm(), norm);

    let weight = gradients.of(&second.conv1.weight).unwrap();
    assert_eq!(weight, gradients.get("conv1.weight").unwrap().as_slice());
    let error = gradients.get("conv3.weight").unwrap_err();
    assert!(
        error.to_string().starts_with("no parameter is called `conv3.weight`\nhelp: there are `conv1.weight`, "),
        "{error}"
    );
}

#[test]
fn a_setting_out_of_range_is_an_error_of_the_step() {
    let (images, labels) = silhouettes(7);
    let mut network: Tutorial = new(0);
    let before = bits(&network);
    let error = network.loss_step(&images, &labels, &mut Adam::new(f64::NAN)).unwrap_err();
    assert!(error.to_string().starts_with("`Adam` was given lr = NaN, but takes "), "{error}");
    let error = network.loss_step(&images, &labels, &mut Sgd::new(0.1).nesterov(true)).unwrap_err();
    assert!(
        error.to_string().starts_with("`Sgd` was given momentum = 0.0, but takes more than 0 together with nesterov"),
        "{error}"
    );
    assert_eq!(bits(&network), before);
}
