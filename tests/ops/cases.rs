//! The cases: plain functions that return one number.

use graven::prelude::*;

/// Hands the functions to rustc through `network!`, and keeps their text for the compiler library.
macro_rules! cases {
    ($($tokens:tt)*) => {
        network! { $($tokens)* }
        pub(crate) const SOURCE: &str = stringify!($($tokens)*);
    };
}

cases! {
    // One row each: activations and other pointwise functions, tile by tile.
    fn relu_case(x: Tensor<[N, 3, 5]>, w: Tensor<[N, 3, 5]>) -> Tensor<[]> { sum(relu(x) * w) }
    fn leaky_relu_case(x: Tensor<[N, 7]>, w: Tensor<[N, 7]>) -> Tensor<[]> { sum(leaky_relu(x, 0.1) * w) }
    fn gelu_case(x: Tensor<[N, 7]>, w: Tensor<[N, 7]>) -> Tensor<[]> { sum(gelu(x) * w) }
    fn silu_case(x: Tensor<[N, 7]>, w: Tensor<[N, 7]>) -> Tensor<[]> { sum(silu(x) * w) }
    fn sigmoid_case(x: Tensor<[N, 7]>, w: Tensor<[N, 7]>) -> Tensor<[]> { sum(x.sigmoid() * w) }
    fn tanh_case(x: Tensor<[N, 7]>, w: Tensor<[N, 7]>) -> Tensor<[]> { sum(tanh(x) * w) }
    fn exp_case(x: Tensor<[N, 7]>, w: Tensor<[N, 7]>) -> Tensor<[]> { sum(exp(x) * w) }
    fn log_case(x: Tensor<[N, 7]>, w: Tensor<[N, 7]>) -> Tensor<[]> { sum(log(x) * w) }
    fn sqrt_case(x: Tensor<[N, 7]>, w: Tensor<[N, 7]>) -> Tensor<[]> { sum(sqrt(x) * w) }
    fn abs_case(x: Tensor<[N, 7]>, w: Tensor<[N, 7]>) -> Tensor<[]> { sum(abs(x) * w) }
    fn pow_case(x: Tensor<[N, 7]>, w: Tensor<[N, 7]>) -> Tensor<[]> { sum((pow(x, 1.5) + pow(x, 2) - x.pow(-0.5)) * w) }

    // Broadcasting, between tensors and with numbers, inside and outside of the batch.
    fn arithmetic(x: Tensor<[N, 3, 4]>, y: Tensor<[N, 3, 1]>, w: Tensor<[N, 3, 4]>) -> Tensor<[]> {
        sum(((x + y) * (x - y) / (y * y + 2.0) - 3.0 * x + -y) * w)
    }
    fn broadcast_shared(x: Tensor<[N, 3, 4]>, y: Tensor<[3, 1]>, z: Tensor<[4]>, w: Tensor<[N, 3, 4]>) -> Tensor<[]> {
        sum((x * y + z) / (1.0 + y * z * z) * w)
    }
    fn broadcast_whole(x: Tensor<[3, 1]>, y: Tensor<[4]>, w: Tensor<[3, 4]>) -> Tensor<[]> { sum(x / (y * y + 1.0) * w) }
    fn scalar_argument(x: Tensor<[N, 3]>, s: Tensor<[]>, w: Tensor<[N, 3]>) -> Tensor<[]> { sum((x * s + s * s) * w) }
    fn two_batches(x: Tensor<[N, 3]>, y: Tensor<[M, 3]>, w: Tensor<[M]>) -> Tensor<[]> {
        sum(x * x) + sum(sum(y, dim = 1) * w) * mean(x)
    }
    fn sizes_as_numbers(x: Tensor<[N, 3]>, w: Tensor<[N, 3]>) -> Tensor<[]> { sum(x * w) / N + sum(x) * (2.0 / N) }

    // Sums and means: of a sample, of the batch, of everything.
    fn sum_inside(x: Tensor<[N, 3, 4]>, w: Tensor<[N, 4]>) -> Tensor<[]> { sum(sum(x * x, dim = 1) * w) }
    fn sum_batch(x: Tensor<[N, 3, 4]>, w: Tensor<[3, 4]>) -> Tensor<[]> { sum(sum(x * x, dim = 0) * w) }
    fn sum_keepdim(x: Tensor<[N, 3, 4]>, w: Tensor<[N, 3, 4]>) -> Tensor<[]> { sum(sum(x * x, dim = [1, 2], keepdim = true) * x * w) }
    fn mean_mixed(x: Tensor<[N, 3, 4]>, w: Tensor<[3]>) -> Tensor<[]> { sum(mean(x * x, dim = [0, -1]) * w) }
    // Twice over the batch: the second pass reads what the first one added up.
    fn variance(x: Tensor<[N, 4]>, w: Tensor<[4]>) -> Tensor<[]> {
        let centred = x - mean(x, dim = 0);
        sum(mean(centred * centred, dim = 0) * w)
    }
    fn normalised(x: Tensor<[N, 4]>, w: Tensor<[N, 4]>) -> Tensor<[]> {
        let centred = x - mean(x, dim = 0, keepdim = true);
        let variance = mean(centred * centred, dim = 0, keepdim = true);
        sum(centred / sqrt(variance + 1e-5) * w)
    }

    // Softmax along an axis of a sample, and along the batch.
    fn softmax_case(x: Tensor<[N, 5]>, w: Tensor<[N, 5]>) -> Tensor<[]> { sum(softmax(x, dim = 1) * w) }
    fn softmax_middle(x: Tensor<[N, 5, 3]>, w: Tensor<[N, 5, 3]>) -> Tensor<[]> { sum(softmax(x, dim = 1) * w) }
    fn softmax_batch(x: Tensor<[N, 5]>, w: Tensor<[N, 5]>) -> Tensor<[]> { sum(softmax(x, dim = 0) * w) }
    fn log_softmax_case(x: Tensor<[N, 5]>, w: Tensor<[N, 5]>) -> Tensor<[]> { sum(log_softmax(x, dim = -1) * w) }

    // Moving elements.
    fn reshape_case(x: Tensor<[N, 3, 4]>, w: Tensor<[N, 2, 6]>) -> Tensor<[]> { sum((x * x).reshape([-1, 2, 6]) * w) }
    fn reshape_batch(x: Tensor<[N, 2, 3]>, w: Tensor<[N * 2, 3]>) -> Tensor<[]> { sum(exp((x * x).reshape([-1, 3])) * w) }
    fn flatten_case(x: Tensor<[N, 3, 2, 2]>, w: Tensor<[N, 12]>) -> Tensor<[]> { sum((x * x).flatten(start_dim = 1) * w) }
    fn permute_case(x: Tensor<[N, 3, 4]>, w: Tensor<[N, 4, 3]>) -> Tensor<[]> { sum((x * x).permute([0, 2, 1]) * w) }
    fn permute_batch(x: Tensor<[N, 3]>, w: Tensor<[3, N]>) -> Tensor<[]> { sum((x * x).permute([1, 0]) * w) }
    fn cat_case(x: Tensor<[N, 3, 2]>, y: Tensor<[N, 4, 2]>, w: Tensor<[N, 10, 2]>) -> Tensor<[]> {
        sum(cat([x * x, y, x], dim = 1) * w)
    }
    fn cat_whole(x: Tensor<[3, 2]>, y: Tensor<[4, 2]>, w: Tensor<[7, 2]>) -> Tensor<[]> { sum(cat([x * x, y]) * w) }

    // Products.
    fn matmul_shared(x: Tensor<[N, 3]>, y: Tensor<[3, 4]>, w: Tensor<[N, 4]>) -> Tensor<[]> { sum(matmul(x, y) * w) }
    fn matmul_vectors(x: Tensor<[N, 5, 3]>, y: Tensor<[3, 4]>, w: Tensor<[N, 5, 4]>) -> Tensor<[]> { sum(matmul(x, y) * w) }
    fn matmul_batched(x: Tensor<[N, 5, 3]>, y: Tensor<[N, 3, 4]>, w: Tensor<[N, 5, 4]>) -> Tensor<[]> { sum(matmul(x, y) * w) }
    fn matmul_square(x: Tensor<[N, 5, 3]>, w: Tensor<[N, 5, 5]>) -> Tensor<[]> { sum(matmul(x, x.permute([0, 2, 1])) * w) }
    fn matmul_whole(x: Tensor<[2, 3]>, y: Tensor<[3, 4]>, w: Tensor<[2, 4]>) -> Tensor<[]> { sum(x.matmul(y) * w) }
    fn matmul_two_batches(x: Tensor<[N, 3]>, y: Tensor<[M, 3]>, w: Tensor<[N, M]>) -> Tensor<[]> {
        sum(matmul(x, y.permute([1, 0])) * w)
    }
    fn gram(x: Tensor<[N, 3]>, w: Tensor<[3, 3]>) -> Tensor<[]> { sum(matmul(x.permute([1, 0]), x) * w) }

    // Pooling, with windows that overlap and windows that pad.
    fn max_pool2d_case(x: Tensor<[N, 2, 6, 6]>, w: Tensor<[N, 2, 3, 3]>) -> Tensor<[]> { sum(max_pool2d(x, kernel_size = 2) * w) }
    fn max_pool2d_overlap(x: Tensor<[N, 2, 7, 5]>, w: Tensor<[N, 2, 4, 3]>) -> Tensor<[]> {
        sum(max_pool2d(x, 3, stride = 2, padding = 1) * w)
    }
    // The gradient runs in a later pass over the batch than the pooling, where nothing is saved for it.
    fn max_pool2d_centred(x: Tensor<[N, 2, 4, 4]>, w: Tensor<[N, 2, 2, 2]>) -> Tensor<[]> {
        let t = max_pool2d(x, 2);
        let centred = t - mean(t, dim = 0, keepdim = true);
        sum(centred * centred * w)
    }
    fn avg_pool2d_case(x: Tensor<[N, 2, 6, 5]>, w: Tensor<[N, 2, 3, 2]>) -> Tensor<[]> { sum(avg_pool2d(x * x, 2) * w) }
    fn avg_pool2d_overlap(x: Tensor<[N, 2, 7, 5]>, w: Tensor<[N, 2, 7, 3]>) -> Tensor<[]> {
        sum(avg_pool2d(x * x, (3, 2), stride = (1, 2), padding = 1) * w)
    }
    fn adaptive_avg_pool2d_case(x: Tensor<[N, 3, 4, 4]>, w: Tensor<[N, 3, 1, 1]>) -> Tensor<[]> {
        sum(adaptive_avg_pool2d(x * x, 1) * w)
    }
    fn adaptive_avg_pool2d_two(x: Tensor<[N, 3, 4, 6]>, w: Tensor<[N, 3, 2, 3]>) -> Tensor<[]> {
        sum(adaptive_avg_pool2d(x * x, (2, 3)) * w)
    }
    // A batch of constant size, and one that a reshape makes.
    fn pool_constant_batch(x: Tensor<[3, 2, 4, 4]>, w: Tensor<[3, 2, 2, 2]>) -> Tensor<[]> { sum(max_pool2d(x, 2) * w) }
    fn pool_merged_batch(x: Tensor<[N, 2, 1, 4, 4]>, w: Tensor<[N * 2, 1, 2, 2]>) -> Tensor<[]> {
        sum(avg_pool2d((x * x).reshape([-1, 1, 4, 4]), 2) * w)
    }

    // Losses.
    fn cross_entropy_mean(x: Tensor<[N, 3]>, labels: Tensor<[N], i64>) -> Tensor<[]> { cross_entropy(x, labels) }
    fn cross_entropy_sum(x: Tensor<[N, 3]>, labels: Tensor<[N], i64>) -> Tensor<[]> { cross_entropy(x, labels, reduction = "sum") }
    fn cross_entropy_none(x: Tensor<[N, 3]>, labels: Tensor<[N], i64>, w: Tensor<[N]>) -> Tensor<[]> {
        sum(cross_entropy(x, labels, reduction = "none") * w)
    }
    fn cross_entropy_pixels(x: Tensor<[N, 3, 4]>, labels: Tensor<[N, 4], i64>) -> Tensor<[]> { cross_entropy(x, labels) }
    fn mse_mean(x: Tensor<[N, 3]>, target: Tensor<[N, 3]>) -> Tensor<[]> { mse_loss(x, target) }
    fn mse_sum(x: Tensor<[N, 3]>, target: Tensor<[N, 3]>) -> Tensor<[]> { mse_loss(x, target, reduction = "sum") }
    fn l1_mean(x: Tensor<[N, 3]>, target: Tensor<[N, 3]>) -> Tensor<[]> { l1_loss(x, target) }
    fn l1_sum(x: Tensor<[N, 3]>, target: Tensor<[N, 3]>) -> Tensor<[]> { l1_loss(x, target, "sum") }
    fn bce_mean(x: Tensor<[N, 3]>, target: Tensor<[N, 3]>) -> Tensor<[]> { bce_with_logits(x, target) }
    fn bce_sum(x: Tensor<[N, 3]>, target: Tensor<[N, 3]>) -> Tensor<[]> { bce_with_logits(x, target, reduction = "sum") }
}

