//! One page with all tables and plots. It needs no network.

use std::fmt::Write as _;

use anyhow::Result;

use crate::effort::Form;
use crate::report::sections::SHORT;
use crate::report::table::escape;
use crate::report::{plots, sections};
use crate::results::Figures;

const STYLE: &str = "
body { font: 15px/1.5 sans-serif; color: #1e242c; max-width: 960px; margin: 2em auto; padding: 0 1em; }
h1, h2, h3 { line-height: 1.2; }
h2 { margin-top: 2.2em; border-bottom: 1px solid #c8ccd2; padding-bottom: .2em; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: .25em .7em; text-align: right; border-bottom: 1px solid #e4e6ea; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; }
.short { color: #a03010; font-weight: bold; }
";

/// Writes the report of all servers.
pub fn page(all: &[Figures]) -> Result<String> {
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>WriteBuffer: benchmark</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>WriteBuffer: benchmark</h1>\n"
    );
    if all.iter().any(|figures| figures.form == Form::Short) {
        let _ = writeln!(text, "<p class=\"short\">{}</p>", escape(SHORT));
    }
    let _ = writeln!(
        text,
        "<p>Medians; bars have a line from the lowest to the highest round. Ratios are of one run, round by round. What each \
         contestant is and how each figure is measured: <code>bench/README.md</code>.</p>\n{}",
        plots::throughput(all)?
    );
    for figures in all {
        let _ = writeln!(
            text,
            "<h2>{}</h2>\n<p>{}</p>",
            escape(&figures.machine.server),
            escape(&figures.machine.describe())
        );
        for section in sections::of(figures) {
            let _ = writeln!(text, "<h3>{}</h3>\n{}", escape(&section.title), section.table.in_html());
        }
        for curve in figures.growth.iter().filter(|curve| !curve.lines.is_empty()) {
            let _ = writeln!(text, "{}", plots::curve(curve)?);
        }
    }
    text.push_str("</body>\n</html>\n");
    Ok(text)
}
