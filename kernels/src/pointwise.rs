//! Every pointwise operation as one row: its name, its formula, its derivatives.
//!
//! A formula is text in the common part of Rust and CUDA C++: arithmetic, and calls of the functions in
//! [`cpu::math`](crate::cpu::math), which have twins in f64 here. The row is evaluated on f64 by the reference, printed
//! as Rust by the emitter, and gradient-checked by one loop over all rows.

use std::fmt;
use std::sync::Arc;

use crate::cuda::{Part, product};
use crate::dim::{Dim, Dtype, Type};
use crate::op::{
    Array, Batching, Builder, Call, Differentiated, First, Kernel, Layout, Mistake, Op, Operand, Scalar, Value,
    broadcast,
};

/// A formula with named parameters.
pub struct Row {
    /// The name of the operation.
    pub name: &'static str,
    /// The names of the parameters in the formula.
    pub parameters: &'static [&'static str],
    /// The formula.
    pub text: &'static str,
    /// How often each parameter stands in the formula.
    pub uses: &'static [usize],
    /// The formula on f64.
    pub evaluate: fn(&[f64]) -> f64,
    /// Whether the result never falls when a parameter grows, any of them.
    pub rising: bool,
    /// For each parameter the derivative times `grad`. Its own parameters are named after what they stand for: a parameter
    /// of the operation, `y` for its result, `grad` for the gradient of the result. None where there is none.
    pub derivatives: &'static [Option<Row>],
}

impl fmt::Debug for Row {
    /// Name and formula tell every row from every other: a derivative bears the name of its operation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}) = {}", self.name, self.parameters.join(", "), self.text)
    }
}

macro_rules! row {
    (rising $($row:tt)*) => { Row { rising: true, ..row!($($row)*) } };
    ($name:literal, |$($parameter:ident),*| $formula:expr $(, $derivative:tt)* $(,)?) => {
        Row {
            name: $name,
            parameters: &[$(stringify!($parameter)),*],
            text: stringify!($formula),
            uses: &[$(occurrences(stringify!($formula), stringify!($parameter))),*],
            evaluate: |values| {
                let [$($parameter),*] = *values else { unreachable!("a formula is evaluated with as many values as it has parameters") };
                $formula
            },
            rising: false,
            derivatives: &[$(derivative!($name, $derivative)),*],
        }
    };
}

macro_rules! derivative {
    ($name:literal, none) => { None };
    ($name:literal, (|$($parameter:ident),*| $formula:expr)) => {
        Some(row!($name, |$($parameter),*| $formula))
    };
}

