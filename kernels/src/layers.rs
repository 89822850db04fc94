//! The layers: what may be written in `#[layer(..)]`, the parameters they own, and how they are applied. One row each.

use std::cell::Cell;
use std::fmt::Write as _;

use crate::arguments::{Arguments, Given, Kind, Parameter, optional, required};
use crate::dim::Type;
use crate::op::{Builder, Mistake, Value};
use crate::pointwise::apply;

/// A layer.
#[derive(Debug)]
pub struct Layer {
    /// PyTorch's name, which is also the name of the type of the field.
    pub name: &'static str,
    /// What may be written in `#[layer(..)]`, in the order of positional arguments.
    pub parameters: &'static [Parameter],
    /// The argument that the input implies, if there is one.
    pub inferred: Option<&'static str>,
    /// Reads the inferred argument from a type.
    pub infer: fn(&Type) -> Option<usize>,
    /// Checks the arguments against each other.
    pub check: fn(&Arguments) -> Result<(), Mistake>,
    /// The parameters it owns, in PyTorch's order.
    pub weights: fn(&Arguments) -> Vec<Weight>,
    /// How PyTorch prints it.
    pub describe: fn(&Arguments) -> String,
    /// Applies it.
    pub apply: Apply,
}

/// How a layer is applied: builder, arguments, input, its parameters, mode.
pub type Apply = fn(&mut dyn Builder, &Arguments, Value, &[Value], &Mode) -> Result<Value, Mistake>;

/// Whether a function runs in training, and which dropout of the function this is.
#[derive(Debug)]
pub struct Mode {
    training: bool,
    asked: Cell<bool>,
    /// Counts the uses of random numbers in the function.
    pub stream: u64,
}

impl Mode {
    /// In training (`_grad`, `_step`), or in evaluation (called directly).
    #[must_use]
    pub const fn new(training: bool, stream: u64) -> Mode {
        Mode { training, asked: Cell::new(false), stream }
    }

    /// Whether this is training.
    #[must_use]
    pub fn training(&self) -> bool {
        self.asked.set(true);
        self.training
    }

    /// Whether anyone wanted to know: if not, training and evaluation are the same.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.asked.get()
    }
}

/// A parameter of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// `weight` or `bias`.
    pub name: &'static str,
    /// Its shape.
    pub dims: Vec<usize>,
    /// It starts uniform in −bound..bound.
    pub bound: f64,
}

