//! What the operation is: its rules of shapes and gradients, its kernels, and its naive version.

use std::sync::Arc;

use crate::LANES;
use crate::cuda::{Along, Part};
use crate::dim::{Dim, Type};
use crate::op::{
    Array, Batching, Builder, Call, Differentiated, Kernel, Layout, Mistake, Op, Operand, Value, broadcast,
};
use crate::pointwise::sum_to;

/// lhs [.., m, k] times rhs [.., k, n] -> [.., m, n], both of rank 3 and more; the leading axes are equal, or absent on one
/// side. A transposed operand is stored with its last two axes swapped.
#[derive(Debug, Clone)]
pub struct MatmulOp {
    transpose_lhs: bool,
    transpose_rhs: bool,
}

/// The product as users call it: a right operand of rank 2 is a matrix shared by all vectors of the left one.
///
/// # Errors
/// An operand has no matrix, or the inner or leading sizes differ.
pub fn matmul_values(builder: &mut dyn Builder, lhs: Value, rhs: Value) -> Result<Value, Mistake> {
    let (left, right) = (builder.ty(lhs), builder.ty(rhs));
    if left.rank() < 1 || right.rank() < 2 || (left.rank() < 2 && right.rank() > 2) {
        return Err(Mistake::new(format!("{{layer}} takes matrices, but was given {left} and {right}"))
            .help("give a vector a second axis with `reshape`"));
    }
    let inner = &left.dims[left.rank() - 1];
    let other = &right.dims[right.rank() - 2];
    if inner != other {
        let mistake =
            Mistake::new(format!("{{layer}} cannot multiply {left} with {right}: {inner} columns meet {other} rows"))
                .of_all_inputs();
        if right.dims[right.rank() - 1] == *inner {
            let mut axes: Vec<usize> = (0..right.rank()).collect();
            axes.swap(right.rank() - 2, right.rank() - 1);
            return Err(mistake
                .at("other")
                .help(format!("write `permute({{argument}}, {axes:?})`, which swaps its rows and columns")));
        }
        return Err(mistake
            .help("the last size of the left operand must be the last but one of the right; `permute` swaps axes"));
    }
    if right.rank() == 2 {
        return crate::linear::linear(builder, lhs, rhs, true);
    }
    builder.apply(Arc::new(MatmulOp { transpose_lhs: false, transpose_rhs: false }), &[lhs, rhs])
}

impl MatmulOp {
    /// ((m, k), (k, n)) of the operands.
    fn sizes(&self, inputs: &[Type]) -> [Dim; 4] {
        let matrix = |ty: &Type, transposed: bool| {
            let [rows, columns] = [ty.dims[ty.rank() - 2].clone(), ty.dims[ty.rank() - 1].clone()];
            if transposed { [columns, rows] } else { [rows, columns] }
        };
        let [m, k] = matrix(&inputs[0], self.transpose_lhs);
        let [other, n] = matrix(&inputs[1], self.transpose_rhs);
        [m, k, other, n]
    }
}

