//! The arguments of layers and functions: what may be written, and what was.

use std::collections::BTreeMap;

use crate::dim::{Dim, Type};
use crate::op::{Mistake, Scalar, Value};

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A tensor; numbers are taken as tensors of rank 0.
    Tensor,
    /// A list of tensors.
    Tensors,
    /// A size of at least 1.
    Size,
    /// A size, or one for rows and one for columns; the least value allowed is given.
    Pair(usize),
    /// An axis; −1 is the last.
    Axis,
    /// One axis or a list of them.
    Axes,
    /// A shape, in which one size may be −1.
    Shape,
    /// A number known at compile time (sizes that the run binds included).
    Number,
    /// true or false.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
}

impl Kind {
    /// The kind in words, for messages: "`padding` is ...".
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Kind::Tensor => "a tensor".to_owned(),
            Kind::Tensors => "a list of tensors, `[a, b]`".to_owned(),
            Kind::Size => "a whole number of at least 1".to_owned(),
            Kind::Pair(least) => format!("a whole number of at least {least}, or two: `(rows, columns)`"),
            Kind::Axis => "an axis: a whole number, −1 for the last".replace('−', "-"),
            Kind::Axes => "an axis or a list of them, `[2, 3]`".to_owned(),
            Kind::Shape => "a list of sizes, `[-1, 192]`".to_owned(),
            Kind::Number => "a number".to_owned(),
            Kind::Flag => "`true` or `false`".to_owned(),
            Kind::Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!("one of {}", words.join(", "))
            }
        }
    }
}

/// One argument that may be written.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// PyTorch's name for it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whether it must be written.
    pub required: bool,
}

/// An argument that must be written.
#[must_use]
pub const fn required(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: true }
}

/// An argument that may be left out.
#[must_use]
pub const fn optional(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: false }
}

/// An argument as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// See [`Kind::Tensor`].
    Tensor(Value),
    /// See [`Kind::Tensors`].
    Tensors(Vec<Value>),
    /// See [`Kind::Size`].
    Size(usize),
    /// See [`Kind::Pair`].
    Pair([usize; 2]),
    /// See [`Kind::Axis`] and [`Kind::Axes`].
    Axes(Vec<i64>),
    /// See [`Kind::Shape`]; None stands for −1.
    Shape(Vec<Option<Dim>>),
    /// See [`Kind::Number`].
    Number(Scalar),
    /// See [`Kind::Flag`].
    Flag(bool),
    /// See [`Kind::Word`].
    Word(String),
}

/// The arguments of one layer or call. The getters trust the table of parameters that the arguments were read by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arguments(BTreeMap<&'static str, Given>);

macro_rules! getter {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $ty:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(&self, name: &str) -> Option<$ty> {
            match self.0.get(name) {
                Some(Given::$variant(value)) => Some(value.clone()),
                _ => None,
            }
        }
    };
}

impl Arguments {
    /// Adds an argument.
    pub fn set(&mut self, name: &'static str, given: Given) {
        self.0.insert(name, given);
    }

    /// Whether the argument was written.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A tensor that must be there.
    ///
    /// # Panics
    /// The table of parameters does not require it.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Value {
        match self.0.get(name) {
            Some(Given::Tensor(value)) => *value,
            _ => panic!("`{name}` is a required tensor of this function"),
        }
    }

    getter!(/// A list of tensors.
        tensors, Tensors, Vec<Value>);
    getter!(/// A size.
        size, Size, usize);
    getter!(/// Two sizes.
        pair, Pair, [usize; 2]);
    getter!(/// Axes as written, negative ones included.
        axes, Axes, Vec<i64>);
    getter!(/// A shape with at most one −1.
        shape, Shape, Vec<Option<Dim>>);
    getter!(/// A number.
        number, Number, Scalar);
    getter!(/// A flag.
        flag, Flag, bool);
    getter!(/// A word.
        word, Word, String);

    /// The axes written for `name`, counted from the front and checked against a type.
    ///
    /// # Errors
    /// An axis is out of range, or stands twice.
    pub fn axes_of(&self, name: &'static str, ty: &Type) -> Result<Option<Vec<usize>>, Mistake> {
        let Some(written) = self.axes(name) else { return Ok(None) };
        let rank = ty.rank() as i64;
        let mut axes = Vec::new();
        for axis in written {
            let own = if axis < 0 { axis + rank } else { axis };
            if !(0..rank).contains(&own) {
                let written = self.axes(name).unwrap_or_default();
                let other = |other: i64| match written.as_slice() {
                    [_] => other.to_string(),
                    // The list is what would be replaced.
                    list => crate::dim::list(
                        &list.iter().map(|own| if *own == axis { other } else { *own }).collect::<Vec<_>>(),
                    ),
                };
                let others = (0..rank).filter(|other| !written.contains(other));
                let fits: Vec<String> =
                    if axis < 0 { others.map(other).collect() } else { others.rev().map(other).collect() };
                return Err(Mistake::new(format!(
                    "{{layer}} has {name} {axis}, but its input {ty} has {}",
                    crate::layers::axes(ty.rank())
                ))
                .at(name)
                .fits(fits)
                .help(match rank {
                    0 => format!("leave `{name}` out: the input is a single number"),
                    1 => "the only axis is 0".to_owned(),
                    _ => format!("the axes are 0 to {}, or -1 for the last", rank - 1),
                }));
            }
            if axes.contains(&(own as usize)) {
                return Err(Mistake::new(format!("{{layer}} names axis {axis} of its input {ty} twice"))
                    .at(name)
                    .help("name each axis once"));
            }
            axes.push(own as usize);
        }
        Ok(Some(axes))
    }
}
