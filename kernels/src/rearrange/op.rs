//! What the operation is: its rules of shapes and gradients, its kernels, and its naive version.

use std::sync::Arc;

use crate::cuda::{self, Part};
use crate::dim::{Dim, Dtype, Type, list};
use crate::op::{Array, Batching, Builder, Call, Differentiated, Kernel, Mistake, Op, Operand, Value};

/// The same elements under another shape; nothing moves.
#[derive(Debug, Clone)]
pub struct ReshapeOp {
    dims: Arc<[Dim]>,
}

/// The axes in another order: axis `i` of the output is axis `axes[i]` of the input.
#[derive(Debug, Clone)]
pub struct PermuteOp {
    axes: Vec<usize>,
}

/// Several tensors, one after the other along an axis.
#[derive(Debug, Clone)]
pub struct CatOp {
    axis: usize,
}

/// A part of an axis: the gradient of one input of `cat`.
#[derive(Debug, Clone)]
pub struct SliceOp {
    axis: usize,
    start: usize,
    length: usize,
}

/// The gradient of a slice: zeros around it.
#[derive(Debug, Clone)]
pub struct PadOp {
    axis: usize,
    start: usize,
    total: usize,
}

/// Gives a value another shape of as many elements.
///
/// # Errors
/// The number of elements differs.
pub fn reshape(builder: &mut dyn Builder, value: Value, dims: impl Into<Arc<[Dim]>>) -> Result<Value, Mistake> {
    let dims = dims.into();
    if builder.ty(value).dims == dims {
        return Ok(value);
    }
    builder.apply(Arc::new(ReshapeOp { dims }), &[value])
}

/// Reorders the axes.
///
/// # Errors
/// None for a permutation of the axes, which the caller checks.
pub fn permute_axes(builder: &mut dyn Builder, value: Value, axes: Vec<usize>) -> Result<Value, Mistake> {
    builder.apply(Arc::new(PermuteOp { axes }), &[value])
}

/// Puts values side by side along an axis.
///
/// # Errors
/// They differ in another axis, or the sizes along the axis cannot be added at compile time.
pub fn cat_axis(builder: &mut dyn Builder, values: &[Value], axis: usize) -> Result<Value, Mistake> {
    builder.apply(Arc::new(CatOp { axis }), values)
}

/// The strided read of a call whose output axis `i` walks input axis `sources[i]` (both logical), from `start` on one axis.
fn strided_read(call: &Call, sources: &[usize], start: Option<(usize, usize)>) -> Kernel {
    let [input, output] = [&call.inputs[0], &call.output];
    let rank = input.ty.rank();
    let physical = call.physical(input);
    let stride = |axis: usize| Dim::product(&physical[axis + 1..]).unwrap_or(Dim::known(0));
    let dims = call.physical(output);
    let mut strides = vec![Dim::known(0); rank];
    for (axis, source) in sources.iter().enumerate() {
        strides[call.axis(axis, rank)] = stride(call.axis(*source, rank));
    }
    let offset = start.map_or(Dim::known(0), |(axis, start)| {
        stride(call.axis(axis, rank)).times(&Dim::known(start)).unwrap_or(Dim::known(0))
    });
    let function = if input.ty.dtype == Dtype::F32 { "rearrange::gather" } else { "rearrange::gather_i64" };
    let fields = format!("dims: {}, strides: {}, offset: {offset}", list(&dims), list(&strides));
    Kernel::new(function, &format!("rearrange::Gather<{rank}>"), &fields)
}

/// The strided read on a CUDA device, with the arguments of [`strided_read`].
fn strided_part(input: &Type, output: &Type, sources: &[usize], start: Option<(usize, usize)>) -> Part {
    let stride = |axis: usize| cuda::product(&input.dims[axis + 1..]);
    let strides: Vec<Dim> = sources.iter().map(|source| stride(*source)).collect();
    let offset = start.map_or(Dim::known(0), |(axis, start)| cuda::product(&[stride(axis), Dim::known(start)]));
    let literal = format!(
        "Gather<{}>{{.dims = {}, .strides = {}, .offset = {offset}}}",
        strides.len(),
        cuda::list(&output.dims),
        cuda::list(&strides)
    );
    Part::new(&["rearrange"], "gather", literal, 1, output)
}

/// What `cat`-like operations share: per sample unless they work on the axis of the samples.
fn beside_samples(inputs: &[Operand], axis: usize) -> Batching {
    if axis != 0 && inputs.iter().all(|input| input.batched) { Batching::PerSample } else { Batching::Whole }
}

fn elements(ty: &Type) -> u64 {
    ty.elements().map_or(0, |dim| dim.factor() as u64)
}

