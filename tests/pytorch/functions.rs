//! Functions of tensors: activations, elementwise mathematics, sums, broadcasting, products.

use graven::prelude::*;

use crate::fixture::{Comparison, Fixture, check, recorded};

/// Every activation once, each between two linear layers.
#[derive(Module)]
struct Activations {
    #[layer(in_features = 12, out_features = 16)]
    l1: Linear,
    #[layer(out_features = 16)]
    l2: Linear,
    #[layer(out_features = 16)]
    l3: Linear,
    #[layer(out_features = 16)]
    l4: Linear,
    #[layer(out_features = 16)]
    l5: Linear,
    #[layer(out_features = 16)]
    l6: Linear,
    #[layer(out_features = 16)]
    l7: Linear,
    #[layer(out_features = 4)]
    l8: Linear,
}

network! {
    impl Activations {
        fn forward(&self, x: Tensor<[N, 12]>) -> Tensor<[N, 4]> {
            let t = gelu(self.l1(x));
            let t = silu(self.l2(t));
            let t = sigmoid(self.l3(t));
            let t = tanh(self.l4(t));
            let t = leaky_relu(self.l5(t), negative_slope = 0.02);
            let t = softmax(self.l6(t), dim = 1);
            let t = log_softmax(self.l7(t), dim = 1);
            self.l8(t)
        }

        fn loss(&self, x: Tensor<[N, 12]>, target: Tensor<[N, 4]>) -> Tensor<[]> {
            l1_loss(self.forward(x), target)
        }
    }
}

recorded!(Activations, x, target: floats);

/// Elementwise mathematics with constants.
#[derive(Module)]
struct Math {
    #[layer(in_features = 7, out_features = 8)]
    l1: Linear,
    #[layer(in_features = 8, out_features = 2)]
    head: Linear,
}

network! {
    impl Math {
        fn forward(&self, x: Tensor<[N, 7]>) -> Tensor<[N, 2]> {
            let h = self.l1(x);
            let t = exp(h * 0.1) + log(abs(h) + 1.0) - sqrt(h * h + 0.5);
            self.head(t + pow(abs(h) + 0.5, 1.5) / (2.0 + sigmoid(h)))
        }

        fn loss(&self, x: Tensor<[N, 7]>, target: Tensor<[N, 2]>) -> Tensor<[]> {
            mse_loss(self.forward(x), target, reduction = "sum")
        }
    }
}

recorded!(Math, x, target: floats);

/// Means and sums over axes, broadcasting, a permutation, and a batched matrix product.
#[derive(Module)]
struct Broadcast {
    #[layer(in_features = 4, out_features = 6)]
    mix: Linear,
}

network! {
    impl Broadcast {
        fn forward(&self, t: Tensor<[N, 4, 5, 5]>) -> Tensor<[N]> {
            let t = t * t.mean(dim = [2, 3], keepdim = true) + t.sum(dim = 1, keepdim = true);
            let t = self.mix(t.permute([0, 2, 3, 1])).reshape([-1, 25, 6]);
            matmul(t, t.permute([0, 2, 1])).mean(dim = [1, 2])
        }

        fn loss(&self, t: Tensor<[N, 4, 5, 5]>, target: Tensor<[N]>) -> Tensor<[]> {
            mse_loss(self.forward(t), target)
        }
    }
}

recorded!(Broadcast, t, target: floats);

network! {
    /// The loss of `Broadcast` with its weights as arguments, so that there are gradients with respect to all of them.
    fn broadcast_loss(
        t: Tensor<[N, 4, 5, 5]>,
        weight: Tensor<[6, 4]>,
        bias: Tensor<[6]>,
        target: Tensor<[N]>,
    ) -> (Tensor<[]>, Tensor<[N]>) {
        let t = t * t.mean(dim = [2, 3], keepdim = true) + t.sum(dim = 1, keepdim = true);
        let t = matmul(t.permute([0, 2, 3, 1]), weight.permute([1, 0])) + bias;
        let t = t.reshape([-1, 25, 6]);
        let output = matmul(t, t.permute([0, 2, 1])).mean(dim = [1, 2]);
        (mse_loss(output, target), output)
    }
}

#[test]
fn activations() {
    check::<Activations>("activations");
}

#[test]
fn math() {
    check::<Math>("math");
}

#[test]
fn broadcast() {
    check::<Broadcast>("broadcast");
}

#[test]
fn a_plain_function_has_gradients_of_its_arguments() {
    let fixture = Fixture::read("broadcast");
    let [t, weight, bias, target] =
        ["input.t", "param.mix.weight", "param.mix.bias", "input.target"].map(|key| fixture.floats(key));
    let (loss, output, grad_t, grad_weight, grad_bias, grad_target) =
        broadcast_loss_grad(t, weight, bias, target).unwrap();

    let mut comparison = Comparison::new(&fixture);
    comparison.check(&loss, "loss", "loss_distance");
    comparison.check(&output, "output", "output_distance");
    comparison.check(&grad_t, "input_grad.t", "input_grad_distance.t");
    comparison.check(&grad_weight, "grad.mix.weight", "grad_distance.mix.weight");
    comparison.check(&grad_bias, "grad.mix.bias", "grad_distance.mix.bias");
    comparison.finish(5);

    // d/dtarget of mean((output - target)²): 2 (target - output) / N.
    for ((grad, target), output) in grad_target.as_slice().iter().zip(target.as_slice()).zip(output.as_slice()) {
        let expected = 2.0 * (target - output) / 5.0;
        assert!((grad - expected).abs() <= 1e-6 * expected.abs(), "{grad} {expected}");
    }
    let (loss_alone, output_alone) = broadcast_loss(t, weight, bias, target).unwrap();
    assert_eq!((loss_alone, output_alone), (loss, output));
}
