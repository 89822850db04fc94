//! What every module can do, and every network.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cuda::{Compiled, compile_kernels};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::gradients::Gradients;
use crate::home::{Home, Parameter};
use crate::layers::{Conv2d, Dropout, Linear};
use crate::plan::{ModulePlan, Plan, SummaryPlan, cuda_source};
use crate::seed::Seed;
use crate::structure::{Builder, Structure, Visitor, bind_for, bind_mut_for};
use crate::summary::Summary;
use crate::tensor::Tensor;
use crate::weights;

/// The weights of a network by their keys, as PyTorch's `state_dict()`.
pub type StateDict = BTreeMap<String, Tensor>;

/// A layer, an array of modules, or a struct with `#[derive(Module)]`.
pub trait Module: Structure {
    /// Its parameters, in the order of its fields.
    fn parameters(&self) -> Vec<&Parameter> {
        let mut collect = Collect(Vec::new());
        self.visit(&mut collect);
        collect.0
    }

    /// Its parameters with their keys in the whole network: `blocks.0.conv1.weight`.
    fn named_parameters(&self) -> Vec<(&'static str, &Parameter)> {
        self.parameters().into_iter().map(|parameter| (parameter.name(), parameter)).collect()
    }

    /// The number of trained and frozen numbers that it has: the elements of all parameters.
    fn num_parameters(&self) -> usize {
        self.parameters().into_iter().map(Parameter::len).sum()
    }
}

impl Module for Conv2d {}
impl Module for Linear {}
impl Module for Dropout {}
impl<M: Module, const LEN: usize> Module for [M; LEN] {}

/// A module whose sizes are known, and so a network of its own: it can be made, saved and trained.
pub trait Model: Module + Sized {
    #[doc(hidden)]
    const SUMMARY: &'static SummaryPlan;

    /// How many numbers the network owns, trained and frozen: a number of compile time, for assertions of your own.
    ///
    /// ```
    /// use graven::prelude::*;
    ///
    /// #[derive(Module)]
    /// struct Network {
    ///     #[layer(in_features = 64, out_features = 10)]
    ///     fc: Linear,
    /// }
    ///
    /// network! {
    ///     impl Network {
    ///         fn forward(&self, t: Tensor<[N, 64]>) -> Tensor<[N, 10]> {
    ///             self.fc(t)
    ///         }
    ///     }
    /// }
    ///
    /// const _: () = assert!(Network::PARAMETERS == 650 && Network::BYTES <= 4 << 10);
    /// const _: () = assert!(Network::MULTIPLY_ADDS < 1_000);
    /// ```
    const PARAMETERS: usize = Self::SUMMARY.parameters;

    /// The bytes of the parameters, 4 for each. Gradients take as many again in a training step, the moments of
    /// [`Adam`](crate::Adam) twice as many.
    const BYTES: usize = 4 * Self::PARAMETERS;

    /// The work of `forward` on one sample (of the first method if there is no `forward`), counted as in
    /// [`SummaryRow::multiply_adds`](crate::SummaryRow::multiply_adds).
    const MULTIPLY_ADDS: u64 = Self::SUMMARY.multiply_adds;

    #[doc(hidden)]
    fn plan() -> &'static ModulePlan;

