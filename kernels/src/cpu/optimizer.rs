//! Steps of the optimizers over flat arrays, in PyTorch's order of operations but for a factor of Adam. The same for CUDA devices
//! stands in `cuda/sgd.cu` and `cuda/adam.cu`, which take the same rounded numbers.

use super::Isa;

/// [`sgd`] for CUDA devices: the kernel `sgd_step`.
pub const SGD_CUDA: &str = include_str!("../cuda/sgd.cu");

/// [`adam`] for CUDA devices: the kernel `adam_step`.
pub const ADAM_CUDA: &str = include_str!("../cuda/adam.cu");

/// The settings of one step of stochastic gradient descent, as `torch.optim.SGD`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// How much of the velocity is kept; 0 does without velocity.
    pub momentum: f64,
    /// Part of the gradient that does not enter the velocity.
    pub dampening: f64,
    /// L2 penalty: this times the parameter is added to the gradient.
    pub weight_decay: f64,
    /// Looks ahead along the velocity.
    pub nesterov: bool,
    /// The velocity starts as the gradient, without dampening.
    pub first_step: bool,
}

/// What one step of [`sgd`] computes with: the settings, rounded once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdNumbers {
    minus_lr: f32,
    weight_decay: f32,
    momentum: f32,
    kept: f32,
    taken: f32,
    first_step: bool,
    nesterov: bool,
}

impl Sgd {
    /// What the step computes with.
    #[must_use]
    pub fn numbers(&self) -> SgdNumbers {
        // The first velocity is the gradient itself, whatever the array holds.
        let (kept, taken) =
            if self.first_step { (0.0, 1.0) } else { (self.momentum as f32, (1.0 - self.dampening) as f32) };
        SgdNumbers {
            minus_lr: -self.lr as f32,
            weight_decay: self.weight_decay as f32,
            momentum: self.momentum as f32,
            kept,
            taken,
            first_step: self.first_step,
            nesterov: self.nesterov,
        }
    }
}

impl SgdNumbers {
    /// In the order that the kernel takes them; a switch is 0 or 1.
    #[must_use]
    pub fn array(&self) -> [f32; 7] {
        let Self { minus_lr, weight_decay, momentum, kept, taken, first_step, nesterov } = *self;
        [minus_lr, weight_decay, momentum, kept, taken, switch(first_step), switch(nesterov)]
    }
}

fn switch(on: bool) -> f32 {
    f32::from(u8::from(on))
}

/// One step of stochastic gradient descent: with g the gradient plus weight_decay · p,
/// velocity = momentum · velocity + (1 − dampening) · g, p −= lr · velocity
/// (nesterov: p −= lr · (g + momentum · velocity)).
///
/// Without momentum `velocity` is not touched and may be empty. Panics if lengths differ.
///
/// ```
/// use graven_kernels::cpu::{Isa, optimizer::{Sgd, sgd}};
///
/// let step = Sgd { lr: 0.5, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false, first_step: true };
/// let mut parameters = [1.0, 2.0];
/// sgd(Isa::detect(), &step, &mut parameters, &[2.0, -2.0], &mut []);
/// assert_eq!(parameters, [0.0, 3.0]);
/// ```
pub fn sgd(isa: Isa, step: &Sgd, parameters: &mut [f32], gradients: &[f32], velocity: &mut [f32]) {
    assert_eq!(gradients.len(), parameters.len(), "sgd: as many gradients as parameters");
    let SgdNumbers { minus_lr, weight_decay, momentum, kept, taken, first_step, nesterov } = step.numbers();
    if step.momentum == 0.0 {
        return isa.run(
            #[inline(always)]
            || {
                for (p, &g) in parameters.iter_mut().zip(gradients) {
                    *p += minus_lr * decayed(g, *p, weight_decay);
                }
            },
        );
    }
    assert_eq!(velocity.len(), parameters.len(), "sgd: as many velocities as parameters");
    isa.run(
        #[inline(always)]
        || {
            for ((p, &g), v) in parameters.iter_mut().zip(gradients).zip(velocity) {
                let g = decayed(g, *p, weight_decay);
                *v = if first_step { g } else { *v * kept + g * taken };
                let direction = if nesterov { g + momentum * *v } else { *v };
                *p += minus_lr * direction;
            }
        },
    );
}

/// The settings of one step of Adam, as `torch.optim.Adam` and `torch.optim.AdamW`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Weight decay: added to the gradient, or, decoupled, taken off the parameter.
    pub weight_decay: f64,
    /// AdamW (Loshchilov and Hutter 2019): the parameter shrinks by lr · weight_decay, the gradient stays as it is.
    pub decoupled: bool,
    /// Number of this step, from 1.
    pub step: u64,
}

