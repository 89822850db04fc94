//! Modules in modules: frozen parts, parts used by themselves or twice, functions with several results.

use graven::prelude::*;

use crate::networks::{Block, Residual, noise, pictures};
use crate::{bits, new};

/// A backbone that is not trained below a head that is.
#[derive(Module)]
struct Tuned {
    #[layer(frozen, in_channels = 3, out_channels = 6, kernel_size = 3, stride = 2, padding = 1)]
    stem: Conv2d,
    #[layer(frozen)]
    block: Block,
    last: Block,
    #[layer(in_features = 6, out_features = 4)]
    head: Linear,
}

network! {
    impl Tuned {
        fn forward(&self, images: Tensor<[N, 3, 16, 16]>) -> Tensor<[N, 4]> {
            let t = self.last(self.block(relu(self.stem(images))));
            self.head(t.mean(dim = [2, 3]))
        }

        fn loss(&self, images: Tensor<[N, 3, 16, 16]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(images), labels)
        }
    }
}

#[test]
fn frozen_layers_do_not_move() {
    let (images, labels) = pictures(19);
    let mut network: Tuned = new(0);
    let frozen = [bits(&network.stem), bits(&network.block)];
    let trained = [bits(&network.last), bits(&network.head)];
    let (_, gradients) = network.loss_grad(&images, &labels).unwrap();
    for (name, parameter) in network.named_parameters() {
        let moves = !(name.starts_with("stem.") || name.starts_with("block."));
        assert_eq!(parameter.is_trained(), moves, "{name}");
        assert_eq!(gradients.of(parameter).unwrap().iter().any(|value| *value != 0.0), moves, "{name}");
    }
    // Weight decay and momentum would move what has no gradient.
    let mut adam = AdamW::new(0.01).weight_decay(0.1);
    let mut sgd = Sgd::new(0.01).momentum(0.9).weight_decay(0.1);
    for _ in 0..3 {
        network.loss_step(&images, &labels, &mut adam).unwrap();
        network.loss_step(&images, &labels, &mut sgd).unwrap();
        sgd.step(&mut network, &gradients).unwrap();
    }
    assert_eq!([bits(&network.stem), bits(&network.block)], frozen);
    assert_ne!(bits(&network.last), trained[0]);
    assert_ne!(bits(&network.head), trained[1]);
}

/// Freezing changes what is computed backwards, but no gradient of what is trained.
#[test]
fn frozen_layers_leave_other_gradients_as_they_are() {
    let (images, labels) = pictures(19);
    let tuned: Tuned = new(0);
    let mut whole: Residual = new(1);
    let state = tuned.state().unwrap();
    let key = |key: &str| match key.split_once('.').unwrap() {
        ("block", rest) => format!("blocks.0.{rest}"),
        ("last", rest) => format!("blocks.1.{rest}"),
        _ => key.to_owned(),
    };
    whole.load_state(&state.iter().map(|(name, values)| (key(name), values.clone())).collect()).unwrap();
    let (loss, gradients) = tuned.loss_grad(&images, &labels).unwrap();
    let (expected_loss, expected) = whole.loss_grad(&images, &labels).unwrap();
    assert_eq!(loss, expected_loss);
    for name in gradients.names().filter(|name| name.starts_with("last.") || name.starts_with("head.")) {
        assert_eq!(gradients.get(name).unwrap(), expected.get(&key(name)).unwrap(), "{name}");
    }
}

#[test]
fn a_part_of_a_network_works_by_itself() {
    let t = noise(&[18, 6, 8, 8]);
    let mut network: Residual = new(0);
    let before = bits(&network);
    let output = network.blocks[1].forward(&t).unwrap();

    // The same weights in a network of their own.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("block.safetensors");
    network.blocks[1].save(&file).unwrap();
    let mut alone: Block = new(5);
    alone.load(&file).unwrap();
    assert_eq!(alone.forward(&t).unwrap(), output);
    assert_eq!(network.blocks[1].state().unwrap().keys().next().unwrap(), "conv1.bias");

    // A step of the part moves the part alone, and as it would move by itself.
    let (mut sgd, mut own) = (Sgd::new(0.1).momentum(0.9), Sgd::new(0.1).momentum(0.9));
    for _ in 0..2 {
        let loss = network.blocks[1].loss_step(&t, &mut sgd).unwrap();
        assert_eq!(loss, alone.loss_step(&t, &mut own).unwrap());
    }
    assert_eq!(bits(&network.blocks[1]), bits(&alone));
    let after = bits(&network);
    let n_before = bits(&network.stem).len() + bits(&network.blocks[0]).len();
    let end = n_before + bits(&alone).len();
    assert_eq!(after[..n_before], before[..n_before]);
    assert_ne!(after[n_before..end], before[n_before..end]);
    assert_eq!(after[end..], before[end..]);

    // An optimizer of a part does not fit another part.
    assert!(matches!(network.blocks[0].loss_step(&t, &mut sgd), Err(Error::ForeignOptimizer { .. })));
}

