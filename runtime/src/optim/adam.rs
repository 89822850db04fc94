//! Adam, and Adam with decoupled weight decay.

use graven_kernels::cpu::{Isa, optimizer};

use super::{Memory, NUMBERS, Optimizer, Rule, is_size, require};
use crate::error::Result;
use crate::plan::CudaKernel;

/// What both have in common; they differ in where the weight decay enters.
macro_rules! adam {
    ($(#[$docs:meta])* $name:ident, decoupled: $decoupled:literal, weight_decay: $weight_decay:literal, $decay_docs:literal) => {
        $(#[$docs])*
        #[derive(Debug, Clone)]
        pub struct $name {
            lr: f64,
            betas: (f64, f64),
            eps: f64,
            weight_decay: f64,
            memory: Memory,
        }

        impl $name {
            /// With this learning rate, which must be at least 0, and PyTorch's settings for the rest.
            #[must_use]
            pub fn new(lr: f64) -> Self {
                let memory = Memory::default();
                Self { lr, betas: (0.9, 0.999), eps: 1e-8, weight_decay: $weight_decay, memory }
            }

            /// How much of the means of the gradients and of their squares is kept from step to step, each in 0..1.
            /// (0.9, 0.999) unless set.
            #[must_use]
            pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
                self.betas = (beta1, beta2);
                self
            }

            /// Keeps the quotient finite; at least 0. 1e-8 unless set.
            #[must_use]
            pub fn eps(mut self, eps: f64) -> Self {
                self.eps = eps;
                self
            }

            #[doc = $decay_docs]
            #[must_use]
            pub fn weight_decay(mut self, weight_decay: f64) -> Self {
                self.weight_decay = weight_decay;
                self
            }
        }

        impl $name {
            /// The step that is being taken.
            fn current(&self) -> optimizer::Adam {
                optimizer::Adam {
                    lr: self.lr,
                    beta1: self.betas.0,
                    beta2: self.betas.1,
                    eps: self.eps,
                    weight_decay: self.weight_decay,
                    decoupled: $decoupled,
                    step: self.memory.steps,
                }
            }
        }

        impl Optimizer for $name {
            fn lr(&self) -> f64 {
                self.lr
            }

            fn set_lr(&mut self, lr: f64) {
                self.lr = lr;
            }
        }

        impl Rule for $name {
            fn name(&self) -> &'static str {
                stringify!($name)
            }

            fn settings(&self) -> Vec<(&'static str, f64)> {
                vec![
                    ("lr", self.lr),
                    ("beta1", self.betas.0),
                    ("beta2", self.betas.1),
                    ("eps", self.eps),
                    ("weight_decay", self.weight_decay),
                ]
            }

            fn set(&mut self, setting: &str, value: f64) {
                match setting {
                    "lr" => self.lr = value,
                    "beta1" => self.betas.0 = value,
                    "beta2" => self.betas.1 = value,
                    "eps" => self.eps = value,
                    "weight_decay" => self.weight_decay = value,
                    _ => {}
                }
            }

            fn check(&self) -> Result<()> {
                let owner = stringify!($name);
                require(is_size(self.lr), owner, "lr", self.lr, "a number of at least 0")?;
                require((0.0..1.0).contains(&self.betas.0), owner, "beta1", self.betas.0, "a number in 0..1")?;
                require((0.0..1.0).contains(&self.betas.1), owner, "beta2", self.betas.1, "a number in 0..1")?;
                require(is_size(self.eps), owner, "eps", self.eps, "a number of at least 0")?;
                require(is_size(self.weight_decay), owner, "weight_decay", self.weight_decay, "a number of at least 0")
            }

            fn all_buffers(&self) -> &'static [&'static str] {
                &["exp_avg", "exp_avg_sq"]
            }

            fn memory(&self) -> &Memory {
                &self.memory
            }

            fn memory_mut(&mut self) -> &mut Memory {
                &mut self.memory
            }

            fn update(
                &self,
                isa: Isa,
                parameters: &mut [f32],
                gradients: &[f32],
                [exp_avg, exp_avg_sq]: [&mut [f32]; 2],
            ) {
                optimizer::adam(isa, &self.current(), parameters, gradients, exp_avg, exp_avg_sq);
            }

            fn cuda_kernel(&self) -> &'static CudaKernel {
                static KERNEL: CudaKernel = CudaKernel { name: "adam_step", source: &[optimizer::ADAM_CUDA] };
                &KERNEL
            }

            fn numbers(&self, numbers: &mut [f32; NUMBERS]) {
                let own = self.current().numbers().array();
                numbers[..own.len()].copy_from_slice(&own);
            }
        }
    };
}

adam! {
    /// Adam, as `torch.optim.Adam` (Kingma, Ba 2015, arXiv:1412.6980).
    ///
    /// With g the gradient plus weight_decay · p: m = β₁·m + (1 − β₁)·g, v = β₂·v + (1 − β₂)·g², and in step t
    /// p −= lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + eps).
    ///
    /// ```
    /// use graven::prelude::*;
    ///
    /// let adam = Adam::new(0.01).betas(0.9, 0.99);
    /// assert_eq!(adam.lr(), 0.01);
    /// ```
    Adam, decoupled: false, weight_decay: 0.0,
    "The L2 penalty: this times the parameter is added to its gradient; at least 0. 0 unless set."
}

adam! {
    /// Adam with decoupled weight decay, as `torch.optim.AdamW` (Loshchilov, Hutter 2019, arXiv:1711.05101).
    ///
    /// As [`Adam`] without penalty, but each step first shrinks the parameters: p *= 1 − lr · weight_decay.
    ///
    /// ```
    /// use graven::prelude::*;
    ///
    /// let adamw = AdamW::new(1e-3).weight_decay(0.05);
    /// assert_eq!(adamw.lr(), 1e-3);
    /// ```
    AdamW, decoupled: true, weight_decay: 0.01,
    "How much a step shrinks the parameters, per learning rate; at least 0. 0.01 unless set."
}