    /// What the compiler made of its functions.
    #[doc(hidden)]
    fn functions() -> Vec<&'static Plan> {
        Vec::new()
    }

    /// The CUDA C++ of all its functions, as NVRTC compiles it on a machine with a GPU: kernels named after the layers, with
    /// the shapes that they read and write. Empty without the feature `cuda`.
    ///
    /// ```
    /// # #[cfg(feature = "cuda")] {
    /// use graven::prelude::*;
    ///
    /// # #[derive(Module)]
    /// # struct Network { #[layer(in_features = 4, out_features = 8)] out: Linear }
    /// # network! { impl Network { fn forward(&self, input: Tensor<[N, 4]>) -> Tensor<[N, 8]> { relu(self.out(input)) } } }
    /// let source = Network::cuda_source();
    /// assert!(source.contains("/// relu = [N, 8] from input [N, 4], out_weight [8, 4], out_bias [8]"));
    /// assert!(source.contains("void __launch_bounds__(256) out_relu("));
    /// # }
    /// ```
    #[must_use]
    fn cuda_source() -> String {
        cuda_source(&Self::functions())
    }

    /// Compiles the kernels of all its functions for an architecture such as `sm_90a`, unless they are in the cache: what
    /// otherwise happens when a function is called for the first time. It needs NVRTC, but no GPU.
    ///
    /// Errors: there is no NVRTC, the message says how to install it; it does not know the architecture; a kernel does not
    /// compile.
    fn compile_cuda(architecture: &str) -> Result<Compiled> {
        compile_kernels(&Self::functions(), architecture)
    }

    /// A table of the calls in `forward` (in the first method if there is no `forward`): layer, shape, parameters, work,
    /// and the bytes that a training step keeps for the backward pass. It needs no network, and runs nothing.
    ///
    /// See [`Summary`] for an example.
    #[must_use]
    fn summary() -> Summary {
        Summary::new(Self::plan(), Self::SUMMARY)
    }

    /// Makes the network, its parameters drawn as PyTorch draws them: uniform in bounds that follow from each layer's size.
    ///
    /// The same seed gives the same parameters on every machine. It also seeds dropout.
    ///
    /// Errors: the device has no room for them.
    fn init(seed: Seed, device: &Device) -> Result<Self> {
        Ok(Builder::build(&Home::new(Self::plan(), seed, device)?))
    }

    /// Moves the network to another device, as `module.to(device)` in PyTorch. Its parameters and where dropout stands keep
    /// their bits, and its optimizers and gradients stay its own.
    ///
    /// Errors: the device has no room for the parameters, or a driver fails, then the network is where it was; the network
    /// holds a layer of another one, or is a part of a network, which can only move as a whole.
    ///
    /// ```
    /// use graven::prelude::*;
    ///
    /// # #[derive(Module)]
    /// # struct Network { #[layer(in_features = 4, out_features = 8)] out: Linear }
    /// # network! { impl Network { fn forward(&self, t: Tensor<[N, 4]>) -> Tensor<[N, 8]> { self.out(t) } } }
    /// let mut network = Network::init(Seed(0), &Device::cpu())?;
    /// network.to(&Device::best())?;
    /// assert_eq!(network.device(), Device::best());
    /// # graven::Result::Ok(())
    /// ```
    fn to(&mut self, device: &Device) -> Result<()> {
        let bound = bind_for(self, Self::plan(), "Model::to")?;
        let Some(home) = bound.home.filter(|home| home.device != *device) else { return Ok(()) };
        if !bound.is_whole() {
            return Err(Error::NoDevice {
                device: device.to_string(),
                what: format!("this `{}` is a part of a `{}`, which moves as a whole", bound.model, home.plan.name),
                help: "call `to` of the network that holds it".into(),
            });
        }
        let moved = home.moved(bound.parameters()?, device)?;
        *self = Builder::build(&moved);
        Ok(())
    }

    /// Where the network lives.
    fn device(&self) -> Device {
        home(self).map_or_else(Device::cpu, |home| home.device.clone())
    }

    /// Starts the random numbers of dropout anew.
    fn set_seed(&mut self, seed: Seed) {
        if let Some(home) = home(self) {
            home.set_seed(seed);
        }
    }

    /// The bytes that calls of the network's functions have worked in so far, and keep for the next call: activations of
    /// a tile per thread, accumulators, gradients. The parameters and the state of optimizers come on top.
    fn workspace_bytes(&self) -> usize {
        home(self).map_or(0, |home| home.workspaces.bytes())
    }

    /// Zero gradients in the network's layout, for its `_grad_into` functions.
    ///
    /// Errors: the network holds a layer of another one.
    fn gradients(&self) -> Result<Gradients> {
        Ok(Gradients::zeros(&bind_for(self, Self::plan(), "Model::gradients")?, Self::plan()))
    }

    /// A copy of all parameters by their keys, which are PyTorch's.
    ///
    /// Errors: the network holds a layer of another one.
    fn state(&self) -> Result<StateDict> {
        weights::state(Self::plan(), bind_for(self, Self::plan(), "Model::state")?.parameters()?)
    }

    /// Sets all parameters.
    ///
    /// Errors: keys are missing or unexpected, or shapes differ; the error lists them all. The network holds a layer of
    /// another one. In either case nothing was changed.
    fn load_state(&mut self, state: &StateDict) -> Result<()> {
        let mut bound = bind_mut_for(self, Self::plan(), "Model::load_state")?;
        let given = state.iter().map(|(key, tensor)| (key.as_str(), *tensor.shape()));
        weights::check_keys(None, Self::plan().name, &weights::keys(Self::plan()), given)?;
        let state = weights::in_host_memory(state)?;
        weights::set(Self::plan(), bound.parameters_mut()?, &state);
        Ok(())
    }

    /// Writes the weights to a safetensors file, with PyTorch's keys and layouts, and the seed of dropout with them.
    ///
    /// The file appears complete or not at all: it is written beside its place and then moved there.
    ///
    /// Errors: the file cannot be written, then an older one is still there; the network holds a layer of another one.
    fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let bound = bind_for(self, Self::plan(), "Model::save")?;
        let views = weights::views(Self::plan(), "", bound.parameters()?);
        weights::write(path.as_ref(), &views, weights::metadata(&bound))
    }

    /// Reads the weights from a safetensors file: one that [`save`](Self::save) wrote, a
    /// [`Checkpoint`](crate::Checkpoint), or a state dict that PyTorch saved with the same names. Numbers of f64, f16 and
    /// bf16 are converted.
    ///
    /// Errors: the file cannot be read or is damaged; keys are missing or unexpected, or shapes differ, and the error lists
    /// all such keys; the network holds a layer of another one. In either case nothing was changed.
    fn load(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let mut bound = bind_mut_for(self, Self::plan(), "Model::load")?;
        let mut file = weights::File::read(path.as_ref())?;
        if file.is_checkpoint() {
            file.forget_optimizer(Self::plan());
        }
        let dropout = file.dropout_state()?;
        let state = file.into_state(Self::plan().name, &weights::keys(Self::plan()))?;
        weights::set(Self::plan(), bound.parameters_mut()?, &state);
        weights::set_dropout(&bound.shared(), dropout);
        Ok(())
    }
}

/// The home of a module; `None` if it has no layers.
pub(crate) fn home(module: &impl Structure) -> Option<&Home> {
    let mut find = FindHome(None);
    module.visit(&mut find);
    find.0
}

/// Collects parameters.
struct Collect<'a>(Vec<&'a Parameter>);

impl<'a> Visitor<'a> for Collect<'a> {
    fn parameter(&mut self, parameter: &'a Parameter) {
        self.0.push(parameter);
    }
}

/// Finds the home of the first layer.
struct FindHome<'a>(Option<&'a Home>);

impl<'a> Visitor<'a> for FindHome<'a> {
    fn parameter(&mut self, parameter: &'a Parameter) {
        self.0.get_or_insert(&parameter.home);
    }

    fn dropout(&mut self, dropout: &'a Dropout) {
        self.0.get_or_insert(&dropout.home);
    }
}
