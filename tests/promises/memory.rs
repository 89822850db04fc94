//! How much memory calls take. That they allocate nothing stands in `tests/alloc.rs`.

use graven::prelude::*;

use crate::networks::{Residual, Tutorial, pictures, silhouettes};
use crate::{new, with_threads};

/// The bytes after a step with each of these batches.
fn workspaces(batches: [usize; 2], step: impl Fn(usize) -> usize) -> [usize; 2] {
    with_threads(2, || batches.map(step))
}

#[test]
fn a_workspace_does_not_grow_with_the_batch() {
    let [small, large] = workspaces([1_000, 10_000], |n| {
        let (images, labels) = silhouettes(n);
        let mut network: Tutorial = new(0);
        network.forward(&images).unwrap();
        network.loss_step(&images, &labels, &mut Adam::new(0.001)).unwrap();
        network.workspace_bytes()
    });
    assert_eq!(small, large);
    // A framework keeps the activations of all samples: 3,456 floats of the first convolution alone.
    assert!(large < 10_000 * 3_456 * 4 / 4, "{large} bytes");

    let [small, large] = workspaces([1_000, 4_000], |n| {
        let (images, labels) = pictures(n);
        let mut network: Residual = new(0);
        network.loss_step(&images, &labels, &mut Adam::new(0.001)).unwrap();
        network.workspace_bytes()
    });
    assert_eq!(small, large);
}

#[test]
fn a_workspace_is_kept_for_the_next_call() {
    let (images, labels) = pictures(100);
    let mut network: Residual = new(0);
    let bytes = with_threads(2, || {
        [0; 3].map(|_| {
            network.loss_step(&images, &labels, &mut Sgd::new(0.01)).unwrap_or_else(|error| panic!("{error}"));
            network.workspace_bytes()
        })
    });
    assert!(bytes[0] > 0 && bytes.iter().all(|size| *size == bytes[0]), "{bytes:?}");
}
