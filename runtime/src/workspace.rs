//! The memory that a call works in, kept from one call to the next.

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::sync::{Mutex, PoisonError};

use crate::cuda::Engines;
use crate::floats::{Floats, Shared};
use crate::tensor::Tensor;

/// The workspaces that no call is using. Each call takes one, so a network may run on several threads at the same time.
pub struct Workspaces {
    // Boxed because a workspace is some hundred bytes that would be moved out and in on every call.
    #[expect(clippy::vec_box)]
    free: Mutex<Vec<Box<Workspace>>>,
    /// The same on devices.
    pub(crate) engines: Engines,
}

impl Workspaces {
    /// No workspaces yet; the first call makes one.
    #[must_use]
    pub const fn new() -> Self {
        Self { free: Mutex::new(Vec::new()), engines: Engines::new() }
    }

    /// Takes a workspace until the result is dropped.
    pub(crate) fn take(&self) -> Lease<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lease { home: self, workspace: Some(free.unwrap_or_default()) }
    }

    /// The bytes of all workspaces that no call is using.
    pub(crate) fn bytes(&self) -> usize {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.iter().map(|workspace| workspace.bytes()).sum::<usize>() + self.engines.bytes()
    }
}

impl Default for Workspaces {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Workspaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workspaces({} bytes)", self.bytes())
    }
}

/// A workspace that a call uses; it goes back when the call ends, and is dropped if the call panics.
pub(crate) struct Lease<'a> {
    home: &'a Workspaces,
    workspace: Option<Box<Workspace>>,
}

impl Deref for Lease<'_> {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        self.workspace.as_ref().expect("a lease holds its workspace until it is dropped")
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Workspace {
        self.workspace.as_mut().expect("a lease holds its workspace until it is dropped")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.home.free.lock().unwrap_or_else(PoisonError::into_inner).extend(self.workspace.take());
    }
}

/// The memory of one call. All buffers only grow, so a call that is repeated allocates nothing.
#[derive(Default)]
pub(crate) struct Workspace {
    /// What the arguments bound, in the order of `Plan::symbols`.
    pub(crate) symbols: Vec<usize>,
    /// Where each value lies, in `floats` or in `ints`.
    pub(crate) slots: Vec<Range<usize>>,
    /// The values between stages.
    pub(crate) floats: Floats,
    pub(crate) ints: Vec<i64>,
    /// One arena per thread.
    pub(crate) tiles: Vec<TileArena>,
    /// The accumulators of the chunks, one row each.
    pub(crate) sums: Floats,
    pub(crate) int_sums: Vec<i64>,
    /// The gradients of a training step that its last loop does not give.
    pub(crate) gradients: Floats,
    /// Room for the lists of what the call, and each of its loops, reads and writes.
    pub(crate) call: CallLists<'static>,
    pub(crate) lists: LoopLists<'static>,
}

impl Workspace {
    fn bytes(&self) -> usize {
        let tiles = self.tiles.iter().map(|arena| 4 * arena.floats.len() + 8 * arena.ints.len()).sum::<usize>();
        let floats = self.floats.len() + self.sums.len() + self.gradients.len();
        tiles + 4 * floats + 8 * (self.ints.len() + self.int_sums.len())
    }
}

/// What one thread works in: the activations and gradients of a tile.
#[derive(Default)]
pub(crate) struct TileArena {
    pub(crate) floats: Floats,
    pub(crate) ints: Vec<i64>,
    /// Whether a tile of this loop has filled what kernels keep.
    pub(crate) prepared: bool,
}

/// The arguments and results of a call. The room of the lists outlives what they borrow.
#[derive(Default)]
pub(crate) struct CallLists<'a> {
    pub(crate) inputs: Vec<&'a [f32]>,
    pub(crate) int_inputs: Vec<&'a [i64]>,
    pub(crate) outputs: Vec<Part<'a>>,
}

