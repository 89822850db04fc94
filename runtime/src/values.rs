//! Floats in the layout of a module's parameters, where they are needed: gradients, and what an optimizer keeps.

use crate::cuda::{Gpu, Remote};
use crate::error::Result;
use crate::floats::Floats;

/// Floats in host memory or on a device. They move to where they are written next; reading leaves them where they are.
#[derive(Debug, Clone)]
pub(crate) enum Values {
    Host(Floats),
    Device(Remote<f32>),
}

impl Values {
    /// At least so many zeros, in host memory.
    pub(crate) fn zeros(len: usize) -> Self {
        Self::Host(Floats::zeros(len))
    }

    /// The floats, in host memory.
    ///
    /// Errors: the driver of their device fails.
    pub(crate) fn read(&self) -> Result<&[f32]> {
        match self {
            Self::Host(floats) => Ok(floats),
            Self::Device(remote) => remote.read(),
        }
    }

    /// The floats, moved to host memory.
    ///
    /// Errors: the driver of their device fails.
    pub(crate) fn host_mut(&mut self) -> Result<&mut [f32]> {
        if let Self::Device(remote) = self {
            let mut floats = Floats::zeros(remote.len());
            floats[..remote.len()].copy_from_slice(remote.read()?);
            *self = Self::Host(floats);
        }
        match self {
            Self::Host(floats) => Ok(floats),
            Self::Device(_) => unreachable!("they were just moved"),
        }
    }

    /// The first `len` floats, moved to a device.
    ///
    /// Errors: the device has no room left; a driver fails.
    pub(crate) fn on_mut(&mut self, gpu: &'static Gpu, len: usize) -> Result<&mut Remote<f32>> {
        if !matches!(self, Self::Device(remote) if remote.gpu() == gpu) {
            *self = Self::Device(self.on(gpu, len)?);
        }
        match self {
            Self::Device(remote) => Ok(remote),
            Self::Host(_) => unreachable!("they were just moved"),
        }
    }

    /// The first `len` floats on a device, copied unless they are there.
    ///
    /// Errors: as for [`on_mut`](Self::on_mut).
    pub(crate) fn on(&self, gpu: &'static Gpu, len: usize) -> Result<Remote<f32>> {
        match self {
            Self::Device(remote) if remote.gpu() == gpu => Ok(remote.clone()),
            others => Remote::upload(gpu, &others.read()?[..len]),
        }
    }
}
