//! Tables of text.

use std::fmt;

/// Writes a table: columns with their names, the first `left` aligned to the left and the others to the right, a rule above and
/// below the names, and one in front of the last row, which holds the totals.
pub(crate) fn write<const C: usize>(
    f: &mut fmt::Formatter<'_>,
    columns: [&str; C],
    left: usize,
    rows: &[[String; C]],
) -> fmt::Result {
    // Characters, not bytes: `µs` has three of these.
    let length = |cell: &str| cell.chars().count();
    let widths: [usize; C] = std::array::from_fn(|column| {
        rows.iter().map(|cells| length(&cells[column])).chain([length(columns[column])]).max().unwrap_or(0)
    });
    let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * (C - 1));
    let line = |cells: [&str; C]| {
        let cell = |column: usize| {
            let (cell, width) = (cells[column], widths[column]);
            if column < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        };
        std::array::from_fn::<_, C, _>(cell).join("  ")
    };
    writeln!(f, "{rule}\n{}\n{rule}", line(columns))?;
    for (index, cells) in rows.iter().enumerate() {
        if index + 1 == rows.len() {
            writeln!(f, "{rule}")?;
        }
        writeln!(f, "{}", line(cells.each_ref().map(String::as_str)))?;
    }
    Ok(())
}
