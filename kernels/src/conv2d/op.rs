//! What the operation is: its rules of shapes and gradients, its kernels, and its naive version.

use std::sync::Arc;

use super::Sizes;
use crate::cuda::{Along, Part, product};
use crate::dim::{Dim, Type};
use crate::op::{
    Array, Batching, Builder, Call, Differentiated, First, Kernel, Layout, Layouts, Mistake, Op, Operand, Value, known,
};
use crate::pool2d::{self, Pool2dOp};

/// Which of the three products of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Product {
    /// input, weight -> output
    Forward,
    /// grad_output, weight -> grad_input
    GradInput,
    /// grad_output, input -> grad_weight, summed over samples
    GradWeight,
}

/// A convolution, or one of its two gradients, which are convolutions of their own kind.
#[derive(Debug, Clone)]
pub struct Conv2dOp {
    product: Product,
    sizes: Sizes,
}

/// Floats of the largest padded image: no size that the kernels compute overflows below it.
const MAX_FLOATS: f64 = (1_u64 << 40) as f64;

/// How a convolution moves over its input.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    /// Step between two outputs, rows and columns.
    pub stride: [usize; 2],
    /// Zeros around the input, rows and columns.
    pub padding: [usize; 2],
    /// Step between two kernel elements, rows and columns.
    pub dilation: [usize; 2],
    /// Independent groups of channels.
    pub groups: usize,
}

/// Convolves `input` [B, C_in, H, W] with `weight` [C_out, C_in / groups, KH, KW].
///
/// # Errors
/// The input is no batch of images of known size, its channels differ from the weight's, or the kernel does not fit.
pub fn conv2d(builder: &mut dyn Builder, input: Value, weight: Value, geometry: Geometry) -> Result<Value, Mistake> {
    let ty = builder.ty(input);
    let weight_ty = known(&builder.ty(weight), 0, "the weight")?;
    let (&[out_channels, channels, kernel_height, kernel_width], true) = (weight_ty.as_slice(), ty.rank() == 4) else {
        return Err(Mistake::new(format!(
            "{{layer}} takes images [N, channels, height, width], but its input is {ty}"
        ))
        .help(crate::layers::rank_help(&ty, 4)));
    };
    let image = known(&ty, 1, "channels, height and width")?;
    let Geometry { stride, padding, dilation, groups } = geometry;
    let in_channels = channels * groups;
    if image[0] != in_channels {
        return Err(Mistake::new(format!("{{layer}} takes {in_channels} channels, but its input has {}", image[0]))
            .at("in_channels")
            .help(format!("write `{}`, or leave `in_channels` out", image[0])));
    }
    let kernel_size = [kernel_height, kernel_width];
    for (axis, name) in ["height", "width"].into_iter().enumerate() {
        let padded = image[axis + 1] + 2 * padding[axis];
        let spread = dilation[axis] * (kernel_size[axis] - 1) + 1;
        if spread > padded {
            let with = if padding[axis] > 0 { format!(" with padding {}", padding[axis]) } else { String::new() };
            return Err(Mistake::new(format!(
                "{{layer}} with kernel_size {} does not fit its input {ty}: {name} {}{with} < {spread}",
                kernel_size[axis],
                image[axis + 1]
            ))
            .at("kernel_size")
            .fits((1..=(padded - 1) / dilation[axis] + 1).rev().take(crate::op::MOST_FITS))
            .help(format!("at most {} fits, or more padding", (padded - 1) / dilation[axis] + 1)));
        }
    }
    // What its gradients read lies up to a kernel's spread beyond the image on every side.
    let beyond = |axis: usize| {
        image[axis + 1] as f64 + 2.0 * padding[axis] as f64 + 2.0 * dilation[axis] as f64 * kernel_size[axis] as f64
    };
    let floats = in_channels.max(out_channels) as f64 * beyond(0) * beyond(1);
    if floats > MAX_FLOATS {
        return Err(Mistake::new(format!(
            "{{layer}} with kernel_size {} x {} and padding {} x {} needs more memory for its input {ty} than a machine can address",
            kernel_size[0], kernel_size[1], padding[0], padding[1]
        )));
    }
    let sizes = Sizes {
        in_channels,
        out_channels,
        height: image[1],
        width: image[2],
        kernel_size,
        stride,
        padding,
        dilation,
        groups,
    };
    builder.apply(Arc::new(Conv2dOp { product: Product::Forward, sizes }), &[input, weight])
}