/// A function of a case, with its arguments and results as lists.
type Function = fn(&[Tensor]) -> graven::Result<Vec<Tensor>>;

/// How a case is run.
pub(crate) struct Run {
    /// The value alone, in evaluation.
    pub(crate) value: Function,
    /// The value, and the gradients behind it.
    pub(crate) grad: Function,
}

/// The labels of a case, which are drawn as floats like every argument.
fn labels(tensor: &Tensor) -> Tensor<i64> {
    Tensor::new(tensor.as_slice().iter().map(|x| *x as i64).collect::<Vec<_>>(), &tensor.shape()[..])
        .expect("the same shape")
}

macro_rules! run {
    ($value:ident $grad:ident 2) => {
        Run {
            value: |t| $value(&t[0], &t[1]).map(|y| vec![y]),
            grad: |t| $grad(&t[0], &t[1]).map(|(y, a, b)| vec![y, a, b]),
        }
    };
    ($value:ident $grad:ident 3) => {
        Run {
            value: |t| $value(&t[0], &t[1], &t[2]).map(|y| vec![y]),
            grad: |t| $grad(&t[0], &t[1], &t[2]).map(|(y, a, b, c)| vec![y, a, b, c]),
        }
    };
    ($value:ident $grad:ident 4) => {
        Run {
            value: |t| $value(&t[0], &t[1], &t[2], &t[3]).map(|y| vec![y]),
            grad: |t| $grad(&t[0], &t[1], &t[2], &t[3]).map(|(y, a, b, c, d)| vec![y, a, b, c, d]),
        }
    };
    ($value:ident $grad:ident labels) => {
        Run {
            value: |t| $value(&t[0], &labels(&t[1])).map(|y| vec![y]),
            grad: |t| $grad(&t[0], &labels(&t[1])).map(|(y, a)| vec![y, a]),
        }
    };
    ($value:ident $grad:ident labels and weights) => {
        Run {
            value: |t| $value(&t[0], &labels(&t[1]), &t[2]).map(|y| vec![y]),
            grad: |t| $grad(&t[0], &labels(&t[1]), &t[2]).map(|(y, a, b)| vec![y, a, b]),
        }
    };
}