/// A layer and a module that are used twice.
#[derive(Module)]
struct Again {
    #[layer(in_features = 5, out_features = 5)]
    shared: Linear,
    twice: Two,
}

#[derive(Module)]
struct Two {
    #[layer(in_features = 5, out_features = 5)]
    fc: Linear,
}

network! {
    impl Two {
        fn forward(&self, t: Tensor<[N, 5]>) -> Tensor<[N, 5]> {
            tanh(self.fc(t))
        }
    }
}

network! {
    impl Again {
        fn forward(&self, t: Tensor<[N, 5]>) -> Tensor<[N, 5]> {
            let mut t = t;
            for _ in 0..2 {
                t = self.twice(self.shared(t));
            }
            t
        }

        fn loss(&self, t: Tensor<[N, 5]>) -> Tensor<[]> {
            self.forward(t).mean()
        }
    }
}

/// The same with a layer for each use.
#[derive(Module)]
struct Unrolled {
    #[layer(in_features = 5, out_features = 5)]
    first: Linear,
    second: Two,
    #[layer(in_features = 5, out_features = 5)]
    third: Linear,
    fourth: Two,
}

network! {
    impl Unrolled {
        fn loss(&self, t: Tensor<[N, 5]>) -> Tensor<[]> {
            let t = self.second(self.first(t));
            self.fourth(self.third(t)).mean()
        }
    }
}

#[test]
fn what_is_used_twice_has_the_sum_of_both_gradients() {
    let t = noise(&[35, 5]);
    let again: Again = new(0);
    let mut unrolled: Unrolled = new(1);
    for (layer, from) in [
        (&mut unrolled.first, &again.shared),
        (&mut unrolled.second.fc, &again.twice.fc),
        (&mut unrolled.third, &again.shared),
        (&mut unrolled.fourth.fc, &again.twice.fc),
    ] {
        layer.weight.set(&from.weight.to_tensor().unwrap()).unwrap();
        layer.bias.as_mut().unwrap().set(&from.bias.as_ref().unwrap().to_tensor().unwrap()).unwrap();
    }
    let (loss, gradients) = again.loss_grad(&t).unwrap();
    let (expected_loss, expected) = unrolled.loss_grad(&t).unwrap();
    assert_eq!(loss, expected_loss);
    for (name, uses) in [
        ("shared.weight", ["first.weight", "third.weight"]),
        ("shared.bias", ["first.bias", "third.bias"]),
        ("twice.fc.weight", ["second.fc.weight", "fourth.fc.weight"]),
        ("twice.fc.bias", ["second.fc.bias", "fourth.fc.bias"]),
    ] {
        let gradient = gradients.get(name).unwrap();
        let [first, second] = uses.map(|name| expected.get(name).unwrap());
        let largest = gradient.as_slice().iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        for ((gradient, first), second) in gradient.as_slice().iter().zip(first.as_slice()).zip(second.as_slice()) {
            // 35 samples are added up in another order.
            assert!((gradient - (first + second)).abs() <= 1e-6 * largest, "{name}: {gradient} {first} {second}");
        }
    }
}

/// Functions with several results, of several shapes and types, some of them a plain copy.
#[derive(Module)]
struct Several {
    #[layer(in_features = 4, out_features = 3)]
    fc: Linear,
}

network! {
    impl Several {
        fn forward(&self, t: Tensor<[N, 4]>) -> (Tensor<[N, 3]>, Tensor<[N], i64>, Tensor<[N, 4]>, Tensor<[]>) {
            let logits = self.fc(t);
            (logits, argmax(logits, dim = 1), t, logits.sum())
        }

        fn loss(&self, t: Tensor<[N, 4]>, labels: Tensor<[N], i64>) -> (Tensor<[]>, Tensor<[N]>, Tensor<[N, 3]>, Tensor<[], i64>) {
            let (logits, _, _, _) = self.forward(t);
            let losses = cross_entropy(logits, labels, reduction = "none");
            (losses.mean(), losses, logits, correct(logits, labels))
        }
    }
}

