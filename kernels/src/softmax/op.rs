//! What the operation is: its rules of shapes and gradients, its kernels, and its naive version.

use std::sync::Arc;

use crate::cuda::{Along, Combine, Part, Source, Terms, product};
use crate::dim::{Dim, Dtype, Type};
use crate::op::{Array, Batching, Builder, Call, Differentiated, Kernel, Mistake, Op, Operand, Value};
use crate::pointwise::apply;

/// exp(x) / sum exp(x) along an axis, or its logarithm.
#[derive(Debug, Clone)]
pub struct SoftmaxOp {
    axis: usize,
    log: bool,
}

/// Applies softmax, or log-softmax, along an axis of the input.
///
/// # Errors
/// The input holds integers.
pub fn softmax_axis(builder: &mut dyn Builder, input: Value, axis: usize, log: bool) -> Result<Value, Mistake> {
    builder.apply(Arc::new(SoftmaxOp { axis, log }), &[input])
}

/// The fields of [`Axis`](super::Axis) for a logical axis of the first input of a call.
#[must_use]
pub fn axis_fields(call: &Call, axis: usize) -> String {
    let input = &call.inputs[0];
    let physical = call.physical(input);
    let axis = call.axis(axis, input.ty.rank());
    let product = |dims: &[Dim]| Dim::product(dims).unwrap_or(Dim::known(0));
    format!(
        "outer: {}, size: {}, inner: {}",
        product(&physical[..axis]),
        physical[axis],
        product(&physical[axis + 1..])
    )
}

/// The sizes of one axis of a tensor for the device functions.
#[must_use]
pub fn axis_literal(ty: &Type, axis: usize) -> String {
    let (outer, inner) = (product(&ty.dims[..axis]), product(&ty.dims[axis + 1..]));
    format!("Axis{{.outer = {outer}, .size = {}, .inner = {inner}}}", ty.dims[axis])
}

/// The parts that softmax and cross entropy start with: for each row along an axis of the first input its largest element, and
/// the sum of the exponentials above it.
#[must_use]
pub fn row_parts(input: &Type, axis: usize) -> Vec<Part> {
    let literal = axis_literal(input, axis);
    let mut dims = input.dims.to_vec();
    let count = dims.remove(axis);
    let ty = Type::f32(dims);
    let along = if axis + 1 == input.rank() { Along::Terms } else { Along::Elements };
    let part = |function, sources: &[Source], combine| {
        let part = Part::new(&["softmax"], function, literal.clone(), 0, &ty).inputs(sources);
        part.terms(Terms { count: count.clone(), combine, along })
    };
    vec![
        part("softmax_max", &[Source::Input(0)], Combine::Max),
        part("softmax_sum", &[Source::Input(0), Source::Part(0)], Combine::Sum),
    ]
}

/// An operation along one axis is per sample unless that axis counts the samples.
#[must_use]
pub fn along_axis(inputs: &[Operand], axis: usize) -> Batching {
    if inputs[0].batched && axis != 0 { Batching::PerSample } else { Batching::Whole }
}

impl Op for SoftmaxOp {
    fn name(&self) -> String {
        if self.log { "log_softmax" } else { "softmax" }.to_owned()
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        if inputs[0].dtype != Dtype::F32 {
            return Err(Mistake::new(format!("{{layer}} takes floats, but was given {}", inputs[0])));
        }
        Ok(inputs[0].clone())
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        // softmax: y (grad - sum(grad y)); log_softmax: grad - exp(y) sum(grad).
        let grad = node.grad_output;
        let terms = if self.log { grad } else { apply(builder, "mul", &[grad, node.output])? };
        let sum = crate::reduce::sum_axes(builder, terms, &[self.axis], true)?;
        let row = if self.log { "log_softmax_grad" } else { "softmax_grad" };
        Ok(vec![Some(apply(builder, row, &[node.output, grad, sum])?)])
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        along_axis(inputs, self.axis)
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let function = if self.log { "softmax::log_softmax" } else { "softmax::softmax" };
        Kernel::new(function, "softmax::Axis", &axis_fields(call, self.axis))
    }

    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part> {
        let mut parts = row_parts(&inputs[0], self.axis);
        let function = if self.log { "log_softmax" } else { "softmax" };
        let sources = [Source::Input(0), Source::Part(0), Source::Part(1)];
        let literal = axis_literal(&inputs[0], self.axis);
        parts.push(Part::new(&["softmax"], function, literal, 1, output).inputs(&sources));
        parts
    }

    fn cost(&self, _: &[Type], output: &Type) -> u64 {
        output.elements().map_or(0, |dim| 8 * dim.factor() as u64)
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        let size = output[self.axis];
        Array::from_fn(output, |index| {
            let mut other = index.to_vec();
            let mut along = |f: &mut dyn FnMut(f64)| {
                (0..size).for_each(|i| {
                    other[self.axis] = i;
                    f(inputs[0].at(&other));
                })
            };
            let mut max = f64::NEG_INFINITY;
            along(&mut |x| max = max.max(x));
            let mut sum = 0.0;
            along(&mut |x| sum += (x - max).exp());
            let logarithm = inputs[0].at(index) - max - sum.ln();
            if self.log { logarithm } else { logarithm.exp() }
        })
    }
}