impl Op for MatmulOp {
    fn name(&self) -> String {
        "matmul".to_owned()
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        let leading = |ty: &Type| ty.dims[..ty.rank() - 2].to_vec();
        let (left, right) = (leading(&inputs[0]), leading(&inputs[1]));
        let batch = broadcast(&left, &right)?;
        if (!left.is_empty() && left != batch) || (!right.is_empty() && right != batch) {
            return Err(Mistake::new(format!(
                "{{layer}} multiplies batches of one shape, but was given {} and {}",
                inputs[0], inputs[1]
            ))
            .help("give both operands the same leading sizes"));
        }
        let [m, k, other, n] = self.sizes(inputs);
        if k != other {
            return Err(Mistake::new(format!("{{layer}} cannot multiply {} with {}", inputs[0], inputs[1])));
        }
        Ok(Type::f32(batch.into_iter().chain([m, n])))
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        let [lhs, rhs] = [node.inputs[0], node.inputs[1]];
        let grad = node.grad_output;
        let mut product = |left: Value, transpose_lhs: bool, right: Value, transpose_rhs: bool, like: Value| {
            let product = builder.apply(Arc::new(MatmulOp { transpose_lhs, transpose_rhs }), &[left, right])?;
            let shape = builder.ty(like).dims;
            sum_to(builder, product, &shape)
        };
        // C = A B: grad_A = grad B^T, grad_B = A^T grad; a transposed operand takes the transpose of that.
        let for_lhs = node.wanted[0].then(|| match self.transpose_lhs {
            false => product(grad, false, rhs, !self.transpose_rhs, lhs),
            true => product(rhs, self.transpose_rhs, grad, true, lhs),
        });
        let for_lhs = for_lhs.transpose()?;
        let for_rhs = node.wanted[1].then(|| match self.transpose_rhs {
            false => product(lhs, !self.transpose_lhs, grad, false, rhs),
            true => product(grad, true, lhs, self.transpose_lhs, rhs),
        });
        Ok(vec![for_lhs, for_rhs.transpose()?])
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        // A shared matrix beside a batch is fine; a batch whose samples are the rows of the matrix is not.
        let fits = |input: &Operand| if input.batched { input.ty.rank() > 2 } else { input.ty.rank() == 2 };
        if inputs.iter().all(fits) { Batching::PerSample } else { Batching::Whole }
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let inputs: Vec<Type> = call.inputs.iter().map(|input| input.ty.clone()).collect();
        let [m, k, _, n] = self.sizes(&inputs);
        let rank = call.output.ty.rank();
        let first = usize::from(call.layout == Layout::Samples);
        let batch = Dim::product(&call.output.ty.dims[first..rank - 2]).unwrap_or(Dim::known(0));
        let batch = match call.layout {
            Layout::Rows => Dim::product(&call.output.ty.dims[1..rank - 2])
                .and_then(|rest| rest.times(&Dim::known(call.tile)))
                .unwrap_or(batch),
            _ => batch,
        };
        let inner = if call.layout == Layout::Samples { LANES } else { 1 };
        let fields = format!(
            "batch: {batch}, m: {m}, k: {k}, n: {n}, inner: {inner}, transpose_lhs: {}, transpose_rhs: {}, lhs_batched: {}, rhs_batched: {}",
            self.transpose_lhs,
            self.transpose_rhs,
            inputs[0].rank() > 2,
            inputs[1].rank() > 2
        );
        Kernel::new("matmul::matmul", "matmul::Sizes", &fields)
    }

    fn layouts(&self) -> crate::op::Layouts {
        // An operand shared by all samples has no 16 lanes of its own.
        crate::op::Layouts::Only(Layout::Rows)
    }

    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part> {
        let [m, k, _, n] = self.sizes(inputs);
        let literal = format!(
            "Matmul{{.m = {m}, .k = {k}, .n = {n}, .transpose_lhs = {}, .transpose_rhs = {}, .lhs_batched = {}, \
             .rhs_batched = {}}}",
            self.transpose_lhs,
            self.transpose_rhs,
            inputs[0].rank() > 2,
            inputs[1].rank() > 2
        );
        let along = if self.transpose_rhs { Along::Terms } else { Along::Elements };
        vec![Part::new(&["matmul"], "matmul", literal, 2, output).sum(k, along)]
    }

    fn cost(&self, inputs: &[Type], output: &Type) -> u64 {
        let [_, k, _, _] = self.sizes(inputs);
        (k.factor() as u64).saturating_mul(output.elements().map_or(0, |dim| dim.factor() as u64))
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        let rank = output.len();
        let k = inputs[0].dims[inputs[0].dims.len() - if self.transpose_lhs { 2 } else { 1 }];
        let element = |array: &Array, batch: &[usize], row: usize, column: usize, transposed: bool| {
            let matrix = if transposed { [column, row] } else { [row, column] };
            let batch = if array.dims.len() > 2 { batch } else { &[] };
            array.at(&[batch, &matrix].concat())
        };
        Array::from_fn(output, |index| {
            let (batch, matrix) = index.split_at(rank - 2);
            let lhs = |i| element(inputs[0], batch, matrix[0], i, self.transpose_lhs);
            let rhs = |i| element(inputs[1], batch, i, matrix[1], self.transpose_rhs);
            (0..k).map(|i| lhs(i) * rhs(i)).sum()
        })
    }
}
