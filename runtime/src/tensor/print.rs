//! How tensors print: as in PyTorch, four digits, aligned, shortened beyond 1,000 elements.

use std::fmt::{self, Write};

use super::{Dtype, Element, Tensor};

/// Tensors with more elements print only their edges.
const THRESHOLD: usize = 1000;
/// How many entries an edge has.
const EDGE: usize = 3;

impl<T: Element> fmt::Display for Tensor<T> {
    /// As PyTorch prints it, e.g. `tensor([[1., 2.], [3., 4.]])` over several lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printer = Printer::new(self);
        f.write_str("tensor(")?;
        printer.axis(f, 0, 0)?;
        if self.is_empty() && self.rank() != 1 {
            write!(f, ", size={}", self.shape())?;
        }
        f.write_char(')')
    }
}

impl<T: Element> fmt::Debug for Tensor<T> {
    /// The shape and the type, then the elements as [`Display`](fmt::Display) prints them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor<{}> {} {self}", T::DTYPE, self.shape())
    }
}

/// One way of writing numbers for a whole tensor, so that its columns align.
#[derive(Clone, Copy)]
enum Style {
    Integer,
    /// Floats that are all whole: `3.`
    Whole,
    Fixed,
    Scientific,
}

struct Printer<'a, T> {
    tensor: &'a Tensor<T>,
    style: Style,
    width: usize,
    shortened: bool,
}

impl<'a, T: Element> Printer<'a, T> {
    fn new(tensor: &'a Tensor<T>) -> Self {
        let shortened = tensor.len() > THRESHOLD;
        let mut printer = Self { tensor, style: style(tensor), width: 0, shortened };
        let mut shown = Vec::new();
        printer.shown(0, 0, &mut shown);
        printer.width = shown.iter().map(|&position| printer.number(position).len()).max().unwrap_or(0);
        printer
    }

    /// The entries of an axis that are printed, `None` for the dots between the edges.
    fn entries(&self, size: usize) -> impl Iterator<Item = Option<usize>> + use<T> {
        let cut = self.shortened && size > 2 * EDGE;
        let head = if cut { EDGE } else { size };
        let tail = if cut { size - EDGE } else { size };
        (0..head).map(Some).chain(cut.then_some(None)).chain((tail..size).map(Some))
    }

    /// Collects the positions of all printed elements below this entry of the axes before `axis`.
    fn shown(&self, axis: usize, position: usize, positions: &mut Vec<usize>) {
        match self.tensor.shape().get(axis) {
            None => positions.extend((position < self.tensor.len()).then_some(position)),
            Some(&size) => {
                for entry in self.entries(size).flatten() {
                    self.shown(axis + 1, position * size + entry, positions);
                }
            }
        }
    }

    fn axis(&self, f: &mut fmt::Formatter<'_>, axis: usize, position: usize) -> fmt::Result {
        let Some(&size) = self.tensor.shape().get(axis) else {
            return write!(f, "{:>width$}", self.number(position), width = self.width);
        };
        f.write_char('[')?;
        let innermost = axis + 1 == self.tensor.rank();
        for (n, entry) in self.entries(size).enumerate() {
            match (n, innermost) {
                (0, _) => {}
                (_, true) => f.write_str(", ")?,
                (_, false) => {
                    // A blank line between matrices, two between their stacks; indented below "tensor(" and brackets.
                    let lines = self.tensor.rank() - axis - 1;
                    write!(f, ",{:\n<lines$}{:indent$}", "", "", indent = "tensor(".len() + axis + 1)?;
                }
            }
            match entry {
                Some(entry) => self.axis(f, axis + 1, position * size + entry)?,
                None => f.write_str("...")?,
            }
        }
        f.write_char(']')
    }

    fn number(&self, position: usize) -> String {
        let value = self.tensor.as_slice()[position];
        match self.style {
            Style::Integer => value.to_string(),
            _ if value.to_f64().is_nan() => "nan".to_string(),
            _ if value.to_f64().is_infinite() => value.to_string(),
            Style::Whole => format!("{value}."),
            Style::Fixed => format!("{value:.4}"),
            Style::Scientific => scientific(value.to_f64()),
        }
    }
}

/// PyTorch's choice: fixed point unless the numbers are too far apart or too far from one for four digits.
fn style<T: Element>(tensor: &Tensor<T>) -> Style {
    if T::DTYPE == Dtype::I64 {
        return Style::Integer;
    }
    let finite = || tensor.as_slice().iter().map(|value| value.to_f64()).filter(|value| value.is_finite());
    let (mut smallest, mut largest) = (f64::INFINITY, 0.0_f64);
    for value in finite().filter(|&value| value != 0.0) {
        smallest = smallest.min(value.abs());
        largest = largest.max(value.abs());
    }
    let whole = finite().all(|value| value.fract() == 0.0);
    if largest > 1e8 || (largest > 0.0 && (largest / smallest > 1000.0 || smallest < 1e-4) && !whole) {
        Style::Scientific
    } else if whole {
        Style::Whole
    } else {
        Style::Fixed
    }
}

/// `1.5000e-05`: a signed exponent of at least two digits.
fn scientific(value: f64) -> String {
    let text = format!("{value:.4e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(data: &[f32], shape: &[usize]) -> String {
        Tensor::new(data, shape).unwrap().to_string()
    }

    // The expected texts are what PyTorch prints for the same tensors.
    #[test]
    fn floats_align_as_in_pytorch() {
        assert_eq!(tensor(&[1.0, 2.0, -3.0], &[3]), "tensor([ 1.,  2., -3.])");
        assert_eq!(tensor(&[0.5], &[]), "tensor(0.5000)");
        assert_eq!(
            tensor(&[0.5, 1.25, -2.0, 10.0], &[2, 2]),
            "tensor([[ 0.5000,  1.2500],\n        [-2.0000, 10.0000]])"
        );
        assert_eq!(tensor(&[1e-5, 1.0], &[2]), "tensor([1.0000e-05, 1.0000e+00])");
        assert_eq!(tensor(&[f32::NAN, f32::INFINITY, 1.5], &[3]), "tensor([   nan,    inf, 1.5000])");
    }

    #[test]
    fn matrices_of_a_stack_are_set_apart() {
        assert_eq!(tensor(&[1.0, 2.0, 3.0, 4.0], &[2, 1, 2]), "tensor([[[1., 2.]],\n\n        [[3., 4.]]])");
    }

    #[test]
    fn large_tensors_show_their_edges() {
        let t: Tensor<i64> = Tensor::from_fn([2000], |index| index as i64).unwrap();
        assert_eq!(t.to_string(), "tensor([   0,    1,    2, ..., 1997, 1998, 1999])");
    }

    #[test]
    fn empty_tensors_show_their_shape() {
        assert_eq!(tensor(&[], &[0]), "tensor([])");
        assert_eq!(format!("{:?}", Tensor::scalar(3_i64)), "Tensor<i64> [] tensor(3)");
        assert_eq!(tensor(&[], &[0, 3]), "tensor([], size=[0, 3])");
    }
}
