//! The layers that a module can have as fields. Their arguments stand in `#[layer(..)]`; what runs them is compiled.

use std::fmt;
use std::sync::Arc;

use crate::home::{Home, Parameter};
use crate::plan::LayerPlan;
use crate::structure::{Builder, Structure, Visitor, VisitorMut};

/// Two-dimensional cross-correlation over images, as `torch.nn.Conv2d`.
///
/// input `[N, in_channels, H, W]` → output `[N, out_channels, H_out, W_out]`,
/// H_out = (H + 2·padding − dilation·(kernel_size − 1) − 1) / stride + 1
///
/// At the start, weight and bias are uniform in ±1/√(in_channels / groups · kernel_size²), as in PyTorch.
///
/// On the CPU, kernels of 3 x 3 and 5 x 5 with stride and dilation 1 take fewer products (Winograd's form) where the channels
/// are many enough to pay for it, in batches of five samples and more. Their rounding is two to three times that of a plain sum
/// for 3 x 3, eight times for 5 x 5, and an infinite or NaN input reaches a few more outputs of its own sample. The gradient of
/// a 5 x 5 weight is a plain sum.
pub struct Conv2d {
    /// `[out_channels, in_channels / groups, kernel_size, kernel_size]`
    pub weight: Parameter,
    /// `[out_channels]`; `None` with `bias = false`
    pub bias: Option<Parameter>,
    plan: &'static LayerPlan,
}

/// An affine map of the last axis, y = x·Wᵀ + b, as `torch.nn.Linear`.
///
/// input `[.., in_features]` → output `[.., out_features]`
///
/// At the start, weight and bias are uniform in ±1/√in_features, as in PyTorch.
pub struct Linear {
    /// `[out_features, in_features]`
    pub weight: Parameter,
    /// `[out_features]`; `None` with `bias = false`
    pub bias: Option<Parameter>,
    plan: &'static LayerPlan,
}

/// Sets elements to zero with probability p in training, and scales the others by 1 / (1 − p), as `torch.nn.Dropout`.
/// Outside of training it changes nothing.
///
/// The masks follow from the network's seed, the number of the training step and the index of the sample in its batch.
pub struct Dropout {
    pub(crate) home: Arc<Home>,
    pub(crate) plan: &'static LayerPlan,
}

/// A layer with a weight and perhaps a bias, in this order.
macro_rules! weight_and_bias {
    ($layer:ident) => {
        impl Structure for $layer {
            fn build(builder: &mut Builder<'_>) -> Self {
                let plan = builder.layer();
                let weight = builder.parameter();
                let bias = (plan.parameters == 2).then(|| builder.parameter());
                Self { weight, bias, plan }
            }

            fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
                visitor.parameter(&self.weight);
                self.bias.iter().for_each(|bias| visitor.parameter(bias));
            }

            fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>) {
                visitor.parameter(&mut self.weight);
                self.bias.iter_mut().for_each(|bias| visitor.parameter(bias));
            }
        }
    };
}

weight_and_bias!(Conv2d);
weight_and_bias!(Linear);

impl Structure for Dropout {
    fn build(builder: &mut Builder<'_>) -> Self {
        let plan = builder.layer();
        Self { home: builder.home(), plan }
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.dropout(self);
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>) {
        visitor.dropout(self);
    }
}

/// A layer prints as PyTorch prints it: `Linear(in_features=60, out_features=10, bias=True)`.
macro_rules! print_as_in_pytorch {
    ($($layer:ident),*) => {$(
        impl fmt::Display for $layer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.plan.description)
            }
        }

        impl fmt::Debug for $layer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

print_as_in_pytorch!(Conv2d, Linear, Dropout);
