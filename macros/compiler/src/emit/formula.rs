//! Formulas as Rust or CUDA C++: the rows' texts, put into each other. Types as text.

use std::sync::Arc;

use graven_kernels::dim::Type;
use graven_kernels::op::Scalar;
use graven_kernels::pointwise::Formula;

/// What differs between the two.
pub(super) struct Language {
    /// A number of type f32.
    number: fn(f32) -> String,
    /// A number in the text of a row, of type f32.
    literal: fn(&str) -> String,
    /// A symbol as f32.
    symbol: fn(&str) -> String,
}

pub(super) const RUST: Language = Language {
    number: |number| match number {
        number if number.is_nan() => "f32::NAN".to_owned(),
        f32::INFINITY => "f32::INFINITY".to_owned(),
        f32::NEG_INFINITY => "f32::NEG_INFINITY".to_owned(),
        number => format!("{number:?}"),
    },
    literal: str::to_owned,
    symbol: |symbol| format!("{symbol} as f32"),
};

pub(super) const CUDA: Language = Language {
    number: |number| match number {
        number if number.is_finite() => format!("{number:?}f"),
        number => format!("__int_as_float({:#x})", number.to_bits()),
    },
    literal: |text| text.replace('_', "") + "f",
    symbol: |symbol| format!("(float) {symbol}"),
};

impl Language {
    /// A formula as an expression over the named operands. Functions are called in `math`; symbols stand by name.
    pub(super) fn formula(&self, formula: &Formula, operands: &[String]) -> String {
        match formula {
            Formula::Operand(index) => operands[*index].clone(),
            Formula::Scalar(number) => self.scalar(number),
            Formula::Apply(row, arguments) => {
                let arguments: Vec<String> =
                    arguments.iter().map(|argument| self.formula(argument, operands)).collect();
                self.substitute(row.text, |name| {
                    row.parameters.iter().position(|own| *own == name).map(|position| arguments[position].as_str())
                })
            }
        }
    }

    /// A number as f32.
    pub(super) fn scalar(&self, scalar: &Scalar) -> String {
        let factor = (self.number)(scalar.factor as f32);
        let factor = if factor.starts_with('-') { format!("({factor})") } else { factor };
        let product = |sign: &str, symbols: &[String]| -> String {
            symbols.iter().map(|symbol| format!(" {sign} {}", (self.symbol)(symbol))).collect()
        };
        let (times, over) = (product("*", scalar.times.symbols()), product("/", scalar.over.symbols()));
        if times.is_empty() && over.is_empty() { factor } else { format!("({factor}{times}{over})") }
    }

    /// Replaces identifiers in a formula's text, adding parentheses where they are needed, and finds functions in `math`.
    fn substitute<'a>(&self, text: &str, replace: impl Fn(&str) -> Option<&'a str>) -> String {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut result = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            // A word, a number with its point, or what stands between two of them.
            let number = first.is_ascii_digit();
            let kind = |c: char| if number { is_word(c) || c == '.' } else { is_word(c) == is_word(first) };
            let (word, behind) = rest.split_at(rest.find(|c| !kind(c)).unwrap_or(rest.len()));
            rest = behind;
            match replace(word) {
                _ if number => result.push_str(&(self.literal)(word)),
                _ if !is_word(first) => result.push_str(word),
                _ if behind.starts_with('(') => result.extend(["math::", word]),
                None => result.push_str(word),
                Some(replacement) => {
                    let alone = matches!(result.trim_end().chars().last(), None | Some('(' | ','))
                        && matches!(behind.trim_start().chars().next(), None | Some(')' | ','));
                    let whole =
                        if alone || is_simple(replacement) { ["", replacement, ""] } else { ["(", replacement, ")"] };
                    result.extend(whole);
                }
            }
        }
        result
    }
}

/// Whether an expression needs no parentheses as an operand: a name, a number, a call, something in parentheses.
fn is_simple(expression: &str) -> bool {
    let mut depth = 0;
    !expression.chars().any(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0 && "+-*/<>".contains(c)
    })
}

/// `a, b, ..` as a pattern of the closure.
pub(super) fn operands(n: usize) -> Vec<String> {
    (0..n).map(|index| char::from(b'a' + index as u8).to_string()).collect()
}

/// Types printed lately that a type is compared with before it is printed.
const RECENT: usize = 4;

/// Types as text. A network has a few, each many times.
pub(super) fn printed<'a>(types: impl Iterator<Item = &'a Type>) -> Vec<Arc<str>> {
    let mut texts: Vec<Arc<str>> = Vec::new();
    let mut recent: Vec<(&Type, Arc<str>)> = Vec::with_capacity(RECENT);
    let mut n_printed = 0;
    for ty in types {
        if let Some((_, text)) = recent.iter().find(|(own, _)| *own == ty) {
            texts.push(Arc::clone(text));
            continue;
        }
        let text: Arc<str> = ty.to_string().into();
        texts.push(Arc::clone(&text));
        if recent.len() < RECENT {
            recent.push((ty, text));
        } else {
            recent[n_printed % RECENT] = (ty, text);
        }
        n_printed += 1;
    }
    texts
}

#[cfg(test)]
mod tests {
    use graven_kernels::dim::Dim;
    use graven_kernels::pointwise::row;

    use super::*;

    #[test]
    fn operands_are_put_into_the_texts_with_the_parentheses_that_they_need() {
        let apply = |name, arguments: &[Formula]| Formula::Apply(row(name), arguments.to_vec());
        let (a, b) = (Formula::Operand(0), Formula::Operand(1));
        let number = |factor| Formula::Scalar(Scalar::number(factor));
        let print = |printed: &Formula| RUST.formula(printed, &operands(2));
        let sum = apply("add", &[a.clone(), b.clone()]);
        assert_eq!(print(&apply("mul", &[sum.clone(), b.clone()])), "(a + b) * b");
        assert_eq!(print(&apply("relu", std::slice::from_ref(&sum))), "math::max(a + b, 0.0)");
        assert_eq!(print(&apply("mul", &[apply("exp", &[sum]), number(-0.5)])), "math::exp(a + b) * (-0.5)");
        assert_eq!(print(&apply("neg", &[apply("neg", std::slice::from_ref(&a))])), "-(-a)");
        let scaled = apply("mul", &[apply("gelu", &[a]), Formula::Scalar(Scalar::one_over(&Dim::symbol("N")))]);
        assert_eq!(
            CUDA.formula(&scaled, &operands(1)),
            "(0.5f * a * (1.0f + math::erf(a * 0.7071067811865475f))) * (1.0f / (float) N)"
        );
    }
}
