//! A network whose parameters outgrow the cache walks in tiles of 64 samples. Its numbers are those of plain loops in f64, for
//! batches that end in the middle of a tile as well, and have the same bits for any number of threads.

use graven::prelude::*;

use crate::{new, with_threads};

const FEATURES: usize = 40;
const CLASSES: usize = 7;

#[derive(Module)]
struct Wide {
    #[layer(out_features = HIDDEN)]
    fc1: Linear,
    #[layer(out_features = HIDDEN)]
    fc2: Linear,
    #[layer(out_features = CLASSES)]
    out: Linear,
}

network! {
    impl Wide {
        const FEATURES: usize = 40;
        const HIDDEN: usize = 512;
        const CLASSES: usize = 7;

        pub fn forward(&self, t: Tensor<[N, FEATURES]>) -> Tensor<[N, CLASSES]> {
            let t = relu(self.fc1(t));
            self.out(tanh(self.fc2(t)))
        }

        pub fn loss(&self, t: Tensor<[N, FEATURES]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(t), labels)
        }

        pub fn many(&self, t: Tensor<[N, FEATURES]>) -> (Tensor<[N, 17]>, Tensor<[N], i64>) {
            let t = self.fc2(self.fc1(t));
            let t = gelu(t) * softmax(t, dim = 1) + log_softmax(t, dim = 1);
            let square = t.reshape([N, 16, 32]);
            let rows = sum(matmul(square, permute(square, [0, 2, 1])), dim = 2);
            (cat([rows, mean(t, dim = 1, keepdim = true)], dim = 1), argmax(rows, dim = 1))
        }
    }
}

/// Numbers in −1..1 that look random, and labels.
fn batch(n: usize) -> (Tensor, Tensor<i64>) {
    let number = |i: usize| (i * 7919 % 2003) as f32 / 1001.5 - 1.0;
    let data: Vec<f32> = (0..n * FEATURES).map(number).collect();
    let labels: Vec<i64> = (0..n).map(|i| (i * 5 % CLASSES) as i64).collect();
    (Tensor::new(data, [n, FEATURES]).unwrap(), Tensor::new(labels, [n]).unwrap())
}

/// output [n, out] = input [n, in] · weight [out, in] + bias
fn linear(input: &[f64], layer: &Linear) -> Vec<f64> {
    let weight = layer.weight.to_vec().unwrap();
    let bias = layer.bias.as_ref().unwrap().to_vec().unwrap();
    let size = weight.len() / bias.len();
    let row = |row: &[f64]| -> Vec<f64> {
        let dot = |w: &[f32]| w.iter().zip(row).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
        weight.chunks(size).zip(&bias).map(|(w, b)| dot(w) + f64::from(*b)).collect()
    };
    input.chunks(size).flat_map(row).collect()
}

/// grad_input = grad_output · weight, and grad_weight = grad_output transposed · input.
fn linear_grad(input: &[f64], grad: &[f64], layer: &Linear) -> (Vec<f64>, Vec<f64>) {
    let weight = layer.weight.to_vec().unwrap();
    let outputs = layer.bias.as_ref().unwrap().to_vec().unwrap().len();
    let size = weight.len() / outputs;
    let (mut grad_input, mut grad_weight) = (vec![0.0; input.len()], vec![0.0; weight.len()]);
    for (s, grad) in grad.chunks(outputs).enumerate() {
        for (o, grad) in grad.iter().enumerate() {
            for i in 0..size {
                grad_input[s * size + i] += grad * f64::from(weight[o * size + i]);
                grad_weight[o * size + i] += grad * input[s * size + i];
            }
        }
    }
    (grad_input, grad_weight)
}

fn assert_close(what: &str, got: &[f32], wanted: &[f64]) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    let largest = wanted.iter().fold(0.0_f64, |largest, wanted| largest.max(wanted.abs()));
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert!((f64::from(*got) - wanted).abs() <= 1e-5 * largest, "{what}: element {i} is {got}, wanted {wanted}");
    }
}

