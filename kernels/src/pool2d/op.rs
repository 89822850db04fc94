//! What the operation is: its rules of shapes and gradients, its kernels, and its naive version.

use std::sync::Arc;

use super::Sizes;
use crate::conv2d::Conv2dOp;
use crate::cuda::Part;
use crate::dim::Type;
use crate::op::{
    Array, Batching, Builder, Call, Differentiated, First, Kernel, Layout, Layouts, Mistake, Op, Operand, Saved, Value,
    known,
};

/// Which of the four pooling kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// input -> output
    Max,
    /// input, output, grad_output -> grad_input; or, with what `Max` saved, saved, grad_output -> grad_input
    MaxGrad,
    /// input -> output
    Avg,
    /// grad_output -> grad_input
    AvgGrad,
}

/// What a window gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Its largest element.
    Max,
    /// The mean of its elements.
    Avg,
}

/// A pooling, or its gradient.
#[derive(Debug, Clone)]
pub struct Pool2dOp {
    kind: Kind,
    sizes: Sizes,
}

/// Pools the last two axes of `input` [B, C, H, W].
///
/// # Errors
/// The input is no batch of images of known size, or the window does not fit.
pub fn pool2d(
    builder: &mut dyn Builder,
    pooling: Pooling,
    input: Value,
    kernel_size: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
) -> Result<Value, Mistake> {
    let ty = builder.ty(input);
    if ty.rank() != 4 {
        return Err(Mistake::new(format!(
            "{{layer}} takes images [N, channels, height, width], but its input is {ty}"
        ))
        .help(crate::layers::rank_help(&ty, 4)));
    }
    let image = known(&ty, 1, "channels, height and width")?;
    for (axis, name) in ["height", "width"].into_iter().enumerate() {
        if 2 * padding[axis] > kernel_size[axis] {
            return Err(Mistake::new(format!(
                "{{layer}} has padding {}, more than half its kernel_size {}",
                padding[axis], kernel_size[axis]
            ))
            .at("padding")
            .fits((0..=kernel_size[axis] / 2).rev().take(crate::op::MOST_FITS))
            .help(format!("at most {} is allowed", kernel_size[axis] / 2)));
        }
        if kernel_size[axis] > image[axis + 1] + 2 * padding[axis] {
            return Err(Mistake::new(format!(
                "{{layer}} with kernel_size {} does not fit its input {ty}: {name} {} < {}",
                kernel_size[axis],
                image[axis + 1],
                kernel_size[axis]
            ))
            .at("kernel_size")
            .fits((1..=image[axis + 1] + 2 * padding[axis]).rev().take(crate::op::MOST_FITS))
            .help(format!("at most {} fits", image[axis + 1] + 2 * padding[axis])));
        }
    }
    let sizes = Sizes { channels: image[0], height: image[1], width: image[2], kernel_size, stride, padding };
    let kind = if pooling == Pooling::Max { Kind::Max } else { Kind::Avg };
    builder.apply(Arc::new(Pool2dOp { kind, sizes }), &[input])
}

impl Pool2dOp {
    /// Whether it is the gradient of that max pooling.
    pub(crate) fn is_max_grad_of(&self, sizes: &Sizes) -> bool {
        self.kind == Kind::MaxGrad && self.sizes == *sizes
    }

    /// Calls `f` with (channel, output row, output column, input row, input column) for every element of every window, in
    /// the order of the window.
    fn for_each(&self, mut f: impl FnMut(usize, [usize; 2], [usize; 2])) {
        let sizes = &self.sizes;
        for c in 0..sizes.channels {
            for (y, x) in (0..sizes.out_height()).flat_map(|y| (0..sizes.out_width()).map(move |x| (y, x))) {
                for (ky, kx) in
                    (0..sizes.kernel_size[0]).flat_map(|ky| (0..sizes.kernel_size[1]).map(move |kx| (ky, kx)))
                {
                    let row = (y * sizes.stride[0] + ky).wrapping_sub(sizes.padding[0]);
                    let column = (x * sizes.stride[1] + kx).wrapping_sub(sizes.padding[1]);
                    if row < sizes.height && column < sizes.width {
                        f(c, [y, x], [row, column]);
                    }
                }
            }
        }
    }
}

impl Op for Pool2dOp {
    fn name(&self) -> String {
        match self.kind {
            Kind::Max => "max_pool2d",
            Kind::MaxGrad => "max_pool2d_grad",
            Kind::Avg => "avg_pool2d",
            Kind::AvgGrad => "avg_pool2d_grad",
        }
        .to_owned()
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        let batch = inputs[0].dims[0].clone();
        let sizes = &self.sizes;
        let [height, width] = match self.kind {
            Kind::Max | Kind::Avg => [sizes.out_height(), sizes.out_width()],
            Kind::MaxGrad | Kind::AvgGrad => [sizes.height, sizes.width],
        };
        Ok(Type::f32([batch, sizes.channels.into(), height.into(), width.into()]))
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        let mut apply = |kind, inputs: &[Value]| builder.apply(Arc::new(Pool2dOp { kind, sizes: self.sizes }), inputs);
        match self.kind {
            Kind::Max => Ok(vec![Some(apply(Kind::MaxGrad, &[node.inputs[0], node.output, node.grad_output])?)]),
            Kind::Avg => Ok(vec![Some(apply(Kind::AvgGrad, &[node.grad_output])?)]),
            Kind::AvgGrad => Ok(vec![Some(apply(Kind::Avg, &[node.grad_output])?)]),
            Kind::MaxGrad => Err(Mistake::new("the gradient of max_pool2d cannot be differentiated again")),
        }
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        if inputs.iter().all(|input| input.batched) { Batching::PerSample } else { Batching::Whole }
    }

