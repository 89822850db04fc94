//! Tensors on a device: a part of a block, and what was read of it.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use cudarc::driver::sys::CUdeviceptr;

use super::driver::{Block, Gpu};
use crate::error::Result;
use crate::tensor::Element;

/// Some numbers on a device. They never change; who wants to write takes a block that nobody else has.
pub(crate) struct Remote<T> {
    /// There until it is dropped.
    block: Option<Arc<Block>>,
    /// In bytes, from the start of the block.
    offset: usize,
    len: usize,
    /// What was read, so that it is read once.
    mirror: OnceLock<Vec<T>>,
}

impl<T> Remote<T> {
    /// A part of a block that everything submitted so far has written.
    pub(super) fn new(block: Arc<Block>, offset: usize, len: usize) -> Self {
        assert!(offset + len * size_of::<T>() <= block.bytes(), "a tensor beyond its block");
        Self { block: Some(block), offset, len, mirror: OnceLock::new() }
    }

    fn block(&self) -> &Arc<Block> {
        self.block.as_ref().expect("a tensor has its block until it is dropped")
    }

    pub(crate) fn gpu(&self) -> &'static Gpu {
        self.block().gpu()
    }

    pub(super) fn pointer(&self) -> CUdeviceptr {
        self.block().pointer() + self.offset as CUdeviceptr
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Some of the numbers, without a copy.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        Self::new(Arc::clone(self.block()), self.offset + range.start * size_of::<T>(), range.len())
    }
}

impl<T: Element> Remote<T> {
    /// A copy of these numbers on a device.
    ///
    /// Errors: the device has no room left; its driver fails.
    pub(crate) fn upload(gpu: &'static Gpu, values: &[T]) -> Result<Self> {
        let block = gpu.allocate(size_of_val(values), || format!("a tensor of {} elements", values.len()))?;
        // SAFETY: the block is that large, and nobody else has it.
        unsafe { gpu.write(values, block.pointer()) }?;
        Ok(Self::new(block, 0, values.len()))
    }

    /// The numbers, in host memory. The first call waits for the device; the copy is kept.
    ///
    /// Errors: the driver fails, perhaps because of work that was submitted earlier.
    pub(crate) fn read(&self) -> Result<&[T]> {
        if let Some(values) = self.mirror.get() {
            return Ok(values);
        }
        let values = self.to_vec()?;
        Ok(self.mirror.get_or_init(|| values))
    }

    /// A copy of the numbers, in host memory.
    ///
    /// Errors: as for [`read`](Self::read).
    pub(crate) fn to_vec(&self) -> Result<Vec<T>> {
        if let Some(values) = self.mirror.get() {
            return Ok(values.clone());
        }
        let mut values = vec![T::default(); self.len];
        // SAFETY: `new` checked that so many lie there.
        unsafe { self.gpu().read(self.pointer(), &mut values) }?;
        Ok(values)
    }

    /// The first number. It allocates nothing.
    ///
    /// Errors: as for [`read`](Self::read).
    pub(crate) fn first(&self) -> Result<T> {
        if let Some(values) = self.mirror.get() {
            return Ok(values[0]);
        }
        let mut value = [T::default()];
        assert!(self.len > 0, "the first of no numbers");
        // SAFETY: `new` checked that there is one.
        unsafe { self.gpu().read(self.pointer(), &mut value) }?;
        Ok(value[0])
    }

    /// Gives the numbers a block of their own, unless they have one, and says where it is: they will be written on the device.
    ///
    /// Errors: the device has no room left; its driver fails.
    pub(super) fn pointer_mut(&mut self) -> Result<CUdeviceptr> {
        let gpu = self.gpu();
        let own = self.block.as_mut().and_then(Arc::get_mut).is_some();
        if !own {
            let bytes = self.len * size_of::<T>();
            let block = gpu.allocate(bytes, || format!("a copy of {} elements", self.len))?;
            // SAFETY: both blocks are that large, and they are different ones.
            unsafe { gpu.copy(&*gpu.queue()?, self.pointer(), block.pointer(), bytes) }?;
            *self = Self::new(block, 0, self.len);
        }
        self.mirror.take();
        Ok(self.pointer())
    }
}

impl<T> Clone for Remote<T> {
    /// The same block: it never changes.
    fn clone(&self) -> Self {
        self.part(0..self.len)
    }
}

impl<T> fmt::Debug for Remote<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} numbers on {}", self.len, self.gpu().device())
    }
}

impl<T> Drop for Remote<T> {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            let gpu = block.gpu();
            gpu.recycle(block);
        }
    }
}
