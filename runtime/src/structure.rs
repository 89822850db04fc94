//! How a module's fields are made and walked, and the check that a module still holds the parameters it was made with.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::home::{Home, Parameter};
use crate::layers::Dropout;
use crate::plan::{LayerPlan, ModulePlan, Plan};
use crate::workspace::Workspaces;

/// What a module has: layers and modules, in the order of its fields.
pub trait Structure {
    /// Makes it from the next layers of the plan.
    fn build(builder: &mut Builder<'_>) -> Self
    where
        Self: Sized;

    /// Shows its layers to the visitor, in the order in which [`build`](Self::build) makes them.
    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>);

    /// The same with exclusive borrows.
    ///
    /// That a walk can be written with these is what proves that nobody else holds a parameter of this module.
    fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>);
}

/// Sees the parts of a module.
pub trait Visitor<'a> {
    /// A parameter.
    fn parameter(&mut self, parameter: &'a Parameter);

    /// A layer without parameters that belongs to its network all the same.
    fn dropout(&mut self, dropout: &'a Dropout) {
        let _ = dropout;
    }
}

/// Sees the parts of a module, to change them.
pub trait VisitorMut<'a> {
    /// A parameter.
    fn parameter(&mut self, parameter: &'a mut Parameter);

    /// A layer without parameters that belongs to its network all the same.
    fn dropout(&mut self, dropout: &'a mut Dropout) {
        let _ = dropout;
    }
}

impl<M: Structure, const LEN: usize> Structure for [M; LEN] {
    fn build(builder: &mut Builder<'_>) -> Self {
        std::array::from_fn(|_| M::build(builder))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        self.iter().for_each(|module| module.visit(visitor));
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>) {
        self.iter_mut().for_each(|module| module.visit_mut(visitor));
    }
}

/// Hands out the layers of a plan, one after the other, and so each parameter once.
pub struct Builder<'h> {
    home: &'h Arc<Home>,
    n_layers: usize,
    n_parameters: usize,
}

impl<'h> Builder<'h> {
    /// Makes a module in a home that has no handles yet.
    pub(crate) fn build<M: Structure>(home: &'h Arc<Home>) -> M {
        let mut builder = Self { home, n_layers: 0, n_parameters: 0 };
        let module = M::build(&mut builder);
        let (layers, parameters) = (home.plan.layers.len(), home.plan.parameters.len());
        assert!(
            (builder.n_layers, builder.n_parameters) == (layers, parameters),
            "compiler bug: `{}` took {} of {layers} layers and {} of {parameters} parameters",
            home.plan.name,
            builder.n_layers,
            builder.n_parameters
        );
        module
    }

    /// The next layer.
    pub(crate) fn layer(&mut self) -> &'static LayerPlan {
        let plan = self.home.plan;
        let layer = plan.layers.get(self.n_layers);
        self.n_layers += 1;
        layer.unwrap_or_else(|| panic!("compiler bug: `{}` has more layers than its plan", plan.name))
    }

    /// The handle of the next parameter.
    pub(crate) fn parameter(&mut self) -> Parameter {
        self.n_parameters += 1;
        Parameter::new(self.home, self.n_parameters - 1)
    }

    pub(crate) fn home(&self) -> Arc<Home> {
        Arc::clone(self.home)
    }
}

/// A module whose parameters were found to be those that its plan describes, borrowed for a call.
#[derive(Clone, Copy)]
pub struct Bound<'a> {
    /// `None` for a function without a module, or a module without layers.
    pub(crate) home: Option<&'a Home>,
    pub(crate) base: usize,
    pub(crate) length: usize,
    pub(crate) workspaces: &'a Workspaces,
    pub(crate) model: &'static str,
}

/// As [`Bound`], borrowed exclusively.
pub struct BoundMut<'a>(Bound<'a>);

/// The workspaces of modules without layers, which have no home.
static HOMELESS: Workspaces = Workspaces::new();

impl<'a> Bound<'a> {
    /// A function without a module.
    #[must_use]
    pub fn function(workspaces: &'static Workspaces) -> Self {
        Self { home: None, base: 0, length: 0, workspaces, model: "" }
    }

    /// Its parameters, in the layout of its plan.
    ///
    /// Errors: the driver of the network's device fails.
    pub(crate) fn parameters(&self) -> Result<&'a [f32]> {
        // SAFETY: `Walk::finish` found that the handles into this range are exactly those of the module, and they are
        // borrowed for 'a, because the walk saw them as `&'a Parameter`.
        self.home.map_or(Ok(&[]), |home| unsafe { home.floats(self.range()) })
    }

    /// Sends to the network's device what is newer in host memory.
    ///
    /// Errors: the driver of the device fails.
    pub(crate) fn send_parameters(&self) -> Result<()> {
        // SAFETY: as in `parameters`.
        self.home.map_or(Ok(()), |home| unsafe { home.send(&self.range()) })
    }

    /// Whether it is a whole network, rather than a part of one.
    pub(crate) fn is_whole(&self) -> bool {
        self.home.is_some_and(|home| self.length == home.plan.length)
    }

    pub(crate) fn range(&self) -> Range<usize> {
        self.base..self.base + self.length
    }

    /// Tells modules apart: home, place and length in it.
    pub(crate) fn identity(&self) -> Identity {
        Identity { home: self.home.map_or(0, |home| home.id), base: self.base, length: self.length }
    }
}

