//! Neural networks compiled ahead of time: a plain struct and a forward function become static code, with the backward
//! pass, the memory plan and the training step worked out by the compiler.
//!
//! A program imports [`prelude`]. This crate holds what such a program runs on: [`Tensor`], the layers, the optimizers,
//! data sets, checkpoints, and the machinery that emitted code calls.

#![cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "what only a device calls is never called without one"))]

mod device;
pub mod error;
mod seed;
mod shape;
pub mod tensor;
pub mod threads;

// What a network is: layers, their parameters, and where these live.
mod display;
mod gradients;
mod home;
mod layers;
mod model;
mod structure;
mod summary;
mod table;

// What a training needs.
mod checkpoint;
pub mod data;
pub mod optim;
mod weights;

// What emitted code runs on.
mod floats;
mod plan;
mod pool;
#[cfg(feature = "profile")]
pub mod profile;
#[cfg(not(feature = "profile"))]
#[path = "profile/absent.rs"]
mod profile;
mod run;
mod values;
mod workspace;

// The other device.
#[cfg_attr(not(feature = "cuda"), path = "cuda/absent.rs")]
mod cuda;

// So that the tests' emitted code names this crate as a user's does.
#[cfg(test)]
extern crate self as graven;
#[cfg(test)]
#[allow(unreachable_pub, reason = "an integration test uses the file as well")]
mod testing;

pub use crate::checkpoint::Checkpoint;
pub use crate::cuda::Compiled;
pub use crate::device::Device;
pub use crate::error::{Error, Result};
pub use crate::gradients::Gradients;
pub use crate::home::Parameter;
pub use crate::layers::{Conv2d, Dropout, Linear};
pub use crate::model::{Model, Module, StateDict};
pub use crate::optim::{Adam, AdamW, Optimizer, Sgd};
pub use crate::plan::SummaryRow;
pub use crate::seed::Seed;
pub use crate::summary::Summary;
pub use crate::tensor::{Dtype, Element, Shape, Tensor};

pub use graven_macros::Module;

