//! Tables of text. Pure.

use std::fmt::Write as _;

/// Columns with a head. The first is aligned left, the others right.
#[derive(Debug, Clone)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Creates a table without rows.
    pub fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|&cell| cell.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row. Missing cells are empty.
    pub fn row(&mut self, mut cells: Vec<String>) {
        cells.resize(self.head.len(), String::new());
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.head).chain(&self.rows)
    }

    /// Returns it as plain text, aligned by spaces.
    pub fn for_terminal(&self) -> String {
        let width = |column| {
            let widths = self.lines().filter_map(|line| line.get(column));
            widths.map(|cell: &String| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut text = String::new();
        for (at, line) in self.lines().enumerate() {
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                let _ = if column == 0 {
                    write!(text, "{cell:<width$}")
                } else {
                    write!(text, "  {cell:>width$}")
                };
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
            if at == 0 {
                let all = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
                let _ = writeln!(text, "{}", "─".repeat(all));
            }
        }
        text
    }

    /// Returns it as Markdown.
    pub fn in_markdown(&self) -> String {
        let mut text = String::new();
        for (at, line) in self.lines().enumerate() {
            let _ = writeln!(text, "| {} |", line.join(" | "));
            if at == 0 {
                let _ = writeln!(text, "|---|{}", "---:|".repeat(self.head.len() - 1));
            }
        }
        text
    }

    /// Returns it as HTML.
    pub fn in_html(&self) -> String {
        let mut text = String::from("<table>\n");
        for (at, line) in self.lines().enumerate() {
            let tag = if at == 0 { "th" } else { "td" };
            text.push_str("<tr>");
            for cell in line {
                let _ = write!(text, "<{tag}>{}</{tag}>", escape(cell));
            }
            text.push_str("</tr>\n");
        }
        text + "</table>\n"
    }
}

/// Escapes text for HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["a", "µs"]);
        table.row(vec!["long".to_owned(), "1".to_owned()]);
        table.row(vec!["b".to_owned()]);
        assert_eq!(table.for_terminal(), "a     µs\n────────\nlong   1\nb\n");
        assert_eq!(table.in_markdown(), "| a | µs |\n|---|---:|\n| long | 1 |\n| b |  |\n");
    }
}
