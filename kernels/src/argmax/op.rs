//! What the operation is: its rules of shapes and gradients, its kernels, and its naive version.

use std::sync::Arc;

use crate::cuda::{Along, Part, product};
use crate::dim::{Dtype, Type};
use crate::op::{Array, Batching, Builder, Call, Differentiated, Kernel, Layout, Mistake, Op, Operand, Value};
use crate::softmax::{along_axis, axis_fields, axis_literal};

/// The position of the first largest element along an axis.
#[derive(Debug, Clone)]
pub struct ArgmaxOp {
    axis: usize,
}

/// How many elements of two integer tensors of one shape are equal.
#[derive(Debug, Clone)]
pub struct CountEqualOp;

/// The position of the largest element along an axis.
///
/// # Errors
/// The input holds integers.
pub fn argmax_axis(builder: &mut dyn Builder, input: Value, axis: usize) -> Result<Value, Mistake> {
    builder.apply(Arc::new(ArgmaxOp { axis }), &[input])
}

/// How many elements of two integer tensors are equal.
///
/// # Errors
/// They are not integers, or differ in shape.
pub fn count_equal_elements(builder: &mut dyn Builder, lhs: Value, rhs: Value) -> Result<Value, Mistake> {
    builder.apply(Arc::new(CountEqualOp), &[lhs, rhs])
}

impl Op for ArgmaxOp {
    fn name(&self) -> String {
        "argmax".to_owned()
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        if inputs[0].dtype != Dtype::F32 {
            return Err(Mistake::new(format!("{{layer}} takes floats, but was given {}", inputs[0])));
        }
        let mut dims = inputs[0].dims.to_vec();
        dims.remove(self.axis);
        Ok(Type::i64(dims))
    }

    fn gradient(&self, _: &mut dyn Builder, _: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        Ok(vec![None])
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        along_axis(inputs, self.axis)
    }

    fn kernel(&self, call: &Call) -> Kernel {
        Kernel::new("argmax::argmax", "softmax::Axis", &axis_fields(call, self.axis))
    }

    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part> {
        let literal = axis_literal(&inputs[0], self.axis);
        let count = inputs[0].dims[self.axis].clone();
        vec![Part::new(&["softmax", "argmax"], "argmax", literal, 1, output).reads([count])]
    }

    fn cost(&self, inputs: &[Type], _: &Type) -> u64 {
        inputs[0].elements().map_or(0, |dim| dim.factor() as u64)
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        Array::from_fn(output, |index| {
            let at = |i: usize| inputs[0].at(&[&index[..self.axis], &[i], &index[self.axis..]].concat());
            let mut best = 0;
            for i in 1..inputs[0].dims[self.axis] {
                if at(i) > at(best) {
                    best = i;
                }
            }
            best as f64
        })
    }
}

impl Op for CountEqualOp {
    fn name(&self) -> String {
        "count_equal".to_owned()
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        if inputs.iter().any(|input| input.dtype != Dtype::I64) || inputs[0].dims != inputs[1].dims {
            return Err(Mistake::new(format!(
                "{{layer}} compares integers of one shape, but was given {} and {}",
                inputs[0], inputs[1]
            )));
        }
        Ok(Type { dtype: Dtype::I64, dims: Arc::new([]) })
    }

    fn gradient(&self, _: &mut dyn Builder, _: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        Ok(vec![None, None])
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        if inputs.iter().all(|input| input.batched) { Batching::SumsSamples } else { Batching::Whole }
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let input = &call.inputs[0];
        let fields = if call.layout == Layout::Whole {
            let elements = input.ty.elements().map_or(String::new(), |dim| dim.to_string());
            format!("samples: {elements}, features: 1, samples_last: false, tile: false")
        } else {
            let features = input.ty.features().unwrap_or(0);
            format!(
                "samples: {}, features: {features}, samples_last: {}, tile: true",
                call.tile,
                call.layout == Layout::Samples
            )
        };
        Kernel::new("argmax::count_equal", "argmax::Count", &fields).accumulates()
    }

    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part> {
        let part = Part::new(&["softmax", "argmax"], "count_equal", String::new(), 2, output);
        vec![part.sum(product(&inputs[0].dims), Along::Terms)]
    }

    fn cost(&self, inputs: &[Type], _: &Type) -> u64 {
        inputs[0].elements().map_or(0, |dim| dim.factor() as u64)
    }

    fn reference(&self, inputs: &[&Array], _: &[usize], _: u64) -> Array {
        let equal = inputs[0].data.iter().zip(&inputs[1].data).filter(|(a, b)| a == b).count();
        Array { dims: Vec::new(), data: vec![equal as f64] }
    }
}