/// Says what a struct with [`#[derive(Module)]`](derive@Module) does, and compiles it: shapes are checked, the backward pass is
/// derived, operations are fused, memory is planned, and straight Rust is left behind.
///
/// ```
/// use graven::prelude::*;
///
/// #[derive(Module)]
/// struct Network {
///     #[layer(in_features = 4, out_features = 8)]
///     fc: Linear,
///     #[layer(out_features = 3)] // in_features follows from the input
///     out: Linear,
/// }
///
/// network! {
///     impl Network {
///         fn forward(&self, t: Tensor<[N, 4]>) -> Tensor<[N, 3]> {
///             self.out(relu(self.fc(t)))
///         }
///
///         /// Mean loss, and how many of the batch were classified correctly.
///         fn loss(&self, t: Tensor<[N, 4]>, labels: Tensor<[N], i64>) -> (Tensor<[]>, Tensor<[], i64>) {
///             let logits = self.forward(t);
///             (cross_entropy(logits, labels), correct(logits, labels))
///         }
///     }
/// }
///
/// let mut network = Network::init(Seed(0), &Device::cpu())?;
/// let images = Tensor::from_fn([5, 4], |index| (index % 7) as f32)?;
/// let labels = Tensor::new(vec![0_i64, 1, 2, 0, 1], [5])?;
/// let mut adam = Adam::new(0.01);
/// let (first, _) = network.loss_step(&images, &labels, &mut adam)?; // forward, backward, update
/// for _ in 0..50 {
///     network.loss_step(&images, &labels, &mut adam)?;
/// }
/// let (last, correct) = network.loss(&images, &labels)?;
/// assert!(last.item()? < first.item()? && correct.item()? >= 3);
/// assert_eq!(network.forward(&images)?.shape(), [5, 3]);
/// # Ok::<(), graven::Error>(())
/// ```
///
/// # Functions
///
/// A body is made of `let`, calls, `+ - * /`, tuples, and `for` over an array of modules. Functions bear PyTorch's names and
/// take PyTorch's arguments, by position or by name (`kernel_size = 2`); each can be called as a method (`t.reshape([-1, 192])`).
/// A layer or a nested module is called as `self.conv1(t)`, another function of the module as `self.forward(t)`.
///
/// - pointwise: `relu leaky_relu gelu silu sigmoid tanh exp log sqrt abs pow add sub mul div neg`
/// - images: `max_pool2d avg_pool2d adaptive_avg_pool2d`
/// - shapes: `reshape flatten permute cat`
/// - sums and products: `sum mean matmul softmax log_softmax argmax correct`
/// - losses: `cross_entropy mse_loss l1_loss bce_with_logits`, each with `reduction = "mean"`, `"sum"` or `"none"`
///
/// Tensors broadcast as in PyTorch, except in losses, which want equal shapes.
///
/// # Sizes
///
/// A size is an integer expression over numbers, constants of the block, the module's own sizes, and symbols such as `N`,
/// which the arguments bind at run time. A number that only rustc knows is tied to a constant of the block, so that a data
/// set of another shape or with other classes is an error while compiling:
///
/// ```
/// # use graven::prelude::*;
/// # #[derive(Module)]
/// # struct Network { #[layer(out_features = 10)] out: Linear }
/// network! {
///     impl Network {
///         const CHANNELS: usize = 1;
///         const HEIGHT: usize = 28;
///         const WIDTH: usize = 28;
///         const CLASSES: usize = 10;
///         assert!(CHANNELS == FashionMnist::CHANNELS);
///         assert!(HEIGHT == FashionMnist::HEIGHT && WIDTH == FashionMnist::WIDTH);
///         assert!(CLASSES == FashionMnist::CLASSES);
///
///         fn forward(&self, t: Tensor<[N, CHANNELS, HEIGHT, WIDTH]>) -> Tensor<[N, CLASSES]> {
///             self.out(t.flatten(1))
///         }
///     }
/// }
/// ```
///
/// # What is written
///
/// For every function `f`: `f(&self, ..) -> Result<..>`, and `f_into`, which writes into tensors that are there and allocates
/// nothing after the first call with a batch of that size. Called so, a function runs in evaluation: dropout does nothing.
///
/// If the first result is a single number, `f_grad` gives the results and the [`Gradients`] of all parameters that are
/// trained, `f_grad_into` writes them into gradients that are there, and `f_step` makes a whole training step with an
/// [`Optimizer`]. These run in training.
///
/// A function without `&self` is a plain function; its `_grad` gives the results and then the gradient with respect to each
/// float argument:
///
/// ```
/// use graven::prelude::*;
///
/// network! {
///     fn energy(x: Tensor<[3]>) -> Tensor<[]> {
///         sum(x * x) / 2
///     }
/// }
///
/// let (value, gradient) = energy_grad(&Tensor::new(vec![1.0, 2.0, 3.0], [3])?)?;
/// assert_eq!((value.item()?, gradient.as_slice()), (7.0, &[1.0, 2.0, 3.0][..]));
/// # Ok::<(), graven::Error>(())
/// ```
///
/// # What is known before it runs
///
/// [`Model::summary`] gives a table of the calls in `forward` with shapes, parameters, work, and the memory of the backward
/// pass; the docs of each method hold the like, so an editor shows them where the method is called, and where a layer is. The
/// totals are constants: `const _: () = assert!(Network::PARAMETERS < 50_000);`, see [`Model::PARAMETERS`].
///
/// A file of weights that the program will [load](Model::load) can be compared with the network while compiling, name by
/// name and shape by shape. It stands beside the source file or in the folder of `Cargo.toml`, and when it changes, cargo
/// builds the network again. Only its header is read here; rustc takes about 7 ms for each MB of the file.
///
/// ```text
/// network! {
///     impl Network {
///         weights!("network.safetensors");
///
///         fn forward(&self, t: Tensor<[N, 784]>) -> Tensor<[N, 10]> {
///             self.out(t)
///         }
///     }
/// }
/// ```
///
/// # Modules of modules
///
/// A field may be another module, of this or another file or crate, with sizes of its own, or an array of modules. Everything
/// is compiled into one step: fusion, memory planning and the backward pass see across all borders. A module with sizes is
/// checked where it is used, and so is a function whose signature leaves sizes open (`Tensor<[N, C, H, W]>`) that its layers
/// need.
///
/// ```
/// use graven::prelude::*;
///
/// #[derive(Module)]
/// struct Block<const C: usize> {
///     #[layer(C, C, kernel_size = 3, padding = 1)]
///     conv: Conv2d,
/// }
///
/// network! {
///     impl Block {
///         fn forward(&self, t: Tensor<[N, C, H, W]>) -> Tensor<[N, C, H, W]> {
///             t + relu(self.conv(t))
///         }
///     }
/// }
///
/// #[derive(Module)]
/// struct Network {
///     blocks: [Block<2>; 3],
/// }
///
/// network! {
///     impl Network {
///         fn forward(&self, t: Tensor<[N, 2, 8, 8]>) -> Tensor<[N, 2]> {
///             let mut t = t;
///             for block in &self.blocks {
///                 t = block(t);
///             }
///             mean(t, dim = [2, 3])
///         }
///     }
/// }
///
/// let network = Network::init(Seed(0), &Device::cpu())?;
/// assert_eq!(network.named_parameters()[2].0, "blocks.1.conv.weight");
/// assert_eq!(network.forward(&Tensor::zeros([7, 2, 8, 8])?)?.shape(), [7, 2]);
/// # Ok::<(), graven::Error>(())
/// ```
#[macro_export]
macro_rules! network {
    ($($block:tt)*) => { $crate::__private::macros::network! { ($crate) $($block)* } };
}

/// The program of the README compiles as it stands.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Everything that a program with a network needs.
pub mod prelude {
    pub use crate::data::*;
    pub use crate::network;
    pub use crate::{
        Adam, AdamW, Checkpoint, Conv2d, Device, Dropout, Dtype, Error, Gradients, Linear, Model, Module, Optimizer,
        Parameter, Result, Seed, Sgd, Tensor,
    };
}

/// What emitted code names. No part of the public interface: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use graven_kernels as kernels;
    pub use graven_macros as macros;

    pub use crate::tensor::Dtype;

    pub use crate::display::display;
    pub use crate::plan::*;
    #[cfg(feature = "profile")]
    pub use crate::profile::Step;
    pub use crate::run::{MAX_CHUNKS, Tile, Whole, disjoint, gradients, run, run_grad, run_step, sample};
    pub use crate::structure::{Bound, BoundMut, Builder, Structure, Visitor, VisitorMut, bind, bind_mut};
    pub use crate::workspace::{Argument, Slot, Workspaces};
}
