//! Arguments of layers and calls: by position or by name, read as the table of the layer or function says.

use graven_kernels::arguments::{Arguments, Given, Kind, Parameter};
use graven_kernels::layers::Layer;
use quote::{ToTokens, quote};
use syn::{Expr, Lit};

use super::number::{Names, Number, evaluate};
use crate::diagnostics::{Errors, nearest};
use crate::syntax::Field;

/// What to mark where no argument is written, and how arguments would be written there.
type Place<'a> = (&'a dyn ToTokens, Option<&'a dyn Fn(&str) -> String>);

/// Pairs what was written with the table: (parameter, expression), in the order of writing.
///
/// Reports unknown, doubled, surplus and missing arguments; `whose` is the layer or function. Where none is written at all, `at`
/// is marked, and `bare` writes arguments there.
pub(crate) fn assign<'a>(
    parameters: &'static [Parameter],
    given: impl IntoIterator<Item = &'a Expr>,
    n_before: usize,
    whose: &str,
    (at, bare): Place<'_>,
    errors: &mut Errors,
) -> Option<Vec<(&'static Parameter, &'a Expr)>> {
    let given: Vec<&Expr> = given.into_iter().collect();
    let mut assigned: Vec<(&'static Parameter, &'a Expr)> = Vec::new();
    let n_errors = errors.reported();
    let mut position = n_before;
    for (index, expression) in given.iter().copied().enumerate() {
        let (parameter, value) = match expression {
            Expr::Assign(assign) => {
                let name = match &*assign.left {
                    Expr::Path(path) if path.path.get_ident().is_some() => path.path.segments[0].ident.to_string(),
                    other => super::text(other),
                };
                let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) else {
                    errors.at(&assign.left, unknown(whose, &name, parameters));
                    continue;
                };
                (parameter, &*assign.right)
            }
            positional => {
                let Some(parameter) = parameters.get(position) else {
                    errors.at(
                        positional,
                        format!("{whose} takes {} arguments at most: {}", parameters.len(), names(parameters)),
                    );
                    continue;
                };
                position += 1;
                (parameter, positional)
            }
        };
        if assigned.iter().any(|(own, _)| own.name == parameter.name)
            || parameters[..n_before].iter().any(|own| own.name == parameter.name)
        {
            let message = format!("{whose} is given `{}` twice", parameter.name);
            match position_of(&given[..index], parameter, parameters, n_before) {
                // All from the first to the second, without the second.
                Some(first) => {
                    let (both, left) = (&given[first..=index], &given[first..index]);
                    let left: Vec<String> = left.iter().map(super::text).collect();
                    errors.at(quote!(#(#both),*), format!("{message}\nhelp: write `{}`", left.join(", ")));
                }
                None => errors.at(expression, format!("{message}\nhelp: remove one of them")),
            }
            continue;
        }
        assigned.push((parameter, value));
    }
    if errors.reported() == n_errors {
        let required = parameters[n_before.min(parameters.len())..].iter().filter(|parameter| parameter.required);
        let missing: Vec<&Parameter> =
            required.filter(|parameter| !assigned.iter().any(|(own, _)| own.name == parameter.name)).collect();
        if !missing.is_empty() {
            report_missing(whose, &missing, given.last().copied(), (at, bare), errors);
        }
    }
    (errors.reported() == n_errors).then_some(assigned)
}

/// Which of some arguments gives a parameter.
fn position_of(given: &[&Expr], wanted: &Parameter, parameters: &[Parameter], n_before: usize) -> Option<usize> {
    let mut position = n_before;
    given.iter().position(|expression| match expression {
        Expr::Assign(assign) => super::text(&assign.left) == wanted.name,
        _ => {
            position += 1;
            parameters.get(position - 1).is_some_and(|own| own.name == wanted.name)
        }
    })
}

/// Says what is missing, and tries likely values behind the last argument.
fn report_missing(
    whose: &str,
    missing: &[&Parameter],
    last: Option<&Expr>,
    (at, bare): Place<'_>,
    errors: &mut Errors,
) {
    let quoted: Vec<String> = missing.iter().map(|parameter| format!("`{}`", parameter.name)).collect();
    let message = format!("{whose} misses {}", quoted.join(" and "));
    let write: Vec<String> = missing.iter().map(|parameter| format!("{} = ..", parameter.name)).collect();
    let help = match missing {
        [one] => format!("add `{}`: {}", write[0], one.kind.describe()),
        _ => format!("add `{}`", write.join(", ")),
    };
    let values = likely_together(missing);
    let (marked, fits) = match (last, bare) {
        (Some(last), _) => {
            let last_text = super::text(last);
            (last.to_token_stream(), values.iter().map(|values| format!("{last_text}, {values}")).collect())
        }
        (None, Some(bare)) => (at.to_token_stream(), values.iter().map(|values| bare(values)).collect()),
        (None, None) => (at.to_token_stream(), Vec::new()),
    };
    let (open, help) = if fits.is_empty() { (at.to_token_stream(), Some(help)) } else { (marked, Some(help)) };
    errors.open(open, message.clone(), message, fits, help, Vec::new());
}

/// Values that networks give to arguments, the likeliest first.
fn likely(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Pair(_) => &["3", "5", "2", "1", "7", "4"],
        Kind::Size => &["10", "16", "32", "64", "8", "12", "6", "128", "120", "3", "1", "100", "256"],
        Kind::Axis | Kind::Axes => &["1", "-1", "0", "2"],
        Kind::Number => &["0.5"],
        Kind::Flag => &["true"],
        Kind::Tensor | Kind::Tensors | Kind::Shape | Kind::Word(_) => &[],
    }
}