/// The rows. `x`, `a`, `b` are elements of the inputs.
pub static ROWS: &[Row] = &[
    row!(rising "identity", |x| x, (|grad| grad)),
    row!(rising "add", |a, b| a + b, (|grad| grad), (|grad| grad)),
    row!("sub", |a, b| a - b, (|grad| grad), (|grad| -grad)),
    row!("mul", |a, b| a * b, (|grad, b| grad * b), (|grad, a| grad * a)),
    row!("div", |a, b| a / b, (|grad, b| grad / b), (|grad, y, b| -grad * y / b)),
    row!("neg", |x| -x, (|grad| -grad)),
    row!(rising "relu", |x| max(x, 0.0), (|grad, y| select(y > 0.0, grad, 0.0))),
    row!(
        "leaky_relu",
        |x, slope| select(x > 0.0, x, x * slope),
        (|grad, x, slope| select(x > 0.0, grad, grad * slope)),
        none
    ),
    // gelu(x) = x Phi(x), exact as PyTorch's default; the derivative is Phi(x) + x phi(x).
    row!(
        "gelu",
        |x| 0.5 * x * (1.0 + erf(x * 0.707_106_781_186_547_5)),
        (|grad, x| grad
            * (0.5 * (1.0 + erf(x * 0.707_106_781_186_547_5)) + x * 0.398_942_280_401_432_7 * exp(-0.5 * x * x)))
    ),
    row!("silu", |x| x * sigmoid(x), (|grad, x| grad * sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))))),
    row!(rising "sigmoid", |x| sigmoid(x), (|grad, y| grad * y * (1.0 - y))),
    row!(rising "tanh", |x| tanh(x), (|grad, y| grad * (1.0 - y * y))),
    row!("exp", |x| exp(x), (|grad, y| grad * y)),
    row!("log", |x| log(x), (|grad, x| grad / x)),
    row!("sqrt", |x| sqrt(x), (|grad, y| 0.5 * grad / y)),
    row!("abs", |x| abs(x), (|grad, x| grad * sign(x))),
    row!("square", |x| x * x, (|grad, x| 2.0 * grad * x)),
    row!("pow", |x, exponent| pow(x, exponent), (|grad, x, exponent| grad * exponent * pow(x, exponent - 1.0)), none),
    row!(
        "squared_error",
        |a, b| (a - b) * (a - b),
        (|grad, a, b| 2.0 * grad * (a - b)),
        (|grad, a, b| 2.0 * grad * (b - a))
    ),
    row!("absolute_error", |a, b| abs(a - b), (|grad, a, b| grad * sign(a - b)), (|grad, a, b| grad * sign(b - a))),
    // max(x, 0) - x t + log1p(exp(-|x|)): the form that neither overflows nor loses small losses.
    row!(
        "bce_with_logits",
        |x, t| max(x, 0.0) - x * t + log1p(exp(-abs(x))),
        (|grad, x, t| grad * (sigmoid(x) - t)),
        (|grad, x| -grad * x)
    ),
    // With y = softmax(x) or log_softmax(x) and the sum of the upstream gradient (times y, for softmax) along the axis.
    row!("softmax_grad", |y, grad, sum| y * (grad - sum), none, none, none),
    row!("log_softmax_grad", |y, grad, sum| grad - exp(y) * sum, none, none, none),
];

/// The row with that name.
///
/// # Panics
/// No row has it: names come from this crate, so that is a fault of the caller.
#[must_use]
pub fn row(name: &str) -> &'static Row {
    ROWS.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no pointwise operation is called `{name}`"))
}

/// What happens to an element: rows applied to operands and numbers.
#[derive(Debug, Clone)]
pub enum Formula {
    /// The element of the input with this index.
    Operand(usize),
    /// A number.
    Scalar(Scalar),
    /// A row applied to further formulas.
    Apply(&'static Row, Vec<Formula>),
}

impl Formula {
    /// One row applied to operands 0, 1, ..
    #[must_use]
    pub fn of(row: &'static Row) -> Formula {
        Formula::Apply(row, (0..row.parameters.len()).map(Formula::Operand).collect())
    }

    /// Whether it is the relu of two operands' sum.
    fn is_relu_of_sum(&self) -> bool {
        let Formula::Apply(relu, sum) = self else { return false };
        let [Formula::Apply(add, operands)] = &sum[..] else { return false };
        relu.name == "relu" && add.name == "add" && matches!(operands[..], [Formula::Operand(_), Formula::Operand(_)])
    }

    /// The formula with every operand replaced.
    #[must_use]
    pub fn substitute(&self, operand: &dyn Fn(usize) -> Formula) -> Formula {
        match self {
            Formula::Operand(index) => operand(*index),
            Formula::Scalar(scalar) => Formula::Scalar(scalar.clone()),
            Formula::Apply(row, arguments) => {
                Formula::Apply(row, arguments.iter().map(|argument| argument.substitute(operand)).collect())
            }
        }
    }

    /// Whether two formulas are the same.
    #[must_use]
    pub fn is(&self, other: &Formula) -> bool {
        match (self, other) {
            (Formula::Operand(own), Formula::Operand(other)) => own == other,
            (Formula::Scalar(own), Formula::Scalar(other)) => own == other,
            (Formula::Apply(row, arguments), Formula::Apply(other_row, others)) => {
                std::ptr::eq(*row, *other_row)
                    && arguments.len() == others.len()
                    && arguments.iter().zip(others).all(|(own, other)| own.is(other))
            }
            _ => false,
        }
    }

