//! Dropout in training: how often, by what, and that the mask belongs to seed, step and sample alone.

use graven::prelude::*;

use crate::{new, with_threads};

const P: f64 = 0.3;
const FEATURES: usize = 100;

/// Shows what its dropouts let through. With a weight of zero and a bias of one, that is the mask over 1 − p.
#[derive(Module)]
struct Masks {
    #[layer(in_features = 2, out_features = 100)]
    fc: Linear,
    #[layer(p = 0.3)]
    first: Dropout,
    #[layer(p = 0.3)]
    second: Dropout,
}

network! {
    impl Masks {
        fn forward(&self, t: Tensor<[N, 2]>) -> (Tensor<[N, 100]>, Tensor<[N, 100]>) {
            let t = self.fc(t);
            (self.first(t), self.second(t))
        }

        /// The sum of the first, so that the gradient of each bias is the sum of its column.
        fn loss(&self, t: Tensor<[N, 2]>) -> (Tensor<[]>, Tensor<[N, 100]>, Tensor<[N, 100]>) {
            let (first, second) = self.forward(t);
            (first.sum(), first, second)
        }
    }
}

fn masks(seed: u64) -> Masks {
    let mut network: Masks = new(seed);
    network.fc.weight.set(&Tensor::zeros([FEATURES, 2]).unwrap()).unwrap();
    network.fc.bias.as_mut().unwrap().set(&Tensor::full([FEATURES], 1.0).unwrap()).unwrap();
    network
}

/// The two masks of the next training step, with 0 and 1 / (1 - p).
fn draw(network: &Masks, n: usize) -> [Vec<f32>; 2] {
    let (_, first, second, _) = network.loss_grad(&Tensor::zeros([n, 2]).unwrap()).unwrap();
    [first, second].map(|mask| mask.to_vec().unwrap())
}

/// Asserts that a share of `n` independent events is within five standard deviations of its probability.
fn assert_share(events: impl Iterator<Item = bool>, probability: f64, what: &str) {
    let (mut n, mut hits) = (0.0, 0.0);
    for event in events {
        n += 1.0;
        hits += f64::from(u8::from(event));
    }
    let sigma = (probability * (1.0 - probability) / n).sqrt();
    let away = (hits / n - probability).abs() / sigma;
    assert!(away < 5.0, "{what}: {hits} of {n} are {away:.1} standard deviations from {probability}");
}

/// Asserts that two masks agree as often as independent ones do.
fn assert_independent(one: &[f32], other: &[f32], what: &str) {
    let agree = one.iter().zip(other).map(|(a, b)| (*a == 0.0) == (*b == 0.0));
    assert_share(agree, P * P + (1.0 - P) * (1.0 - P), what);
}

#[test]
fn elements_are_kept_as_often_as_asked_and_scaled() {
    let n = 203;
    let [mask, _] = draw(&masks(0), n);
    let kept = |value: &f32| *value != 0.0;
    let scaled = (1.0 / (1.0 - P)) as f32;
    assert!(mask.iter().filter(|value| kept(value)).all(|value| (value - scaled).abs() <= 1e-6 * scaled));
    assert_share(mask.iter().map(kept), 1.0 - P, "all elements");
    for (sample, row) in mask.chunks(FEATURES).enumerate() {
        assert_share(row.iter().map(kept), 1.0 - P, &format!("sample {sample}"));
    }
    for feature in 0..FEATURES {
        let column = mask.iter().skip(feature).step_by(FEATURES);
        assert_share(column.map(kept), 1.0 - P, &format!("feature {feature}"));
    }
    // Neighbours, and lanes of the same tile and of the next one.
    for distance in [1, 2, 16, FEATURES, 16 * FEATURES] {
        assert_independent(&mask[distance..], &mask, &format!("elements {distance} apart"));
    }
}

#[test]
fn masks_differ_between_steps_layers_and_seeds() {
    let network = masks(0);
    let [first, second] = draw(&network, 50);
    assert_independent(&first, &second, "two layers");
    let [next, _] = draw(&network, 50);
    assert_independent(&first, &next, "two steps");
    let [other, _] = draw(&masks(1), 50);
    assert_independent(&first, &other, "two seeds");
}

