//! What the operation is: its rules of shapes and gradients, its kernels, and its naive version.

use std::sync::Arc;

use crate::cuda::{Along, Part, list, product};
use crate::dim::{Dim, Dtype, Type};
use crate::op::{Array, Batching, Builder, Call, Differentiated, Kernel, Mistake, Op, Operand, Value};
use crate::pointwise::Pointwise;

/// The sum over some axes.
#[derive(Debug, Clone)]
pub struct SumOp {
    axes: Vec<usize>,
    keepdim: bool,
}

/// Sums a value over axes, which keep a size of 1 if `keepdim`.
///
/// # Errors
/// The value holds integers.
pub fn sum_axes(builder: &mut dyn Builder, value: Value, axes: &[usize], keepdim: bool) -> Result<Value, Mistake> {
    let mut axes = axes.to_vec();
    axes.sort_unstable();
    builder.apply(Arc::new(SumOp { axes, keepdim }), &[value])
}

impl Op for SumOp {
    fn name(&self) -> String {
        "sum".to_owned()
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        if inputs[0].dtype != Dtype::F32 {
            return Err(Mistake::new(format!("{{layer}} takes floats, but was given {}", inputs[0])));
        }
        let kept = |(axis, dim): (usize, &Dim)| match (self.axes.contains(&axis), self.keepdim) {
            (false, _) => Some(dim.clone()),
            (true, true) => Some(Dim::known(1)),
            (true, false) => None,
        };
        Ok(Type::f32(inputs[0].dims.iter().enumerate().filter_map(kept)))
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        let input = builder.ty(node.inputs[0]).dims;
        let ones = input
            .iter()
            .enumerate()
            .map(|(axis, dim)| if self.axes.contains(&axis) { Dim::known(1) } else { dim.clone() });
        let grad = crate::rearrange::reshape(builder, node.grad_output, ones.collect::<Vec<_>>())?;
        Ok(vec![Some(builder.apply(Arc::new(Pointwise::expand(input)), &[grad])?)])
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        if inputs[0].batched && self.axes.contains(&0) { Batching::SumsSamples } else { Batching::PerSample }
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let rank = call.inputs[0].ty.rank();
        let physical = call.physical(&call.inputs[0]);
        let summed: Vec<usize> = self.axes.iter().map(|axis| call.axis(*axis, rank)).collect();
        let samples = call.sums_samples().then(|| call.axis(0, rank));
        // Neighbouring axes of one kind are walked as one; the samples stay alone, since only some of them are real.
        let mut dims: Vec<(Dim, bool)> = Vec::new();
        let mut samples_at = None;
        let mut merges = false;
        for (axis, dim) in physical.iter().enumerate() {
            let kind = summed.contains(&axis);
            let alone = samples == Some(axis);
            match dims.last_mut() {
                Some((last, last_kind)) if *last_kind == kind && merges && !alone => {
                    *last = last.times(dim).unwrap_or(Dim::known(0));
                }
                _ => dims.push((dim.clone(), kind)),
            }
            merges = !alone;
            if alone {
                samples_at = Some(dims.len() - 1);
            }
        }
        let sizes: Vec<&Dim> = dims.iter().map(|(dim, _)| dim).collect();
        let kinds: Vec<bool> = dims.iter().map(|(_, kind)| *kind).collect();
        let fields = format!("dims: {}, summed: {kinds:?}, samples: {samples_at:?}", crate::dim::list(&sizes));
        let spec = format!("reduce::Sum<{}>", dims.len());
        if call.sums_samples() {
            Kernel::new("reduce::sum_into", &spec, &fields).accumulates()
        } else {
            Kernel::new("reduce::sum", &spec, &fields)
        }
    }

    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part> {
        let dims = &inputs[0].dims;
        let summed: Vec<bool> = (0..dims.len()).map(|axis| self.axes.contains(&axis)).collect();
        let literal = format!("Axes<{}>{{.dims = {}, .summed = {}}}", dims.len(), list(dims), list(&summed));
        let terms: Vec<Dim> = self.axes.iter().map(|axis| dims[*axis].clone()).collect();
        let along = if summed.last() == Some(&true) { Along::Terms } else { Along::Elements };
        vec![Part::new(&["reduce"], "sum_axes", literal, 1, output).sum(product(&terms), along)]
    }

    fn cost(&self, inputs: &[Type], _: &Type) -> u64 {
        inputs[0].elements().map_or(0, |dim| dim.factor() as u64)
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        let mut sum = Array::zeros(output);
        let input = inputs[0];
        Array::from_fn(&input.dims, |index| {
            let kept =
                index.iter().enumerate().filter_map(|(axis, i)| match (self.axes.contains(&axis), self.keepdim) {
                    (false, _) => Some(*i),
                    (true, true) => Some(0),
                    (true, false) => None,
                });
            *sum.at_mut(&kept.collect::<Vec<_>>()) += input.at(index);
            0.0
        });
        sum
    }
}
