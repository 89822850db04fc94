//! The functions that users call in `network!`, by PyTorch's names. One row each: its arguments, and the operations it
//! stands for.

use std::sync::Arc;

use crate::argmax::{argmax_axis, count_equal_elements};
use crate::arguments::{Arguments, Kind, Parameter, optional, required};
use crate::cross_entropy::cross_entropy_rows;
use crate::dim::{Dim, Type, list};
use crate::matmul::matmul_values;
use crate::op::{Builder, Mistake, Scalar, Value};
use crate::pointwise::{Pointwise, apply};
use crate::pool2d::{Pooling, pool2d};
use crate::rearrange::{cat_axis, permute_axes, reshape};
use crate::reduce::sum_axes;
use crate::softmax::softmax_axis;

/// A function.
#[derive(Debug)]
pub struct Function {
    /// PyTorch's name.
    pub name: &'static str,
    /// What may be written, in the order of positional arguments.
    pub parameters: &'static [Parameter],
    /// The operations it stands for.
    pub apply: fn(&mut dyn Builder, &Arguments) -> Result<Value, Mistake>,
    /// For losses with integer labels: the argument that holds the labels and the one that holds the logits [N, C, ..];
    /// labels must lie in 0..C.
    pub labels: Option<(&'static str, &'static str)>,
}

const INPUT: Parameter = required("input", Kind::Tensor);
const TARGET: Parameter = required("target", Kind::Tensor);
const REDUCTION: Parameter = optional("reduction", Kind::Word(&["mean", "sum", "none"]));
const POOLING: &[Parameter] = &[
    INPUT,
    required("kernel_size", Kind::Pair(1)),
    optional("stride", Kind::Pair(1)),
    optional("padding", Kind::Pair(0)),
];
const REDUCED: &[Parameter] = &[INPUT, optional("dim", Kind::Axes), optional("keepdim", Kind::Flag)];

macro_rules! function {
    ($name:literal, $parameters:expr, $apply:expr) => {
        Function { name: $name, parameters: $parameters, apply: $apply, labels: None }
    };
}

macro_rules! pointwise {
    ($name:literal, 1) => {
        function!($name, &[INPUT], |builder, arguments| apply(builder, $name, &[arguments.tensor("input")]))
    };
    ($name:literal, 2) => {
        function!($name, &[INPUT, required("other", Kind::Tensor)], |builder, arguments| {
            apply(builder, $name, &[arguments.tensor("input"), arguments.tensor("other")])
        })
    };
}

macro_rules! loss {
    ($name:literal, $row:literal) => {
        function!($name, &[INPUT, TARGET, REDUCTION], |builder, arguments| {
            let [input, target] = [arguments.tensor("input"), arguments.tensor("target")];
            let (ty, other) = (builder.ty(input), builder.ty(target));
            if ty.dims != other.dims {
                return Err(Mistake::new(format!(
                    "{{layer}} compares tensors of one shape, but was given {ty} and {other}"
                ))
                .at("target")
                .help("`reshape` one of them: a loss that broadcasts would be wrong in silence")
                .declare(1, Type { dtype: other.dtype, ..ty }));
            }
            let elements = apply(builder, $row, &[input, target])?;
            reduce(builder, elements, arguments)
        })
    };
}