#[test]
fn the_gradient_passes_where_the_value_passed() {
    let network = masks(0);
    let (loss, mask, _, gradients) = network.loss_grad(&Tensor::zeros([37, 2]).unwrap()).unwrap();
    let bias = gradients.get("fc.bias").unwrap();
    for (feature, gradient) in bias.as_slice().iter().enumerate() {
        let column: f32 = mask.as_slice().iter().skip(feature).step_by(FEATURES).sum();
        assert!((gradient - column).abs() <= 1e-4, "feature {feature}: {gradient}, not {column}");
    }
    let sum: f64 = mask.as_slice().iter().map(|value| f64::from(*value)).sum();
    let loss = f64::from(loss.item().unwrap());
    assert!((loss - sum).abs() <= 1e-5 * sum, "{loss} {sum}");
}

#[test]
fn the_same_seed_gives_the_same_masks() {
    let (one, mut other) = (masks(0), masks(0));
    let steps: Vec<_> = (0..3).map(|_| draw(&one, 20)).collect();
    let again: Vec<_> = (0..3).map(|_| draw(&other, 20)).collect();
    assert_eq!(steps, again);
    other.set_seed(Seed(0));
    assert_eq!(draw(&other, 20), steps[0]);
    other.set_seed(Seed(1));
    assert_ne!(draw(&other, 20), steps[0]);
    // A call in eval mode draws nothing, and neither does one that is refused.
    let third = masks(0);
    assert_eq!(draw(&third, 20), steps[0]);
    let (first, second) = third.forward(&Tensor::zeros([20, 2]).unwrap()).unwrap();
    assert_eq!([&first, &second].map(Tensor::as_slice), [&[1.0; 2000]; 2]);
    assert!(third.loss_grad(&Tensor::zeros([20, 3]).unwrap()).is_err());
    assert_eq!(draw(&third, 20), steps[1]);
}

#[test]
fn a_mask_belongs_to_the_sample() {
    let all = with_threads(1, || draw(&masks(0), 203));
    for n_threads in [2, 3, 5] {
        assert_eq!(with_threads(n_threads, || draw(&masks(0), 203)), all, "{n_threads} threads");
    }
    // Whatever batch the sample is in.
    for n in [1, 16, 37] {
        let part = draw(&masks(0), n);
        assert_eq!(part, all.each_ref().map(|mask| mask[..n * FEATURES].to_vec()), "a batch of {n}");
    }
}

#[test]
fn a_file_remembers_where_the_masks_stand() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    let network = masks(0);
    draw(&network, 20);
    network.save(&file).unwrap();
    let mut loaded: Masks = new(7);
    loaded.load(&file).unwrap();
    assert_eq!(draw(&loaded, 20), draw(&network, 20));
}

/// The extremes of p.
#[derive(Module)]
struct Extremes {
    #[layer(in_features = 5, out_features = 1)]
    fc: Linear,
    #[layer(p = 0.0)]
    nothing: Dropout,
    #[layer(p = 1.0)]
    all: Dropout,
}

network! {
    impl Extremes {
        fn loss(&self, t: Tensor<[N, 5]>) -> (Tensor<[]>, Tensor<[N, 5]>, Tensor<[N, 5]>) {
            let all = self.all(t * 2.0);
            (self.fc(all).sum(), self.nothing(t), all)
        }
    }
}

#[test]
fn p_may_be_0_or_1() {
    let t = Tensor::full([20, 5], 3.0).unwrap();
    let network: Extremes = new(0);
    let (loss, nothing, all, gradients) = network.loss_grad(&t).unwrap();
    assert_eq!(nothing, t);
    assert_eq!(all, Tensor::zeros([20, 5]).unwrap());
    let bias = network.fc.bias.as_ref().unwrap().to_vec().unwrap()[0];
    assert!((loss.item().unwrap() - 20.0 * bias).abs() < 1e-5);
    assert_eq!(gradients.get("fc.weight").unwrap(), Tensor::zeros([1, 5]).unwrap());
    assert_eq!(gradients.get("fc.bias").unwrap().as_slice(), [20.0]);
}
