//! What people read of a network: the data of `summary()`, the table in the docs of a method, and what an editor shows where
//! a layer is called.

use graven_kernels::dim::thousands;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};

use super::text::{Text, tokens};
use crate::check::summary::{Row, parameters};
use crate::check::{Checked, CheckedFunction, summarised};
use crate::syntax::Module;

/// The value of `Model::SUMMARY`. A long network has hundreds of rows, so it is written as text.
pub(super) fn plan(module: &Module, checked: &Checked) -> TokenStream {
    let parameters: usize = checked.layers.iter().map(parameters).sum();
    let Some(function) = summarised(&checked.functions).map(|index| &checked.functions[index]) else {
        return tokens(&format!("&graven::SummaryPlan {{ parameters: {parameters}, ..graven::SummaryPlan::EMPTY }}"));
    };
    let graph = &function.evaluation;
    let inputs: Vec<(String, String)> =
        graph.inputs.iter().map(|input| (input.name.clone(), graph.node(input.value).ty.to_string())).collect();
    let mut rows = Text::default();
    for row in &function.rows {
        let layer = row.layer.map_or("", |layer| &checked.layers[layer].path);
        let Row { kind, input, output, parameters, again, multiply_adds, kept, .. } = row;
        write!(
            rows,
            "graven::SummaryRow {{ layer: {layer:?}, kind: {kind:?}, input: {input:?}, output: {output:?}, \
             parameters: {parameters}, shared: {again}, multiply_adds: {multiply_adds}, kept_bytes: {kept} }},"
        );
    }
    tokens(&format!(
        "&graven::SummaryPlan {{ function: {:?}, inputs: &{inputs:?}, rows: &[{rows}], notes: &{:?}, \
         parameters: {parameters}, multiply_adds: {} }}",
        format!("{}::{}", module.name, function.function.name),
        notes(checked, function),
        multiply_adds(&function.rows)
    ))
}

fn multiply_adds(rows: &[Row]) -> u64 {
    rows.iter().map(|row| row.multiply_adds).fold(0, u64::saturating_add)
}

/// What stands below the table; of equal notes, one.
fn notes(checked: &Checked, function: &CheckedFunction) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for note in function.rows.iter().filter_map(|row| row.note.as_ref()) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    let used = |index: usize| function.rows.iter().any(|row| row.layer == Some(index));
    for (_, layer) in checked.layers.iter().enumerate().filter(|(index, _)| !used(*index)) {
        let parameters = match parameters(layer) {
            0 => String::new(),
            n => format!(" and its {} parameters", thousands(n as u64)),
        };
        notes.push(format!("`{}` does not use `{}`{parameters}", function.function.name, layer.path));
    }
    notes
}

/// The docs of a method: its calls of layers and functions as a table of Markdown. A function without layers needs none.
pub(super) fn docs(checked: &Checked, function: &CheckedFunction) -> TokenStream {
    if function.rows.iter().all(|row| row.layer.is_none()) {
        return TokenStream::new();
    }
    let cell = |n: u64| if n == 0 { String::new() } else { thousands(n) };
    let mut docs = Text::default();
    writeln!(docs, "///\n/// | layer | input | output | parameters | bytes | multiply-adds |");
    writeln!(docs, "/// | - | - | - | -: | -: | -: |");
    for row in &function.rows {
        let name = row.layer.map_or(&row.kind, |layer| &checked.layers[layer].path);
        let own = if row.again { 0 } else { row.parameters as u64 };
        let (Row { input, output, .. }, adds) = (row, cell(row.multiply_adds));
        writeln!(docs, "/// | `{name}` | `{input}` | `{output}` | {} | {} | {adds} |", cell(own), cell(4 * own));
    }
    let own = function.rows.iter().filter(|row| !row.again).map(|row| row.parameters as u64).sum();
    let adds = cell(multiply_adds(&function.rows));
    writeln!(docs, "/// | total | | | {} | {} | {adds} |", cell(own), cell(4 * own));
    tokens(&docs)
}

/// What an editor finds where the user writes `self.conv1(t)`: a read of the field, so that go to definition leads to it, and
/// a documented item of the same name, so that hover shows what the layer does here. None of it is ever run.
pub(super) fn lookups(module: &Module, checked: &Checked) -> TokenStream {
    let network = &module.name;
    let mut seen = Vec::new();
    let mut calls = Vec::new();
    for row in checked.functions.iter().flat_map(|function| &function.rows) {
        let (Some(layer), Some(site)) = (row.layer, &row.site) else { continue };
        let layer = &checked.layers[layer];
        // A call in a loop or in a function that is inlined twice is one place in the source.
        let place = (format!("{:?}", site.span()), &row.input);
        if *site != layer.path || seen.contains(&place) {
            continue;
        }
        seen.push(place);
        let docs = [
            format!(" {}", (layer.layer.describe)(&layer.arguments.borrow())),
            String::new(),
            format!(
                " `{}` -> `{}`, {} parameters in {} bytes, {} multiply-adds a sample.",
                row.input,
                row.output,
                thousands(row.parameters as u64),
                thousands(4 * row.parameters as u64),
                thousands(row.multiply_adds)
            ),
        ];
        let definition = Ident::new(&layer.field.to_string(), layer.field.span());
        // The item and both names bear the user's spans; what is between them does not, so that no error can stand on them.
        let item = quote_spanned! { Span::mixed_site() => #(#[doc = #docs])* const #definition: () = (); };
        calls.push(quote!({ #item let _ = (&network.#site, #site); }));
    }
    if calls.is_empty() {
        return TokenStream::new();
    }
    quote! {
        /// Where editors look layers up; it is never called.
        fn layers(network: &#network) { #(#calls)* }
    }
}