/// (the case, whether its arguments must be positive, how it is run)
pub(crate) const CASES: &[(&str, bool, Run)] = &[
    ("relu_case", false, run!(relu_case relu_case_grad 2)),
    ("leaky_relu_case", false, run!(leaky_relu_case leaky_relu_case_grad 2)),
    ("gelu_case", false, run!(gelu_case gelu_case_grad 2)),
    ("silu_case", false, run!(silu_case silu_case_grad 2)),
    ("sigmoid_case", false, run!(sigmoid_case sigmoid_case_grad 2)),
    ("tanh_case", false, run!(tanh_case tanh_case_grad 2)),
    ("exp_case", false, run!(exp_case exp_case_grad 2)),
    ("log_case", true, run!(log_case log_case_grad 2)),
    ("sqrt_case", true, run!(sqrt_case sqrt_case_grad 2)),
    ("abs_case", false, run!(abs_case abs_case_grad 2)),
    ("pow_case", true, run!(pow_case pow_case_grad 2)),
    ("arithmetic", false, run!(arithmetic arithmetic_grad 3)),
    ("broadcast_shared", true, run!(broadcast_shared broadcast_shared_grad 4)),
    ("broadcast_whole", false, run!(broadcast_whole broadcast_whole_grad 3)),
    ("scalar_argument", false, run!(scalar_argument scalar_argument_grad 3)),
    ("two_batches", false, run!(two_batches two_batches_grad 3)),
    ("sizes_as_numbers", false, run!(sizes_as_numbers sizes_as_numbers_grad 2)),
    ("sum_inside", false, run!(sum_inside sum_inside_grad 2)),
    ("sum_batch", false, run!(sum_batch sum_batch_grad 2)),
    ("sum_keepdim", false, run!(sum_keepdim sum_keepdim_grad 2)),
    ("mean_mixed", false, run!(mean_mixed mean_mixed_grad 2)),
    ("variance", false, run!(variance variance_grad 2)),
    ("normalised", false, run!(normalised normalised_grad 2)),
    ("softmax_case", false, run!(softmax_case softmax_case_grad 2)),
    ("softmax_middle", false, run!(softmax_middle softmax_middle_grad 2)),
    ("softmax_batch", false, run!(softmax_batch softmax_batch_grad 2)),
    ("log_softmax_case", false, run!(log_softmax_case log_softmax_case_grad 2)),
    ("reshape_case", false, run!(reshape_case reshape_case_grad 2)),
    ("reshape_batch", false, run!(reshape_batch reshape_batch_grad 2)),
    ("flatten_case", false, run!(flatten_case flatten_case_grad 2)),
    ("permute_case", false, run!(permute_case permute_case_grad 2)),
    ("permute_batch", false, run!(permute_batch permute_batch_grad 2)),
    ("cat_case", false, run!(cat_case cat_case_grad 3)),
    ("cat_whole", false, run!(cat_whole cat_whole_grad 3)),
    ("matmul_shared", false, run!(matmul_shared matmul_shared_grad 3)),
    ("matmul_vectors", false, run!(matmul_vectors matmul_vectors_grad 3)),
    ("matmul_batched", false, run!(matmul_batched matmul_batched_grad 3)),
    ("matmul_square", false, run!(matmul_square matmul_square_grad 2)),
    ("matmul_whole", false, run!(matmul_whole matmul_whole_grad 3)),
    ("matmul_two_batches", false, run!(matmul_two_batches matmul_two_batches_grad 3)),
    ("gram", false, run!(gram gram_grad 2)),
    ("max_pool2d_case", false, run!(max_pool2d_case max_pool2d_case_grad 2)),
    ("max_pool2d_overlap", false, run!(max_pool2d_overlap max_pool2d_overlap_grad 2)),
    ("max_pool2d_centred", false, run!(max_pool2d_centred max_pool2d_centred_grad 2)),
    ("avg_pool2d_case", false, run!(avg_pool2d_case avg_pool2d_case_grad 2)),
    ("avg_pool2d_overlap", false, run!(avg_pool2d_overlap avg_pool2d_overlap_grad 2)),
    ("adaptive_avg_pool2d_case", false, run!(adaptive_avg_pool2d_case adaptive_avg_pool2d_case_grad 2)),
    ("adaptive_avg_pool2d_two", false, run!(adaptive_avg_pool2d_two adaptive_avg_pool2d_two_grad 2)),
    ("pool_constant_batch", false, run!(pool_constant_batch pool_constant_batch_grad 2)),
    ("pool_merged_batch", false, run!(pool_merged_batch pool_merged_batch_grad 2)),
    ("cross_entropy_mean", false, run!(cross_entropy_mean cross_entropy_mean_grad labels)),
    ("cross_entropy_sum", false, run!(cross_entropy_sum cross_entropy_sum_grad labels)),
    ("cross_entropy_none", false, run!(cross_entropy_none cross_entropy_none_grad labels and weights)),
    ("cross_entropy_pixels", false, run!(cross_entropy_pixels cross_entropy_pixels_grad labels)),
    ("mse_mean", false, run!(mse_mean mse_mean_grad 2)),
    ("mse_sum", false, run!(mse_sum mse_sum_grad 2)),
    ("l1_mean", false, run!(l1_mean l1_mean_grad 2)),
    ("l1_sum", false, run!(l1_sum l1_sum_grad 2)),
    ("bce_mean", false, run!(bce_mean bce_mean_grad 2)),
    ("bce_sum", false, run!(bce_sum bce_sum_grad 2)),
];