/// The layers.
pub static LAYERS: &[Layer] = &[
    Layer {
        name: "Conv2d",
        parameters: &[
            optional("in_channels", Kind::Size),
            required("out_channels", Kind::Size),
            required("kernel_size", Kind::Pair(1)),
            optional("stride", Kind::Pair(1)),
            optional("padding", Kind::Pair(0)),
            optional("dilation", Kind::Pair(1)),
            optional("groups", Kind::Size),
            optional("bias", Kind::Flag),
        ],
        inferred: Some("in_channels"),
        infer: |input| input.dims.get(1).filter(|_| input.rank() == 4)?.as_known(),
        check: check_conv2d,
        weights: |arguments| {
            let groups = arguments.size("groups").unwrap_or(1);
            let [height, width] = pair(arguments, "kernel_size", 1);
            let channels = size(arguments, "in_channels") / groups;
            let out_channels = size(arguments, "out_channels");
            let bound = fan_in_bound(channels.saturating_mul(height).saturating_mul(width));
            with_bias(arguments, Weight { name: "weight", dims: vec![out_channels, channels, height, width], bound })
        },
        describe: describe_conv2d,
        apply: |builder, arguments, input, weights, _| {
            let geometry = crate::conv2d::Geometry {
                stride: pair(arguments, "stride", 1),
                padding: pair(arguments, "padding", 0),
                dilation: pair(arguments, "dilation", 1),
                groups: arguments.size("groups").unwrap_or(1),
            };
            let output = crate::conv2d::conv2d(builder, input, weights[0], geometry)?;
            let Some(bias) = weights.get(1) else { return Ok(output) };
            let channels = builder.ty(*bias).dims[0].clone();
            let bias = crate::rearrange::reshape(builder, *bias, [channels, 1.into(), 1.into()])?;
            apply(builder, "add", &[output, bias])
        },
    },
    Layer {
        name: "Linear",
        parameters: &[
            optional("in_features", Kind::Size),
            required("out_features", Kind::Size),
            optional("bias", Kind::Flag),
        ],
        inferred: Some("in_features"),
        infer: |input| input.dims.last()?.as_known(),
        check: |_| Ok(()),
        weights: |arguments| {
            let [in_features, out_features] = ["in_features", "out_features"].map(|name| size(arguments, name));
            with_bias(
                arguments,
                Weight { name: "weight", dims: vec![out_features, in_features], bound: fan_in_bound(in_features) },
            )
        },
        describe: |arguments| {
            let [in_features, out_features] = ["in_features", "out_features"].map(|name| size(arguments, name));
            let bias = if arguments.flag("bias").unwrap_or(true) { "True" } else { "False" };
            format!("Linear(in_features={in_features}, out_features={out_features}, bias={bias})")
        },
        apply: |builder, arguments, input, weights, _| {
            check_features(&builder.ty(input), size(arguments, "in_features"))?;
            let output = crate::linear::linear(builder, input, weights[0], false)?;
            weights.get(1).map_or(Ok(output), |bias| apply(builder, "add", &[output, *bias]))
        },
    },
    Layer {
        name: "Dropout",
        parameters: &[optional("p", Kind::Number)],
        inferred: None,
        infer: |_| None,
        check: |arguments| match probability(arguments) {
            Some(p) if (0.0..=1.0).contains(&p) => Ok(()),
            Some(p) => Err(Mistake::new(format!("{{layer}} has p = {p}, but a probability lies in 0..1"))
                .at("p")
                .fits((1.0..=100.0).contains(&p).then(|| format!("{:?}", p / 100.0)))
                .help("0.0 drops nothing, 1.0 drops all")),
            None => Err(Mistake::new("{layer} needs p at compile time").at("p").help("write a number")),
        },
        weights: |_| Vec::new(),
        describe: |arguments| format!("Dropout(p={})", probability(arguments).unwrap_or(0.5)),
        apply: |builder, arguments, input, _, mode| {
            let p = probability(arguments).unwrap_or(0.5);
            if p > 0.0 && mode.training() {
                crate::dropout::dropout_stream(builder, input, p, mode.stream)
            } else {
                Ok(input)
            }
        },
    },
];

/// The layer with that name.
#[must_use]
pub fn layer(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.name == name)
}

/// "2 axes", "1 axis".
pub(crate) fn axes(rank: usize) -> String {
    if rank == 1 { "1 axis".to_owned() } else { format!("{rank} axes") }
}

/// What to do about an input of the wrong rank.
pub(crate) fn rank_help(input: &Type, wanted: usize) -> String {
    if input.rank() < wanted {
        format!("`reshape` it to {wanted} axes: its input has {}", axes(input.rank()))
    } else {
        format!("its input has {}, of which `reshape` or `flatten` can merge some", axes(input.rank()))
    }
}

fn size(arguments: &Arguments, name: &str) -> usize {
    arguments.size(name).unwrap_or(1)
}

fn pair(arguments: &Arguments, name: &str, default: usize) -> [usize; 2] {
    arguments.pair(name).unwrap_or([default; 2])
}

fn probability(arguments: &Arguments) -> Option<f64> {
    arguments.number("p").map_or(Some(0.5), |p| p.as_number())
}

/// PyTorch's kaiming_uniform with a = √5 gives √(6 / ((1 + 5) fan_in)), and its bias the same bound: 1 / √fan_in.
fn fan_in_bound(fan_in: usize) -> f64 {
    if fan_in == 0 { 0.0 } else { 1.0 / (fan_in as f64).sqrt() }
}