impl Adam {
    /// What the step computes with.
    #[must_use]
    pub fn numbers(&self) -> AdamNumbers {
        // The corrections are numbers of Python in PyTorch, so they are computed in f64 and rounded once. PyTorch divides √v by its own;
        // here that multiplies the other two, so that the loop divides once: a processor has one slow unit for it.
        let number = self.step as f64;
        let correction = (1.0 - self.beta2.powf(number)).sqrt();
        let minus_step_size = (-self.lr / (1.0 - self.beta1.powf(number)) * correction) as f32;
        let (taken1, beta2, taken2) = ((1.0 - self.beta1) as f32, self.beta2 as f32, (1.0 - self.beta2) as f32);
        let eps = (self.eps * correction) as f32;
        let smallest = if eps >= FAR_FROM_SUBNORMAL { f32::MIN_POSITIVE } else { 0.0 };
        let (shrink, weight_decay) = match self.decoupled {
            true => ((1.0 - self.lr * self.weight_decay) as f32, 0.0),
            false => (1.0, self.weight_decay as f32),
        };
        AdamNumbers {
            taken1,
            rest1: 1.0 - taken1,
            near_start: taken1.abs() < 0.5,
            beta2,
            taken2,
            shrink,
            weight_decay,
            minus_step_size,
            eps,
            smallest,
            smallest_squared: (smallest / taken2).sqrt(),
        }
    }
}

/// From this `eps` on, √v adds nothing to it where v is smaller than any normal number.
const FAR_FROM_SUBNORMAL: f32 = 1e-12;

/// One step of Adam (Kingma and Ba 2015): m = beta1 · m + (1 − beta1) · g, v = beta2 · v + (1 − beta2) · g²,
/// p −= lr / (1 − beta1^step) · m / (√v / √(1 − beta2^step) + eps).
///
/// `exp_avg` is m, `exp_avg_sq` is v; both are zero before the first step. Panics if lengths differ.
///
/// ```
/// use graven_kernels::cpu::{Isa, optimizer::{Adam, adam}};
///
/// let step = Adam { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false, step: 1 };
/// let (mut parameters, mut exp_avg, mut exp_avg_sq) = ([1.0], [0.0], [0.0]);
/// adam(Isa::detect(), &step, &mut parameters, &[3.0], &mut exp_avg, &mut exp_avg_sq);
/// assert!((parameters[0] - 0.9_f32).abs() < 1e-6); // The first step is lr, whatever the gradient's size.
/// ```
pub fn adam(
    isa: Isa,
    step: &Adam,
    parameters: &mut [f32],
    gradients: &[f32],
    exp_avg: &mut [f32],
    exp_avg_sq: &mut [f32],
) {
    assert_eq!(gradients.len(), parameters.len(), "adam: as many gradients as parameters");
    assert_eq!(exp_avg.len(), parameters.len(), "adam: as many means as parameters");
    assert_eq!(exp_avg_sq.len(), parameters.len(), "adam: as many means of squares as parameters");
    let moments = step.numbers();
    isa.run(
        #[inline(always)]
        || moments.step(parameters, gradients, exp_avg, exp_avg_sq),
    );
}

/// What one step of [`adam`] computes with: the settings and the corrections, rounded once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamNumbers {
    taken1: f32,
    rest1: f32,
    /// `lerp` of PyTorch takes the form that is exact at the nearer end.
    near_start: bool,
    beta2: f32,
    taken2: f32,
    shrink: f32,
    weight_decay: f32,
    minus_step_size: f32,
    eps: f32,
    /// Means below it become zero: processors take some fifteen times as long for subnormal numbers, and the means of a parameter
    /// whose gradient has become zero would be such numbers for ever.
    smallest: f32,
    /// Gradients below it add less than that to the mean of squares.
    smallest_squared: f32,
}

impl AdamNumbers {
    /// In the order that the kernel for devices takes them; a switch is 0 or 1. Devices are as fast with subnormal numbers.
    #[must_use]
    pub fn array(&self) -> [f32; 9] {
        let Self { taken1, rest1, near_start, beta2, taken2, shrink, weight_decay, minus_step_size, eps, .. } = *self;
        [taken1, rest1, switch(near_start), beta2, taken2, shrink, weight_decay, minus_step_size, eps]
    }

    /// The slices are arguments of their own so that the compiler knows that they do not overlap.
    #[inline(always)]
    fn step(self, parameters: &mut [f32], gradients: &[f32], exp_avg: &mut [f32], exp_avg_sq: &mut [f32]) {
        for (((p, &g), m), v) in parameters.iter_mut().zip(gradients).zip(exp_avg).zip(exp_avg_sq) {
            let shrunk = *p * self.shrink;
            let g = decayed(g, shrunk, self.weight_decay);
            let (from_start, from_end) = (*m + self.taken1 * (g - *m), g - (g - *m) * self.rest1);
            let mean = flushed(if self.near_start { from_start } else { from_end }, self.smallest);
            let g = flushed(g, self.smallest_squared);
            let square = flushed(*v * self.beta2 + self.taken2 * g * g, self.smallest);
            let denominator = square.sqrt() + self.eps;
            (*m, *v) = (mean, square);
            *p = shrunk + self.minus_step_size * mean / denominator;
        }
    }
}

/// The number, or zero if it is smaller than `smallest`.
#[inline(always)]
fn flushed(number: f32, smallest: f32) -> f32 {
    if number.abs() < smallest { 0.0 } else { number }
}

/// The gradient plus weight_decay · parameter; the gradient itself (even of an infinite parameter) without decay.
#[inline(always)]
fn decayed(gradient: f32, parameter: f32, weight_decay: f32) -> f32 {
    if weight_decay == 0.0 { gradient } else { gradient + weight_decay * parameter }
}

#[cfg(test)]
#[path = "optimizer_tests.rs"]
mod tests;