/// The functions.
pub static FUNCTIONS: &[Function] = &[
    pointwise!("add", 2),
    pointwise!("sub", 2),
    pointwise!("mul", 2),
    pointwise!("div", 2),
    pointwise!("neg", 1),
    pointwise!("relu", 1),
    function!("leaky_relu", &[INPUT, optional("negative_slope", Kind::Number)], |builder, arguments| {
        let slope = builder.scalar(arguments.number("negative_slope").unwrap_or(Scalar::number(0.01)));
        apply(builder, "leaky_relu", &[arguments.tensor("input"), slope])
    }),
    pointwise!("gelu", 1),
    pointwise!("silu", 1),
    pointwise!("sigmoid", 1),
    pointwise!("tanh", 1),
    pointwise!("exp", 1),
    pointwise!("log", 1),
    pointwise!("sqrt", 1),
    pointwise!("abs", 1),
    function!("pow", &[INPUT, required("exponent", Kind::Number)], |builder, arguments| {
        let input = arguments.tensor("input");
        let exponent = arguments.number("exponent").unwrap_or(Scalar::number(1.0));
        // The exponents that occur have cheaper and more accurate forms.
        match exponent.as_number() {
            Some(2.0) => apply(builder, "square", &[input]),
            Some(1.0) => Ok(input),
            // x^0 is 1 everywhere, 0 included, and its gradient 0.
            Some(0.0) => {
                let dims = builder.ty(input).dims;
                builder.apply(Arc::new(Pointwise::constant(Scalar::number(1.0), dims)), &[])
            }
            Some(0.5) => apply(builder, "sqrt", &[input]),
            _ => {
                let exponent = builder.scalar(exponent);
                apply(builder, "pow", &[input, exponent])
            }
        }
    }),
    function!("softmax", &[INPUT, required("dim", Kind::Axis)], |builder, arguments| softmax(
        builder, arguments, false
    )),
    function!("log_softmax", &[INPUT, required("dim", Kind::Axis)], |builder, arguments| softmax(
        builder, arguments, true
    )),
    function!("max_pool2d", POOLING, |builder, arguments| pool(builder, arguments, Pooling::Max)),
    function!("avg_pool2d", POOLING, |builder, arguments| pool(builder, arguments, Pooling::Avg)),
    function!("adaptive_avg_pool2d", &[INPUT, required("output_size", Kind::Pair(1))], adaptive_avg_pool2d),
    function!("reshape", &[INPUT, required("shape", Kind::Shape)], reshape_to),
    function!("flatten", &[INPUT, optional("start_dim", Kind::Axis), optional("end_dim", Kind::Axis)], flatten),
    function!("permute", &[INPUT, required("dims", Kind::Axes)], |builder, arguments| {
        let input = arguments.tensor("input");
        let ty = builder.ty(input);
        let axes = arguments.axes_of("dims", &ty)?.unwrap_or_default();
        if axes.len() != ty.rank() {
            let named = axes.len();
            return Err(Mistake::new(format!(
                "{{layer}} names {}, but its input {ty} has {}",
                crate::layers::axes(named),
                crate::layers::axes(ty.rank())
            ))
            .at("dims")
            .fits(all_axes(&axes, ty.rank()))
            .help("name every axis once, in the new order"));
        }
        permute_axes(builder, input, axes)
    }),
    function!("cat", &[required("tensors", Kind::Tensors), optional("dim", Kind::Axis)], |builder, arguments| {
        let values = arguments.tensors("tensors").unwrap_or_default();
        let Some(first) = values.first() else {
            return Err(Mistake::new("{layer} was given no tensors")
                .at("tensors")
                .help("write a list: `cat([a, b], dim = 1)`"));
        };
        let ty = builder.ty(*first);
        let axis = arguments.axes_of("dim", &ty)?.map_or(0, |axes| axes[0]);
        cat_axis(builder, &values, axis)
    }),
    function!("sum", REDUCED, |builder, arguments| Ok(sum(builder, arguments)?.0)),
    function!("mean", REDUCED, |builder, arguments| {
        let (sum, count) = sum(builder, arguments)?;
        scale(builder, sum, &Scalar::one_over(&count))
    }),
    function!("matmul", &[INPUT, required("other", Kind::Tensor)], |builder, arguments| {
        matmul_values(builder, arguments.tensor("input"), arguments.tensor("other"))
    }),
    function!("argmax", &[INPUT, required("dim", Kind::Axis)], |builder, arguments| {
        let input = arguments.tensor("input");
        let axis = axis(builder, arguments, "dim")?;
        argmax_axis(builder, input, axis)
    }),
    Function {
        name: "correct",
        parameters: &[INPUT, TARGET],
        apply: |builder, arguments| {
            let [input, target] = [arguments.tensor("input"), arguments.tensor("target")];
            // The same rule as the loss, so that both speak the same words.
            cross_entropy_rows(builder, input, target)?;
            let predicted = argmax_axis(builder, input, 1)?;
            count_equal_elements(builder, predicted, target)
        },
        labels: Some(("target", "input")),
    },
    Function {
        name: "cross_entropy",
        parameters: &[INPUT, TARGET, REDUCTION],
        apply: |builder, arguments| {
            let rows = cross_entropy_rows(builder, arguments.tensor("input"), arguments.tensor("target"))?;
            reduce(builder, rows, arguments)
        },
        labels: Some(("target", "input")),
    },
    loss!("mse_loss", "squared_error"),
    loss!("l1_loss", "absolute_error"),
    loss!("bce_with_logits", "bce_with_logits"),
];

