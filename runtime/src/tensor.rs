//! Tensors: arrays of numbers with a shape.

mod print;

use std::fmt;
use std::ops::Range;

use crate::cuda::{Gpu, Remote};
use crate::device::Device;
use crate::error::{Error, Result};
pub use crate::shape::{MAX_RANK, Shape};

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 32-bit floating point: images, weights, losses.
    F32,
    /// 64-bit integers: labels and counts.
    I64,
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::I64 => "i64",
        })
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for i64 {}
}

/// What a tensor can hold: `f32` or `i64`.
pub trait Element:
    sealed::Sealed + Copy + Default + PartialEq + fmt::Debug + fmt::Display + Send + Sync + 'static
{
    /// The run-time name of the type.
    const DTYPE: Dtype;

    #[doc(hidden)]
    fn to_f64(self) -> f64;
}

impl Element for f32 {
    const DTYPE: Dtype = Dtype::F32;

    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Element for i64 {
    const DTYPE: Dtype = Dtype::I64;

    fn to_f64(self) -> f64 {
        self as f64
    }
}

/// An array of numbers with a shape, row-major, in host memory or on a device.
///
/// A tensor without axes (a loss, a count) is stored inline: it costs no heap allocation.
///
/// What a network on a GPU computes stays there, and the call does not wait for it. [`item`](Self::item) and
/// [`to_vec`](Self::to_vec) wait, and report what went wrong on the device. [`as_slice`](Self::as_slice), comparing and
/// printing wait too; they copy the numbers to host memory once and keep them, and panic if the device fails. A network takes
/// tensors of host memory and of its own device; [`to`](Self::to) copies to another one.
///
/// ```
/// use graven::Tensor;
///
/// let t: Tensor = Tensor::new([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3])?;
/// assert_eq!(t.shape(), [2, 3]);
/// assert_eq!(t.get(&[1, 2]), Some(6.0));
/// assert_eq!(t.rows(1..2)?.to_vec()?, [4.0, 5.0, 6.0]);
/// assert_eq!(t.reshape([3, 2])?.get(&[1, 0]), Some(3.0));
/// # graven::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Tensor<T = f32> {
    shape: Shape,
    storage: Storage<T>,
}

/// A heap buffer stays one when its tensor shrinks to a single number, so that it can be used again.
#[derive(Clone)]
enum Storage<T> {
    Inline(T),
    Heap(Vec<T>),
    Device(Remote<T>),
}

impl<T: Element> Tensor<T> {
    /// A tensor of this data, row-major, the last axis innermost.
    ///
    /// Errors: the shape does not hold as many elements as the data has.
    ///
    /// ```
    /// use graven::Tensor;
    ///
    /// let labels = Tensor::new(vec![3_i64, 1, 4], [3])?;
    /// assert_eq!(labels.as_slice(), [3, 1, 4]);
    /// assert!(Tensor::<f32>::new([1.0, 2.0], [3]).is_err());
    /// # graven::Result::Ok(())
    /// ```
    pub fn new(data: impl Into<Vec<T>>, shape: impl AsRef<[usize]>) -> Result<Self> {
        let shape = Shape::new(shape)?;
        let data = data.into();
        if data.len() != shape.elements() {
            return Err(Error::DataLength { given: data.len(), shape: shape.to_vec() });
        }
        Ok(Self { shape, storage: Storage::Heap(data) })
    }

    /// A tensor of zeros.
    ///
    /// Errors: more than [`MAX_RANK`] axes; more elements than memory holds.
    pub fn zeros(shape: impl AsRef<[usize]>) -> Result<Self> {
        Self::full(shape, T::default())
    }

    /// A tensor whose elements all have this value.
    ///
    /// Errors: more than [`MAX_RANK`] axes; more elements than memory holds.
    pub fn full(shape: impl AsRef<[usize]>, value: T) -> Result<Self> {
        let shape = Shape::new(shape)?;
        let mut data = reserve(&shape)?;
        data.resize(shape.elements(), value);
        Ok(Self { shape, storage: Storage::Heap(data) })
    }

