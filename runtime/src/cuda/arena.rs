//! The parameters of a network on a device, and which of them are newer in host memory.
//!
//! Each parameter is newest on the device, in the host's arena, or is equal in both. Whoever borrows parameters from the host
//! fetches those that are newer on the device; a call on the device first sends those that are newer in host memory. Both
//! happen under one lock, for parameters that the caller has borrowed.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use cudarc::driver::sys::CUdeviceptr;

use super::driver::{Block, Gpu, lock};
use crate::error::Result;
use crate::home::elements;
use crate::plan::ModulePlan;

/// See the module's docs.
pub(crate) struct Arena {
    gpu: &'static Gpu,
    plan: &'static ModulePlan,
    block: Arc<Block>,
    /// One for each parameter of the plan.
    newest: Mutex<Vec<Newest>>,
}

/// Where the newest values of a parameter are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Newest {
    Both,
    Host,
    Device,
}

impl Arena {
    /// Room for parameters that lie in host memory.
    ///
    /// Errors: the device has no room left.
    pub(crate) fn new(gpu: &'static Gpu, plan: &'static ModulePlan) -> Result<Self> {
        let block = gpu.allocate(plan.length * size_of::<f32>(), || format!("the parameters of {}", plan.name))?;
        Ok(Self { gpu, plan, block, newest: Mutex::new(vec![Newest::Host; plan.parameters.len()]) })
    }

    /// Where a part of the layout starts on the device.
    pub(super) fn pointer(&self, offset: usize) -> CUdeviceptr {
        assert!(offset <= self.plan.length, "{offset} of {}", self.plan.length);
        self.block.pointer() + (offset * size_of::<f32>()) as CUdeviceptr
    }

    /// Copies to host memory what is newer on the device. `host` is where the arena starts there.
    ///
    /// # Safety
    ///
    /// The caller has borrowed all parameters in the range, and `host` points to as many floats as the layout has.
    pub(crate) unsafe fn fetch(&self, range: &Range<usize>, host: *mut f32) -> Result<()> {
        let copy = |part: Range<usize>| {
            // SAFETY: the part lies within the layout. It is newer on the device, so its last borrower wrote there, and
            // since then nobody has taken a slice of the host's: that would have fetched it.
            let to = unsafe { std::slice::from_raw_parts_mut(host.add(part.start), part.len()) };
            // SAFETY: the block holds the whole layout.
            unsafe { self.gpu.read(self.pointer(part.start), to) }
        };
        self.settle(range, Newest::Device, copy)
    }

    /// Copies to the device what is newer in host memory.
    ///
    /// # Safety
    ///
    /// As for [`fetch`](Self::fetch).
    pub(crate) unsafe fn send(&self, range: &Range<usize>, host: *const f32) -> Result<()> {
        let copy = |part: Range<usize>| {
            // SAFETY: the part lies within the layout, and is borrowed by the caller, so nobody writes it.
            let from = unsafe { std::slice::from_raw_parts(host.add(part.start), part.len()) };
            // SAFETY: the block holds the whole layout.
            unsafe { self.gpu.write(from, self.pointer(part.start)) }
        };
        self.settle(range, Newest::Host, copy)
    }

    /// From now on these parameters are newer in host memory: whoever calls this is going to write them.
    pub(crate) fn host_writes(&self, range: &Range<usize>) {
        lock(&self.newest)[self.indices(range)].fill(Newest::Host);
    }

    /// From now on these parameters are newer on the device.
    pub(super) fn device_writes(&self, range: &Range<usize>) {
        lock(&self.newest)[self.indices(range)].fill(Newest::Device);
    }

    /// Copies runs of neighbours that are in this state, and marks them as equal in both.
    fn settle(&self, range: &Range<usize>, state: Newest, copy: impl Fn(Range<usize>) -> Result<()>) -> Result<()> {
        let mut newest = lock(&self.newest);
        let indices = self.indices(range);
        let mut start = indices.start;
        for run in newest[indices].chunk_by_mut(|a, b| a == b) {
            let end = start + run.len();
            if run[0] == state {
                let (first, last) = (&self.plan.parameters[start], &self.plan.parameters[end - 1]);
                copy(first.offset..last.offset + elements(last))?;
                run.fill(Newest::Both);
            }
            start = end;
        }
        Ok(())
    }

    /// The parameters that start in a range of the layout.
    fn indices(&self, range: &Range<usize>) -> Range<usize> {
        let before = |offset: usize| self.plan.parameters.partition_point(|parameter| parameter.offset < offset);
        before(range.start)..before(range.end)
    }
}