/// The function with that name.
#[must_use]
pub fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Multiplies a value with a number.
fn scale(builder: &mut dyn Builder, value: Value, factor: &Scalar) -> Result<Value, Mistake> {
    let factor = builder.scalar(factor.clone());
    apply(builder, "mul", &[value, factor])
}

/// The mean or sum of all elements, or the elements themselves.
fn reduce(builder: &mut dyn Builder, elements: Value, arguments: &Arguments) -> Result<Value, Mistake> {
    let ty = builder.ty(elements);
    let all: Vec<usize> = (0..ty.rank()).collect();
    match arguments.word("reduction").as_deref() {
        Some("none") => Ok(elements),
        Some("sum") => sum_axes(builder, elements, &all, false),
        _ => {
            let sum = sum_axes(builder, elements, &all, false)?;
            let count = count(&ty, &all)?;
            scale(builder, sum, &Scalar::one_over(&count))
        }
    }
}

/// A permutation that names some axes only, with the others: behind them, or before them if a batch was left out.
fn all_axes(axes: &[usize], rank: usize) -> Vec<String> {
    let others: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    let moved: Vec<usize> = std::iter::once(0).chain(axes.iter().map(|axis| axis + 1)).collect();
    [[axes, &others].concat(), moved, [&others, axes].concat()].iter().map(|axes| list(axes)).collect()
}

/// How many elements lie along some axes.
fn count(ty: &Type, axes: &[usize]) -> Result<Dim, Mistake> {
    Dim::product(axes.iter().map(|axis| &ty.dims[*axis])).ok_or_else(|| too_large(ty))
}

fn too_large(ty: &Type) -> Mistake {
    Mistake::new(format!("{{layer}} would count the elements of {ty}, which are more than a machine can address"))
}

/// The sum along the axes of `dim` (all of them if it is left out) and the number of elements that each sum has.
fn sum(builder: &mut dyn Builder, arguments: &Arguments) -> Result<(Value, Dim), Mistake> {
    let input = arguments.tensor("input");
    let ty = builder.ty(input);
    let axes = arguments.axes_of("dim", &ty)?.unwrap_or_else(|| (0..ty.rank()).collect());
    let count = count(&ty, &axes)?;
    Ok((sum_axes(builder, input, &axes, arguments.flag("keepdim").unwrap_or(false))?, count))
}

/// The one axis of an argument that must be there.
fn axis(builder: &mut dyn Builder, arguments: &Arguments, name: &'static str) -> Result<usize, Mistake> {
    let ty = builder.ty(arguments.tensor("input"));
    Ok(arguments.axes_of(name, &ty)?.map_or(0, |axes| axes[0]))
}

fn softmax(builder: &mut dyn Builder, arguments: &Arguments, log: bool) -> Result<Value, Mistake> {
    let axis = axis(builder, arguments, "dim")?;
    softmax_axis(builder, arguments.tensor("input"), axis, log)
}

