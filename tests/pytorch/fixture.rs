//! Reads what PyTorch recorded, and compares a network with it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use graven::prelude::*;
use safetensors::tensor::{Dtype as FileDtype, TensorView};
use safetensors::{SafeTensors, serialize};

/// One file of `tests/fixtures`.
pub(crate) struct Fixture {
    pub(crate) case: String,
    metadata: HashMap<String, String>,
    floats: BTreeMap<String, Tensor>,
    ints: BTreeMap<String, Tensor<i64>>,
}

/// What a test file of this folder lies in.
pub(crate) fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(file)
}

impl Fixture {
    pub(crate) fn read(case: &str) -> Self {
        let bytes = std::fs::read(path(&format!("{case}.safetensors"))).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let mut fixture = Self {
            case: case.into(),
            metadata: header.metadata().clone().unwrap(),
            floats: BTreeMap::new(),
            ints: BTreeMap::new(),
        };
        for (key, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let (data, shape) = (view.data(), view.shape());
            if view.dtype() == FileDtype::I64 {
                let numbers: Vec<i64> = data.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect();
                fixture.ints.insert(key, Tensor::new(numbers, shape).unwrap());
            } else {
                assert_eq!(view.dtype(), FileDtype::F32, "{key}");
                let numbers: Vec<f32> = data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
                fixture.floats.insert(key, Tensor::new(numbers, shape).unwrap());
            }
        }
        fixture
    }

    pub(crate) fn floats(&self, key: &str) -> &Tensor {
        self.floats.get(key).unwrap_or_else(|| panic!("{}: no floats `{key}`", self.case))
    }

    pub(crate) fn ints(&self, key: &str) -> &Tensor<i64> {
        self.ints.get(key).unwrap_or_else(|| panic!("{}: no integers `{key}`", self.case))
    }

    fn number(&self, key: &str) -> f64 {
        self.metadata.get(key).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{}: no `{key}`", self.case))
    }

    /// The keys that start with this, without it.
    pub(crate) fn names(&self, prefix: &str) -> Vec<&str> {
        self.floats.keys().filter_map(|key| key.strip_prefix(prefix)).collect()
    }

    /// Writes the initial parameters as `safetensors.torch.save_file(model.state_dict(), path)` does.
    fn write_state_dict(&self, path: &Path) {
        let bytes = |name: &str| -> Vec<u8> {
            self.floats(&format!("param.{name}")).as_slice().iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        let entries: Vec<(&str, Vec<u8>)> = self.names("param.").into_iter().map(|name| (name, bytes(name))).collect();
        let views = entries.iter().map(|(name, bytes)| {
            let shape = self.floats(&format!("param.{name}")).shape().to_vec();
            (*name, TensorView::new(FileDtype::F32, shape, bytes).unwrap())
        });
        std::fs::write(path, serialize(views, None).unwrap()).unwrap();
    }

    /// A network with the initial parameters.
    pub(crate) fn network<M: Model>(&self) -> M {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        self.write_state_dict(&file);
        let mut network = M::init(Seed(1), &graven_tests::cuda::device()).unwrap();
        network.load(&file).unwrap_or_else(|error| panic!("{}: {error}", self.case));
        network
    }

    /// Calls `train` with the optimizer of the recording.
    fn with_optimizer<T>(&self, train: impl Train<T>) -> T {
        let options: serde_json::Value = serde_json::from_str(&self.metadata["options"]).unwrap();
        let number = |name: &str| options[name].as_f64().unwrap_or_else(|| panic!("{}: no option {name}", self.case));
        let beta = |index: usize| options["betas"][index].as_f64().unwrap();
        macro_rules! adam {
            ($optimizer:ident) => {
                $optimizer::new(number("lr"))
                    .betas(beta(0), beta(1))
                    .eps(number("eps"))
                    .weight_decay(number("weight_decay"))
            };
        }
        match self.metadata["optimizer"].as_str() {
            "SGD" => train.run(
                Sgd::new(number("lr"))
                    .momentum(number("momentum"))
                    .dampening(number("dampening"))
                    .nesterov(options["nesterov"].as_bool().unwrap())
                    .weight_decay(number("weight_decay")),
            ),
            "Adam" => train.run(adam!(Adam)),
            "AdamW" => train.run(adam!(AdamW)),
            other => panic!("{}: unknown optimizer {other}", self.case),
        }
    }
}

/// A closure over all optimizers.
trait Train<T> {
    fn run(self, optimizer: impl Optimizer) -> T;
}

/// A network that was recorded: its `forward` and its `loss`, called with the batch of the recording.
pub(crate) trait Recorded: Model {
    fn output(&self, fixture: &Fixture) -> Result<Tensor>;
    fn eval_loss(&self, fixture: &Fixture) -> Result<Tensor>;
    fn gradients_of_loss(&self, fixture: &Fixture) -> Result<(Tensor, Gradients)>;
    fn step(&mut self, fixture: &Fixture, optimizer: &mut impl Optimizer) -> Result<Tensor>;
}

/// `recorded!(Network, t, labels: ints)`: the arguments of `forward` and `loss` as the recording names them, and what the
/// last one holds.
macro_rules! recorded {
    ($network:ty, $input:ident, $target:ident: $numbers:ident) => {
        impl $crate::fixture::Recorded for $network {
            fn output(&self, fixture: &$crate::fixture::Fixture) -> graven::Result<graven::Tensor> {
                self.forward(fixture.floats(concat!("input.", stringify!($input))))
            }

            fn eval_loss(&self, fixture: &$crate::fixture::Fixture) -> graven::Result<graven::Tensor> {
                let input = fixture.floats(concat!("input.", stringify!($input)));
                self.loss(input, fixture.$numbers(concat!("input.", stringify!($target))))
            }

            fn gradients_of_loss(
                &self,
                fixture: &$crate::fixture::Fixture,
            ) -> graven::Result<(graven::Tensor, graven::Gradients)> {
                let input = fixture.floats(concat!("input.", stringify!($input)));
                self.loss_grad(input, fixture.$numbers(concat!("input.", stringify!($target))))
            }

            fn step(
                &mut self,
                fixture: &$crate::fixture::Fixture,
                optimizer: &mut impl graven::Optimizer,
            ) -> graven::Result<graven::Tensor> {
                let input = fixture.floats(concat!("input.", stringify!($input)));
                self.loss_step(input, fixture.$numbers(concat!("input.", stringify!($target))), optimizer)
            }
        }
    };
}
pub(crate) use recorded;

struct Steps<'a, M>(&'a mut M, &'a Fixture);

impl<M: Recorded> Train<Tensor> for Steps<'_, M> {
    /// The losses of the recorded number of steps.
    fn run(self, mut optimizer: impl Optimizer) -> Tensor {
        let Self(network, fixture) = self;
        let n_steps = fixture.number("steps") as usize;
        let losses: Vec<f32> =
            (0..n_steps).map(|_| network.step(fixture, &mut optimizer).unwrap().item().unwrap()).collect();
        Tensor::new(losses, [n_steps]).unwrap()
    }
}

