//! The sizes of a tensor, stored inline.

use std::fmt;
use std::ops::Deref;

use crate::error::{Error, Result};

/// The most axes that a tensor can have.
pub const MAX_RANK: usize = 8;

/// The sizes of a tensor's axes, outermost first; images are `[N, C, H, W]`.
///
/// It reads as a slice and prints as one. It holds at most [`MAX_RANK`] sizes, without heap memory.
///
/// ```
/// use graven::Tensor;
///
/// let images = Tensor::<f32>::zeros([100, 1, 28, 28])?;
/// assert_eq!(images.shape(), [100, 1, 28, 28]);
/// assert_eq!(images.shape()[0], 100);
/// assert_eq!(images.shape().to_string(), "[100, 1, 28, 28]");
/// # graven::Result::Ok(())
/// ```
#[derive(Clone, Copy)]
pub struct Shape {
    dims: [usize; MAX_RANK],
    rank: usize,
}

impl Shape {
    /// The shape of a single number: no axes.
    pub const SCALAR: Self = Self { dims: [0; MAX_RANK], rank: 0 };

    /// A shape of these sizes, outermost first.
    ///
    /// Errors: there are more than [`MAX_RANK`] sizes; their product passes the largest tensor that memory can address.
    pub fn new(dims: impl AsRef<[usize]>) -> Result<Self> {
        let dims = dims.as_ref();
        if dims.len() > MAX_RANK {
            return Err(Error::Rank { given: dims.len() });
        }
        // The product without zeros, so that a shape with a zero has representable strides as well. 8 bytes is the
        // largest element.
        let elements =
            dims.iter().filter(|&&size| size != 0).try_fold(8usize, |product, &size| product.checked_mul(size));
        if elements.is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(Error::TooLarge { dims: dims.to_vec() });
        }
        Ok(Self::known(dims))
    }

    /// A shape that the compiler or an existing tensor vouches for.
    pub(crate) fn known(sizes: &[usize]) -> Self {
        let mut dims = [0; MAX_RANK];
        dims[..sizes.len()].copy_from_slice(sizes);
        Self { dims, rank: sizes.len() }
    }

    /// The number of axes.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of elements of a tensor of this shape; 1 without axes.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.iter().product()
    }

    /// The sizes as a slice.
    #[must_use]
    pub fn as_slice(&self) -> &[usize] {
        &self.dims[..self.rank]
    }
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        self.as_slice()
    }
}

impl AsRef<[usize]> for Shape {
    fn as_ref(&self) -> &[usize] {
        self
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_slice(), f)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_slice(), f)
    }
}

impl Eq for Shape {}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl PartialEq<[usize]> for Shape {
    fn eq(&self, other: &[usize]) -> bool {
        self.as_slice() == other
    }
}

impl<const RANK: usize> PartialEq<[usize; RANK]> for Shape {
    fn eq(&self, other: &[usize; RANK]) -> bool {
        self.as_slice() == other
    }
}

// So that `assert_eq!(tensor.shape(), [2, 3])` reads as it does for a slice.
impl<const RANK: usize> PartialEq<[usize; RANK]> for &Shape {
    fn eq(&self, other: &[usize; RANK]) -> bool {
        self.as_slice() == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_compares_and_prints_as_a_slice() {
        let shape = Shape::new([6, 1, 5, 5]).unwrap();
        assert_eq!(shape, [6, 1, 5, 5]);
        assert_eq!(&shape, [6, 1, 5, 5]);
        assert_eq!(&shape, &[6, 1, 5, 5]);
        assert_eq!(*shape, [6, 1, 5, 5][..]);
        assert_eq!(format!("{shape} {shape:?}"), "[6, 1, 5, 5] [6, 1, 5, 5]");
        assert_eq!((shape.rank(), shape.elements(), Shape::SCALAR.elements()), (4, 150, 1));
    }

    #[test]
    fn absurd_shapes_are_errors() {
        assert!(matches!(Shape::new([1; 9]), Err(Error::Rank { given: 9 })));
        assert!(matches!(Shape::new([usize::MAX, 2]), Err(Error::TooLarge { .. })));
        assert!(matches!(Shape::new([0, usize::MAX, 2]), Err(Error::TooLarge { .. })));
    }
}