fn pool(builder: &mut dyn Builder, arguments: &Arguments, pooling: Pooling) -> Result<Value, Mistake> {
    let kernel_size = arguments.pair("kernel_size").unwrap_or([1; 2]);
    let stride = arguments.pair("stride").unwrap_or(kernel_size);
    let padding = arguments.pair("padding").unwrap_or([0; 2]);
    pool2d(builder, pooling, arguments.tensor("input"), kernel_size, stride, padding)
}

/// PyTorch's windows differ in size where the output size does not divide the input; those that do divide are plain
/// pooling, and a single window is a mean.
fn adaptive_avg_pool2d(builder: &mut dyn Builder, arguments: &Arguments) -> Result<Value, Mistake> {
    let input = arguments.tensor("input");
    let ty = builder.ty(input);
    let output = arguments.pair("output_size").unwrap_or([1; 2]);
    if ty.rank() != 4 {
        return Err(Mistake::new(format!(
            "{{layer}} takes images [N, channels, height, width], but its input is {ty}"
        ))
        .help(crate::layers::rank_help(&ty, 4)));
    }
    if output == [1, 1] {
        let count = count(&ty, &[2, 3])?;
        let sum = sum_axes(builder, input, &[2, 3], true)?;
        return scale(builder, sum, &Scalar::one_over(&count));
    }
    let image = crate::op::known(&ty, 2, "height and width")?;
    if !image[0].is_multiple_of(output[0]) || !image[1].is_multiple_of(output[1]) {
        return Err(Mistake::new(format!(
            "{{layer}} cannot cut its input {ty} into {} x {} equal windows",
            output[0], output[1]
        ))
        .at("output_size")
        .fits(
            (1..output[0].max(output[1]).min(4096))
                .rev()
                .filter(|size| image.iter().all(|image| image.is_multiple_of(*size))),
        )
        .help("it must divide height and width; 1 always does"));
    }
    let window = [image[0] / output[0], image[1] / output[1]];
    pool2d(builder, Pooling::Avg, input, window, window, [0; 2])
}

fn reshape_to(builder: &mut dyn Builder, arguments: &Arguments) -> Result<Value, Mistake> {
    let input = arguments.tensor("input");
    let ty = builder.ty(input);
    let shape = arguments.shape("shape").unwrap_or_default();
    let print = |shape: &[Option<Dim>]| {
        list(&shape.iter().map(|dim| dim.as_ref().map_or("-1".to_owned(), ToString::to_string)).collect::<Vec<_>>())
    };
    if shape.iter().filter(|dim| dim.is_none()).count() > 1 {
        return Err(Mistake::new(format!("{{layer}} has more than one -1 in {} for its input {ty}", print(&shape)))
            .at("shape")
            .fits(sample_shape(&ty).filter(|_| shape.len() == 2))
            .help("-1 stands for one size, the one that is left"));
    }
    let total = ty.elements().ok_or_else(|| too_large(&ty))?;
    let given = Dim::product(shape.iter().flatten()).ok_or_else(|| too_large(&ty))?;
    let rest = total.over(&given);
    let fits = if shape.iter().any(Option::is_none) { rest.is_some() } else { total == given };
    if !fits {
        let batch = ty.dims.first().filter(|dim| dim.as_known().is_none());
        let hard_coded =
            batch.filter(|_| shape.first().is_some_and(|dim| dim.as_ref().is_some_and(|dim| dim.as_known().is_some())));
        let mut with_batch = shape.clone();
        if let (Some(batch), Some(first)) = (hard_coded, with_batch.first_mut()) {
            *first = Some(batch.clone());
        }
        let with_batch = print(&with_batch);
        let (fits, help) = match (hard_coded, sample_shape(&ty)) {
            (Some(batch), Some(flat)) => {
                let flat = if shape.len() == 2 { vec![flat] } else { Vec::new() };
                ([flat, vec![with_batch]].concat(), format!("the batch `{batch}` is known only at run time"))
            }
            (None, Some(flat)) => {
                (vec![flat], format!("each sample has {} elements", ty.features().unwrap_or_default()))
            }
            (_, None) => (Vec::new(), format!("the product of the sizes must be {total}")),
        };
        let fit = if shape.iter().any(Option::is_none) { "are no multiple of" } else { "are not" };
        return Err(Mistake::new(format!(
            "{{layer}} cannot turn {ty} into {}: {total} elements {fit} {given}",
            print(&shape)
        ))
        .at("shape")
        .fits(fits)
        .help(help));
    }
    let rest = rest.unwrap_or(Dim::known(1));
    let written = print(&shape);
    let inferred = shape.iter().position(Option::is_none);
    let dims: Vec<Dim> = shape.into_iter().map(|dim| dim.unwrap_or_else(|| rest.clone())).collect();
    check_samples(&ty, &dims, inferred, &written)?;
    reshape(builder, input, dims)
}