    /// Whether it keeps the order of numbers: if an operand grows, the result does not fall.
    #[must_use]
    pub fn rises(&self) -> bool {
        match self {
            Formula::Operand(_) | Formula::Scalar(_) => true,
            Formula::Apply(row, arguments) => row.rising && arguments.iter().all(Formula::rises),
        }
    }

    /// How often an operand stands in the formula, once rows are printed.
    #[must_use]
    pub fn uses(&self, operand: usize) -> usize {
        match self {
            Formula::Operand(index) => usize::from(*index == operand),
            Formula::Scalar(_) => 0,
            Formula::Apply(row, arguments) => {
                row.uses.iter().zip(arguments).map(|(uses, argument)| uses * argument.uses(operand)).sum()
            }
        }
    }

    /// Rows in the formula, once printed.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Formula::Operand(_) | Formula::Scalar(_) => 0,
            Formula::Apply(row, arguments) => {
                1 + row.uses.iter().zip(arguments).map(|(uses, argument)| uses * argument.size()).sum::<usize>()
            }
        }
    }

    /// The value for given elements; `scalar` gives the numbers that depend on sizes.
    #[must_use]
    pub fn evaluate(&self, operands: &[f64], scalar: &dyn Fn(&Scalar) -> f64) -> f64 {
        match self {
            Formula::Operand(index) => operands[*index],
            Formula::Scalar(number) => scalar(number),
            Formula::Apply(row, arguments) => {
                let arguments: Vec<f64> =
                    arguments.iter().map(|argument| argument.evaluate(operands, scalar)).collect();
                (row.evaluate)(&arguments)
            }
        }
    }
}

/// How often an identifier stands in a formula's text.
const fn occurrences(text: &str, identifier: &str) -> usize {
    const fn is_word(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || byte == b'_'
    }
    let (text, identifier) = (text.as_bytes(), identifier.as_bytes());
    let (mut count, mut start) = (0, 0);
    while start + identifier.len() <= text.len() {
        let mut same = 0;
        while same < identifier.len() && text[start + same] == identifier[same] {
            same += 1;
        }
        let end = start + identifier.len();
        let alone = (start == 0 || !is_word(text[start - 1])) && (end == text.len() || !is_word(text[end]));
        if same == identifier.len() && alone {
            count += 1;
        }
        start += 1;
    }
    count
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // a, b, ..: as the closure of the emitted kernel names its operands.
            Formula::Operand(index) => write!(f, "{}", char::from(b'a' + (*index).min(25) as u8)),
            Formula::Scalar(scalar) => write!(f, "{scalar}"),
            Formula::Apply(row, arguments) => {
                // A derivative bears the name of its operation; its parameters tell them apart.
                let prime = if row.parameters.contains(&"grad") && !row.name.ends_with("_grad") { "'" } else { "" };
                let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
                write!(f, "{}{prime}({})", row.name, arguments.join(", "))
            }
        }
    }
}

/// A pointwise operation, one row or several fused ones, over broadcast inputs.
#[derive(Debug, Clone)]
pub struct Pointwise {
    formula: Formula,
    /// The shape to broadcast to, where it is larger than that of the inputs.
    shape: Option<Arc<[Dim]>>,
    /// The name of one operation; the formula stands for several.
    name: Option<&'static str>,
}

impl Pointwise {
    /// The operation of one row.
    #[must_use]
    pub fn new(row: &'static Row) -> Pointwise {
        Pointwise { formula: Formula::of(row), shape: None, name: Some(row.name) }
    }

    /// A number in every element of a shape.
    #[must_use]
    pub fn constant(scalar: Scalar, shape: impl Into<Arc<[Dim]>>) -> Pointwise {
        Pointwise { formula: Formula::Scalar(scalar), shape: Some(shape.into()), name: Some("constant") }
    }

