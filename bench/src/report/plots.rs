//! Plots, as SVG that needs no network.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::contestants;
use crate::results::{Curve, Figures, Line, Round};
use crate::stats::{Summary, number, whole};

const FONT: &str = "sans-serif";
const WIDTH: u32 = 860;
const CURVE_HEIGHT: u32 = 340;
const ROW: i32 = 26;
const HEAD: i32 = 40;
const LABELS: i32 = 300;
const FIGURES: i32 = 110;

const GREY: RGBColor = RGBColor(150, 158, 168);
const ACCENT: RGBColor = RGBColor(208, 92, 32);
const LIMIT: RGBColor = RGBColor(44, 62, 80);
const INK: RGBColor = RGBColor(30, 36, 44);
const PALETTE: [RGBColor; 4] = [ACCENT, RGBColor(38, 110, 170), RGBColor(60, 140, 80), GREY];

/// What a bar shows.
struct Bar {
    label: String,
    summary: Option<Summary>,
    colour: RGBColor,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn drawn(result: Result<(), impl std::fmt::Display>) -> Result<()> {
    result.map_err(|error| anyhow!("cannot draw: {error}"))
}

/// Plots orders per second of all contestants, in a part for each server.
pub fn throughput(all: &[Figures]) -> Result<String> {
    let mut parts = Vec::new();
    for figures in all {
        let title = format!("{}: orders/s, until the last commit", figures.machine.server);
        parts.push((title, bars(figures)));
    }
    let rows: usize = parts.iter().map(|part| part.1.len()).sum();
    let height = HEAD * i32::try_from(parts.len())? + ROW * i32::try_from(rows)? + 12;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height.unsigned_abs())).into_drawing_area();
        drawn(area.fill(&WHITE))?;
        let mut top = 0;
        for (title, part) in &parts {
            draw_bars(&area, title, part, &mut top)?;
        }
        drawn(area.present())?;
    }
    Ok(svg)
}

fn bars(figures: &Figures) -> Vec<Bar> {
    let colour = |name: &str| match name {
        name if name.starts_with(contestants::LIMIT) || name.starts_with("load-data") => LIMIT,
        name if name.starts_with("background") || name == "foreground" => ACCENT,
        _ => GREY,
    };
    let bar = |contestant: &crate::results::Contestant| Bar {
        label: contestant.label.clone(),
        summary: contestant.summary(Round::rate),
        colour: colour(&contestant.name),
    };
    figures.throughput.iter().map(bar).collect()
}

fn text(area: &Area<'_>, text: &str, at: (i32, i32), size: i32, anchor: HPos) -> Result<()> {
    let style = TextStyle::from((FONT, size).into_font())
        .color(&INK)
        .pos(Pos::new(anchor, VPos::Center));
    drawn(area.draw(&Text::new(text.to_owned(), at, style)))
}

fn draw_bars(area: &Area<'_>, title: &str, bars: &[Bar], top: &mut i32) -> Result<()> {
    text(area, title, (12, *top + HEAD / 2), 16, HPos::Left)?;
    *top += HEAD;
    let highest = bars.iter().filter_map(|bar| Some(bar.summary?.max)).fold(1.0, f64::max);
    let room = f64::from(i32::try_from(WIDTH)? - LABELS - FIGURES);
    #[expect(clippy::cast_possible_truncation, reason = "pixels of a picture")]
    let x = |value: f64| LABELS + (value / highest * room).round() as i32;
    for bar in bars {
        let middle = *top + ROW / 2;
        text(area, &bar.label, (LABELS - 10, middle), 14, HPos::Right)?;
        match bar.summary {
            Some(summary) => {
                let corners = [(LABELS, middle - 8), (x(summary.median).max(LABELS + 1), middle + 8)];
                drawn(area.draw(&Rectangle::new(corners, bar.colour.filled())))?;
                // From the lowest to the highest round.
                let range = vec![(x(summary.min), middle), (x(summary.max), middle)];
                drawn(area.draw(&PathElement::new(range, INK)))?;
                let end = x(summary.max).max(x(summary.median)) + 8;
                text(area, &number(summary.median), (end, middle), 14, HPos::Left)?;
            }
            None => text(area, "not available", (LABELS, middle), 14, HPos::Left)?,
        }
        *top += ROW;
    }
    Ok(())
}

/// Plots a curve. If what grows does so by powers of ten, the scale is logarithmic.
pub fn curve(curve: &Curve) -> Result<String> {
    let points = || curve.lines.iter().flat_map(|line| &line.points);
    let first = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let last = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let highest = points().map(|(_, y)| *y).fold(0.0, f64::max);
    let is_far = last / first >= 100.0;
    let place = |x: f64| if is_far { x.log10() } else { x };
    // A logarithmic scale names only powers of ten.
    let name = |x: &f64| match is_far {
        true if (x - x.round()).abs() > 0.01 => String::new(),
        true => whole(10f64.powf(*x)),
        false => whole(*x),
    };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, CURVE_HEIGHT)).into_drawing_area();
        drawn(area.fill(&WHITE))?;
        let mut chart = ChartBuilder::on(&area)
            .caption(&curve.title, (FONT, 16).into_font().color(&INK))
            .margin(12)
            .margin_right(48)
            .x_label_area_size(44)
            .y_label_area_size(70)
            .build_cartesian_2d(place(first)..place(last), 0.0..highest * 1.15)
            .map_err(|error| anyhow!("cannot draw: {error}"))?;
        let mesh = chart
            .configure_mesh()
            .x_desc(&curve.x)
            .y_desc(&curve.y)
            .x_labels(7)
            .x_label_formatter(&name)
            .y_label_formatter(&|y| number(*y))
            .label_style((FONT, 13))
            .light_line_style(WHITE)
            .draw();
        drawn(mesh)?;
        for (Line { label, points }, colour) in curve.lines.iter().zip(PALETTE.iter().cycle()) {
            let placed: Vec<_> = points.iter().map(|(x, y)| (place(*x), *y)).collect();
            let series = LineSeries::new(placed, colour.stroke_width(2)).point_size(3);
            let drawing = chart
                .draw_series(series)
                .map_err(|error| anyhow!("cannot draw: {error}"))?;
            drawing
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        let legend = chart
            .configure_series_labels()
            .label_font((FONT, 13))
            .background_style(WHITE.mix(0.8))
            .position(SeriesLabelPosition::LowerRight)
            .draw();
        drawn(legend)?;
        drawn(area.present())?;
    }
    Ok(svg)
}