/// The comparisons of one case, and what did not pass.
pub(crate) struct Comparison<'a> {
    fixture: &'a Fixture,
    failures: Vec<String>,
    n_compared: usize,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(fixture: &'a Fixture) -> Self {
        Self { fixture, failures: Vec::new(), n_compared: 0 }
    }

    /// Compares a result with the recorded tensor `key`, whose rounding is known under `distance`.
    pub(crate) fn check(&mut self, given: &Tensor, key: &str, distance: &str) {
        let expected = self.fixture.floats(key);
        // Where these numbers come from: the README of the fixtures.
        let bound = 8.0 * self.fixture.number(distance) + 1e-6;
        self.n_compared += 1;
        if given.shape() != expected.shape() {
            let (given, expected) = (given.shape(), expected.shape());
            self.failures.push(format!("`{key}` has the shape {given}, PyTorch gives {expected}"));
            return;
        }
        let error = relative_error(given.as_slice(), expected.as_slice());
        // An error that is no number fails, too.
        if error.is_nan() || error > bound {
            self.failures.push(format!("`{key}` is {error:.2e} away from PyTorch, the bound is {bound:.2e}"));
        }
    }

    pub(crate) fn finish(self, n_expected: usize) {
        let case = &self.fixture.case;
        assert_eq!(self.n_compared, n_expected, "{case}");
        assert!(self.failures.is_empty(), "{case}:\n{}", self.failures.join("\n"));
    }
}

/// The norm of the difference over the norm.
pub(crate) fn relative_error(given: &[f32], expected: &[f32]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let difference = norm(&mut given.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    difference / norm(&mut expected.iter().map(|value| f64::from(*value)))
}

/// Compares everything about a network with the recording.
pub(crate) fn check<M: Recorded>(case: &str) {
    let fixture = Fixture::read(case);
    let mut network: M = fixture.network();
    let names = fixture.names("param.");
    let mut own: Vec<&str> = network.named_parameters().into_iter().map(|(name, _)| name).collect();
    own.sort_unstable();
    assert_eq!(own, names, "{case}: the keys of the parameters");
    let mut comparison = Comparison::new(&fixture);

    comparison.check(&network.output(&fixture).unwrap(), "output", "output_distance");
    comparison.check(&network.eval_loss(&fixture).unwrap(), "loss", "loss_distance");
    let (loss, gradients) = network.gradients_of_loss(&fixture).unwrap();
    comparison.check(&loss, "loss", "loss_distance");
    for name in &names {
        comparison.check(&gradients.get(name).unwrap(), &format!("grad.{name}"), &format!("grad_distance.{name}"));
    }

    let losses = fixture.with_optimizer(Steps(&mut network, &fixture));
    comparison.check(&losses, "losses", "losses_distance");
    let state = network.state().unwrap();
    for name in &names {
        comparison.check(&state[*name], &format!("after.{name}"), &format!("distance.{name}"));
    }
    comparison.finish(4 + 2 * names.len());
}