    /// The operation that broadcasts its input to a shape.
    #[must_use]
    pub fn expand(shape: impl Into<Arc<[Dim]>>) -> Pointwise {
        Pointwise { formula: Formula::Operand(0), shape: Some(shape.into()), name: Some("expand") }
    }
}

/// Applies the row with that name.
///
/// # Errors
/// The inputs do not broadcast, or are not floats.
pub fn apply(builder: &mut dyn Builder, name: &str, inputs: &[Value]) -> Result<Value, Mistake> {
    builder.apply(Arc::new(Pointwise::new(row(name))), inputs)
}

/// Sums a value over the axes along which `shape` was broadcast, so that it has that shape.
///
/// # Errors
/// Only if `value` is no broadcast of `shape`.
pub fn sum_to(builder: &mut dyn Builder, value: Value, shape: &[Dim]) -> Result<Value, Mistake> {
    let own = builder.ty(value).dims;
    let extra = own.len() - shape.len();
    let leading: Vec<usize> = (0..extra).collect();
    let stretched: Vec<usize> = (extra..own.len()).filter(|axis| own[*axis] != shape[axis - extra]).collect();
    let axes = [leading, stretched].concat();
    if axes.is_empty() {
        return Ok(value);
    }
    let sum = crate::reduce::sum_axes(builder, value, &axes, false)?;
    crate::rearrange::reshape(builder, sum, shape.to_vec())
}

impl Op for Pointwise {
    fn name(&self) -> String {
        self.name.map_or_else(|| self.formula.to_string(), str::to_owned)
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        for (position, input) in inputs.iter().enumerate() {
            if input.dtype != Dtype::F32 {
                let mut mistake = Mistake::new(format!("{{layer}} takes floats, but was given {input}"));
                mistake.trace = Some(position);
                return Err(mistake);
            }
        }
        let mut dims = match (&self.shape, inputs.first()) {
            (Some(shape), _) => Arc::clone(shape),
            (None, Some(first)) => Arc::clone(&first.dims),
            (None, None) => Arc::new([]),
        };
        for input in inputs {
            // Nearly all operands have one shape.
            if input.dims != dims {
                dims = broadcast(&dims, &input.dims)?.into();
            }
        }
        Ok(Type { dtype: Dtype::F32, dims })
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        // Only operations of one row are differentiated: fusion comes later.
        let derivatives = match &self.formula {
            Formula::Apply(row, _) => row.derivatives.iter().map(Option::as_ref).collect(),
            _ => vec![row("identity").derivatives[0].as_ref()],
        };
        let parameters: &[&str] = if let Formula::Apply(row, _) = &self.formula { row.parameters } else { &["x"] };
        let mut gradients = Vec::new();
        for (position, derivative) in derivatives.into_iter().enumerate() {
            let Some(derivative) = derivative.filter(|_| node.wanted[position]) else {
                gradients.push(None);
                continue;
            };
            let operand = |name: &&str| match *name {
                "grad" => node.grad_output,
                "y" => node.output,
                name => node.inputs[parameters.iter().position(|own| *own == name).unwrap_or(0)],
            };
            let operands: Vec<Value> = derivative.parameters.iter().map(operand).collect();
            let gradient = match derivative.text {
                "grad" => node.grad_output,
                _ => builder.apply(Arc::new(Pointwise::new(derivative)), &operands)?,
            };
            let shape = builder.ty(node.inputs[position]).dims;
            gradients.push(Some(sum_to(builder, gradient, &shape)?));
        }
        Ok(gradients)
    }

