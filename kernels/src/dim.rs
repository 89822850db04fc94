//! Sizes and shapes as the compiler knows them: numbers, symbols that the run binds, and their products.

use std::fmt::{self, Write as _};
use std::sync::Arc;

/// One size: `factor` times the product of its symbols, `28`, `N` or `N * 28`.
///
/// The compiler, which runs unoptimised, copies sizes and types all the time: their parts are shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dim {
    factor: usize,
    /// Sorted, so that equal products are equal values; None if there are none.
    symbols: Option<Arc<[String]>>,
}

/// Symbols of a product: squaring a square again and again would double them without end.
const MAX_SYMBOLS: usize = 64;

impl Dim {
    /// A size known at compile time.
    #[must_use]
    pub const fn known(size: usize) -> Dim {
        Dim { factor: size, symbols: None }
    }

    /// A size that the run binds.
    #[must_use]
    pub fn symbol(name: &str) -> Dim {
        Dim { factor: 1, symbols: Some([name.to_owned()].into()) }
    }

    /// The number, if no symbol stands in it.
    #[must_use]
    pub fn as_known(&self) -> Option<usize> {
        if self.symbols.is_none() || self.factor == 0 { Some(self.factor) } else { None }
    }

    /// The number that multiplies the symbols.
    #[must_use]
    pub const fn factor(&self) -> usize {
        self.factor
    }

    /// The symbols, sorted; one that is squared stands twice.
    #[must_use]
    pub fn symbols(&self) -> &[String] {
        match &self.symbols {
            Some(symbols) => symbols,
            None => &[],
        }
    }

    /// The product, unless its factor overflows or it has more symbols than any shape needs.
    #[must_use]
    pub fn times(&self, other: &Dim) -> Option<Dim> {
        let factor = self.factor.checked_mul(other.factor)?;
        let symbols = match (&self.symbols, &other.symbols) {
            (None, None) => None,
            (Some(symbols), None) | (None, Some(symbols)) => Some(Arc::clone(symbols)),
            (Some(left), Some(right)) if left.len() + right.len() > MAX_SYMBOLS => return None,
            (Some(left), Some(right)) => {
                let mut symbols = [&**left, right].concat();
                symbols.sort();
                Some(symbols.into())
            }
        };
        Some(Dim { factor, symbols })
    }

    /// The quotient, if the division leaves no rest.
    #[must_use]
    pub fn over(&self, other: &Dim) -> Option<Dim> {
        if other.factor == 0 || !self.factor.is_multiple_of(other.factor) {
            return None;
        }
        let mut symbols = self.symbols().to_vec();
        for symbol in other.symbols() {
            let position = symbols.iter().position(|own| own == symbol)?;
            symbols.remove(position);
        }
        let symbols = if symbols.is_empty() { None } else { Some(symbols.into()) };
        Some(Dim { factor: self.factor / other.factor, symbols })
    }

    /// The product of many sizes, unless it overflows.
    #[must_use]
    pub fn product<'a>(dims: impl IntoIterator<Item = &'a Dim>) -> Option<Dim> {
        let mut product = Dim::known(1);
        for dim in dims {
            product = product.times(dim)?;
        }
        Some(product)
    }
}

impl From<usize> for Dim {
    fn from(size: usize) -> Dim {
        Dim::known(size)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(symbols) = &self.symbols else { return self.factor.fmt(f) };
        f.write_str(&symbols.join(" * "))?;
        if self.factor == 1 { Ok(()) } else { write!(f, " * {}", self.factor) }
    }
}

/// What an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 32-bit floats.
    F32,
    /// 64-bit integers: labels, positions, counts. They carry no gradient.
    I64,
}

impl Dtype {
    /// Bytes of an element.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Dtype::F32 => size_of::<f32>(),
            Dtype::I64 => size_of::<i64>(),
        }
    }
}

/// What is known of a value at compile time: its element type and its shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Type {
    /// What an element is.
    pub dtype: Dtype,
    /// The sizes, outermost first.
    pub dims: Arc<[Dim]>,
}

impl Type {
    /// A tensor of floats.
    #[must_use]
    pub fn f32(dims: impl IntoIterator<Item = impl Into<Dim>>) -> Type {
        Type { dtype: Dtype::F32, dims: dims.into_iter().map(Into::into).collect() }
    }

    /// A tensor of integers.
    #[must_use]
    pub fn i64(dims: impl IntoIterator<Item = impl Into<Dim>>) -> Type {
        Type { dtype: Dtype::I64, dims: dims.into_iter().map(Into::into).collect() }
    }

    /// The number of axes.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// The number of elements, unless it overflows.
    #[must_use]
    pub fn elements(&self) -> Option<Dim> {
        Dim::product(self.dims.iter())
    }

    /// The elements of one sample: the product of all sizes but the first, if all of them are known.
    #[must_use]
    pub fn features(&self) -> Option<usize> {
        Dim::product(self.dims.get(1..)?)?.as_known()
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&list(&self.dims))?;
        if self.dtype == Dtype::I64 { f.write_str(" of i64") } else { Ok(()) }
    }
}

/// `[N, 12, 4, 4]`, as messages and dumps print a shape.
#[must_use]
pub fn list<T: fmt::Display>(items: &[T]) -> String {
    let mut text = String::from("[");
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            text.push_str(", ");
        }
        let _ = write!(text, "{item}");
    }
    text + "]"
}

/// `45,626`
#[must_use]
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_quotients_keep_symbols_apart_from_numbers() {
        let n = Dim::symbol("N");
        let product = Dim::product(&[n.clone(), 12.into(), 4.into()]).unwrap();
        assert_eq!(product.to_string(), "N * 48");
        assert_eq!(product.over(&Dim::known(16)).unwrap().to_string(), "N * 3");
        assert_eq!(product.over(&n).unwrap().as_known(), Some(48));
        assert_eq!(product.over(&Dim::known(5)), None);
        assert_eq!(Dim::known(usize::MAX).times(&Dim::known(2)), None);
    }
}