impl Op for ReshapeOp {
    fn name(&self) -> String {
        format!("reshape {}", list(&self.dims))
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        let output = Type { dtype: inputs[0].dtype, dims: self.dims.clone() };
        if inputs[0].elements() == output.elements() {
            return Ok(output);
        }
        Err(Mistake::new(format!(
            "{{layer}} cannot turn {} into {}: the number of elements differs",
            inputs[0],
            list(&self.dims)
        )))
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        let dims = builder.ty(node.inputs[0]).dims;
        Ok(vec![Some(reshape(builder, node.grad_output, dims)?)])
    }

    fn batching(&self, inputs: &[Operand], output: &Type) -> Batching {
        let keeps_samples = inputs[0].batched && output.dims.first() == inputs[0].ty.dims.first();
        if keeps_samples { Batching::PerSample } else { Batching::Whole }
    }

    fn is_view(&self) -> bool {
        true
    }

    fn kernel(&self, call: &Call) -> Kernel {
        // Asked only where the memory cannot be shared: a plain copy.
        let total = Dim::product(&call.physical(&call.output)).unwrap_or(Dim::known(0));
        let function = if call.output.ty.dtype == Dtype::F32 { "rearrange::gather" } else { "rearrange::gather_i64" };
        Kernel::new(function, "rearrange::Gather<1>", &format!("dims: [{total}], strides: [1], offset: 0"))
    }

    fn cuda(&self, _: &[Type], _: &Type) -> Vec<Part> {
        unreachable!("a view is not computed")
    }

    fn cost(&self, _: &[Type], _: &Type) -> u64 {
        0
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        Array { dims: output.to_vec(), data: inputs[0].data.clone() }
    }
}

impl Op for PermuteOp {
    fn name(&self) -> String {
        format!("permute {:?}", self.axes)
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        let dims = self.axes.iter().map(|axis| inputs[0].dims[*axis].clone()).collect();
        Ok(Type { dtype: inputs[0].dtype, dims })
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        let mut inverse = vec![0; self.axes.len()];
        self.axes.iter().enumerate().for_each(|(axis, source)| inverse[*source] = axis);
        Ok(vec![Some(permute_axes(builder, node.grad_output, inverse)?)])
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        if inputs[0].batched && self.axes.first() == Some(&0) { Batching::PerSample } else { Batching::Whole }
    }

    fn kernel(&self, call: &Call) -> Kernel {
        strided_read(call, &self.axes, None)
    }

    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part> {
        vec![strided_part(&inputs[0], output, &self.axes, None)]
    }

    fn cost(&self, _: &[Type], output: &Type) -> u64 {
        elements(output)
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        Array::from_fn(output, |index| {
            let mut source = vec![0; index.len()];
            self.axes.iter().zip(index).for_each(|(axis, i)| source[*axis] = *i);
            inputs[0].at(&source)
        })
    }
}

impl Op for CatOp {
    fn name(&self) -> String {
        format!("cat {}", self.axis)
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        let first = &inputs[0];
        let mut total = 0_usize;
        for (position, input) in inputs.iter().enumerate() {
            let differs = (0..input.rank().max(first.rank()))
                .find(|axis| *axis != self.axis && input.dims.get(*axis) != first.dims.get(*axis));
            if input.dtype != Dtype::F32 {
                let mut mistake = Mistake::new(format!("{{layer}} takes floats, but was given {input}")).at("tensors");
                mistake.trace = Some(position);
                return Err(mistake);
            }
            if input.rank() != first.rank() || input.rank() <= self.axis {
                let axes = [first, input].map(|ty| crate::layers::axes(ty.rank()));
                return Err(Mistake::new(format!(
                    "{{layer}} along axis {} cannot join {first} and {input}: {} meet {}",
                    self.axis, axes[0], axes[1]
                ))
                .at("tensors")
                .of_all_inputs()
                .help("give both the same number of axes with `reshape`"));
            }
            if let Some(axis) = differs {
                return Err(Mistake::new(format!(
                    "{{layer}} along axis {} cannot join {first} and {input}: {} and {} differ on axis {axis}",
                    self.axis, first.dims[axis], input.dims[axis]
                ))
                .at("dim")
                .of_all_inputs()
                .fits([axis])
                .help("all sizes but the one along `dim` must be equal"));
            }
            let size = input.dims[self.axis]
                .as_known()
                .ok_or_else(|| Mistake::unknown_size("sizes along its axis", &input.dims[self.axis]))?;
            total = size
                .checked_add(total)
                .ok_or_else(|| Mistake::new("{layer} gives more elements than a machine can address"))?;
        }
        let mut dims = first.dims.to_vec();
        dims[self.axis] = Dim::known(total);
        Ok(Type::f32(dims))
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        let mut start = 0;
        let mut gradients = Vec::new();
        for (input, wanted) in node.inputs.iter().zip(node.wanted) {
            let length = builder.ty(*input).dims[self.axis].factor();
            let slice = SliceOp { axis: self.axis, start, length };
            gradients.push(wanted.then(|| builder.apply(Arc::new(slice), &[node.grad_output])).transpose()?);
            start += length;
        }
        Ok(gradients)
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        beside_samples(inputs, self.axis)
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let axis = call.axis(self.axis, call.output.ty.rank());
        let physical = call.physical(&call.output);
        let product = |dims: &[Dim]| Dim::product(dims).unwrap_or(Dim::known(0));
        let sizes: Vec<Dim> = call.inputs.iter().map(|input| input.ty.dims[self.axis].clone()).collect();
        let fields = format!(
            "outer: {}, sizes: {}, inner: {}",
            product(&physical[..axis]),
            list(&sizes),
            product(&physical[axis + 1..])
        );
        let mut kernel = Kernel::new("rearrange::cat", &format!("rearrange::Cat<{}>", sizes.len()), &fields);
        kernel.array = true;
        kernel
    }

    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part> {
        let sizes: Vec<Dim> = inputs.iter().map(|input| input.dims[self.axis].clone()).collect();
        let inner = cuda::product(&output.dims[self.axis + 1..]);
        let literal = format!("Cat<{}>{{.sizes = {}, .inner = {inner}}}", sizes.len(), cuda::list(&sizes));
        vec![Part::new(&["rearrange"], "cat", literal, inputs.len(), output)]
    }

