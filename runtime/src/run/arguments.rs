//! The door of a function: arguments are checked, and sizes are bound by them.

use std::fmt::Write;

use crate::cuda::Gpu;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::plan::{InputPlan, Plan, Size};
use crate::structure::Bound;
use crate::tensor::Shape;
use crate::workspace::{Argument, Slot};

impl Size {
    /// The number of elements, once all symbols are bound.
    pub(crate) fn value(&self, symbols: &[usize]) -> usize {
        self.symbols.iter().fold(self.factor, |value, &symbol| value * symbols[symbol])
    }

    /// What `symbol` must be for this size to have this value, if it is the only symbol.
    fn solve(&self, symbol: usize, value: usize) -> Option<usize> {
        (self.symbols == [symbol] && value.is_multiple_of(self.factor)).then(|| value / self.factor)
    }

    /// `28`, `N`, `4 * N`, `N * T`.
    fn write(&self, names: &[&str], text: &mut String) {
        let factor = (self.factor != 1 || self.symbols.is_empty()).then(|| self.factor.to_string());
        let names = self.symbols.iter().map(|&symbol| names[symbol].to_string());
        let factors: Vec<String> = factor.into_iter().chain(names).collect();
        text.push_str(&factors.join(" * "));
    }
}

impl Argument<'_> {
    fn shape(&self) -> &Shape {
        match self {
            Self::F32(tensor) => tensor.shape(),
            Self::I64(tensor) => tensor.shape(),
        }
    }
}

impl Slot<'_> {
    fn resize(&mut self, shape: Shape) {
        match self {
            Self::F32(tensor) => tensor.resize_for(shape),
            Self::I64(tensor) => tensor.resize_for(shape),
        }
    }
}