/// `[-1, 12 * 4 * 4]` for a batch [N, 12, 4, 4]: what keeps the elements of each sample together. The placeholder is filled in
/// by who words the mistake.
fn sample_shape(ty: &Type) -> Option<String> {
    let batch = ty.dims.first().filter(|dim| dim.as_known().is_none());
    batch.and(ty.features()).map(|_| "[-1, {input_sizes}]".to_owned())
}

/// A batch that is reshaped stays a batch: its samples are neither cut in pieces by a -1 nor mixed with each other. The count
/// of elements fits in both cases, so a network would train in silence on rows that belong to no sample.
fn check_samples(ty: &Type, dims: &[Dim], inferred: Option<usize>, written: &str) -> Result<(), Mistake> {
    let Some(batch) = ty.dims.first().filter(|dim| dim.as_known().is_none()) else { return Ok(()) };
    let fits = sample_shape(ty).filter(|_| dims.len() == 2);
    let Some(position) = dims.iter().position(|dim| dim.as_known().is_none()) else { return Ok(()) };
    let before = Dim::product(&dims[..position]).unwrap_or(Dim::known(1));
    if before != Dim::known(1) {
        return Err(Mistake::new(format!(
            "{{layer}} to {} would mix the samples of {ty}: the batch `{batch}` stands first in memory, not on axis {position}",
            list(dims)
        ))
        .at("shape")
        .fits(fits)
        .help("`reshape` moves no element; `permute` moves an axis"));
    }
    // [N, T, C] to [N * T, C] takes whole axes into the batch, which is what losses over sequences do.
    let whole_axes = (1..=ty.rank()).any(|end| Dim::product(&ty.dims[..end]).as_ref() == Some(&dims[position]));
    let split = inferred == Some(position) && dims[position].over(batch).is_some() && !whole_axes;
    if split {
        return Err(Mistake::new(format!(
            "{{layer}} to {written} would cut each sample of {ty} in pieces: it gives {}",
            list(dims)
        ))
        .at("shape")
        .fits(fits)
        .help(format!("pieces, where they are meant, are written `{}` instead of `-1`", dims[position])));
    }
    Ok(())
}

fn flatten(builder: &mut dyn Builder, arguments: &Arguments) -> Result<Value, Mistake> {
    let input = arguments.tensor("input");
    let ty = builder.ty(input);
    if ty.rank() == 0 {
        return reshape(builder, input, vec![Dim::known(1)]);
    }
    // What nearly everyone means: one axis for each sample.
    let each_sample = |mistake: Mistake| mistake.fits((ty.rank() > 1).then_some(1));
    let start = arguments.axes_of("start_dim", &ty).map_err(each_sample)?.map_or(0, |axes| axes[0]);
    let end = arguments.axes_of("end_dim", &ty)?.map_or(ty.rank() - 1, |axes| axes[0]);
    if end < start {
        return Err(Mistake::new(format!("{{layer}} ends at axis {end} before it starts at axis {start}"))
            .at("end_dim")
            .help("leave `end_dim` out to flatten to the last axis"));
    }
    let merged = count(&ty, &(start..=end).collect::<Vec<_>>())?;
    let dims = [&ty.dims[..start], &[merged], &ty.dims[end + 1..]].concat();
    reshape(builder, input, dims)
}
