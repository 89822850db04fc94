//! What is recorded of an operation, and what is said of one that does not fit.

use std::fmt::Write as _;
use std::rc::Rc;

use graven_kernels::dim::Type;
use graven_kernels::op::{Mistake, Value};
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Expr;

use super::{Body, Frame, Item};
use crate::check::explain::{Moves, Record};
use crate::check::summary::Call;
use crate::check::{explain, signature, summary, text};
use crate::graph::Kind;

impl Body<'_> {
    /// Keeps what a call gave, for the chains of later messages, or reports what is wrong with it.
    pub(super) fn record(
        &mut self,
        result: Result<Value, Mistake>,
        label: &str,
        inputs: &[Value],
        layer: Option<usize>,
        written: &[(&'static str, &Expr)],
        at: &dyn ToTokens,
    ) -> Item {
        match result {
            Ok(output) => {
                if let Some(input) = inputs.first() {
                    let moves = layer.map_or_else(|| Moves::of(written), Moves::Layer);
                    let (label, input, layer) = (label.to_owned(), *input, layer.is_some());
                    self.records.push(Record { label, input, output, layer, moves });
                }
                self.summary.push(Call {
                    label: label.to_owned(),
                    layer,
                    place: self.calls.last().map_or_else(String::new, Frame::path),
                    site: if layer.is_some() && self.calls.len() == 1 {
                        summary::site(at.to_token_stream())
                    } else {
                        None
                    },
                    input: inputs.first().copied(),
                    output,
                    end: self.graph.nodes.len(),
                });
                Item::Tensor(output)
            }
            Err(mistake) => {
                self.report(&mistake, label, inputs, layer, written, at);
                Item::Unknown
            }
        }
    }

    fn report(
        &mut self,
        mistake: &Mistake,
        label: &str,
        inputs: &[Value],
        layer: Option<usize>,
        written: &[(&'static str, &Expr)],
        at: &dyn ToTokens,
    ) {
        // A function of a module with open sizes is checked where it is called.
        let open = self.calls.len() == 1 && self.graph.symbols().len() > 1;
        if mistake.needs_known_size && open {
            self.needs_known_size = true;
            return;
        }
        let mut message = mistake.message.replace("{layer}", &format!("`{label}`"));
        match mistake.trace {
            Some(position) => message.extend(inputs.get(position).map(|input| self.note(*input))),
            None => message.extend(inputs.iter().map(|input| self.note(*input))),
        }
        let instance = Rc::clone(&self.frame().instance);
        if !instance.module.sizes.is_empty() {
            let _ =
                write!(message, "\nnote: `{}` is a `{}`", instance.path.trim_end_matches('.'), instance.type_name());
        }
        if let Some((marked, wanted)) = self.declaration(mistake, inputs) {
            let wanted = signature::inner(&wanted);
            self.errors.at_span(marked, format!("{message}\nhelp: write `{wanted}`"));
            return;
        }
        let marked = mistake.argument.and_then(|name| {
            let written = written.iter().find(|(own, _)| *own == name);
            written.map(|(_, expression)| expression.to_token_stream()).or_else(|| self.layers[layer?].tokens(name))
        });
        let filled = |text: &String| {
            let input = inputs.first().copied();
            let sizes = input.map_or(String::new(), |input| explain::sample_sizes(&self.graph, input));
            let last = input.map_or(String::new(), |input| explain::last_size(&self.records, &self.graph, input));
            let argument = marked.as_ref().map_or(String::new(), operand);
            text.replace("{last_size}", &last).replace("{input_sizes}", &sizes).replace("{argument}", &argument)
        };
        let help = mistake.help.as_ref().map(filled);
        let mut fits: Vec<String> = mistake.fits.iter().map(filled).collect();
        fits.extend(help.as_deref().and_then(literal).map(ToOwned::to_owned));
        // Height and width may have gone wrong long before they meet what does not fit.
        let moved =
            mistake.trace.is_none() || matches!(mistake.argument, Some("in_features" | "shape" | "kernel_size"));
        let traced = mistake.trace.map_or(inputs, |position| inputs.get(position..=position).unwrap_or(&[]));
        let elsewhere = traced
            .iter()
            .filter(|_| moved)
            .flat_map(|input| explain::edits(&self.records, self.layers, *input))
            .collect();
        if marked.is_none() {
            fits.clear();
        }
        let at = marked.unwrap_or_else(|| at.to_token_stream());
        self.errors.open(at, &mistake.message, message, fits, help, elsewhere);
    }

    /// Where an argument of the function is declared that should have another type, and that type.
    fn declaration(&self, mistake: &Mistake, inputs: &[Value]) -> Option<(proc_macro2::Span, Type)> {
        let (position, ty) = mistake.declared.as_deref()?;
        let Kind::Input(index) = self.graph.node(*inputs.get(*position)?).kind else { return None };
        let [frame] = self.calls.as_slice() else { return None };
        let function = frame.instance.module.functions.iter().find(|function| function.name == frame.function)?;
        Some((function.arguments.get(index)?.ty.span, ty.clone()))
    }

    pub(super) fn note(&self, value: Value) -> String {
        explain::note(&self.records, &self.graph, value).map_or(String::new(), |note| format!("\nnote: {note}"))
    }
}

/// What a help that says "write `X`" says to write.
fn literal(help: &str) -> Option<&str> {
    help.strip_prefix("write `")?.split('`').next()
}

/// An argument as it may stand before a method call.
fn operand(tokens: &TokenStream) -> String {
    match syn::parse2::<Expr>(tokens.clone()) {
        Ok(Expr::Binary(_) | Expr::Unary(_) | Expr::Reference(_)) => format!("({})", text(tokens)),
        _ => text(tokens),
    }
}