    /// A tensor whose element number `index`, counted row-major, is `f(index)`.
    ///
    /// Errors: more than [`MAX_RANK`] axes; more elements than memory holds.
    ///
    /// ```
    /// use graven::Tensor;
    ///
    /// let t: Tensor = Tensor::from_fn([2, 2], |index| index as f32)?;
    /// assert_eq!(t.as_slice(), [0.0, 1.0, 2.0, 3.0]);
    /// # graven::Result::Ok(())
    /// ```
    pub fn from_fn(shape: impl AsRef<[usize]>, f: impl FnMut(usize) -> T) -> Result<Self> {
        let shape = Shape::new(shape)?;
        let mut data = reserve(&shape)?;
        data.extend((0..shape.elements()).map(f));
        Ok(Self { shape, storage: Storage::Heap(data) })
    }

    /// A single number, a tensor without axes.
    #[must_use]
    pub fn scalar(value: T) -> Self {
        Self { shape: Shape::SCALAR, storage: Storage::Inline(value) }
    }

    /// A place for a result: the zero without axes, which costs nothing.
    #[doc(hidden)]
    #[must_use]
    pub fn empty() -> Self {
        Self::scalar(T::default())
    }

    /// The sizes of its axes, outermost first.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The number of axes.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.elements()
    }

    /// Whether it has no elements, as a tensor of shape `[0, 3]`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of its elements.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        T::DTYPE
    }

    /// Where its elements are.
    #[must_use]
    pub fn device(&self) -> Device {
        self.remote().map_or_else(Device::cpu, |remote| remote.gpu().device())
    }

    /// The same tensor on this device, as `to(device)` in PyTorch. If it is there already, a device's memory is shared, and
    /// host memory is copied.
    ///
    /// Errors: the device has no room left; the driver of a device fails.
    ///
    /// ```
    /// use graven::{Device, Tensor};
    ///
    /// let t: Tensor = Tensor::new([1.0, 2.0], [2])?;
    /// let there = t.to(&Device::best())?;
    /// assert_eq!(there.device(), Device::best());
    /// assert_eq!(there.to(&Device::cpu())?.as_slice(), [1.0, 2.0]);
    /// # graven::Result::Ok(())
    /// ```
    pub fn to(&self, device: &Device) -> Result<Self> {
        let storage = match (device.gpu(), &self.storage) {
            (Some(gpu), Storage::Device(remote)) if remote.gpu() == gpu => self.storage.clone(),
            (Some(gpu), _) => Storage::Device(Remote::upload(gpu, self.values()?)?),
            (None, Storage::Device(remote)) => Storage::Heap(remote.to_vec()?),
            (None, _) => self.storage.clone(),
        };
        Ok(Self { shape: self.shape, storage })
    }

    /// Its elements, row-major. Those of a tensor on a device are copied to host memory by the first call.
    ///
    /// Panics if the driver of a device fails; [`to_vec`](Self::to_vec) returns the error.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        self.values().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Its elements, row-major, to be changed. A tensor on a device moves to host memory.
    ///
    /// Panics if the driver of a device fails; [`to`](Self::to) returns the error.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        if let Storage::Device(remote) = &self.storage {
            self.storage = Storage::Heap(remote.to_vec().unwrap_or_else(|error| panic!("{error}")));
        }
        match &mut self.storage {
            Storage::Inline(value) => std::slice::from_mut(value),
            Storage::Heap(data) => data,
            Storage::Device(_) => unreachable!("it was just moved"),
        }
    }

    /// A copy of its elements, row-major.
    ///
    /// Errors: none for a tensor in host memory; the driver of a device fails, perhaps because of what computes the tensor.
    pub fn to_vec(&self) -> Result<Vec<T>> {
        match &self.storage {
            Storage::Device(remote) => remote.to_vec(),
            _ => Ok(self.as_slice().to_vec()),
        }
    }

    /// Its elements, in host memory.
    ///
    /// Errors: as for [`to_vec`](Self::to_vec).
    pub(crate) fn values(&self) -> Result<&[T]> {
        match &self.storage {
            Storage::Inline(value) => Ok(std::slice::from_ref(value)),
            Storage::Heap(data) => Ok(data),
            Storage::Device(remote) => remote.read(),
        }
    }

    /// Its only element, as `item()` in PyTorch.
    ///
    /// Errors: it does not have exactly one element; as for [`to_vec`](Self::to_vec).
    ///
    /// ```
    /// use graven::Tensor;
    ///
    /// assert_eq!(Tensor::scalar(0.5_f32).item()?, 0.5);
    /// let message = Tensor::<f32>::zeros([2, 3])?.item().unwrap_err().to_string();
    /// assert!(message.starts_with("`item` takes a tensor of one element, but this one has the shape [2, 3]"));
    /// # graven::Result::Ok(())
    /// ```
    pub fn item(&self) -> Result<T> {
        match (&self.storage, self.len()) {
            (Storage::Inline(value), 1) => Ok(*value),
            (Storage::Heap(data), 1) => Ok(data[0]),
            (Storage::Device(remote), 1) => remote.first(),
            _ => Err(Error::NotOneElement { shape: self.shape.to_vec() }),
        }
    }

    /// The same elements in the same order under another shape.
    ///
    /// Errors: the shape does not hold as many elements as the tensor has.
    pub fn reshape(mut self, shape: impl AsRef<[usize]>) -> Result<Self> {
        let shape = Shape::new(shape)?;
        if self.len() != shape.elements() {
            return Err(Error::Reshape { from: self.shape.to_vec(), to: shape.to_vec() });
        }
        self.shape = shape;
        Ok(self)
    }

    /// The element at this index, one number per axis; `None` where there is none.
    #[must_use]
    pub fn get(&self, index: &[usize]) -> Option<T> {
        if index.len() != self.rank() || index.iter().zip(self.shape.iter()).any(|(index, size)| index >= size) {
            return None;
        }
        let position = index.iter().zip(self.shape.iter()).fold(0, |position, (index, size)| position * size + index);
        self.as_slice().get(position).copied()
    }

    /// These entries of the first axis, as `t[start..end]` in PyTorch: rows of a matrix, samples of a batch. In host memory
    /// they are copied, on a device they are shared.
    ///
    /// Errors: the tensor has no axes; the range does not lie within the first one.
    pub fn rows(&self, range: Range<usize>) -> Result<Self> {
        let rows = self.shape.first().copied();
        let Some(rows) = rows.filter(|&rows| range.start <= range.end && range.end <= rows) else {
            return Err(Error::RowsOutOfRange { range, shape: self.shape.to_vec() });
        };
        let width = self.len().checked_div(rows).unwrap_or(0);
        let mut shape = self.shape.to_vec();
        shape[0] = range.len();
        let range = range.start * width..range.end * width;
        match &self.storage {
            Storage::Device(remote) => {
                Ok(Self { shape: Shape::new(shape)?, storage: Storage::Device(remote.part(range)) })
            }
            _ => Self::new(&self.as_slice()[range], shape),
        }
    }

    /// Gives it this shape and as many elements. What they hold is left open. The buffer is used again where it suffices.
    pub(crate) fn resize_for(&mut self, shape: Shape) {
        self.shape = shape;
        let elements = shape.elements();
        match &mut self.storage {
            Storage::Inline(_) if elements == 1 => {}
            Storage::Inline(_) | Storage::Device(_) => self.storage = Storage::Heap(vec![T::default(); elements]),
            Storage::Heap(data) => data.resize(elements, T::default()),
        }
    }

    /// What it is on a device; `None` for a tensor in host memory.
    pub(crate) fn remote(&self) -> Option<&Remote<T>> {
        if let Storage::Device(remote) = &self.storage { Some(remote) } else { None }
    }

    /// Makes it a tensor on a device.
    pub(crate) fn set_remote(&mut self, shape: Shape, remote: Remote<T>) {
        *self = Self { shape, storage: Storage::Device(remote) };
    }

    /// The GPU that it is on.
    pub(crate) fn gpu(&self) -> Option<&'static Gpu> {
        self.remote().map(Remote::gpu)
    }
}

