//! Blocks for others.
#![deny(warnings, missing_docs, unreachable_pub)]
#![forbid(unsafe_code)]
#![deny(clippy::pedantic)]

mod inner;
mod other;
pub use inner::Block;

/// How many classes the blocks are made for.
pub const CLASSES: usize = 2;

use nets::prelude::*;

/// A stack of two blocks of one name in different files.
#[derive(Module)]
pub struct Stack<const C: usize> {
    first: inner::Block<C>,
    second: other::Block<C>,
}

nets::network! {
    impl Stack {
        const SCALE: usize = 2;
        assert!(SCALE == inner::SCALE);
        /// Both blocks.
        pub fn forward(&self, t: Tensor<[N, C, H, W]>) -> Tensor<[N, C, H, W]> {
            self.second(self.first(t)) * SCALE
        }
    }
}