    fn needs_samples(&self) -> bool {
        true
    }

    fn layouts(&self) -> Layouts {
        Layouts::Only(Layout::Samples)
    }

    fn takes_one_sample(&self) -> bool {
        matches!(self.kind, Kind::Max | Kind::Avg)
    }

    fn reads_saved(&self) -> Option<Saved> {
        (self.kind == Kind::MaxGrad && self.sizes.can_save()).then_some(Saved { of: 1, instead_of: 0 })
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let function = match self.kind {
            Kind::Max if call.layout == Layout::Rows => {
                return Kernel::with_sizes("pool2d::max_rows", "pool2d", &self.sizes)
                    .scratch(self.sizes.rows_scratch());
            }
            Kind::Avg if call.layout == Layout::Rows => {
                return Kernel::with_sizes("pool2d::avg_rows", "pool2d", &self.sizes)
                    .scratch(self.sizes.rows_scratch());
            }
            Kind::Max if call.saved => {
                return Kernel::with_sizes("pool2d::max_forward_saving", "pool2d", &self.sizes)
                    .saves(self.sizes.saved())
                    .with_relu("pool2d::max_forward_saving_relu");
            }
            Kind::Max => {
                return Kernel::with_sizes("pool2d::max_forward", "pool2d", &self.sizes)
                    .with_relu("pool2d::max_forward_relu");
            }
            Kind::MaxGrad if call.saved => "pool2d::max_grad_saved",
            Kind::MaxGrad => "pool2d::max_grad",
            Kind::Avg => "pool2d::avg_forward",
            Kind::AvgGrad => "pool2d::avg_grad",
        };
        Kernel::with_sizes(function, "pool2d", &self.sizes)
    }

    fn kernel_behind(&self, first: &First<'_>, saves: bool) -> Option<Kernel> {
        let convolution: &Conv2dOp = first.as_op()?;
        let is_pooled = self.kind == Kind::Max && first.layout == Layout::Samples && first.is_alone;
        is_pooled.then(|| convolution.kernel_pooled(&self.sizes, saves))?
    }

    fn cuda(&self, _: &[Type], output: &Type) -> Vec<Part> {
        let Sizes { channels, height, width, kernel_size, stride, padding } = self.sizes;
        let literal = format!(
            "Pool2d{{.channels = {channels}, .height = {height}, .width = {width}, .kernel_height = {}, .kernel_width = {}, \
             .stride_y = {}, .stride_x = {}, .padding_y = {}, .padding_x = {}}}",
            kernel_size[0], kernel_size[1], stride[0], stride[1], padding[0], padding[1]
        );
        let window = kernel_size[0] * kernel_size[1];
        // How many windows hold an element, about.
        let windows = window.div_ceil(stride[0] * stride[1]);
        let (function, reads): (_, &[usize]) = match self.kind {
            Kind::Max => ("pool2d_max", &[window]),
            Kind::MaxGrad => ("pool2d_max_grad", &[windows * window, windows, windows]),
            Kind::Avg => ("pool2d_avg", &[window]),
            Kind::AvgGrad => ("pool2d_avg_grad", &[windows]),
        };
        let mut part = Part::new(&["pool2d"], function, literal, reads.len(), output).reads(reads.iter().copied());
        let tiled = stride == kernel_size && padding == [0, 0] && height % stride[0] == 0 && width % stride[1] == 0;
        part.once = tiled && matches!(self.kind, Kind::Max | Kind::Avg);
        vec![part]
    }

    fn cost(&self, _: &[Type], _: &Type) -> u64 {
        let sizes = &self.sizes;
        let [rows, columns] = sizes.kernel_size;
        [sizes.channels, sizes.out_height(), sizes.out_width(), rows, columns]
            .into_iter()
            .fold(1, |product, size| product.saturating_mul(size as u64))
    }

    fn largest_from(&self) -> Option<usize> {
        (self.kind == Kind::Max).then_some(2)
    }

    fn unread(&self) -> [usize; 2] {
        let Sizes { height, width, kernel_size, stride, padding, .. } = self.sizes;
        // What the windows leave of the padded image begins in the padding.
        let unread = |size: usize, axis: usize| {
            ((size + 2 * padding[axis] - kernel_size[axis]) % stride[axis]).saturating_sub(padding[axis])
        };
        match self.kind {
            Kind::Max | Kind::Avg => [unread(height, 0), unread(width, 1)],
            Kind::MaxGrad | Kind::AvgGrad => [0, 0],
        }
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        let mut result = Array::zeros(output);
        let window = (self.sizes.kernel_size[0] * self.sizes.kernel_size[1]) as f64;
        if self.kind == Kind::Max {
            result.data.fill(f64::NEG_INFINITY);
        }
        for s in 0..output[0] {
            let mut taken = std::collections::HashSet::new();
            self.for_each(|c, [y, x], [row, column]| {
                let (out, own) = ([s, c, y, x], [s, c, row, column]);
                match self.kind {
                    Kind::Max => *result.at_mut(&out) = result.at(&out).max(inputs[0].at(&own)),
                    Kind::Avg => *result.at_mut(&out) += inputs[0].at(&own) / window,
                    Kind::AvgGrad => *result.at_mut(&own) += inputs[0].at(&out) / window,
                    // The first of several equal maxima takes the gradient.
                    Kind::MaxGrad => {
                        if inputs[0].at(&own) == inputs[1].at(&out) && taken.insert(out) {
                            *result.at_mut(&own) += inputs[2].at(&out);
                        }
                    }
                }
            });
        }
        result
    }
}