    fn batching(&self, inputs: &[Operand], output: &Type) -> Batching {
        let aligned = |input: &Operand| {
            if input.batched {
                input.ty.rank() == output.rank() && input.ty.dims[0] == output.dims[0]
            } else {
                // A complete tensor may be shared by all samples, but not hold one part for each.
                input.ty.rank() < output.rank() || input.ty.dims.first().is_none_or(|dim| *dim == Dim::known(1))
            }
        };
        if output.rank() > 0 && inputs.iter().all(aligned) { Batching::PerSample } else { Batching::Whole }
    }

    fn makes_samples(&self) -> bool {
        self.shape.is_some()
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let output = call.physical(&call.output);
        let alike = |input: &Operand| input.batched == call.output.batched && input.ty.dims == call.output.ty.dims;
        let elements = Dim::product(&output).filter(|elements| *elements != Dim::known(1));
        let (dims, strides) = match elements.filter(|_| call.inputs.iter().all(alike)) {
            // Most operations walk over operands of one shape, which are one axis each.
            Some(elements) => (vec![elements], vec![vec![Dim::known(1)]; call.inputs.len()]),
            None => {
                let strides = |input| broadcast_strides(&call.physical(input), &output);
                merge(&output, call.inputs.iter().map(strides).collect())
            }
        };
        let print = |dims: &[Dim]| crate::dim::list(dims);
        let strides: Vec<String> = strides.iter().map(|strides| print(strides)).collect();
        let spec = format!("cpu::map::Map<{}, {}>", call.inputs.len(), dims.len());
        let mut kernel =
            Kernel::new("cpu::map::map", &spec, &format!("dims: {}, strides: [{}]", print(&dims), strides.join(", ")));
        kernel.array = true;
        kernel.formula = Some(self.formula.clone());
        kernel.in_place = Some(|operand| format!("cpu::map::map_in_place::<{operand}, _, _>"));
        kernel
    }

    fn kernel_behind(&self, first: &First<'_>, _: bool) -> Option<Kernel> {
        let bias = 1_usize.checked_sub(first.position)?;
        let [image, bias] = [first.inputs.get(first.position)?, first.inputs.get(bias)?];
        let is_of_channels = image.rank() == 4 && *bias.dims == [image.dims[1].clone(), Dim::known(1), Dim::known(1)];
        let takes_relu = self.formula.is_relu_of_sum() && is_of_channels && first.layout == Layout::Samples;
        let function = first.kernel.relu.filter(|_| takes_relu && first.is_alone)?;
        Some(Kernel { function: function.to_owned(), relu: None, ..first.kernel.clone() })
    }

    fn cuda(&self, _: &[Type], _: &Type) -> Vec<Part> {
        unreachable!("a pointwise operation is its formula")
    }

    fn cost(&self, _: &[Type], output: &Type) -> u64 {
        let elements = Dim::product(output.dims.iter()).map_or(1, |dim| dim.factor());
        elements as u64 * (self.formula.size().max(1) as u64)
    }

    fn formula(&self) -> Option<&Formula> {
        Some(&self.formula)
    }

    fn with_formula(&self, formula: Formula, output: &Type) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Pointwise { formula, shape: Some(output.dims.clone()), name: None }))
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        Array::from_fn(output, |index| {
            let operands: Vec<f64> = inputs.iter().map(|input| input.broadcast_at(index)).collect();
            self.formula.evaluate(&operands, &|scalar| {
                scalar.as_number().expect("scalars that depend on sizes reach the reference as inputs")
            })
        })
    }
}

/// Where the element of a broadcast operand stands that belongs to element `i` of the output, as CUDA.
#[must_use]
pub fn broadcast_position(operand: &Type, output: &Type) -> String {
    if operand.dims == output.dims {
        return "i".to_owned();
    }
    let strides = broadcast_strides(&operand.dims, &output.dims);
    let (dims, strides) = merge(&output.dims, vec![strides]);
    let mut position = String::new();
    for (axis, stride) in strides[0].iter().enumerate() {
        if *stride == Dim::known(0) {
            continue;
        }
        let inner = product(&dims[axis + 1..]);
        let factor = |dim: &Dim| if dim.symbols().is_empty() { dim.to_string() } else { format!("({dim})") };
        let mut term = "i".to_owned();
        if inner != Dim::known(1) {
            term += &format!(" / {}", factor(&inner));
        }
        if axis > 0 {
            term += &format!(" % {}", factor(&dims[axis]));
        }
        if *stride != Dim::known(1) {
            term += &format!(" * {}", factor(stride));
        }
        position += if position.is_empty() { "" } else { " + " };
        position += &term;
    }
    if position.is_empty() { "0".to_owned() } else { position }
}

