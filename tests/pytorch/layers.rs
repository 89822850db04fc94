//! The arguments of layers, and layers used in unusual ways.

use graven::prelude::*;

use crate::fixture::{Comparison, Fixture, Recorded, check, recorded};

/// Two branches of different width, concatenated along the channels.
#[derive(Module)]
struct Cat {
    #[layer(in_channels = 3, out_channels = 4, kernel_size = 1)]
    left: Conv2d,
    #[layer(in_channels = 3, out_channels = 6, kernel_size = 3, padding = 1)]
    right: Conv2d,
    #[layer(in_features = 250, out_features = 5)]
    head: Linear,
}

network! {
    impl Cat {
        fn forward(&self, t: Tensor<[N, 3, 10, 10]>) -> Tensor<[N, 5]> {
            let t = cat([relu(self.left(t)), relu(self.right(t))], dim = 1);
            self.head(avg_pool2d(t, kernel_size = 2).flatten(1))
        }

        fn loss(&self, t: Tensor<[N, 3, 10, 10]>, target: Tensor<[N, 5]>) -> Tensor<[]> {
            bce_with_logits(self.forward(t), target)
        }
    }
}

recorded!(Cat, t, target: floats);

/// The arguments of a convolution: rectangular kernels, strides and padding, groups, dilation, no bias, depthwise.
#[derive(Module)]
struct Convs {
    #[layer(in_channels = 4, out_channels = 8, kernel_size = (3, 5), stride = (2, 1), padding = (1, 2), groups = 2)]
    a: Conv2d,
    #[layer(in_channels = 8, out_channels = 6, kernel_size = 3, dilation = 2, padding = 2, bias = false)]
    b: Conv2d,
    #[layer(in_channels = 6, out_channels = 6, kernel_size = 3, groups = 6, stride = 2)]
    c: Conv2d,
    #[layer(in_features = 6 * 1 * 3, out_features = 3)]
    head: Linear,
}

network! {
    impl Convs {
        fn forward(&self, t: Tensor<[N, 4, 15, 13]>) -> Tensor<[N, 3]> {
            let t = leaky_relu(self.a(t), 0.1);
            let t = tanh(self.b(t));
            let t = max_pool2d(t, kernel_size = 3, stride = 2, padding = 1);
            self.head(self.c(t).flatten(1))
        }

        fn loss(&self, t: Tensor<[N, 4, 15, 13]>, target: Tensor<[N, 3]>) -> Tensor<[]> {
            mse_loss(self.forward(t), target)
        }
    }
}

recorded!(Convs, t, target: floats);

/// A layer that is used twice: its gradient is the sum of both uses.
#[derive(Module)]
struct Twice {
    #[layer(in_features = 6, out_features = 6)]
    shared: Linear,
    #[layer(in_features = 6, out_features = 4)]
    head: Linear,
}

network! {
    impl Twice {
        fn forward(&self, t: Tensor<[N, 6]>) -> Tensor<[N, 4]> {
            self.head(self.shared(relu(self.shared(t))))
        }

        fn loss(&self, t: Tensor<[N, 6]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(t), labels, reduction = "sum")
        }
    }
}

recorded!(Twice, t, labels: ints);

/// The network of `dropout_off` in train mode: with p = 0.
#[derive(Module)]
struct DropNothing {
    #[layer(in_features = 10, out_features = 20)]
    fc1: Linear,
    #[layer(p = 0.0)]
    dropout: Dropout,
    #[layer(in_features = 20, out_features = 3)]
    fc2: Linear,
}

network! {
    impl DropNothing {
        fn forward(&self, x: Tensor<[N, 10]>) -> Tensor<[N, 3]> {
            self.fc2(self.dropout(relu(self.fc1(x))))
        }

        fn loss(&self, x: Tensor<[N, 10]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(x), labels)
        }
    }
}

recorded!(DropNothing, x, labels: ints);

/// And in eval mode: with p = 0.5.
#[derive(Module)]
struct DropHalf {
    #[layer(in_features = 10, out_features = 20)]
    fc1: Linear,
    #[layer(p = 0.5)]
    dropout: Dropout,
    #[layer(in_features = 20, out_features = 3)]
    fc2: Linear,
}

network! {
    impl DropHalf {
        fn forward(&self, x: Tensor<[N, 10]>) -> Tensor<[N, 3]> {
            self.fc2(self.dropout(relu(self.fc1(x))))
        }

        fn loss(&self, x: Tensor<[N, 10]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(x), labels)
        }
    }
}

recorded!(DropHalf, x, labels: ints);

#[test]
fn cat() {
    check::<Cat>("cat");
}

#[test]
fn convs() {
    check::<Convs>("convs");
}

#[test]
fn twice() {
    check::<Twice>("twice");
}

#[test]
fn dropout_with_p_0_does_nothing_in_train_mode() {
    check::<DropNothing>("dropout_off");
}

#[test]
fn dropout_does_nothing_in_eval_mode() {
    let fixture = Fixture::read("dropout_off");
    let network: DropHalf = fixture.network();
    let mut comparison = Comparison::new(&fixture);
    comparison.check(&network.output(&fixture).unwrap(), "output", "output_distance");
    comparison.check(&network.eval_loss(&fixture).unwrap(), "loss", "loss_distance");
    comparison.finish(2);

    // In train mode it does something.
    let (loss, _) = network.gradients_of_loss(&fixture).unwrap();
    let recorded = fixture.floats("loss").item().unwrap();
    assert!((loss.item().unwrap() - recorded).abs() > 1e-3, "{loss} {recorded}");
}