impl CallLists<'_> {
    /// Empties the lists and keeps their room.
    pub(crate) fn recycle(self) -> CallLists<'static> {
        CallLists { inputs: recycle(self.inputs), int_inputs: recycle(self.int_inputs), outputs: recycle(self.outputs) }
    }
}

/// What a loop reads and writes. The room of the lists outlives what they borrow.
#[derive(Default)]
pub(crate) struct LoopLists<'a> {
    pub(crate) reads: Vec<&'a [f32]>,
    pub(crate) int_reads: Vec<&'a [i64]>,
    pub(crate) writes: Vec<Shared<'a, f32>>,
    pub(crate) int_writes: Vec<Shared<'a, i64>>,
}

impl LoopLists<'_> {
    /// Empties the lists and keeps their room.
    pub(crate) fn recycle(self) -> LoopLists<'static> {
        LoopLists {
            reads: recycle(self.reads),
            int_reads: recycle(self.int_reads),
            writes: recycle(self.writes),
            int_writes: recycle(self.int_writes),
        }
    }
}

/// An empty vector in the allocation of this one, for elements that differ in their lifetime only. (Collecting a vector's
/// own iterator reuses its allocation; the test below would notice if that changed.)
fn recycle<A, B>(mut vec: Vec<A>) -> Vec<B> {
    vec.clear();
    vec.into_iter().map(|_| unreachable!("the vector was cleared")).collect()
}

/// A result, to be written in parts.
#[derive(Clone, Copy)]
pub(crate) enum Part<'a> {
    F32(Shared<'a, f32>),
    I64(Shared<'a, i64>),
}

/// A tensor that a function takes.
#[derive(Debug, Clone, Copy)]
pub enum Argument<'a> {
    /// Of `f32`.
    F32(&'a Tensor<f32>),
    /// Of `i64`.
    I64(&'a Tensor<i64>),
}

impl<'a> From<&'a Tensor<f32>> for Argument<'a> {
    fn from(tensor: &'a Tensor<f32>) -> Self {
        Self::F32(tensor)
    }
}

impl<'a> From<&'a Tensor<i64>> for Argument<'a> {
    fn from(tensor: &'a Tensor<i64>) -> Self {
        Self::I64(tensor)
    }
}

/// A tensor that a function writes.
#[derive(Debug)]
pub enum Slot<'a> {
    /// Of `f32`.
    F32(&'a mut Tensor<f32>),
    /// Of `i64`.
    I64(&'a mut Tensor<i64>),
}

impl<'a> From<&'a mut Tensor<f32>> for Slot<'a> {
    fn from(tensor: &'a mut Tensor<f32>) -> Self {
        Self::F32(tensor)
    }
}

impl<'a> From<&'a mut Tensor<i64>> for Slot<'a> {
    fn from(tensor: &'a mut Tensor<i64>) -> Self {
        Self::I64(tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recycled_vector_keeps_its_allocation() {
        let number = [1.0];
        let mut vec: Vec<&[f32]> = Vec::with_capacity(10);
        vec.push(&number);
        let (pointer, capacity) = (vec.as_ptr().addr(), vec.capacity());
        let vec: Vec<&'static [f32]> = recycle(vec);
        assert_eq!((vec.as_ptr().addr(), vec.capacity(), vec.len()), (pointer, capacity, 0));
    }

    #[test]
    fn a_workspace_is_used_again_unless_its_call_panicked() {
        let workspaces = Workspaces::new();
        workspaces.take().floats.grow(16);
        assert_eq!(workspaces.bytes(), 64);
        assert_eq!(workspaces.take().floats.len(), 16);
        let (one, two) = (workspaces.take(), workspaces.take());
        assert_eq!((one.floats.len(), two.floats.len()), (16, 0));
        drop((one, two));
        let call = std::panic::AssertUnwindSafe(|| {
            let _lease = workspaces.take();
            panic!("in a call");
        });
        std::panic::catch_unwind(call).unwrap_err();
        assert_eq!(workspaces.free.lock().unwrap().len(), 1);
    }
}
