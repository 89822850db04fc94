//! The intermediate representation: a list of nodes in an order in which they can run. A node is an input, a parameter, a
//! number, or an operation applied to earlier nodes; its value has one type.

mod print;
mod verify;

use std::sync::Arc;

use graven_kernels::dim::{Dim, Dtype, Type};
use graven_kernels::op::{Builder, Mistake, Op, Scalar, Value};
use graven_kernels::pointwise::Pointwise;

pub use verify::verify;

/// What a node is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// An argument of the function.
    Input(usize),
    /// A parameter: which layer of the module, and which of its weights.
    Parameter {
        /// Index in the list of layers.
        layer: usize,
        /// Index in the layer's weights.
        weight: usize,
    },
    /// A number.
    Scalar(Scalar),
    /// An operation.
    Op(Arc<dyn Op>),
}

/// One node.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// The values it reads.
    pub inputs: Vec<Value>,
    /// The type of its value.
    pub ty: Type,
    /// What the emitted code calls it: the layer, the function or the variable it comes from.
    pub label: Arc<str>,
}

/// An argument of a function.
#[derive(Debug, Clone)]
pub struct GraphInput {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// For labels: every element must lie in 0..classes.
    pub classes: Option<usize>,
}

/// A gradient that the function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// With respect to a parameter, see [`Kind::Parameter`].
    Parameter(usize, usize),
    /// With respect to an argument.
    Input(usize),
}

/// The computation of one function.
#[derive(Debug, Clone)]
pub struct Graph {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The arguments.
    pub inputs: Vec<GraphInput>,
    /// The results.
    pub outputs: Vec<Value>,
    /// The gradients, behind the results.
    pub gradients: Vec<(Target, Value)>,
    /// Whether gradients were added: it is a function in training.
    pub differentiated: bool,
    /// The label that new nodes get.
    pub label: Arc<str>,
}

impl Default for Graph {
    fn default() -> Graph {
        let (nodes, inputs, outputs, gradients) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Graph { nodes, inputs, outputs, gradients, differentiated: false, label: "".into() }
    }
}

impl Graph {
    /// Adds a node.
    pub fn push(&mut self, kind: Kind, inputs: Vec<Value>, ty: Type, label: impl Into<Arc<str>>) -> Value {
        self.nodes.push(Node { kind, inputs, ty, label: label.into() });
        Value(self.nodes.len() - 1)
    }

    /// The node of a value.
    #[must_use]
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.0]
    }

    /// The types of the operands of a value.
    #[must_use]
    pub fn types_of_inputs(&self, value: Value) -> Vec<Type> {
        self.node(value).inputs.iter().map(|input| self.node(*input).ty.clone()).collect()
    }

    /// The operation of a value, if one computes it.
    #[must_use]
    pub fn op(&self, value: Value) -> Option<&Arc<dyn Op>> {
        match &self.nodes[value.0].kind {
            Kind::Op(op) => Some(op),
            _ => None,
        }
    }

    /// The value whose memory a view shows.
    #[must_use]
    pub fn root(&self, mut value: Value) -> Value {
        while let Kind::Op(op) = &self.node(value).kind
            && op.is_view()
        {
            value = self.node(value).inputs[0];
        }
        value
    }

    /// All values that leave the function.
    pub fn results(&self) -> impl Iterator<Item = Value> + '_ {
        self.outputs.iter().copied().chain(self.gradients.iter().map(|(_, value)| *value))
    }

    /// The symbols that the arguments bind, in order of appearance.
    #[must_use]
    pub fn symbols(&self) -> Vec<String> {
        let mut symbols: Vec<String> = Vec::new();
        for input in &self.inputs {
            for symbol in self.node(input.value).ty.dims.iter().flat_map(Dim::symbols) {
                if !symbols.contains(symbol) {
                    symbols.push(symbol.clone());
                }
            }
        }
        symbols
    }
}

/// Elements of the largest tensor: 4 TB of floats. Sizes, offsets and sums of them stay far from an overflow below it.
pub const MAX_ELEMENTS: usize = 1 << 40;

/// Axes of a tensor: what kernels and the run time can walk.
pub const MAX_RANK: usize = 8;

/// What is wrong with a value that no machine can hold.
#[must_use]
pub fn too_large(ty: &Type) -> Option<Mistake> {
    if ty.rank() > MAX_RANK {
        let message =
            format!("{{layer}} gives {ty}, which has {} axes, but a tensor has {MAX_RANK} at most", ty.rank());
        return Some(Mistake::new(message).help("merge axes with `reshape`"));
    }
    let fits = ty.elements().is_some_and(|elements| elements.factor() <= MAX_ELEMENTS);
    (!fits).then(|| Mistake::new(format!("{{layer}} gives {ty}, which has more elements than a machine can address")))
}

impl Graph {
    /// A value that can lie in memory, as all but pointwise operations read it: a number becomes a tensor without axes.
    pub fn stored(&mut self, value: Value) -> Value {
        if !matches!(self.node(value).kind, Kind::Scalar(_)) {
            return value;
        }
        let expand = Arc::new(Pointwise::expand(Vec::new()));
        self.push(Kind::Op(expand), vec![value], self.node(value).ty.clone(), "number")
    }
}

impl Builder for Graph {
    fn apply(&mut self, op: Arc<dyn Op>, inputs: &[Value]) -> Result<Value, Mistake> {
        let types: Vec<Type> = inputs.iter().map(|input| self.node(*input).ty.clone()).collect();
        let ty = op.infer(&types)?;
        if let Some(mistake) = too_large(&ty) {
            return Err(mistake);
        }
        let label = if self.label.is_empty() { op.name().into() } else { Arc::clone(&self.label) };
        let mut inputs = inputs.to_vec();
        if op.formula().is_none() {
            inputs.iter_mut().for_each(|input| *input = self.stored(*input));
        }
        Ok(self.push(Kind::Op(op), inputs, ty, label))
    }

    fn scalar(&mut self, scalar: Scalar) -> Value {
        let ty = Type { dtype: Dtype::F32, dims: Arc::new([]) };
        self.push(Kind::Scalar(scalar), Vec::new(), ty, "scalar")
    }

    fn ty(&self, value: Value) -> Type {
        self.node(value).ty.clone()
    }
}