#[test]
fn the_tile_holds_64_samples_and_conv_nets_keep_16() {
    let samples = |functions: Vec<&'static graven::__private::Plan>| -> Vec<usize> {
        functions
            .iter()
            .flat_map(|plan| plan.stages)
            .flat_map(|stage| stage.loops)
            .map(|own| own.tile.samples)
            .collect()
    };
    assert_eq!(samples(Wide::functions()), [64; 4]);
    assert!(samples(crate::networks::Tutorial::functions()).iter().all(|samples| *samples == 16));
}

#[test]
fn numbers_are_those_of_plain_loops() {
    for n in [1, 5, 64, 101] {
        let network: Wide = new(3);
        let (images, labels) = batch(n);
        let x: Vec<f64> = images.to_vec().unwrap().into_iter().map(f64::from).collect();
        let first: Vec<f64> = linear(&x, &network.fc1).into_iter().map(|x| x.max(0.0)).collect();
        let second: Vec<f64> = linear(&first, &network.fc2).into_iter().map(f64::tanh).collect();
        let logits = linear(&second, &network.out);
        assert_close(&format!("forward of {n}"), &network.forward(&images).unwrap().to_vec().unwrap(), &logits);

        let (mut loss, mut grad) = (0.0, Vec::new());
        for (row, label) in logits.chunks(CLASSES).zip(labels.to_vec().unwrap()) {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            loss += (sum.ln() - row[label as usize]) / n as f64;
            grad.extend(
                row.iter()
                    .enumerate()
                    .map(|(class, x)| (x.exp() / sum - f64::from(u8::from(class == label as usize))) / n as f64),
            );
        }
        let (grad, out) = linear_grad(&second, &grad, &network.out);
        let grad: Vec<f64> = grad.iter().zip(&second).map(|(grad, y)| grad * (1.0 - y * y)).collect();
        let (grad, fc2) = linear_grad(&first, &grad, &network.fc2);
        let grad: Vec<f64> = grad.iter().zip(&first).map(|(grad, y)| if *y > 0.0 { *grad } else { 0.0 }).collect();
        let (_, fc1) = linear_grad(&x, &grad, &network.fc1);

        let (own, gradients) = network.loss_grad(&images, &labels).unwrap();
        assert!((f64::from(own.item().unwrap()) - loss).abs() < 1e-5, "{n}");
        for (name, wanted) in [("out.weight", out), ("fc2.weight", fc2), ("fc1.weight", fc1)] {
            assert_close(&format!("{name} of {n}"), &gradients.get(name).unwrap().to_vec().unwrap(), &wanted);
        }
    }
}

#[test]
fn a_sample_in_a_wide_tile_gives_what_it_gives_alone() {
    let network: Wide = new(5);
    let n = 70;
    let (images, _) = batch(n);
    let (all, classes) = network.many(&images).unwrap();
    let (all, classes) = (all.to_vec().unwrap(), classes.to_vec().unwrap());
    for (s, image) in images.to_vec().unwrap().chunks(FEATURES).enumerate() {
        let (alone, class) = network.many(&Tensor::new(image.to_vec(), [1, FEATURES]).unwrap()).unwrap();
        let alone: Vec<f64> = alone.to_vec().unwrap().into_iter().map(f64::from).collect();
        assert_close(&format!("sample {s}"), &all[s * 17..][..17], &alone);
        assert_eq!(classes[s], class.item().unwrap());
    }
}

#[test]
fn a_step_has_the_same_bits_for_any_number_of_threads() {
    let (images, labels) = batch(300);
    let step = |threads| {
        with_threads(threads, || {
            let mut network: Wide = new(1);
            network.loss_step(&images, &labels, &mut Adam::new(0.01)).unwrap();
            crate::bits(&network)
        })
    };
    let first = step(1);
    assert!([2, 3, 5].into_iter().all(|threads| step(threads) == first));
}