/// An empty buffer with room for the elements of this shape.
fn reserve<T>(shape: &Shape) -> Result<Vec<T>> {
    let mut data = Vec::new();
    data.try_reserve_exact(shape.elements()).map_err(|_| Error::TooLarge { dims: shape.to_vec() })?;
    Ok(data)
}

impl<T: Element> Default for Tensor<T> {
    /// The zero without axes.
    fn default() -> Self {
        Self::empty()
    }
}

impl<T: Element> PartialEq for Tensor<T> {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.as_slice() == other.as_slice()
    }
}

impl<T: Element> From<T> for Tensor<T> {
    fn from(value: T) -> Self {
        Self::scalar(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_keeps_its_buffer_when_it_is_resized() {
        let mut t: Tensor = Tensor::zeros([4, 5]).unwrap();
        let buffer = t.as_slice().as_ptr();
        for shape in [&[2, 2][..], &[], &[20], &[4, 5]] {
            t.resize_for(Shape::known(shape));
            assert_eq!((t.shape().as_slice(), t.as_slice().as_ptr()), (shape, buffer));
            assert_eq!(t.len(), t.shape().elements());
        }
    }

    #[test]
    fn elements_are_found_row_major_and_only_inside_the_shape() {
        let t: Tensor<i64> = Tensor::from_fn([2, 3, 4], |index| index as i64).unwrap();
        assert_eq!(t.get(&[1, 2, 3]), Some(23));
        assert_eq!(t.get(&[1, 0, 1]), Some(13));
        assert_eq!(t.get(&[0, 0, 4]), None);
        assert_eq!(t.get(&[0, 0]), None);
        assert_eq!(Tensor::scalar(7_i64).get(&[]), Some(7));
    }

    #[test]
    fn rows_are_checked() {
        let t: Tensor<i64> = Tensor::from_fn([3, 2], |index| index as i64).unwrap();
        assert_eq!(t.rows(1..3).unwrap(), Tensor::new([2, 3, 4, 5], [2, 2]).unwrap());
        assert_eq!(t.rows(3..3).unwrap().shape(), [0, 2]);
        let (start, end) = (2, 1);
        assert!(t.rows(start..end).is_err());
        assert_eq!(
            t.rows(1..4).unwrap_err().to_string(),
            "rows 1..4 do not lie within a tensor of shape [3, 2], which has the rows 0..3"
        );
        assert!(Tensor::scalar(1_i64).rows(0..1).is_err());
    }

    #[test]
    fn impossible_sizes_are_errors_not_aborts() {
        assert!(matches!(Tensor::<f32>::zeros([1 << 40, 1 << 18]), Err(Error::TooLarge { .. })));
        assert!(matches!(Tensor::<f32>::zeros([1 << 58]), Err(Error::TooLarge { .. })));
        assert!(Tensor::<f32>::zeros([3, 0]).unwrap().is_empty());
    }

    #[test]
    fn reshaping_keeps_the_elements() {
        let t: Tensor<i64> = Tensor::from_fn([2, 3], |index| index as i64).unwrap();
        assert_eq!(t.clone().reshape([6]).unwrap().as_slice(), t.as_slice());
        assert_eq!(
            t.reshape([4]).unwrap_err().to_string(),
            "a tensor of shape [2, 3] has 6 elements and cannot take the shape [4], which holds 4"
        );
    }
}
