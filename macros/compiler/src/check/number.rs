//! Sizes and numbers in the user's expressions: integers, products with symbols, floats. Every step is checked, so that an
//! overflow is an error on the expression and never wraps.

use std::collections::HashMap;

use graven_kernels::dim::Dim;
use graven_kernels::op::Scalar;
use syn::{BinOp, Expr, Lit, UnOp};

use crate::diagnostics::nearest;

/// A number known at compile time, or bound by the run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Number {
    /// A whole number, negative ones included.
    Integer(i128),
    /// A size with a symbol in it.
    Size(Dim),
    /// Anything else.
    Scalar(Scalar),
}

/// Names of sizes: constants, a module's own sizes, symbols.
pub(crate) type Names = HashMap<String, Dim>;

impl Number {
    pub(crate) fn from_dim(dim: &Dim) -> Number {
        dim.as_known().map_or_else(|| Number::Size(dim.clone()), |known| Number::Integer(known as i128))
    }

    /// The number as a size, if it is one.
    pub(crate) fn as_dim(&self) -> Option<Dim> {
        match self {
            Number::Integer(number) => usize::try_from(*number).ok().map(Dim::known),
            Number::Size(dim) => Some(dim.clone()),
            Number::Scalar(_) => None,
        }
    }

    pub(crate) fn to_scalar(&self) -> Scalar {
        match self {
            Number::Integer(number) => Scalar::number(*number as f64),
            Number::Size(dim) => Scalar::size(dim),
            Number::Scalar(scalar) => scalar.clone(),
        }
    }

    pub(crate) fn negate(&self) -> Option<Number> {
        match self {
            Number::Integer(number) => number.checked_neg().map(Number::Integer),
            other => other.to_scalar().mul(&Scalar::number(-1.0)).map(Number::Scalar),
        }
    }

    /// Whether this is a division of whole numbers that does not come out even.
    pub(crate) fn leaves_a_remainder(&self, operator: &BinOp, other: &Number) -> bool {
        match (self, operator, other) {
            (Number::Integer(left), BinOp::Div(_), Number::Integer(right)) => left.checked_rem(*right) != Some(0),
            _ => false,
        }
    }

    /// Applies an operator.
    pub(crate) fn binary(&self, operator: &BinOp, other: &Number) -> Result<Number, String> {
        use Number::{Integer, Size};
        let overflow = || "the number overflows".to_owned();
        if let (Integer(left), Integer(right)) = (self, other) {
            let result = match operator {
                BinOp::Add(_) => left.checked_add(*right),
                BinOp::Sub(_) => left.checked_sub(*right),
                BinOp::Mul(_) => left.checked_mul(*right),
                BinOp::Div(_) if *right == 0 => return Err("this divides by zero".to_owned()),
                BinOp::Div(_) => left.checked_div(*right),
                BinOp::Rem(_) if *right == 0 => return Err("this divides by zero".to_owned()),
                BinOp::Rem(_) => left.checked_rem(*right),
                _ => return Err("sizes know + - * / % only".to_owned()),
            };
            return result.filter(|number| i64::try_from(*number).is_ok()).map(Integer).ok_or_else(overflow);
        }
        if let (Some(left), Some(right), true) =
            (self.as_dim(), other.as_dim(), matches!((self, other), (Size(_), _) | (_, Size(_))))
        {
            match operator {
                BinOp::Mul(_) => return left.times(&right).map(|dim| Number::from_dim(&dim)).ok_or_else(overflow),
                BinOp::Div(_) => {
                    if let Some(quotient) = left.over(&right) {
                        return Ok(Number::from_dim(&quotient));
                    }
                }
                _ => {}
            }
        }
        let (left, right) = (self.to_scalar(), other.to_scalar());
        let numbers = left.as_number().zip(right.as_number());
        let result = match (operator, numbers) {
            (BinOp::Add(_), Some((left, right))) => Some(Scalar::number(left + right)),
            (BinOp::Sub(_), Some((left, right))) => Some(Scalar::number(left - right)),
            (BinOp::Mul(_), _) => left.mul(&right),
            (BinOp::Div(_), _) => left.mul(&right.recip()),
            _ => {
                return Err("a size that is known only at run time can be multiplied and divided, not added".to_owned());
            }
        };
        result.map(Number::Scalar).ok_or_else(overflow)
    }
}

/// Evaluates an expression of sizes.
///
/// # Errors
/// The expression to mark, and what is wrong with it.
pub(crate) fn evaluate<'a>(expression: &'a Expr, names: &Names) -> Result<Number, (&'a Expr, String)> {
    let at = |message: String| (expression, message);
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(integer) => integer
                .base10_parse::<i64>()
                .map(|number| Number::Integer(number.into()))
                .map_err(|_| at(format!("`{integer}` is too large for a size"))),
            Lit::Float(float) => float
                .base10_parse::<f64>()
                .map(|number| Number::Scalar(Scalar::number(number)))
                .map_err(|error| at(error.to_string())),
            other => Err(at(format!("`{}` is no number", quote::quote!(#other)))),
        },
        Expr::Paren(inner) => evaluate(&inner.expr, names),
        Expr::Group(inner) => evaluate(&inner.expr, names),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            evaluate(&unary.expr, names)?.negate().ok_or_else(|| at("the number overflows".to_owned()))
        }
        Expr::Binary(binary) => {
            let (left, right) = (evaluate(&binary.left, names)?, evaluate(&binary.right, names)?);
            left.binary(&binary.op, &right).map_err(at)
        }
        Expr::Cast(cast) => evaluate(&cast.expr, names),
        Expr::Path(path) => match path.path.get_ident().and_then(|name| names.get(&name.to_string())) {
            Some(dim) => Ok(Number::from_dim(dim)),
            None => Err(at(undeclared(&path.path, names))),
        },
        _ => Err(at("a size is made of numbers, constants of the block and + - * /".to_owned())),
    }
}

/// What to say about a name that no declaration gives.
pub(crate) fn undeclared(path: &syn::Path, names: &Names) -> String {
    let text = super::text(path);
    let mut known: Vec<&str> = names.keys().map(String::as_str).collect();
    known.sort_unstable();
    if let Some(near) = nearest(&text, known) {
        return format!("no size is called `{text}`, which is not declared in this block; did you mean `{near}`?");
    }
    let name = path.segments.last().map_or_else(String::new, |segment| segment.ident.to_string());
    format!(
        "`{text}` is not declared in this block: its value is known to rustc, but not to the macro\n\
         help: declare `const {name}: usize = ..;` in the block, and `assert!({name} == {});` to tie it to the outside",
        if text.contains("::") { text.clone() } else { format!("crate::{name}") }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(text: &str) -> Result<Number, String> {
        let names = Names::from([("N".to_owned(), Dim::symbol("N")), ("C".to_owned(), Dim::known(12))]);
        evaluate(&syn::parse_str(text).unwrap(), &names).map_err(|(_, message)| message)
    }

    #[test]
    fn sizes_are_computed_and_checked() {
        assert_eq!(eval("C * 4 * 4"), Ok(Number::Integer(192)));
        assert_eq!(eval("(28 - 5) / 2 + 1"), Ok(Number::Integer(12)));
        assert_eq!(eval("N * 2 / 2"), Ok(Number::Size(Dim::symbol("N"))));
        assert_eq!(eval("9223372036854775807 * 2"), Err("the number overflows".to_owned()));
        assert_eq!(eval("1 / 0"), Err("this divides by zero".to_owned()));
        assert!(eval("OTHER").unwrap_err().contains("const OTHER: usize = ..;"));
    }
}