/// The strides with which a broadcast operand is read, for the axes of the output.
fn broadcast_strides(operand: &[Dim], output: &[Dim]) -> Vec<Dim> {
    let missing = output.len() - operand.len();
    let mut strides = vec![Dim::known(0); output.len()];
    let mut stride = Dim::known(1);
    for axis in (0..operand.len()).rev() {
        if operand[axis] != Dim::known(1) {
            strides[missing + axis] = stride.clone();
        }
        stride = stride.times(&operand[axis]).unwrap_or(Dim::known(0));
    }
    strides
}

/// Drops axes of size 1 and merges neighbours that every operand walks as one.
fn merge(output: &[Dim], strides: Vec<Vec<Dim>>) -> (Vec<Dim>, Vec<Vec<Dim>>) {
    let mut dims: Vec<Dim> = Vec::new();
    let mut merged: Vec<Vec<Dim>> = vec![Vec::new(); strides.len()];
    // From the last axis outwards; the lists are reversed at the end.
    for axis in (0..output.len()).rev() {
        if output[axis] == Dim::known(1) {
            continue;
        }
        let continues = dims.last().is_some_and(|inner| {
            strides.iter().zip(&merged).all(|(own, merged)| {
                let last = merged.last().expect("as many strides as sizes");
                last.times(inner).is_some_and(|whole| own[axis] == whole)
            })
        });
        if continues {
            let inner = dims.last_mut().expect("an axis to merge with");
            *inner = inner.times(&output[axis]).unwrap_or(Dim::known(0));
        } else {
            dims.push(output[axis].clone());
            for (own, merged) in strides.iter().zip(&mut merged) {
                merged.push(own[axis].clone());
            }
        }
    }
    dims.reverse();
    merged.iter_mut().for_each(|strides| strides.reverse());
    (dims, merged)
}

