//! What the operation is: its rules of shapes and gradients, its kernels, and its naive version.

use std::sync::Arc;

use super::Sizes;
use crate::LANES;
use crate::cuda::{Along, Part, product};
use crate::dim::{Dim, Type};
use crate::op::{Array, Batching, Builder, Call, Differentiated, Kernel, Layout, Layouts, Mistake, Op, Operand, Value};

/// input [.., in_features] times a matrix of weights -> [.., out_features].
#[derive(Debug, Clone)]
pub struct LinearOp {
    /// False: the weight is [out_features, in_features]. True: it is [in_features, out_features].
    transposed: bool,
}

/// lhs [.., rows], rhs [.., columns] -> [rows, columns]: the sum over all vectors of their outer products.
#[derive(Debug, Clone)]
pub struct OuterSumOp;

/// Multiplies the vectors on the last axis of `input` with `weight`, [out, in] or, if `transposed`, [in, out]. The sizes must
/// fit: what users call checks them and words the mistake.
///
/// # Errors
/// None for sizes that fit.
pub fn linear(builder: &mut dyn Builder, input: Value, weight: Value, transposed: bool) -> Result<Value, Mistake> {
    builder.apply(Arc::new(LinearOp { transposed }), &[input, weight])
}

impl LinearOp {
    /// (in_features, out_features)
    fn features(&self, weight: &Type) -> (Dim, Dim) {
        let (rows, columns) = (weight.dims[0].clone(), weight.dims[1].clone());
        if self.transposed { (rows, columns) } else { (columns, rows) }
    }
}

/// The number of vectors of an operand in one sample (in a tile) or in all (whole).
fn vectors(call: &Call, operand: &Operand) -> Dim {
    let rank = operand.ty.rank();
    let first = usize::from(call.layout != Layout::Whole);
    Dim::product(&operand.ty.dims[first.min(rank - 1)..rank - 1]).unwrap_or(Dim::known(0))
}

impl Op for LinearOp {
    fn name(&self) -> String {
        "linear".to_owned()
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        let (in_features, out_features) = self.features(&inputs[1]);
        let given = inputs[0]
            .dims
            .last()
            .ok_or_else(|| Mistake::new("{layer} takes vectors on the last axis, but its input is a number"))?;
        if *given != in_features {
            return Err(Mistake::new(format!("{{layer}} takes {in_features} features, but its input has {given}")));
        }
        let mut dims = inputs[0].dims.to_vec();
        *dims.last_mut().expect("a last axis") = out_features;
        Ok(Type::f32(dims))
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        let [input, weight] = [node.inputs[0], node.inputs[1]];
        let grad = node.grad_output;
        let for_input = node.wanted[0].then(|| linear(builder, grad, weight, !self.transposed)).transpose()?;
        let operands = if self.transposed { [input, grad] } else { [grad, input] };
        let for_weight = node.wanted[1].then(|| builder.apply(Arc::new(OuterSumOp), &operands)).transpose()?;
        Ok(vec![for_input, for_weight])
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        if inputs[0].batched && !inputs[1].batched && inputs[0].ty.rank() > 1 {
            Batching::PerSample
        } else {
            Batching::Whole
        }
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let (in_features, out_features) = self.features(&call.inputs[1].ty);
        let fields = format!(
            "vectors: {}, in_features: {in_features}, out_features: {out_features}, transposed: {}",
            vectors(call, &call.inputs[0]),
            self.transposed
        );
        // All tiles of a thread share what it makes of the weight.
        let packed = match (in_features.as_known(), out_features.as_known()) {
            (Some(in_features), Some(out_features)) if call.layout == Layout::Rows && call.tile == LANES => {
                Sizes { vectors: 1, in_features, out_features, transposed: self.transposed }.packed()
            }
            _ => None,
        };
        match packed {
            Some(floats) => Kernel::new("linear::forward_packed", "linear::Sizes", &fields).kept(floats),
            None => Kernel::new("linear::forward", "linear::Sizes", &fields),
        }
    }

    fn layouts(&self) -> Layouts {
        Layouts::Only(Layout::Rows)
    }

    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part> {
        let (in_features, out_features) = self.features(&inputs[1]);
        let literal = format!(
            "Linear{{.in_features = {in_features}, .out_features = {out_features}, .transposed = {}}}",
            self.transposed
        );
        let along = if self.transposed { Along::Elements } else { Along::Terms };
        vec![Part::new(&["linear"], "linear_forward", literal, 2, output).sum(in_features, along)]
    }

    fn cost(&self, inputs: &[Type], output: &Type) -> u64 {
        let (in_features, _) = self.features(&inputs[1]);
        let outputs = output.features().unwrap_or_else(|| output.elements().map_or(0, |dim| dim.factor()));
        (in_features.factor() as u64).saturating_mul(outputs as u64)
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        Array::from_fn(output, |index| {
            let (out, outer) = index.split_last().expect("a last axis");
            let weight = |i: usize| if self.transposed { inputs[1].at(&[i, *out]) } else { inputs[1].at(&[*out, i]) };
            let in_features = inputs[0].dims[outer.len()];
            (0..in_features).map(|i| inputs[0].at(&[outer, &[i]].concat()) * weight(i)).sum()
        })
    }
}

impl Op for OuterSumOp {
    fn name(&self) -> String {
        "outer_sum".to_owned()
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        match (inputs[0].dims.last(), inputs[1].dims.last()) {
            (Some(rows), Some(columns)) => Ok(Type::f32([rows.clone(), columns.clone()])),
            _ => Err(Mistake::new("{layer} takes vectors on the last axis, but an input is a number")),
        }
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        // result[r, c] = sum l[.., r] r[.., c], so grad_l = r x grad^T and grad_r = l x grad.
        let for_lhs = node.wanted[0].then(|| linear(builder, node.inputs[1], node.grad_output, false)).transpose()?;
        let for_rhs = node.wanted[1].then(|| linear(builder, node.inputs[0], node.grad_output, true)).transpose()?;
        Ok(vec![for_lhs, for_rhs])
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        if inputs.iter().all(|input| input.batched && input.ty.rank() > 1) {
            Batching::SumsSamples
        } else {
            Batching::Whole
        }
    }

    fn layouts(&self) -> Layouts {
        Layouts::Only(Layout::Rows)
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let last = |operand: &Operand| operand.ty.dims[operand.ty.rank() - 1].clone();
        let [lhs, rhs] = [&call.inputs[0], &call.inputs[1]];
        let fields = format!("vectors: {}, rows: {}, columns: {}", vectors(call, lhs), last(lhs), last(rhs));
        Kernel::new("linear::grad_weight", "linear::GradSizes", &fields).accumulates()
    }

    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part> {
        let literal = format!("OuterSum{{.rows = {}, .columns = {}}}", output.dims[0], output.dims[1]);
        let vectors = product(&inputs[0].dims[..inputs[0].rank() - 1]);
        vec![Part::new(&["linear"], "outer_sum", literal, 2, output).sum(vectors, Along::Elements)]
    }

    fn cost(&self, inputs: &[Type], output: &Type) -> u64 {
        let vectors = inputs[0].dims.iter().rev().skip(1).map(|dim| dim.factor() as u64);
        vectors.fold(output.elements().map_or(0, |dim| dim.factor() as u64), u64::saturating_mul)
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        let [rows, columns] = [output[0], output[1]];
        let vectors = inputs[0].data.len() / rows.max(1);
        Array::from_fn(output, |index| {
            (0..vectors).map(|v| inputs[0].data[v * rows + index[0]] * inputs[1].data[v * columns + index[1]]).sum()
        })
    }
}