/// Ways to write some arguments, the likeliest values first.
fn likely_together(parameters: &[&Parameter]) -> Vec<String> {
    let mut ways: Vec<(usize, String)> = vec![(0, String::new())];
    for parameter in parameters {
        let one = |(rank, before): &(usize, String)| {
            let comma = if before.is_empty() { "" } else { ", " };
            let values = likely(parameter.kind).iter().enumerate();
            values
                .map(|(own, value)| (rank + own, format!("{before}{comma}{} = {value}", parameter.name)))
                .collect::<Vec<_>>()
        };
        ways = ways.iter().flat_map(one).collect();
    }
    ways.sort_by_key(|(rank, _)| *rank);
    ways.into_iter().map(|(_, way)| way).collect()
}

fn names(parameters: &[Parameter]) -> String {
    let names: Vec<String> = parameters.iter().map(|parameter| format!("`{}`", parameter.name)).collect();
    names.join(", ")
}

fn unknown(whose: &str, name: &str, parameters: &[Parameter]) -> String {
    if parameters.is_empty() {
        return format!("{whose} has no argument `{name}`: it takes none");
    }
    match nearest(name, parameters.iter().map(|parameter| parameter.name)) {
        Some(near) => format!("{whose} has no argument `{name}`; did you mean `{near}`?"),
        None => format!("{whose} has no argument `{name}`\nhelp: it takes {}", names(parameters)),
    }
}

/// Reads an argument that needs no tensors. None: the kind takes tensors.
pub(crate) fn constant(kind: Kind, expression: &Expr, names: &Names) -> Option<Result<Given, String>> {
    let number = |expression: &Expr| evaluate(expression, names).map_err(|(_, message)| message);
    Some(match kind {
        Kind::Tensor | Kind::Tensors => return None,
        Kind::Size => number(expression).and_then(|number| at_least(&number, 1)).map(Given::Size),
        Kind::Pair(least) => match elements(expression) {
            Some(two) if two.len() == 2 => two
                .iter()
                .map(|element| number(element).and_then(|number| at_least(&number, least)))
                .collect::<Result<Vec<_>, _>>()
                .map(|sizes| Given::Pair([sizes[0], sizes[1]])),
            Some(other) => Err(format!("{} sizes were given", other.len())),
            None => number(expression).and_then(|number| at_least(&number, least)).map(|size| Given::Pair([size; 2])),
        },
        Kind::Axis => number(expression).and_then(|number| integer(&number)).map(|axis| Given::Axes(vec![axis])),
        Kind::Axes => {
            let axes = elements(expression).unwrap_or_else(|| vec![expression]);
            axes.iter()
                .map(|axis| number(axis).and_then(|number| integer(&number)))
                .collect::<Result<_, _>>()
                .map(Given::Axes)
        }
        Kind::Shape => {
            let sizes = elements(expression).unwrap_or_else(|| vec![expression]);
            let dim = |size: &&Expr| match number(size)? {
                Number::Integer(-1) => Ok(None),
                other => other.as_dim().map(Some).ok_or_else(|| format!("`{}` is no size", super::text(size))),
            };
            sizes.iter().map(dim).collect::<Result<_, _>>().map(Given::Shape)
        }
        Kind::Number => number(expression).map(|number| Given::Number(number.to_scalar())),
        Kind::Flag => match expression {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Bool(flag) => Ok(Given::Flag(flag.value)),
                _ => Err(String::new()),
            },
            _ => Err(String::new()),
        },
        Kind::Word(words) => match expression {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(word) if words.contains(&word.value().as_str()) => Ok(Given::Word(word.value())),
                _ => Err(String::new()),
            },
            _ => Err(String::new()),
        },
    })
}

/// The largest argument of a layer: what is made of a few of them does not overflow.
const MAX_SIZE: i128 = i32::MAX as i128;

/// Reports an argument of the wrong kind: "`padding` of `conv1` is `-1`, but must be ...".
pub(crate) fn report_kind(whose: &str, parameter: &Parameter, expression: &Expr, reason: &str, errors: &mut Errors) {
    if super::text(expression) == "None" {
        let message = format!("`{}` of {whose} cannot be `None`", parameter.name);
        errors.at(expression, format!("{message}\nhelp: leave `{}` out", parameter.name));
        return;
    }
    // A name that is not declared is explained on its own.
    if reason.contains("not declared") {
        errors.at(expression, reason);
        return;
    }
    let (shown, wanted) = (super::text(expression), parameter.kind.describe());
    let (name, fits) = (parameter.name, fits(parameter.kind, expression));
    let message = match expression {
        Expr::Lit(syn::ExprLit { lit: Lit::Str(_), .. }) if !matches!(parameter.kind, Kind::Word(_)) => {
            format!("`{name}` of {whose} is the string `{shown}`, but must be {wanted}")
        }
        _ => {
            let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            format!("`{name}` of {whose} is `{shown}`{reason}, but must be {wanted}")
        }
    };
    errors.open(expression, message.clone(), message, fits, None, Vec::new());
}