/// Checks the arguments against the plan and gives each symbol of the plan its value.
///
/// Errors: a shape differs from the declared one; two arguments contradict each other; a size is zero; a label is not one
/// of the classes.
pub(super) fn bind_symbols(plan: &Plan, inputs: &[Argument<'_>], symbols: &mut Vec<usize>) -> Result<()> {
    assert_eq!(inputs.len(), plan.inputs.len(), "compiler bug: `{}` has another number of arguments", plan.function);
    // No size is zero, so zero stands for "not bound yet".
    symbols.clear();
    symbols.resize(plan.symbols.len(), 0);
    for (input, argument) in plan.inputs.iter().zip(inputs) {
        bind_input(plan, input, argument.shape(), inputs, symbols)?;
    }
    assert!(!symbols.contains(&0), "compiler bug: no argument of `{}` binds one of {:?}", plan.function, plan.symbols);
    // Sizes of several symbols, and sizes that stand before the argument that binds them.
    for (input, argument) in plan.inputs.iter().zip(inputs) {
        let shape = argument.shape();
        if let Some(axis) = (0..shape.rank()).find(|&axis| input.dims[axis].value(symbols) != shape[axis]) {
            let mut size = String::new();
            input.dims[axis].write(plan.symbols, &mut size);
            let note =
                format!("{size} is {} here, but axis {axis} is {}", input.dims[axis].value(symbols), shape[axis]);
            return Err(mismatch(plan, input, shape, note));
        }
    }
    check_memory(plan, symbols)?;
    plan.inputs.iter().zip(inputs).try_for_each(|(input, argument)| check_labels(plan, input, argument))
}

/// Below this many bytes nobody asks whether there is room.
const LARGE: usize = 1 << 30;

/// An outer product of two long vectors may be larger than any machine: that is an error, not an abort.
fn check_memory(plan: &Plan, symbols: &[usize]) -> Result<()> {
    let elements = |sizes: &[Size]| {
        sizes.iter().try_fold(1_usize, |elements, size| {
            let value =
                size.symbols.iter().try_fold(size.factor, |value, &symbol| value.checked_mul(symbols[symbol]))?;
            elements.checked_mul(value)
        })
    };
    let outputs = plan.outputs.iter().map(|output| output.dims);
    let values = plan.values.iter().map(|value| std::slice::from_ref(&value.size));
    for sizes in outputs.chain(values) {
        let fits = elements(sizes)
            .and_then(|elements| elements.checked_mul(size_of::<i64>()))
            .is_some_and(|bytes| bytes < LARGE || Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
        if !fits {
            let dims = sizes.iter().map(|size| {
                size.symbols.iter().fold(size.factor, |value, &symbol| value.saturating_mul(symbols[symbol]))
            });
            return Err(Error::TooLarge { dims: dims.collect() });
        }
    }
    Ok(())
}

fn bind_input(
    plan: &Plan,
    input: &InputPlan,
    shape: &Shape,
    inputs: &[Argument<'_>],
    symbols: &mut [usize],
) -> Result<()> {
    if shape.rank() != input.dims.len() {
        let axes = if shape.rank() == 1 { "axis" } else { "axes" };
        return Err(mismatch(plan, input, shape, format!("{} {axes}, not {}", shape.rank(), input.dims.len())));
    }
    for (axis, (size, &given)) in input.dims.iter().zip(shape.iter()).enumerate() {
        let &[symbol] = size.symbols else {
            if size.symbols.is_empty() && given != size.factor {
                return Err(mismatch(plan, input, shape, format!("axis {axis} is {given}, not {}", size.factor)));
            }
            continue;
        };
        match size.solve(symbol, given) {
            None => {
                let note = format!("axis {axis} is {given}, which is no multiple of {}", size.factor);
                return Err(mismatch(plan, input, shape, note));
            }
            Some(0) => {
                return Err(Error::EmptyBatch {
                    function: plan.function.into(),
                    argument: input.name.into(),
                    symbol: plan.symbols[symbol].into(),
                });
            }
            Some(value) if symbols[symbol] == 0 => symbols[symbol] = value,
            Some(value) if symbols[symbol] != value => {
                return Err(Error::SizeConflict {
                    function: plan.function.into(),
                    symbol: plan.symbols[symbol].into(),
                    first: (first_to_bind(plan, inputs, symbol).into(), symbols[symbol]),
                    second: (input.name.into(), value),
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The name of the argument that bound a symbol.
fn first_to_bind(plan: &Plan, inputs: &[Argument<'_>], symbol: usize) -> &'static str {
    let binds = |(input, argument): &(&InputPlan, &Argument<'_>)| {
        let mut sizes = input.dims.iter().zip(argument.shape().iter());
        sizes.any(|(size, &given)| size.solve(symbol, given).is_some())
    };
    plan.inputs.iter().zip(inputs).find(binds).map_or("", |(input, _)| input.name)
}

fn mismatch(plan: &Plan, input: &InputPlan, given: &Shape, note: String) -> Error {
    Error::ShapeMismatch {
        function: plan.function.into(),
        argument: input.name.into(),
        given: given.to_vec(),
        expected: declared(input, plan.symbols),
        note,
    }
}

/// The shape as the user's code declares it: `[N, 1, 28, 28]`.
fn declared(input: &InputPlan, names: &[&str]) -> String {
    let mut text = String::from("[");
    for (axis, size) in input.dims.iter().enumerate() {
        if axis > 0 {
            let _ = write!(text, ", ");
        }
        size.write(names, &mut text);
    }
    text + "]"
}

fn check_labels(plan: &Plan, input: &InputPlan, argument: &Argument<'_>) -> Result<()> {
    let (Some(classes), Argument::I64(tensor)) = (input.classes, argument) else { return Ok(()) };
    // Labels on a device are read back, once for each tensor: a kernel that trusts a wrong one would read beside its row.
    let labels = tensor.values()?;
    let is_class = |&label: &i64| usize::try_from(label).is_ok_and(|label| label < classes);
    match labels.iter().position(|label| !is_class(label)) {
        None => Ok(()),
        Some(index) => Err(Error::LabelOutOfRange {
            function: plan.function.into(),
            argument: input.name.into(),
            index,
            label: labels[index],
            classes,
        }),
    }
}

/// The GPU that a function runs on; `None` for the CPU. A network runs where it lives, a function without a network where its
/// arguments are. Tensors of host memory go anywhere.
///
/// Errors: a tensor lies on another device.
pub(super) fn choose_device(plan: &Plan, bound: &Bound<'_>, inputs: &[Argument<'_>]) -> Result<Option<&'static Gpu>> {
    let given = |argument: &Argument<'_>| match argument {
        Argument::F32(tensor) => tensor.gpu(),
        Argument::I64(tensor) => tensor.gpu(),
    };
    let (gpu, why) = match bound.home {
        Some(home) => (home.device.gpu(), "the network lives there"),
        None => (inputs.iter().find_map(given), "the first argument on a device is there"),
    };
    for (input, argument) in plan.inputs.iter().zip(inputs) {
        if let Some(other) = given(argument).filter(|&other| Some(other) != gpu) {
            return Err(Error::ForeignDevice {
                function: plan.function.into(),
                argument: input.name.into(),
                given: other.device(),
                expected: gpu.map_or_else(Device::cpu, |gpu| gpu.device()),
                why,
            });
        }
    }
    Ok(gpu)
}

/// Gives each result its shape.
pub(super) fn resize_outputs(plan: &Plan, symbols: &[usize], outputs: &mut [Slot<'_>]) {
    assert_eq!(outputs.len(), plan.outputs.len(), "compiler bug: `{}` has another number of results", plan.function);
    for (output, slot) in plan.outputs.iter().zip(outputs) {
        let mut dims = [0; crate::tensor::MAX_RANK];
        for (dim, size) in dims.iter_mut().zip(output.dims) {
            *dim = size.value(symbols);
        }
        slot.resize(Shape::known(&dims[..output.dims.len()]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Dtype, Tensor};

    const fn known(factor: usize) -> Size {
        Size { factor, symbols: &[] }
    }

    const N: Size = Size { factor: 1, symbols: &[0] };
    const T: Size = Size { factor: 1, symbols: &[1] };

    static PLAN: Plan = Plan {
        function: "Network::loss",
        symbols: &["N", "T"],
        inputs: &[
            InputPlan { name: "both", dtype: Dtype::F32, dims: &[Size { factor: 1, symbols: &[0, 1] }], classes: None },
            InputPlan { name: "images", dtype: Dtype::F32, dims: &[N, known(3)], classes: None },
            InputPlan { name: "labels", dtype: Dtype::I64, dims: &[N, T], classes: Some(10) },
            InputPlan { name: "halves", dtype: Dtype::F32, dims: &[Size { factor: 2, symbols: &[0] }], classes: None },
        ],
        outputs: &[],
        values: &[],
        stages: &[],
        gradients: &[],
        parameters: 0,
        trained: &[],
        cuda: None,
    };

    type Bound = std::result::Result<Vec<usize>, String>;

    /// The sizes bound by arguments of these shapes, or the message.
    fn bind(both: &[usize], images: &[usize], labels: &Tensor<i64>, halves: &[usize]) -> Bound {
        let [both, images, halves] = [both, images, halves].map(|shape| Tensor::<f32>::zeros(shape).unwrap());
        let inputs = [Argument::from(&both), Argument::from(&images), Argument::from(labels), Argument::from(&halves)];
        let mut symbols = Vec::new();
        bind_symbols(&PLAN, &inputs, &mut symbols).map(|()| symbols).map_err(|error| error.to_string())
    }

    fn labels(shape: [usize; 2]) -> Tensor<i64> {
        Tensor::zeros(shape).unwrap()
    }

    #[test]
    fn arguments_bind_sizes() {
        assert_eq!(bind(&[20], &[4, 3], &labels([4, 5]), &[8]), Ok(vec![4, 5]));
    }

    #[test]
    fn every_mistake_has_its_message() {
        let message = |result: Bound| result.unwrap_err();
        assert_eq!(
            message(bind(&[20], &[12], &labels([4, 5]), &[8])),
            "`Network::loss` takes `images` [N, 3], but was given [12]\nnote: 1 axis, not 2"
        );
        assert_eq!(
            message(bind(&[20], &[4, 2], &labels([4, 5]), &[8])),
            "`Network::loss` takes `images` [N, 3], but was given [4, 2]\nnote: axis 1 is 2, not 3"
        );
        assert!(
            message(bind(&[20], &[4, 3], &labels([6, 5]), &[8]))
                .starts_with("`Network::loss`: the size N is 4 in `images` but 6 in `labels`\n")
        );
        assert!(
            message(bind(&[20], &[0, 3], &labels([4, 5]), &[8]))
                .starts_with("`Network::loss`: `images` is empty: N is 0")
        );
        assert_eq!(
            message(bind(&[20], &[4, 3], &labels([4, 5]), &[9])),
            "`Network::loss` takes `halves` [2 * N], but was given [9]\nnote: axis 0 is 9, which is no multiple of 2"
        );
        assert_eq!(
            message(bind(&[21], &[4, 3], &labels([4, 5]), &[8])),
            "`Network::loss` takes `both` [N * T], but was given [21]\nnote: N * T is 20 here, but axis 0 is 21"
        );
        for bad in [-1, 10, i64::MIN] {
            let mut labels = labels([4, 5]);
            labels.as_mut_slice()[7] = bad;
            let message = message(bind(&[20], &[4, 3], &labels, &[8]));
            let expected =
                format!("`Network::loss`: `labels` holds the label {bad} at index 7, but there are 10 classes");
            assert!(message.starts_with(&expected), "{message}");
        }
    }
}
