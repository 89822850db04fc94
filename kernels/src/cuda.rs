//! How operations compute on a CUDA device.
//!
//! An operation is described element by element: a *part* is a device function that gives one element of its result, or one
//! term of the sum that is this element. The text stands in `cuda.cu` beside the CPU kernel; [`PRELUDE`] holds what all
//! share. Which thread computes which element, what is computed where it is read instead of being stored, and how a sum is
//! cut into chunks, the compiler decides (`schedule/cuda.rs`), without knowing the operation.
//!
//! Tensors are row-major and complete, the batch first; an element is known by its position. A device function is a template
//! over its inputs: an input is called with a position, and may read memory or compute:
//!
//! ```text
//! template <class Input, class Weight>
//! __device__ float conv2d_forward(Conv2d sizes, Index at, Input input, Weight weight)
//! ```
//!
//! The arguments are, in this order: the sizes (a literal of a struct, with symbols by name), the position of the element, the
//! number of the term (if the part is a sum), the seed of the step (if it is asked for), the inputs.

use crate::dim::{Dim, Type};

/// What every kernel's text starts with.
pub const PRELUDE: &str = include_str!("cuda/prelude.cuh");

/// What stands before it in a call of which a tensor has more than [`MOST_ELEMENTS`].
pub const WIDE_INDEX: &str = "#define WIDE_INDEX\n";

/// What the 32 bits of a position can count, with room for the threads of the last block and the last step of a loop.
pub const MOST_ELEMENTS: usize = i32::MAX as usize - (1 << 16);

/// Where an input of a part comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The input of the operation with this index.
    Input(usize),
    /// An earlier part of the same operation.
    Part(usize),
}

/// How the terms of an element become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Combine {
    /// They are added up.
    Sum,
    /// The largest one, NaN if one of them is NaN.
    Max,
}

/// Which elements lie side by side in memory, for the largest input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Along {
    /// What neighbouring elements of the result read.
    Elements,
    /// What the neighbouring terms of one element read.
    Terms,
}

/// An element that is made of terms.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Terms {
    /// How many.
    pub count: Dim,
    /// What becomes of them.
    pub combine: Combine,
    /// What lies side by side.
    pub along: Along,
}

/// A device function that gives the elements of one tensor.
#[derive(Debug, Clone)]
pub struct Part {
    /// The modules of this crate whose texts (`CUDA`) hold the function and what it needs.
    pub modules: &'static [&'static str],
    /// The function.
    pub function: &'static str,
    /// The literal of its sizes; empty if it takes none.
    pub sizes: String,
    /// What it reads.
    pub inputs: Vec<Source>,
    /// How many elements of each input one element of the result reads.
    pub reads: Vec<Dim>,
    /// The terms of an element; `None` if the function gives the element itself.
    pub terms: Option<Terms>,
    /// The type of its result.
    pub ty: Type,
    /// It reads every element of its first input exactly once.
    pub once: bool,
    /// It takes the seed of the step.
    pub seed: bool,
}

impl Part {
    /// A part that reads one element of every input.
    #[must_use]
    pub fn new(
        modules: &'static [&'static str],
        function: &'static str,
        sizes: String,
        n_inputs: usize,
        ty: &Type,
    ) -> Part {
        Part {
            modules,
            function,
            sizes,
            inputs: (0..n_inputs).map(Source::Input).collect(),
            reads: vec![Dim::known(1); n_inputs],
            terms: None,
            ty: ty.clone(),
            once: false,
            seed: false,
        }
    }

    /// Says what it reads.
    #[must_use]
    pub fn inputs(mut self, inputs: &[Source]) -> Part {
        self.inputs = inputs.to_vec();
        self.reads = vec![Dim::known(1); inputs.len()];
        self
    }

    /// Says how many elements of each input an element of the result reads.
    #[must_use]
    pub fn reads<D: Into<Dim>>(mut self, reads: impl IntoIterator<Item = D>) -> Part {
        self.reads = reads.into_iter().map(Into::into).collect();
        self
    }

    /// Makes it a sum of so many terms, each of which reads one element of every input.
    #[must_use]
    pub fn sum(self, count: Dim, along: Along) -> Part {
        self.terms(Terms { count, combine: Combine::Sum, along })
    }

    /// Makes it of terms, each of which reads one element of every input.
    #[must_use]
    pub fn terms(mut self, terms: Terms) -> Part {
        self.reads.fill(terms.count.clone());
        self.terms = Some(terms);
        self
    }
}

/// `{1, 2, 3}`
#[must_use]
pub fn list<T: std::fmt::Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    format!("{{{}}}", items.join(", "))
}

/// `N * 28`, or 0 for a product that no machine can hold.
#[must_use]
pub fn product(dims: &[Dim]) -> Dim {
    Dim::product(dims).unwrap_or(Dim::known(0))
}

/// The texts of device functions by module.
pub const MODULES: [(&str, &str); 10] = [
    ("argmax", crate::argmax::CUDA),
    ("conv2d", crate::conv2d::CUDA),
    ("cross_entropy", crate::cross_entropy::CUDA),
    ("dropout", crate::dropout::CUDA),
    ("linear", crate::linear::CUDA),
    ("matmul", crate::matmul::CUDA),
    ("pool2d", crate::pool2d::CUDA),
    ("rearrange", crate::rearrange::CUDA),
    ("reduce", crate::reduce::CUDA),
    ("softmax", crate::softmax::CUDA),
];
