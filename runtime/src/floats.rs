//! Buffers of floats, and how disjoint parts of one buffer are handed to several threads.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;

/// Floats in a line of the cache; every buffer starts at one.
pub(crate) const LINE: usize = 16;

/// One line of the cache, which is also one AVX-512 register.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; LINE]);

/// A buffer of floats that starts at a line of the cache and never shrinks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Floats {
    lines: Vec<Line>,
}

impl Floats {
    /// A buffer of at least `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut floats = Self::default();
        floats.grow(len);
        floats
    }

    /// Makes it at least `len` long. It keeps what it holds; what is new is zero.
    pub(crate) fn grow(&mut self, len: usize) {
        let lines = len.div_ceil(LINE);
        if self.lines.len() < lines {
            self.lines.resize(lines, Line([0.0; LINE]));
        }
    }
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a `Line` is `LINE` floats without padding (repr(C), and its alignment equals its size), so the vector
        // holds `lines.len() * LINE` initialised floats in a row.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * LINE) }
    }
}

impl DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`; the vector is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * LINE) }
    }
}

/// An exclusively borrowed slice of which several threads take parts. Whoever takes parts vouches that they are disjoint.
pub(crate) struct Shared<'a, T> {
    start: NonNull<T>,
    len: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a borrow of a slice; its parts reach other threads as `&[T]` and `&mut [T]`, which needs `T: Send + Sync`.
unsafe impl<T: Send + Sync> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { len: slice.len(), start: NonNull::from(slice).cast(), borrow: PhantomData }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A part to read.
    ///
    /// # Safety
    ///
    /// While the result lives, no overlapping part is taken with [`part_mut`](Self::part_mut).
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &'a [T] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        // SAFETY: the range was checked; the slice is borrowed for 'a; the caller keeps writers away.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start).as_ptr(), range.len()) }
    }

    /// A part to write.
    ///
    /// # Safety
    ///
    /// While the result lives, no overlapping part is taken.
    pub(crate) unsafe fn part_mut(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        // SAFETY: the range was checked; the slice is borrowed exclusively for 'a; the caller keeps others away.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start).as_ptr(), range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_starts_at_a_line_and_keeps_its_content_when_it_grows() {
        let mut floats = Floats::zeros(20);
        assert_eq!((floats.as_ptr().addr() % 64, floats.len()), (0, 32));
        floats[19] = 3.0;
        floats.grow(1000);
        assert_eq!((floats.as_ptr().addr() % 64, floats[19], floats[999]), (0, 3.0, 0.0));
        floats.grow(1);
        assert!(floats.len() >= 1000);
    }

    #[test]
    fn threads_write_disjoint_parts() {
        let mut data = vec![0; 100];
        let shared = Shared::new(&mut data);
        std::thread::scope(|scope| {
            for part in 0..4 {
                // SAFETY: the four parts are disjoint.
                scope.spawn(move || unsafe { shared.part_mut(part * 25..(part + 1) * 25) }.fill(part));
            }
        });
        assert!(data.iter().enumerate().all(|(index, &part)| part == index / 25));
    }
}
