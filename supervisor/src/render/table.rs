//! Columns that fit: long texts shrink first, then columns are dropped from the right — pure.

use super::paint::{Tone, paint};
use super::text::{fit, width};

/// Between two columns.
const GAP: usize = 2;

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Head.
    pub title: &'static str,
    /// Smallest useful width, if it may be cut; else it is as wide as its content.
    pub shrinks_to: Option<usize>,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Already cleaned text.
    pub text: String,
    /// How it is painted.
    pub tone: Tone,
}

impl Cell {
    /// A plain cell.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }

    /// A cell in a tone.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

/// The table, one line per row and one for the heads, no line wider than `columns`, no blanks at line ends.
#[must_use]
pub fn table(heads: &[Column], rows: &[Vec<Cell>], columns: usize) -> String {
    let widths = widths(heads, rows, columns);
    let titles: Vec<Cell> = heads.iter().map(|head| Cell::toned(head.title, Tone::Title)).collect();
    std::iter::once(&titles).chain(rows).map(|row| line(row, &widths)).collect()
}

fn line(row: &[Cell], widths: &[usize]) -> String {
    let mut out = String::new();
    let mut blanks = 0;
    for (cell, columns) in row.iter().zip(widths) {
        if *columns == 0 {
            continue;
        }
        let text = fit(&cell.text, *columns);
        out.push_str(&" ".repeat(blanks));
        out.push_str(&paint(cell.tone, &text));
        blanks = columns - width(&text).min(*columns) + GAP;
    }
    out.push('\n');
    out
}

/// Width of each column; 0 = dropped.
fn widths(heads: &[Column], rows: &[Vec<Cell>], columns: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(index, head)| {
            let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| width(&cell.text));
            cells.chain([width(head.title)]).max().unwrap_or(0)
        })
        .collect();
    for (index, head) in heads.iter().enumerate().rev() {
        let Some(least) = head.shrinks_to else { continue };
        let over = total(&widths).saturating_sub(columns);
        if let Some(mine) = widths.get_mut(index) {
            *mine = mine.saturating_sub(over).max(least.min(*mine));
        }
    }
    for index in (1..heads.len()).rev() {
        if total(&widths) <= columns {
            break;
        }
        if let Some(mine) = widths.get_mut(index) {
            *mine = 0;
        }
    }
    if let [only, rest @ ..] = widths.as_mut_slice()
        && rest.iter().all(|width| *width == 0)
    {
        *only = (*only).min(columns);
    }
    widths
}

fn total(widths: &[usize]) -> usize {
    let shown = widths.iter().filter(|width| **width > 0).count();
    widths.iter().sum::<usize>() + GAP * shown.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: [Column; 3] = [
        Column { title: "ID", shrinks_to: None },
        Column { title: "STATE", shrinks_to: None },
        Column { title: "DOING", shrinks_to: Some(6) },
    ];

    fn draw(columns: usize) -> String {
        let row = |id: &str, doing: &str| vec![Cell::plain(id), Cell::plain("ready"), Cell::plain(doing)];
        let text = table(&HEADS, &[row("one", "surveying the tree"), row("twelve", "-")], columns);
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn columns_shrink_then_drop_from_the_right() {
        assert_eq!(draw(80), "ID      STATE  DOING\none     ready  surveying the tree\ntwelve  ready  -\n");
        assert_eq!(draw(22), "ID      STATE  DOING\none     ready  survey~\ntwelve  ready  -\n");
        assert_eq!(draw(20), "ID      STATE\none     ready\ntwelve  ready\n");
        assert_eq!(draw(4), "ID\none\ntwe~\n");
    }
}