/// The functions of formulas in f64, twins of [`cpu::math`](crate::cpu::math).
use mathematics::{abs, erf, exp, log, log1p, max, pow, select, sigmoid, sign, sqrt, tanh};
mod mathematics {
    pub(super) fn max(a: f64, b: f64) -> f64 {
        if a > b || a.is_nan() { a } else { b }
    }
    pub(super) fn select(condition: bool, a: f64, b: f64) -> f64 {
        if condition { a } else { b }
    }
    pub(super) fn exp(x: f64) -> f64 {
        x.exp()
    }
    pub(super) fn log(x: f64) -> f64 {
        x.ln()
    }
    pub(super) fn log1p(x: f64) -> f64 {
        x.ln_1p()
    }
    pub(super) fn sqrt(x: f64) -> f64 {
        x.sqrt()
    }
    pub(super) fn abs(x: f64) -> f64 {
        x.abs()
    }
    pub(super) fn sign(x: f64) -> f64 {
        if x > 0.0 {
            1.0
        } else if x < 0.0 {
            -1.0
        } else {
            0.0
        }
    }
    pub(super) fn pow(x: f64, exponent: f64) -> f64 {
        x.powf(exponent)
    }
    pub(super) fn tanh(x: f64) -> f64 {
        x.tanh()
    }
    pub(super) fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }
    /// erf(x) = 2/sqrt(pi) sum (-1)^n x^(2n+1) / (n! (2n+1)), in the form without alternating signs
    /// exp(-x^2) sum 2^n x^(2n+1) / (2n+1)!!, which is accurate for every x that matters (|x| < 6).
    pub(super) fn erf(x: f64) -> f64 {
        if x.abs() >= 6.0 {
            return x.signum();
        }
        let (mut term, mut sum) = (x, x);
        let mut n = 0.0;
        while term.abs() > 1e-17 * sum.abs() {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points away from kinks and poles for every row; `log`, `sqrt` and `pow` want positive numbers.
    const POINTS: [f64; 6] = [0.3, 0.9, 1.7, 2.4, 0.55, 3.1];

    #[test]
    fn every_derivative_agrees_with_finite_differences() {
        for row in ROWS {
            for start in 0..POINTS.len() {
                let values: Vec<f64> =
                    (0..row.parameters.len()).map(|j| POINTS[(start + 2 * j) % POINTS.len()]).collect();
                let grad = 0.7;
                for (position, derivative) in row.derivatives.iter().enumerate() {
                    let Some(derivative) = derivative else { continue };
                    let y = (row.evaluate)(&values);
                    let arguments: Vec<f64> = derivative
                        .parameters
                        .iter()
                        .map(|name| match *name {
                            "grad" => grad,
                            "y" => y,
                            name => values[row.parameters.iter().position(|own| *own == name).unwrap()],
                        })
                        .collect();
                    let analytic = (derivative.evaluate)(&arguments);
                    let step = 1e-6;
                    let shifted = |by: f64| {
                        let mut values = values.clone();
                        values[position] += by;
                        (row.evaluate)(&values)
                    };
                    let numeric = grad * (shifted(step) - shifted(-step)) / (2.0 * step);
                    assert!(
                        (analytic - numeric).abs() < 1e-7 * (1.0 + numeric.abs()),
                        "{} {values:?}: {analytic} {numeric}",
                        row.name
                    );
                }
            }
        }
    }

    #[test]
    fn negative_points_of_the_activations() {
        for name in ["relu", "gelu", "silu", "sigmoid", "tanh", "abs", "exp"] {
            let row = row(name);
            let derivative = row.derivatives[0].as_ref().unwrap();
            for x in [-2.3, -0.4] {
                let y = (row.evaluate)(&[x]);
                let arguments: Vec<f64> = derivative
                    .parameters
                    .iter()
                    .map(|name| match *name {
                        "grad" => 1.0,
                        "y" => y,
                        _ => x,
                    })
                    .collect();
                let numeric = ((row.evaluate)(&[x + 1e-6]) - (row.evaluate)(&[x - 1e-6])) / 2e-6;
                assert!(((derivative.evaluate)(&arguments) - numeric).abs() < 1e-7, "{name} at {x}");
            }
        }
    }

    #[test]
    fn rising_rows_keep_the_order_of_numbers() {
        let numbers: Vec<f64> = (-60..=60).map(|i| f64::from(i) / 10.0).collect();
        for row in ROWS.iter().filter(|row| row.rising) {
            for parameter in 0..row.parameters.len() {
                for other in &numbers {
                    let value = |x: f64| {
                        let mut arguments = vec![*other; row.parameters.len()];
                        arguments[parameter] = x;
                        (row.evaluate)(&arguments)
                    };
                    assert!(numbers.is_sorted_by_key(|x| value(*x)), "{}", row.name);
                }
            }
        }
        assert!(ROWS.iter().filter(|row| row.rising).count() > 3);
    }

    #[test]
    fn axes_that_all_operands_walk_alike_are_merged() {
        let dims = [6, 24, 24, 16].map(Dim::known);
        let bias = broadcast_strides(&[6, 1, 1, 1].map(Dim::known), &dims);
        let full = broadcast_strides(&dims, &dims);
        let (dims, strides) = merge(&dims, vec![full, bias]);
        assert_eq!(dims, [6, 9216].map(Dim::known));
        assert_eq!(strides, [[9216, 1].map(Dim::known), [1, 0].map(Dim::known)]);
    }
}
