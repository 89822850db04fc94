//! What the operation is: its rules of shapes and gradients, its kernels, and its naive version.

use std::sync::Arc;

use crate::cuda::Part;
use crate::dim::{Dtype, Type};
use crate::op::{Array, Batching, Builder, Call, Differentiated, Kernel, Layout, Mistake, Op, Operand, Value};

/// Dropout in training. Its gradient is itself, with the same mask.
#[derive(Debug, Clone)]
pub struct DropoutOp {
    p: f64,
    stream: u64,
}

/// Drops elements with probability `p`; `stream` tells the dropouts of a function apart.
///
/// # Errors
/// The input holds integers.
pub fn dropout_stream(builder: &mut dyn Builder, input: Value, p: f64, stream: u64) -> Result<Value, Mistake> {
    builder.apply(Arc::new(DropoutOp { p, stream }), &[input])
}

impl Op for DropoutOp {
    fn name(&self) -> String {
        format!("dropout {} stream {}", self.p, self.stream)
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        if inputs[0].dtype != Dtype::F32 {
            return Err(Mistake::new(format!("{{layer}} takes floats, but was given {}", inputs[0])));
        }
        Ok(inputs[0].clone())
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        Ok(vec![Some(builder.apply(Arc::new(self.clone()), &[node.grad_output])?)])
    }

    fn batching(&self, _: &[Operand], _: &Type) -> Batching {
        Batching::PerSample
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let p = self.p as f32;
        let ty = &call.output.ty;
        let elements = || ty.elements().map_or(String::new(), |dim| dim.to_string());
        let (samples, features) = match call.layout {
            Layout::Whole => ("1".to_owned(), elements()),
            _ => (call.tile.to_string(), ty.features().unwrap_or(0).to_string()),
        };
        let fields = format!(
            "p: {p:?}, stream: {}, samples: {samples}, features: {features}, samples_last: {}",
            self.stream,
            call.layout == Layout::Samples
        );
        Kernel::new("dropout::dropout", "dropout::Sizes", &fields)
    }

    fn cuda(&self, _: &[Type], output: &Type) -> Vec<Part> {
        let literal = format!("Dropout{{.p = {:?}f, .stream = {}}}", self.p as f32, self.stream);
        let mut part = Part::new(&["dropout"], "dropout", literal, 1, output);
        part.seed = true;
        vec![part]
    }

    fn cost(&self, _: &[Type], output: &Type) -> u64 {
        output.elements().map_or(0, |dim| 4 * dim.factor() as u64)
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], seed: u64) -> Array {
        // Element i of the batch, sample by sample: the same index as (first + sample) * features + feature.
        let kept = |index: usize| crate::rng::uniform(seed, self.stream, index as u64) >= self.p as f32;
        let data =
            inputs[0].data.iter().enumerate().map(|(index, x)| if kept(index) { x / (1.0 - self.p) } else { 0.0 });
        Array { dims: output.to_vec(), data: data.collect() }
    }
}
