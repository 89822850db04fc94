//! The gradients of a network's parameters.

use std::fmt;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::floats::Floats;
use crate::home::{Parameter, elements};
use crate::plan::ModulePlan;
use crate::structure::{Bound, Identity};
use crate::tensor::Tensor;

/// The gradient of a loss with respect to each parameter of a network, as its `loss_grad` gives it.
///
/// Parameters that are not trained have the gradient zero.
#[derive(Clone)]
pub struct Gradients {
    identity: Identity,
    plan: &'static ModulePlan,
    /// In the layout of the parameters; zero in the gaps.
    values: Floats,
    /// The parameters that the function gave a gradient; an optimizer moves no other, as in PyTorch.
    pub(crate) trained: &'static [Range<usize>],
}

impl Gradients {
    /// Zeros for a module.
    pub(crate) fn zeros(bound: &Bound<'_>, plan: &'static ModulePlan) -> Self {
        Self { identity: bound.identity(), plan, values: Floats::zeros(bound.length), trained: &[] }
    }

    /// The keys of the parameters: `conv1.weight`, `conv1.bias`, ...
    pub fn names(&self) -> impl ExactSizeIterator<Item = &'static str> + use<> {
        self.plan.parameters.iter().map(|parameter| parameter.name)
    }

    /// A copy of the gradient of the parameter with this key.
    ///
    /// Errors: there is no such parameter.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let Some(parameter) = self.plan.parameters.iter().find(|parameter| parameter.name == name) else {
            return Err(Error::UnknownParameter { name: name.into(), known: self.names().collect() });
        };
        Tensor::new(&self.values[parameter.offset..parameter.offset + elements(parameter)], parameter.dims)
    }

    /// The gradient of this parameter, row-major.
    ///
    /// Errors: the parameter belongs to another network than the gradients.
    pub fn of(&self, parameter: &Parameter) -> Result<&[f32]> {
        let Identity { home, base, length } = self.identity;
        let range = parameter.range();
        if parameter.home.id != home || range.start < base || range.end > base + length {
            return Err(Error::ForeignGradients { function: "Gradients::of".into() });
        }
        Ok(&self.values[range.start - base..range.end - base])
    }

    /// The Euclidean norm of all gradients together, √(Σ g²).
    #[must_use]
    pub fn norm(&self) -> f64 {
        self.values.iter().map(|&gradient| f64::from(gradient).powi(2)).sum::<f64>().sqrt()
    }

    /// Whether they were made for this module.
    pub(crate) fn check(&self, bound: &Bound<'_>, function: &str) -> Result<()> {
        if self.identity == bound.identity() {
            Ok(())
        } else {
            Err(Error::ForeignGradients { function: function.into() })
        }
    }

    pub(crate) fn values(&self) -> &[f32] {
        &self.values[..self.identity.length]
    }

    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.identity.length]
    }
}

impl fmt::Debug for Gradients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gradients of {} with the norm {}", self.plan.name, self.norm())
    }
}