impl Sizes {
    fn weight(&self) -> [usize; 4] {
        [self.out_channels, self.in_channels / self.groups, self.kernel_size[0], self.kernel_size[1]]
    }

    /// Calls `f` with (output channel, input channel of its group, output row, output column, kernel row, kernel column,
    /// input channel, input row, input column) for every product of the convolution of one image.
    fn for_each(&self, mut f: impl FnMut([usize; 9])) {
        let [out_channels, channels, kernel_height, kernel_width] = self.weight();
        for o in 0..out_channels {
            let group = o / (out_channels / self.groups);
            for (c, y, x) in (0..channels)
                .flat_map(|c| (0..self.out_height()).flat_map(move |y| (0..self.out_width()).map(move |x| (c, y, x))))
            {
                for (ky, kx) in (0..kernel_height).flat_map(|ky| (0..kernel_width).map(move |kx| (ky, kx))) {
                    let row = (y * self.stride[0] + ky * self.dilation[0]).wrapping_sub(self.padding[0]);
                    let column = (x * self.stride[1] + kx * self.dilation[1]).wrapping_sub(self.padding[1]);
                    if row < self.height && column < self.width {
                        f([o, c, y, x, ky, kx, group * channels + c, row, column]);
                    }
                }
            }
        }
    }
}

impl Conv2dOp {
    /// The kernel for the convolution and that pooling of its output, if there is one.
    pub(crate) fn kernel_pooled(&self, pooling: &pool2d::Sizes, saves: bool) -> Option<Kernel> {
        let sizes = &self.sizes;
        let is_pooled = self.product == Product::Forward && sizes.is_pooled() && sizes.pooling() == *pooling;
        is_pooled.then(|| {
            let [function, relu] = if saves {
                ["conv2d::forward_pooled_saving", "conv2d::forward_pooled_saving_relu"]
            } else {
                ["conv2d::forward_pooled", "conv2d::forward_pooled_relu"]
            };
            let kernel = Kernel::with_sizes(function, "conv2d", sizes).with_relu(relu);
            let kernel = kernel.scratch(sizes.pooled_scratch()).kept(sizes.kept());
            if saves { kernel.saves(pooling.saved()) } else { kernel }
        })
    }
}

