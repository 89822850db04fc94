//! Bias and relu of a result that is still in registers.

use std::marker::PhantomData;

use super::lanes::Lanes;

/// What happens to a result on its way to memory: the bias of its channel is added and relu taken, or nothing. Both without a branch,
/// because kernels have no room for one: −0.0 is added to the result, and it is at least −∞.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relu<'a> {
    bias: *const f32,
    /// From the bias of one channel to the next.
    step: usize,
    least: f32,
    of: PhantomData<&'a [f32]>,
}

impl<'a> Relu<'a> {
    /// Results stay as they are.
    pub(crate) const NONE: Relu<'static> = Relu { bias: &-0.0, step: 0, least: f32::NEG_INFINITY, of: PhantomData };

    /// relu(result + bias), with one bias for each of the channels.
    ///
    /// Panics if there are more or less.
    #[track_caller]
    pub(crate) fn with_bias(bias: &'a [f32], channels: usize) -> Self {
        assert_eq!(bias.len(), channels, "a bias for each of {channels} channels");
        Relu { bias: bias.as_ptr(), step: 1, least: 0.0, of: PhantomData }
    }

    /// For channels from this one on, which is there.
    pub(crate) fn from(self, channel: usize) -> Self {
        Relu { bias: self.bias.wrapping_add(channel * self.step), ..self }
    }

    /// What becomes of a result of this channel.
    ///
    /// # Safety
    /// There is such a channel; the set of `L` is enabled.
    #[inline(always)]
    pub(crate) unsafe fn of<L: Lanes>(self, channel: usize, result: L) -> L {
        // SAFETY: the contract; the bias of any channel is the one of `NONE` there.
        unsafe { result.add(L::splat(*self.bias.add(channel * self.step))).at_least(L::splat(self.least)) }
    }
}
