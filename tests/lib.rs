//! What the tests of this package share; the tests stand in the files beside it.

#[path = "cuda/harness.rs"]
pub mod cuda;