fn with_bias(arguments: &Arguments, weight: Weight) -> Vec<Weight> {
    let bias = Weight { name: "bias", dims: vec![weight.dims[0]], bound: weight.bound };
    if arguments.flag("bias").unwrap_or(true) { vec![weight, bias] } else { vec![weight] }
}

fn check_conv2d(arguments: &Arguments) -> Result<(), Mistake> {
    let groups = arguments.size("groups").unwrap_or(1);
    for name in ["in_channels", "out_channels"] {
        if let Some(channels) = arguments.size(name).filter(|channels| !channels.is_multiple_of(groups)) {
            return Err(Mistake::new(format!(
                "{{layer}} has {groups} groups, which do not divide its {channels} {name}"
            ))
            .at("groups")
            .fits((1..groups.min(4096)).rev().filter(|groups| {
                ["in_channels", "out_channels"]
                    .iter()
                    .all(|name| arguments.size(name).is_none_or(|channels| channels.is_multiple_of(*groups)))
            }))
            .help("it must divide `in_channels` and `out_channels`"));
        }
    }
    Ok(())
}

fn describe_conv2d(arguments: &Arguments) -> String {
    let [in_channels, out_channels] = ["in_channels", "out_channels"].map(|name| size(arguments, name));
    let print = |[rows, columns]: [usize; 2]| format!("({rows}, {columns})");
    let mut text = format!(
        "Conv2d({in_channels}, {out_channels}, kernel_size={}, stride={}",
        print(pair(arguments, "kernel_size", 1)),
        print(pair(arguments, "stride", 1))
    );
    for (name, default) in [("padding", 0), ("dilation", 1)] {
        let value = pair(arguments, name, default);
        if value != [default; 2] {
            let _ = write!(text, ", {name}={}", print(value));
        }
    }
    if let Some(groups) = arguments.size("groups").filter(|groups| *groups != 1) {
        let _ = write!(text, ", groups={groups}");
    }
    if arguments.flag("bias") == Some(false) {
        text.push_str(", bias=False");
    }
    text + ")"
}

/// The famous one: a linear layer behind a flatten.
fn check_features(input: &Type, in_features: usize) -> Result<(), Mistake> {
    let Some(last) = input.dims.last() else {
        return Err(Mistake::new("{layer} takes vectors on the last axis, but its input is a single number"));
    };
    if last.as_known() == Some(in_features) {
        return Ok(());
    }
    if input.features() == Some(in_features) || input.rank() > 3 {
        // The layer is right: the call is to be edited.
        return Err(Mistake::new(format!(
            "{{layer}} takes {in_features} features, but the last axis of its input {input} has {last}"
        ))
        .at("input")
        .help("write `{argument}.flatten(1)`, which makes one axis of each sample"));
    }
    let mistake = Mistake::new(format!("{{layer}} takes {in_features} features, but its input has {last}"));
    Err(match last.as_known() {
        Some(_) => mistake.at("in_features").help("write `{last_size}`, or leave `in_features` out"),
        None => mistake.help(format!("`{last}` is known only at run time: `reshape` the input to [.., {in_features}]")),
    })
}

/// Fills in the argument that the input implies, if it was left out.
///
/// # Errors
/// The input does not tell it.
pub fn infer(layer: &Layer, arguments: &mut Arguments, input: &Type) -> Result<(), Mistake> {
    let Some(name) = layer.inferred.filter(|name| !arguments.has(name)) else { return Ok(()) };
    let Some(size) = (layer.infer)(input) else {
        return Err(Mistake::new(format!("{{layer}} cannot infer {name} from its input {input}"))
            .help(format!("give it an input of the right rank, or add `{name} = ..`")));
    };
    arguments.set(name, Given::Size(size));
    (layer.check)(arguments)
}