/// What could stand for an argument of the wrong kind: the numbers near it that are allowed, or the word that is nearest.
fn fits(kind: Kind, expression: &Expr) -> Vec<String> {
    let text = match expression {
        Expr::Lit(syn::ExprLit { lit: Lit::Str(string), .. }) => string.value(),
        other => super::text(other),
    };
    let number = text.parse::<f64>().ok().filter(|number| number.abs() < 1e9);
    match (kind, number) {
        (Kind::Size | Kind::Pair(_), Some(number)) => {
            let least = if let Kind::Pair(least) = kind { least } else { 1 };
            let number = number.max(least as f64);
            let near = [number.floor(), number.ceil()].map(|number| number as usize);
            let mut fits = near.to_vec();
            fits.extend(near[1]..near[1] + 8);
            fits.dedup();
            fits.iter().map(ToString::to_string).collect()
        }
        (Kind::Number, Some(_)) => vec![text],
        (Kind::Size | Kind::Pair(_), None) => match elements(expression) {
            // Three sizes, where height and width are two.
            Some(sizes) if sizes.len() > 2 => vec![format!("({}, {})", super::text(sizes[0]), super::text(sizes[1]))],
            Some(_) => Vec::new(),
            // `padding = "same"`
            None => (usize::from(!matches!(kind, Kind::Pair(0)))..8).map(|size| size.to_string()).collect(),
        },
        // `t.size(0)`: the size that is left.
        (Kind::Shape, _) => {
            let size = |element: &&Expr| match element {
                Expr::MethodCall(_) | Expr::Call(_) | Expr::Index(_) => "-1".to_owned(),
                other => super::text(other),
            };
            let sizes: Vec<String> = elements(expression).unwrap_or_default().iter().map(size).collect();
            vec![format!("[{}]", sizes.join(", "))]
        }
        (Kind::Flag, _) => {
            let word = text.to_ascii_lowercase();
            if ["true", "false"].contains(&word.as_str()) { vec![word] } else { Vec::new() }
        }
        (Kind::Axis | Kind::Axes, None) => likely(kind).iter().map(|axis| (*axis).to_owned()).collect(),
        (Kind::Axis | Kind::Axes, Some(number)) => vec![(number as i64).to_string()],
        (Kind::Word(words), _) => {
            nearest(&text, words.iter().copied()).map(|word| format!("{word:?}")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn at_least(number: &Number, least: usize) -> Result<usize, String> {
    match number {
        Number::Integer(number) if *number > MAX_SIZE => Err("more than any network has".to_owned()),
        Number::Integer(number) => usize::try_from(*number).ok().filter(|size| *size >= least).ok_or_else(String::new),
        Number::Size(dim) => Err(format!("`{dim}` is known only at run time")),
        Number::Scalar(_) => Err(String::new()),
    }
}

fn integer(number: &Number) -> Result<i64, String> {
    match number {
        Number::Integer(number) => i64::try_from(*number).map_err(|_| "the number overflows".to_owned()),
        _ => Err(String::new()),
    }
}

/// The elements of a list or tuple.
pub(crate) fn elements(expression: &Expr) -> Option<Vec<&Expr>> {
    match expression {
        Expr::Array(array) => Some(array.elems.iter().collect()),
        Expr::Tuple(tuple) => Some(tuple.elems.iter().collect()),
        Expr::Reference(reference) => elements(&reference.expr),
        Expr::Paren(paren) => elements(&paren.expr),
        Expr::Group(group) => elements(&group.expr),
        _ => None,
    }
}

/// Reads what stands in `#[layer(..)]`: the values, and which argument of the field (by position) gives each.
pub(crate) fn layer_arguments(
    field: &Field,
    layer: &'static Layer,
    names: &Names,
    errors: &mut Errors,
) -> Option<(Arguments, Vec<(&'static str, usize)>)> {
    let whose = format!("`{}`", field.name);
    let bare = |arguments: &str| format!("#[layer({arguments})] {}", field.name);
    let assigned = assign(layer.parameters, &field.arguments, 0, &whose, (&field.name, Some(&bare)), errors)?;
    let mut arguments = Arguments::default();
    let mut written = Vec::new();
    let n_errors = errors.reported();
    for (position, (parameter, expression)) in assigned.into_iter().enumerate() {
        match constant(parameter.kind, expression, names) {
            Some(Ok(given)) => arguments.set(parameter.name, given),
            Some(Err(reason)) => report_kind(&whose, parameter, expression, &reason, errors),
            None => errors.at(expression, format!("`{}` of {whose} must be known at compile time", parameter.name)),
        }
        written.push((parameter.name, position));
    }
    (errors.reported() == n_errors).then_some((arguments, written))
}