impl Op for Conv2dOp {
    fn name(&self) -> String {
        match self.product {
            Product::Forward => "conv2d",
            Product::GradInput => "conv2d_grad_input",
            Product::GradWeight => "conv2d_grad_weight",
        }
        .to_owned()
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake> {
        let sizes = &self.sizes;
        let batch = inputs[0].dims[0].clone();
        let image = |c: usize, h: usize, w: usize| Type::f32([batch.clone(), c.into(), h.into(), w.into()]);
        Ok(match self.product {
            Product::Forward => image(sizes.out_channels, sizes.out_height(), sizes.out_width()),
            Product::GradInput => image(sizes.in_channels, sizes.height, sizes.width),
            Product::GradWeight => Type::f32(sizes.weight()),
        })
    }

    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake> {
        // The convolution is linear in both operands: with output = forward(input, weight), the gradient of each product is
        // another of the three.
        let mut apply =
            |product, inputs: [Value; 2]| builder.apply(Arc::new(Conv2dOp { product, sizes: self.sizes }), &inputs);
        let [first, second] = [node.inputs[0], node.inputs[1]];
        let grad = node.grad_output;
        let wanted = |position: usize| node.wanted[position];
        let (for_first, for_second) = match self.product {
            Product::Forward => ((Product::GradInput, [grad, second]), (Product::GradWeight, [grad, first])),
            Product::GradInput => ((Product::Forward, [grad, second]), (Product::GradWeight, [first, grad])),
            Product::GradWeight => ((Product::Forward, [second, grad]), (Product::GradInput, [first, grad])),
        };
        let first = wanted(0).then(|| apply(for_first.0, for_first.1)).transpose()?;
        let second = wanted(1).then(|| apply(for_second.0, for_second.1)).transpose()?;
        Ok(vec![first, second])
    }

    fn batching(&self, inputs: &[Operand], _: &Type) -> Batching {
        match self.product {
            Product::GradWeight if inputs.iter().all(|input| input.batched) => Batching::SumsSamples,
            Product::Forward | Product::GradInput if inputs[0].batched && !inputs[1].batched => Batching::PerSample,
            _ => Batching::Whole,
        }
    }

    fn needs_samples(&self) -> bool {
        true
    }

    fn layouts(&self) -> Layouts {
        Layouts::Only(Layout::Samples)
    }

    fn takes_one_sample(&self) -> bool {
        self.product == Product::Forward
    }

    fn kernel(&self, call: &Call) -> Kernel {
        let kernel = |function| Kernel::with_sizes(function, "conv2d", &self.sizes);
        match self.product {
            Product::Forward if call.layout == Layout::Rows => {
                kernel("conv2d::forward_rows").scratch(self.sizes.forward_rows_scratch())
            }
            Product::Forward => kernel("conv2d::forward").scratch(self.sizes.scratch()).kept(self.sizes.kept()),
            Product::GradInput => kernel("conv2d::grad_input").scratch(self.sizes.scratch()).kept(self.sizes.kept()),
            Product::GradWeight => {
                kernel("conv2d::grad_weight").scratch(self.sizes.grad_weight_scratch()).accumulates()
            }
        }
    }

    fn kernel_behind(&self, first: &First<'_>, _: bool) -> Option<Kernel> {
        let pooling: &Pool2dOp = first.as_op()?;
        let is_pooled = self.product == Product::GradWeight
            && first.position == 0
            && first.reads_saved
            && self.sizes.is_gradient_pooled()
            && pooling.is_max_grad_of(&self.sizes.pooling());
        let kernel = || Kernel::with_sizes("conv2d::grad_weight_pooled", "conv2d", &self.sizes);
        is_pooled.then(|| kernel().scratch(self.sizes.grad_weight_pooled_scratch()).accumulates())
    }

    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part> {
        let sizes = &self.sizes;
        let [out_channels, channels, height, width] = sizes.weight();
        let literal = format!(
            "Conv2d{{.in_channels = {}, .out_channels = {}, .height = {}, .width = {}, .kernel_height = {height}, \
             .kernel_width = {width}, .stride_y = {}, .stride_x = {}, .padding_y = {}, .padding_x = {}, .dilation_y = {}, \
             .dilation_x = {}, .groups = {}}}",
            sizes.in_channels,
            sizes.out_channels,
            sizes.height,
            sizes.width,
            sizes.stride[0],
            sizes.stride[1],
            sizes.padding[0],
            sizes.padding[1],
            sizes.dilation[0],
            sizes.dilation[1],
            sizes.groups
        );
        let part = |function| Part::new(&["conv2d"], function, literal, 2, output);
        vec![match self.product {
            Product::Forward => part("conv2d_forward").reads([channels * height * width; 2]),
            Product::GradInput => part("conv2d_grad_input").reads([out_channels / sizes.groups * height * width; 2]),
            Product::GradWeight => {
                let positions = Dim::known(sizes.out_height() * sizes.out_width());
                let terms = product(&[inputs[0].dims[0].clone(), positions]);
                part("conv2d_grad_weight").sum(terms, Along::Terms)
            }
        }]
    }

    fn cost(&self, _: &[Type], _: &Type) -> u64 {
        let positions = [self.sizes.out_height(), self.sizes.out_width()];
        self.sizes.weight().iter().chain(&positions).fold(1, |product, size| product.saturating_mul(*size as u64))
    }

    fn reference(&self, inputs: &[&Array], output: &[usize], _: u64) -> Array {
        let mut result = Array::zeros(output);
        let samples = inputs[0].dims[0];
        for s in 0..samples {
            self.sizes.for_each(|[o, c, y, x, ky, kx, channel, row, column]| match self.product {
                Product::Forward => {
                    *result.at_mut(&[s, o, y, x]) +=
                        inputs[0].at(&[s, channel, row, column]) * inputs[1].at(&[o, c, ky, kx]);
                }
                Product::GradInput => {
                    *result.at_mut(&[s, channel, row, column]) +=
                        inputs[0].at(&[s, o, y, x]) * inputs[1].at(&[o, c, ky, kx]);
                }
                Product::GradWeight => {
                    *result.at_mut(&[o, c, ky, kx]) +=
                        inputs[0].at(&[s, o, y, x]) * inputs[1].at(&[s, channel, row, column]);
                }
            });
        }
        result
    }
}