#[test]
fn a_function_may_have_several_results() {
    let t = noise(&[37, 4]);
    let labels = Tensor::from_fn([37], |index| (index % 3) as i64).unwrap();
    let network: Several = new(0);
    let (logits, classes, copy, sum) = network.forward(&t).unwrap();
    assert_eq!(logits.shape(), [37, 3]);
    assert_eq!(copy, t);
    let total: f64 = logits.as_slice().iter().map(|value| f64::from(*value)).sum();
    assert!((f64::from(sum.item().unwrap()) - total).abs() < 1e-5, "{sum} {total}");
    for (row, class) in logits.as_slice().chunks(3).zip(classes.as_slice()) {
        assert!(row.iter().all(|value| *value <= row[*class as usize]), "{row:?} {class}");
    }

    let (loss, losses, same, correct, gradients) = network.loss_grad(&t, &labels).unwrap();
    assert_eq!(same, logits);
    let mean = losses.as_slice().iter().map(|value| f64::from(*value)).sum::<f64>() / 37.0;
    assert!((f64::from(loss.item().unwrap()) - mean).abs() < 1e-6);
    let hits = classes.as_slice().iter().zip(labels.as_slice()).filter(|(class, label)| class == label).count();
    assert_eq!(correct.item().unwrap(), hits as i64);
    assert!(gradients.norm() > 0.0);
    assert_eq!(network.loss(&t, &labels).unwrap(), (loss, losses, same, correct));
}

network! {
    /// One value under two names.
    fn doubled(t: Tensor<[N, 5]>) -> (Tensor<[N, 5]>, Tensor<[N, 5]>) {
        let t = t * 2.0;
        (t, t)
    }
}

#[test]
fn a_value_may_be_returned_twice() {
    let t = noise(&[19, 5]);
    let (one, other) = doubled(&t).unwrap();
    assert_eq!(one, other);
    assert!(one.as_slice().iter().zip(t.as_slice()).all(|(double, value)| *double == 2.0 * value));
}

#[test]
fn parameters_and_text_follow_the_struct() {
    let network: Residual = new(0);
    let names: Vec<&str> = network.named_parameters().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "stem.weight",
            "stem.bias",
            "blocks.0.conv1.weight",
            "blocks.0.conv1.bias",
            "blocks.0.conv2.weight",
            "blocks.0.conv2.bias",
            "blocks.1.conv1.weight",
            "blocks.1.conv1.bias",
            "blocks.1.conv2.weight",
            "blocks.1.conv2.bias",
            "head.weight",
            "head.bias",
        ]
    );
    assert_eq!(network.stem.weight.shape(), [6, 3, 3, 3]);
    let n_parameters = (6 * 27 + 6) + 4 * (6 * 54 + 6) + (4 * 6 + 4);
    assert_eq!(network.num_parameters(), n_parameters);
    let text = network.to_string();
    assert!(
        text.starts_with("Residual(\n  (stem): Conv2d(3, 6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))"),
        "{text}"
    );
    assert!(text.contains("1,516 parameters"), "{text}");
}

network! {
    fn twice_itself(t: Tensor<[N, 5]>) -> (Tensor<[N, 5]>, Tensor<[N, 5]>, Tensor<[N, 5]>) {
        (t, t, t * 2)
    }
}

#[test]
fn an_argument_may_be_returned_twice() {
    let t = Tensor::from_fn([3, 5], |index| index as f32).unwrap();
    let (first, second, double) = twice_itself(&t).unwrap();
    assert_eq!((&first, &second), (&t, &t));
    assert_eq!(double.as_slice()[14], 28.0);
}

// The block may stand above its struct.
network! {
    impl Below {
        fn loss(&self, t: Tensor<[N, 2]>) -> Tensor<[]> {
            let _dropped = self.unused(t);
            mean(self.fc(t))
        }
    }
}

#[derive(Module)]
struct Below {
    #[layer(out_features = 3)]
    fc: Linear,
    #[layer(out_features = 3)]
    unused: Linear,
}

#[test]
fn a_parameter_without_a_gradient_is_not_moved_by_weight_decay() {
    let mut network = crate::new::<Below>(1);
    let [before, moved] = [network.unused.weight.to_vec().unwrap(), network.fc.weight.to_vec().unwrap()];
    let t = Tensor::full([4, 2], 1.0).unwrap();
    network.loss_step(&t, &mut AdamW::new(0.1).weight_decay(0.5)).unwrap();
    assert_eq!(network.unused.weight.to_vec().unwrap(), before);
    assert_ne!(network.fc.weight.to_vec().unwrap(), moved);
}

