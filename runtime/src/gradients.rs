//! The gradients of a network's parameters.

use std::fmt;
use std::ops::Range;

use crate::cuda::{Gpu, Remote};
use crate::error::{Error, Result};
use crate::home::{Parameter, elements};
use crate::plan::ModulePlan;
use crate::structure::{Bound, Identity};
use crate::tensor::Tensor;
use crate::values::Values;

/// The gradient of a loss with respect to each parameter of a network, as its `loss_grad` gives it.
///
/// Parameters that are not trained have the gradient zero.
#[derive(Clone)]
pub struct Gradients {
    identity: Identity,
    plan: &'static ModulePlan,
    /// In the layout of the parameters; zero in the gaps.
    values: Values,
    /// The parameters that the function gave a gradient; an optimizer moves no other, as in PyTorch.
    pub(crate) trained: &'static [Range<usize>],
}

impl Gradients {
    /// Zeros for a module.
    pub(crate) fn zeros(bound: &Bound<'_>, plan: &'static ModulePlan) -> Self {
        Self { identity: bound.identity(), plan, values: Values::zeros(bound.length), trained: &[] }
    }

    /// The keys of the parameters: `conv1.weight`, `conv1.bias`, ...
    pub fn names(&self) -> impl ExactSizeIterator<Item = &'static str> + use<> {
        self.plan.parameters.iter().map(|parameter| parameter.name)
    }

    /// A copy of the gradient of the parameter with this key.
    ///
    /// Errors: there is no such parameter; the driver of the network's device fails.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let Some(parameter) = self.plan.parameters.iter().find(|parameter| parameter.name == name) else {
            return Err(Error::UnknownParameter { name: name.into(), known: self.names().collect() });
        };
        Tensor::new(&self.values.read()?[parameter.offset..parameter.offset + elements(parameter)], parameter.dims)
    }

    /// The gradient of this parameter, row-major.
    ///
    /// Errors: the parameter belongs to another network than the gradients; the driver of the network's device fails.
    pub fn of(&self, parameter: &Parameter) -> Result<&[f32]> {
        let Identity { home, base, length } = self.identity;
        let range = parameter.range();
        if parameter.home.id != home || range.start < base || range.end > base + length {
            return Err(Error::ForeignGradients { function: "Gradients::of".into() });
        }
        Ok(&self.values.read()?[range.start - base..range.end - base])
    }

    /// The Euclidean norm of all gradients together, √(Σ g²).
    ///
    /// Panics if the driver of the network's device fails; [`get`](Self::get) returns the error.
    #[must_use]
    pub fn norm(&self) -> f64 {
        let values = self.values.read().unwrap_or_else(|error| panic!("{error}"));
        values.iter().map(|&gradient| f64::from(gradient).powi(2)).sum::<f64>().sqrt()
    }

    /// Whether they were made for this module.
    pub(crate) fn check(&self, bound: &Bound<'_>, function: &str) -> Result<()> {
        if self.identity == bound.identity() {
            Ok(())
        } else {
            Err(Error::ForeignGradients { function: function.into() })
        }
    }

    /// Errors: the driver of a device fails.
    pub(crate) fn values(&self) -> Result<&[f32]> {
        Ok(&self.values.read()?[..self.identity.length])
    }

    /// Errors: the driver of a device fails.
    pub(crate) fn values_mut(&mut self) -> Result<&mut [f32]> {
        Ok(&mut self.values.host_mut()?[..self.identity.length])
    }

    /// To be written on a device.
    pub(crate) fn anywhere_mut(&mut self) -> &mut Values {
        &mut self.values
    }

    /// The gradients on a device, copied unless they are there.
    ///
    /// Errors: the device has no room left; a driver fails.
    pub(crate) fn on(&self, gpu: &'static Gpu) -> Result<Remote<f32>> {
        self.values.on(gpu, self.identity.length)
    }
}

impl fmt::Debug for Gradients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gradients of {} with the norm {}", self.plan.name, self.norm())
    }
}
