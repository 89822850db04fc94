//! Stochastic gradient descent.

use graven_kernels::cpu::{Isa, optimizer};

use super::{Memory, NUMBERS, Optimizer, Rule, is_size, require};
use crate::error::Result;
use crate::plan::CudaKernel;

/// Stochastic gradient descent, with momentum if wished, as `torch.optim.SGD`.
///
/// With g the gradient plus weight_decay · p: v = momentum · v + (1 − dampening) · g, and p −= lr · v, or with Nesterov's
/// momentum p −= lr · (g + momentum · v). The first step takes v = g.
///
/// ```
/// use graven::prelude::*;
///
/// let mut sgd = Sgd::new(0.1).momentum(0.9).weight_decay(5e-4).nesterov(true);
/// sgd.set_lr(0.01);
/// assert_eq!(sgd.lr(), 0.01);
/// ```
#[derive(Debug, Clone)]
pub struct Sgd {
    lr: f64,
    momentum: f64,
    dampening: f64,
    weight_decay: f64,
    nesterov: bool,
    memory: Memory,
}

impl Sgd {
    /// Plain gradient descent with this learning rate, which must be at least 0.
    #[must_use]
    pub fn new(lr: f64) -> Self {
        Self { lr, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false, memory: Memory::default() }
    }

    /// How much of the velocity is kept from step to step; at least 0.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Part of the gradient that does not enter the velocity.
    #[must_use]
    pub fn dampening(mut self, dampening: f64) -> Self {
        self.dampening = dampening;
        self
    }

    /// The L2 penalty: this times the parameter is added to its gradient; at least 0.
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Whether to use Nesterov's momentum, which takes a momentum and no dampening.
    #[must_use]
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.nesterov = nesterov;
        self
    }
}

impl Sgd {
    /// The step that is being taken.
    fn current(&self) -> optimizer::Sgd {
        optimizer::Sgd {
            lr: self.lr,
            momentum: self.momentum,
            dampening: self.dampening,
            weight_decay: self.weight_decay,
            nesterov: self.nesterov,
            first_step: self.memory.steps == 1,
        }
    }
}

impl Optimizer for Sgd {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }
}

impl Rule for Sgd {
    fn name(&self) -> &'static str {
        "Sgd"
    }

    fn settings(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("lr", self.lr),
            ("momentum", self.momentum),
            ("dampening", self.dampening),
            ("weight_decay", self.weight_decay),
            ("nesterov", f64::from(u8::from(self.nesterov))),
        ]
    }

    fn set(&mut self, setting: &str, value: f64) {
        match setting {
            "lr" => self.lr = value,
            "momentum" => self.momentum = value,
            "dampening" => self.dampening = value,
            "weight_decay" => self.weight_decay = value,
            "nesterov" => self.nesterov = value != 0.0,
            _ => {}
        }
    }

    fn check(&self) -> Result<()> {
        require(is_size(self.lr), "Sgd", "lr", self.lr, "a number of at least 0")?;
        require(is_size(self.momentum), "Sgd", "momentum", self.momentum, "a number of at least 0")?;
        require(self.dampening.is_finite(), "Sgd", "dampening", self.dampening, "a finite number")?;
        require(is_size(self.weight_decay), "Sgd", "weight_decay", self.weight_decay, "a number of at least 0")?;
        if self.nesterov {
            require(self.momentum > 0.0, "Sgd", "momentum", self.momentum, "more than 0 together with nesterov")?;
            require(self.dampening == 0.0, "Sgd", "dampening", self.dampening, "only 0 together with nesterov")?;
        }
        Ok(())
    }

    fn all_buffers(&self) -> &'static [&'static str] {
        &["momentum_buffer"]
    }

    fn buffers(&self) -> &'static [&'static str] {
        if self.momentum > 0.0 { self.all_buffers() } else { &[] }
    }

    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn update(&self, isa: Isa, parameters: &mut [f32], gradients: &[f32], [velocity, _]: [&mut [f32]; 2]) {
        optimizer::sgd(isa, &self.current(), parameters, gradients, velocity);
    }

    fn cuda_kernel(&self) -> &'static CudaKernel {
        static KERNEL: CudaKernel = CudaKernel { name: "sgd_step", source: &[optimizer::SGD_CUDA] };
        &KERNEL
    }

    fn numbers(&self, numbers: &mut [f32; NUMBERS]) {
        let own = self.current().numbers().array();
        numbers[..own.len()].copy_from_slice(&own);
    }
}
