//! What the operation is: its rules of shapes and gradients, its kernels, and its naive version.

use std::sync::Arc;

use crate::cuda::{Part, Source};
use crate::dim::{Dtype, Type};
use crate::op::{Array, Batching, Builder, Call, Differentiated, Kernel, Layout, Layouts, Mistake, Op, Operand, Value};
use crate::softmax::{axis_fields, axis_literal, row_parts};

/// logits [N, C, ..], labels [N, ..] -> −log softmax(logits) at the label, [N, ..]; or its gradient with respect to the logits:
/// logits, labels, grad_output -> (softmax(logits) − one_hot(label)) · grad_output.
#[derive(Debug, Clone)]
pub struct CrossEntropyOp {
    gradient: bool,
}

/// Applies it row by row, without a reduction.
///
/// # Errors
/// The logits have no axis of classes, the labels are not integers or have another shape.
pub fn cross_entropy_rows(builder: &mut dyn Builder, logits: Value, labels: Value) -> Result<Value, Mistake> {
    builder.apply(Arc::new(CrossEntropyOp { gradient: false }), &[logits, labels])
}

impl Op for CrossEntropyOp {
    fn name(&self) -> String {
        if self.gradient { "cross_entropy_grad" } else { "cross_entropy" }.to_owned()
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        let [logits, labels] = [&inputs[0], &inputs[1]];
        if logits.dtype != Dtype::F32 || logits.rank() < 2 {
            return Err(Mistake::new(format!("{{layer}} takes logits [N, classes], but was given {logits}"))
                .at("input")
                .help("give the output of the last layer, before any softmax"));
        }
        if labels.dtype != Dtype::I64 {
            let declared = Type { dtype: Dtype::I64, ..labels.clone() };
            let mut mistake = Mistake::new(format!("{{layer}} takes labels of i64, but was given floats {labels}"))
                .at("target")
                .help(format!("labels are an argument: `labels: Tensor<{}, i64>`", crate::dim::list(&labels.dims)))
                .declare(1, declared);
            mistake.trace = Some(1);
            return Err(mistake);
        }
        let rows: Vec<_> =
            logits.dims.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, dim)| dim.clone()).collect();
        if *labels.dims != rows && labels.dims[..] == logits.dims[..1] {
            return Err(Mistake::new(format!(
                "{{layer}} takes one row of logits for each label {labels}, [N, classes], but was given {logits}"
            ))
            .at("input")
            .help("write `{argument}.flatten(1)`, if each element is the score of a class"));
        }
        if *labels.dims != rows {
            return Err(Mistake::new(format!(
                "{{layer}} takes one label for each row of logits: {}, but was given {labels} beside logits {logits}",
                crate::dim::list(&rows)
            ))
            .at("target")
            .help(format!("labels are an argument: `labels: Tensor<{}, i64>`", crate::dim::list(&rows)))
            .declare(1, Type::i64(rows)));
        }
        Ok(if self.gradient { logits.clone() } else { Type::f32(rows) })
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        if self.gradient {
            return Err(Mistake::new("the gradient of cross_entropy cannot be differentiated again"));
        }
        let inputs = [node.inputs[0], node.inputs[1], node.grad_output];
        let for_logits =
            node.wanted[0].then(|| builder.apply(Arc::new(CrossEntropyOp { gradient: true }), &inputs)).transpose()?;
        Ok(vec![for_logits, None])
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        if inputs.iter().all(|input| input.batched) { Batching::PerSample } else { Batching::Whole }
    }

    fn layouts(&self) -> Layouts {
        // With lanes over samples nothing is added across lanes, and a few classes fill them as well as many.
        Layouts::Best(Layout::Samples)
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let function = if self.gradient { "cross_entropy::grad" } else { "cross_entropy::forward" };
        Kernel::new(function, "softmax::Axis", &axis_fields(call, 1))
    }

    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part> {
        let mut parts = row_parts(&inputs[0], 1);
        let function = if self.gradient { "cross_entropy_grad" } else { "cross_entropy" };
        let own = (0..inputs.len()).map(Source::Input);
        let sources: Vec<Source> = own.chain([Source::Part(0), Source::Part(1)]).collect();
        let literal = axis_literal(&inputs[0], 1);
        parts.push(Part::new(&["softmax", "cross_entropy"], function, literal, 0, output).inputs(&sources));
        parts
    }

    fn cost(&self, inputs: &[Type], _: &Type) -> u64 {
        inputs[0].elements().map_or(0, |dim| 8 * dim.factor() as u64)
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        let logits = inputs[0];
        let classes = logits.dims[1];
        let rows: Vec<usize> =
            logits.dims.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, dim)| *dim).collect();
        let mut result = Array::zeros(output);
        Array::from_fn(&rows, |row| {
            let at = |class: usize| [&row[..1], &[class], &row[1..]].concat();
            let max = (0..classes).map(|class| logits.at(&at(class))).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..classes).map(|class| (logits.at(&at(class)) - max).exp()).sum();
            let label = inputs[1].at(row) as usize;
            if self.gradient {
                for class in 0..classes {
                    let softmax = (logits.at(&at(class)) - max).exp() / sum;
                    let one_hot = f64::from(u8::from(class == label));
                    *result.at_mut(&at(class)) = (softmax - one_hot) * inputs[2].at(row);
                }
            } else {
                *result.at_mut(row) = max + sum.ln() - logits.at(&at(label));
            }
            0.0
        });
        result
    }
}