impl<'a> BoundMut<'a> {
    /// The same module, borrowed for less.
    #[must_use]
    pub fn shared(&self) -> Bound<'_> {
        self.0
    }

    /// Its workspaces, which are no part of what is borrowed exclusively.
    pub(crate) fn workspaces(&self) -> &'a Workspaces {
        self.0.workspaces
    }

    /// Its parameters, in the layout of its plan, to be changed.
    ///
    /// Errors: the driver of the network's device fails.
    pub(crate) fn parameters_mut(&mut self) -> Result<&mut [f32]> {
        let range = self.0.range();
        // SAFETY: as in `Bound::parameters`, and the walk saw the handles as `&'a mut Parameter`. Slices given out by
        // `shared` or by this function have ended, since they borrow `self`.
        self.0.home.map_or(Ok(&mut []), |home| unsafe { home.floats_mut(range) })
    }
}

/// Tells modules apart: which home, and which part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub(crate) home: u64,
    pub(crate) base: usize,
    pub(crate) length: usize,
}

/// Borrows a module for a call of one of its functions. `module_plan` is that of the module's own type, also where it is
/// part of a larger network.
///
/// Errors: the module holds a parameter that it was not made with.
pub fn bind<'a>(module: &'a impl Structure, module_plan: &'static ModulePlan, plan: &Plan) -> Result<Bound<'a>> {
    bind_for(module, module_plan, plan.function)
}

/// As [`bind`], for a call that changes the parameters.
///
/// Errors: the module holds a parameter that it was not made with.
pub fn bind_mut<'a>(
    module: &'a mut impl Structure,
    module_plan: &'static ModulePlan,
    plan: &Plan,
) -> Result<BoundMut<'a>> {
    bind_mut_for(module, module_plan, plan.function)
}

/// As [`bind`], for any function.
///
/// Errors: the module holds a parameter that it was not made with.
pub(crate) fn bind_for<'a>(
    module: &'a impl Structure,
    module_plan: &'static ModulePlan,
    function: &str,
) -> Result<Bound<'a>> {
    let mut walk = Walk::new(module_plan);
    module.visit(&mut walk);
    walk.finish(function)
}

pub(crate) fn bind_mut_for<'a>(
    module: &'a mut impl Structure,
    module_plan: &'static ModulePlan,
    function: &str,
) -> Result<BoundMut<'a>> {
    let mut walk = Walk::new(module_plan);
    module.visit_mut(&mut walk);
    walk.finish(function).map(BoundMut)
}

/// Compares the parameters of a module with its plan while it walks over them. It allocates nothing.
///
/// It passes if the handles are a run of consecutive parameters of one home, at the offsets and with the shapes of the
/// plan, relative to the first. So the part of the home from the first one on, as long as the plan says, belongs to these
/// handles and to no other.
struct Walk<'a> {
    plan: &'static ModulePlan,
    home: Option<&'a Home>,
    /// The first parameter: its index and offset in the home.
    first: Option<(usize, usize)>,
    n_parameters: usize,
    /// The name of the first parameter or layer that is not where it belongs.
    foreign: Option<&'static str>,
}

impl<'a> Walk<'a> {
    fn new(plan: &'static ModulePlan) -> Self {
        Self { plan, home: None, first: None, n_parameters: 0, foreign: None }
    }

    /// Whether it is the home of what came before.
    fn is_home(&mut self, home: &'a Home) -> bool {
        std::ptr::eq(*self.home.get_or_insert(home), home)
    }

    fn belongs(&mut self, parameter: &'a Parameter) -> bool {
        let Some(expected) = self.plan.parameters.get(self.n_parameters) else { return false };
        let (index, offset) = *self.first.get_or_insert((parameter.index, parameter.plan.offset));
        self.is_home(&parameter.home)
            && parameter.index == index + self.n_parameters
            && parameter.plan.offset == offset + expected.offset
            && parameter.plan.dims == expected.dims
    }

    fn finish(self, function: &str) -> Result<Bound<'a>> {
        let missing = self.plan.parameters.get(self.n_parameters).map(|parameter| parameter.name);
        if let Some(parameter) = self.foreign.or(missing) {
            return Err(Error::ForeignParameters { function: function.into(), parameter: parameter.into() });
        }
        let base = self.first.map_or(0, |(_, offset)| offset);
        let length = if self.first.is_some() { self.plan.length } else { 0 };
        if let (Some(home), Some((index, _))) = (self.home, self.first) {
            let next = home.plan.parameters.get(index + self.n_parameters);
            let end = next.map_or(home.plan.length, |next| next.offset);
            assert!(base + length <= end, "compiler bug: `{}` is longer than its part of a network", self.plan.name);
        }
        let workspaces = self.home.map_or(&HOMELESS, |home| &home.workspaces);
        Ok(Bound { home: self.home, base, length, workspaces, model: self.plan.name })
    }
}

impl<'a> Visitor<'a> for Walk<'a> {
    fn parameter(&mut self, parameter: &'a Parameter) {
        if self.foreign.is_none() && !self.belongs(parameter) {
            let expected = self.plan.parameters.get(self.n_parameters);
            self.foreign = Some(expected.map_or(parameter.name(), |expected| expected.name));
        }
        self.n_parameters += 1;
    }

    fn dropout(&mut self, dropout: &'a Dropout) {
        if !self.is_home(&dropout.home) {
            self.foreign.get_or_insert(dropout.plan.name);
        }
    }
}

impl<'a> VisitorMut<'a> for Walk<'a> {
    fn parameter(&mut self, parameter: &'a mut Parameter) {
        Visitor::parameter(self, parameter);
    }

    fn dropout(&mut self, dropout: &'a mut Dropout) {
        Visitor::dropout(self, dropout);
    }
}