network! {
    fn reshaped_labels(x: Tensor<[N, 2, 5]>, labels: Tensor<[N, 2], i64>) -> (Tensor<[]>, Tensor<[], i64>) {
        let (x, labels) = (x.reshape([-1, 5]), labels.reshape([-1]));
        (cross_entropy(x, labels), correct(x, labels))
    }

    /// One is found in the layout of products, the other in that of images.
    fn positions_of_both(x: Tensor<[N, 3, 4]>, images: Tensor<[N, 4, 3, 2]>) -> (Tensor<[], i64>, Tensor<[N, 3], i64>) {
        let products = matmul(x, x.permute([0, 2, 1])).permute([0, 2, 1]);
        let brightest = argmax(max_pool2d(images, (1, 2)).reshape([-1, 4, 3]), dim = 1);
        (correct(products, brightest), brightest)
    }

    /// The pooling walks over a batch of one that a sum has made.
    fn pooled_sum(images: Tensor<[N, 1, 2, 2]>) -> Tensor<[1, 1, 1, 1]> {
        max_pool2d(sum(images, dim = 0, keepdim = true), 2)
    }

    fn outer(x: Tensor<[N]>, y: Tensor<[M]>) -> Tensor<[N, M]> {
        x.reshape([-1, 1]) * y
    }

    /// N stands alone only in the second argument.
    fn pairs(both: Tensor<[N * 2, 3]>, each: Tensor<[N, 3]>) -> Tensor<[]> {
        sum(both) - sum(each)
    }
}

#[test]
fn reshaped_labels_are_checked_too() {
    let x = noise(&[3, 2, 5]);
    let labels = |label: i64| Tensor::new(vec![0, 1, 2, 3, 4, label], [3, 2]).unwrap();
    assert!(reshaped_labels(&x, &labels(4)).is_ok());
    let error = reshaped_labels(&x, &labels(77)).unwrap_err().to_string();
    assert!(error.contains("`labels` holds the label 77 at index 5, but there are 5 classes"), "{error}");
}

#[test]
fn integers_change_their_layout() {
    let (x, images) = (noise(&[21, 3, 4]), noise(&[21, 4, 3, 2]));
    let (n_equal, brightest) = positions_of_both(&x, &images).unwrap();
    let mut expected = 0;
    for n in 0..21 {
        let product = |i: usize, j: usize| -> f32 {
            (0..4).map(|k| x.get(&[n, i, k]).unwrap() * x.get(&[n, j, k]).unwrap()).sum()
        };
        let bright = |c: usize, h: usize| images.get(&[n, c, h, 0]).unwrap().max(images.get(&[n, c, h, 1]).unwrap());
        for h in 0..3 {
            let best = (0..4).max_by(|a, b| bright(*a, h).total_cmp(&bright(*b, h))).unwrap();
            assert_eq!(brightest.get(&[n, h]), Some(best as i64));
            // `correct` takes classes on axis 1, so the column h of the products counts.
            let class = (0..3).max_by(|a, b| product(h, *a).total_cmp(&product(h, *b))).unwrap();
            expected += i64::from(class == best);
        }
    }
    assert_eq!(n_equal.item().unwrap(), expected);
}

#[test]
fn a_sum_over_the_batch_may_be_pooled() {
    let images = Tensor::new(vec![1.0, 2.0, 3.0, 4.0, 10.0, 1.0, 1.0, 1.0], [2, 1, 2, 2]).unwrap();
    assert_eq!(pooled_sum(&images).unwrap().as_slice(), [11.0]);
}

#[test]
fn a_result_that_no_machine_holds_is_an_error() {
    let long = Tensor::zeros([1 << 22]).unwrap();
    let error = outer(&long, &long).unwrap_err().to_string();
    assert_eq!(error, "a tensor of shape [4194304, 4194304] does not fit into memory");
    let (x, y) = (Tensor::full([2], 2.0).unwrap(), Tensor::full([3], 5.0).unwrap());
    assert_eq!(outer(&x, &y).unwrap().as_slice(), [10.0; 6]);
    let both = Tensor::full([4, 3], 1.0).unwrap();
    assert_eq!(pairs(&both, &Tensor::full([2, 3], 1.0).unwrap()).unwrap().item().unwrap(), 6.0);
}

#[test]
fn an_optimizer_moves_the_same_parameters_as_a_step() {
    let t = Tensor::full([4, 2], 1.0).unwrap();
    let mut stepped = crate::new::<Below>(1);
    let mut applied = crate::new::<Below>(1);
    stepped.loss_step(&t, &mut AdamW::new(0.1).weight_decay(0.5)).unwrap();
    let (_, gradients) = applied.loss_grad(&t).unwrap();
    AdamW::new(0.1).weight_decay(0.5).step(&mut applied, &gradients).unwrap();
    for ((name, stepped), (_, applied)) in stepped.named_parameters().into_iter().zip(applied.named_parameters()) {
        assert_eq!(stepped.to_vec().unwrap(), applied.to_vec().unwrap(), "{name}");
    }
}
