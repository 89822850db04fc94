//! Wrong arguments: the error names the argument and what is wrong with it, and nothing was changed.

use graven::prelude::*;

use crate::networks::{Tutorial, silhouettes};
use crate::{bits, new};

/// What each kind of call says about a batch: the same, but for its own name.
fn refused(network: &mut Tutorial, adam: &mut Adam, images: &Tensor, labels: &Tensor<i64>) -> String {
    let mut gradients = network.gradients().unwrap();
    let text = network.loss(images, labels).unwrap_err().to_string();
    let errors = [
        network.loss_grad(images, labels).unwrap_err(),
        network.loss_grad_into(images, labels, &mut gradients).unwrap_err(),
        network.loss_step(images, labels, adam).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), text.replacen("`Tutorial::loss`", "`Tutorial::loss_grad`", 1));
    }
    assert_eq!(gradients.norm(), 0.0);
    text
}

#[test]
fn wrong_batches_are_refused_and_change_nothing() {
    let (images, labels) = silhouettes(20);
    let [mut network, mut undisturbed] = [0; 2].map(new::<Tutorial>);
    let (mut adam, mut own) = (Adam::new(0.01), Adam::new(0.01));
    network.loss_step(&images, &labels, &mut adam).unwrap();
    undisturbed.loss_step(&images, &labels, &mut own).unwrap();
    let before = bits(&network);
    let zeros = |shape: &[usize]| Tensor::zeros(shape).unwrap();
    let mut label = |index: usize, label: i64| {
        let mut labels = labels.clone();
        labels.as_mut_slice()[index] = label;
        refused(&mut network, &mut adam, &images, &labels)
    };

    assert_eq!(
        label(19, 10),
        "`Tutorial::loss`: `labels` holds the label 10 at index 19, but there are 10 classes\n\
         help: labels count from 0 to 9"
    );
    assert!(label(3, -1).contains("`labels` holds the label -1 at index 3, but there are 10 classes"));
    assert!(label(0, i64::MIN).contains("the label -9223372036854775808 at index 0"));

    let mut refuse = |images: &Tensor, labels: &Tensor<i64>| refused(&mut network, &mut adam, images, labels);
    assert_eq!(
        refuse(&zeros(&[20, 784]), &labels),
        "`Tutorial::loss` takes `images` [N, 1, 28, 28], but was given [20, 784]\nnote: 2 axes, not 4"
    );
    assert_eq!(
        refuse(&zeros(&[20, 1, 28, 27]), &labels),
        "`Tutorial::loss` takes `images` [N, 1, 28, 28], but was given [20, 1, 28, 27]\nnote: axis 3 is 27, not 28"
    );
    assert_eq!(
        refuse(&images, &labels.rows(0..19).unwrap()),
        "`Tutorial::loss`: the size N is 20 in `images` but 19 in `labels`\n\
         help: both must come from the same batch"
    );
    assert_eq!(
        refuse(&images, &Tensor::zeros([20, 1]).unwrap()),
        "`Tutorial::loss` takes `labels` [N], but was given [20, 1]\nnote: 2 axes, not 1"
    );
    assert_eq!(
        refuse(&zeros(&[0, 1, 28, 28]), &Tensor::zeros([0]).unwrap()),
        "`Tutorial::loss`: `images` is empty: N is 0, but must be at least 1\nhelp: skip empty batches"
    );
    assert_eq!(
        refuse(&Tensor::empty(), &labels),
        "`Tutorial::loss` takes `images` [N, 1, 28, 28], but was given []\nnote: 0 axes, not 4"
    );
    assert_eq!(bits(&network), before);

    // And the training goes on as if nothing had happened.
    network.loss_step(&images, &labels, &mut adam).unwrap();
    undisturbed.loss_step(&images, &labels, &mut own).unwrap();
    assert_eq!(bits(&network), bits(&undisturbed));
}

#[test]
fn a_refused_output_is_as_it_was() {
    let network: Tutorial = new(0);
    let mut output = Tensor::full([3], 7.0).unwrap();
    let error = network.forward_into(&Tensor::zeros([4, 3, 28, 28]).unwrap(), &mut output).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`Tutorial::forward` takes `t` [N, 1, 28, 28], but was given [4, 3, 28, 28]\nnote: axis 1 is 3, not 1"
    );
    assert_eq!(output, Tensor::full([3], 7.0).unwrap());
}

#[test]
fn numbers_that_are_no_numbers_stay_where_they_are() {
    let (mut images, _) = silhouettes(20);
    let network: Tutorial = new(0);
    let clean = network.forward(&images).unwrap();
    images.as_mut_slice()[5 * 784 + 400] = f32::NAN;
    let output = network.forward(&images).unwrap();
    for sample in 0..20 {
        let row = output.rows(sample..sample + 1).unwrap();
        if sample != 5 {
            assert_eq!(row, clean.rows(sample..sample + 1).unwrap(), "sample {sample}");
        }
    }
    assert!(output.rows(5..6).unwrap().as_slice().iter().all(|value| value.is_nan()), "{output}");
}

network! {
    /// Two sizes that only the arguments know, one of them twice.
    fn scaled(x: Tensor<[N, M]>, scale: Tensor<[M]>) -> Tensor<[N, M]> {
        x * scale
    }
}

#[test]
fn sizes_are_bound_by_the_arguments() {
    let x = Tensor::from_fn([2, 3], |index| index as f32).unwrap();
    let scale = Tensor::new([1.0, 10.0, 100.0], [3]).unwrap();
    assert_eq!(scaled(&x, &scale).unwrap(), Tensor::new([0.0, 10.0, 200.0, 3.0, 40.0, 500.0], [2, 3]).unwrap());
    let error = scaled(&x, &Tensor::zeros([2]).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`scaled`: the size M is 3 in `x` but 2 in `scale`\nhelp: both must come from the same batch"
    );
}

network! {
    /// Numbers where tensors are due, and arguments that the result does not depend on.
    fn numbers(x: Tensor<[3]>) -> (Tensor<[]>, Tensor<[1]>) {
        (sum(0.5) / 2, reshape(4.0, [1]))
    }
}

#[test]
fn a_number_is_a_tensor_without_axes() {
    let x = Tensor::zeros([3]).unwrap();
    let (half, four) = numbers(&x).unwrap();
    assert_eq!((half.item().unwrap(), four), (0.25, Tensor::new([4.0], [1]).unwrap()));
    let (_, _, gradient) = numbers_grad(&x).unwrap();
    assert_eq!(gradient, x, "it is zero");
}