    fn cost(&self, _: &[Type], output: &Type) -> u64 {
        elements(output)
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        Array::from_fn(output, |index| {
            let mut index = index.to_vec();
            for input in inputs {
                if index[self.axis] < input.dims[self.axis] {
                    return input.at(&index);
                }
                index[self.axis] -= input.dims[self.axis];
            }
            unreachable!("the output is as long as its inputs together")
        })
    }
}

impl Op for SliceOp {
    fn name(&self) -> String {
        format!("slice {}: {}..{}", self.axis, self.start, self.start + self.length)
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        let mut dims = inputs[0].dims.to_vec();
        dims[self.axis] = Dim::known(self.length);
        Ok(Type { dtype: inputs[0].dtype, dims: dims.into() })
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        let total = builder.ty(node.inputs[0]).dims[self.axis].factor();
        let pad = PadOp { axis: self.axis, start: self.start, total };
        Ok(vec![Some(builder.apply(Arc::new(pad), &[node.grad_output])?)])
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        beside_samples(inputs, self.axis)
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let axes: Vec<usize> = (0..call.output.ty.rank()).collect();
        strided_read(call, &axes, Some((self.axis, self.start)))
    }

    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part> {
        let axes: Vec<usize> = (0..output.rank()).collect();
        vec![strided_part(&inputs[0], output, &axes, Some((self.axis, self.start)))]
    }

    fn cost(&self, _: &[Type], output: &Type) -> u64 {
        elements(output)
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        Array::from_fn(output, |index| {
            let mut index = index.to_vec();
            index[self.axis] += self.start;
            inputs[0].at(&index)
        })
    }
}

impl Op for PadOp {
    fn name(&self) -> String {
        format!("pad {}: {} of {}", self.axis, self.start, self.total)
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        let mut dims = inputs[0].dims.to_vec();
        dims[self.axis] = Dim::known(self.total);
        Ok(Type { dtype: inputs[0].dtype, dims: dims.into() })
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        let length = builder.ty(node.inputs[0]).dims[self.axis].factor();
        let slice = SliceOp { axis: self.axis, start: self.start, length };
        Ok(vec![Some(builder.apply(Arc::new(slice), &[node.grad_output])?)])
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        beside_samples(inputs, self.axis)
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let axis = call.axis(self.axis, call.output.ty.rank());
        let physical = call.physical(&call.output);
        let product = |dims: &[Dim]| Dim::product(dims).unwrap_or(Dim::known(0));
        let length = &call.inputs[0].ty.dims[self.axis];
        let fields = format!(
            "outer: {}, total: {}, start: {}, length: {length}, inner: {}",
            product(&physical[..axis]),
            self.total,
            self.start,
            product(&physical[axis + 1..])
        );
        Kernel::new("rearrange::pad", "rearrange::Pad", &fields)
    }

    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part> {
        let inner = cuda::product(&output.dims[self.axis + 1..]);
        let length = &inputs[0].dims[self.axis];
        let literal =
            format!("Pad{{.total = {}, .start = {}, .length = {length}, .inner = {inner}}}", self.total, self.start);
        vec![Part::new(&["rearrange"], "pad", literal, 1, output)]
    }

    fn cost(&self, _: &[Type], output: &Type) -> u64 {
        elements(output)
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        Array::from_fn(output, |index| {
            let mut index = index.to_vec();
            match index[self.axis].checked_sub(self.start) {
                Some(own) if own < inputs[0].dims[self.axis] => {
                    index[self.axis] = own;
                    inputs[0].at(&index)
                }
                _ => 0.0,
            }
        })
    }
}
