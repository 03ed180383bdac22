//! The common parts of all plots: the time axis, the grid, and the marks of steps.

use std::ops::Range;

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    Error,
    rehearsal::{Rehearsal, Rotated},
    summary::seconds,
};

/// The sizes of a plot. It is drawn at twice its size, because the backend has no half pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    width: u32,
    /// The space to the left of the plot.
    left: u32,
    row: u32,
    /// The start and end of a row's bar, as fractions of the row.
    bar: (f64, f64),
    /// Whether a row's name is above its bar, or left of the plot.
    names_above: bool,
    time_labels: usize,
}

pub(super) const WIDE: Frame = Frame {
    width: 1920,
    left: 480,
    row: 52,
    bar: (0.2, 0.8),
    names_above: false,
    time_labels: 8,
};
/// For a phone.
pub(super) const NARROW: Frame = Frame {
    width: 720,
    left: 100,
    row: 92,
    bar: (0.5, 0.94),
    names_above: true,
    time_labels: 4,
};

const RIGHT: u32 = 40;
const ABOVE: u32 = 44;
const BELOW: u32 = 54;
const FONT_SIZE: u32 = 31;
/// The width of a step's name.
const NAME: f64 = 230.0;

pub(super) const LATENCY_HEIGHT: u32 = 320;

const INK: RGBColor = RGBColor(0x52, 0x51, 0x4e);
const GRID: RGBColor = RGBColor(0xe1, 0xe0, 0xd9);
const STEP: RGBColor = RGBColor(0x89, 0x87, 0x81);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn<T = ()> = Result<T, Box<dyn std::error::Error>>;

impl Frame {
    /// Draws a page of this height.
    pub(super) fn svg(
        self,
        height: u32,
        draw: impl FnOnce(&Area<'_>) -> Drawn,
    ) -> Result<String, Error> {
        let mut text = String::new();
        let area = SVGBackend::with_string(&mut text, (self.width, height)).into_drawing_area();
        let drawn = draw(&area).and_then(|()| Ok(area.present()?));
        drop(area);
        drawn.map_err(|error| Error::NotDrawn(error.to_string()))?;
        Ok(text)
    }

    /// A plot of figures from zero to `top`.
    pub(super) fn over_time<'a, 'b>(
        self,
        area: &'a Area<'b>,
        rehearsal: &Rehearsal,
        top: f64,
    ) -> Drawn<Chart<'a, 'b>> {
        let mut chart = self.axes(area, 0.0..rehearsal.took.as_secs_f64(), 0.0..top)?;
        self.grid(&mut chart, "s", 4, &|figure| rounded(*figure))?;
        self.steps(&mut chart, rehearsal)?;
        Ok(chart)
    }

    /// A plot with a logarithmic scale.
    pub(super) fn logarithmic<'a, 'b>(
        self,
        area: &'a Area<'b>,
        rehearsal: &Rehearsal,
        range: Range<f64>,
    ) -> Drawn<Chart<'a, 'b>> {
        let powers = (range.end - range.start) as usize + 1;
        let mut chart = self.axes(area, 0.0..rehearsal.took.as_secs_f64(), range)?;
        let label = |logarithm: &f64| match logarithm.fract() == 0.0 {
            true => format!("{}", 10f64.powf(*logarithm)),
            false => String::new(),
        };
        self.grid(&mut chart, "s", powers, &label)?;
        self.steps(&mut chart, rehearsal)?;
        Ok(chart)
    }

    /// A plot of rows. The top row reaches from `top` down to `top - 1`.
    pub(super) fn rows<'a, 'b>(
        self,
        area: &'a Area<'b>,
        time: Range<f64>,
        top: f64,
        unit: &str,
    ) -> Drawn<Chart<'a, 'b>> {
        let mut chart = self.axes(area, time, 0.0..top)?;
        self.grid(&mut chart, unit, 0, &|_| String::new())?;
        Ok(chart)
    }

    /// The height of this many rows.
    pub(super) fn height_of(self, rows: usize) -> u32 {
        ABOVE + BELOW + self.row * u32::try_from(rows).unwrap_or(u32::MAX / self.row / 2)
    }

    /// The upper and lower edge of the bar in the row below `y`.
    pub(super) fn bar_at(self, y: f64) -> (f64, f64) {
        (y - self.bar.0, y - self.bar.1)
    }

    /// Writes the name of the row below `y`.
    pub(super) fn name_row(self, chart: &mut Chart<'_, '_>, y: f64, name: &str) -> Drawn {
        let left = chart.x_range().start;
        let (y, x_offset, style) = match self.names_above {
            true => (y, 6, text(HPos::Left, VPos::Top)),
            false => (y - 0.5, -18, text(HPos::Right, VPos::Center)),
        };
        let name = Text::new(name.to_owned(), (x_offset, 0), style);
        chart.draw_series([EmptyElement::at((left, y)) + name])?;
        Ok(())
    }

    /// Draws a line at the start of each step, with its name if there is room, or else with the number of the rotation.
    pub(super) fn steps(self, chart: &mut Chart<'_, '_>, rehearsal: &Rehearsal) -> Drawn {
        let (bottom, top) = (chart.y_range().start, chart.y_range().end);
        let plot = f64::from(self.width - self.left - RIGHT);
        let pixels = plot / rehearsal.took.as_secs_f64().max(0.001);
        for (index, rotated) in rehearsal.rotations.iter().enumerate() {
            let at = |step: usize| seconds(rehearsal, rotated.steps[step].began);
            let count = rotated.steps.len();
            let named = (1..count).all(|step| (at(step) - at(step - 1)) * pixels > NAME);
            for (step, name) in names(rotated).enumerate() {
                let line = [(at(step), bottom), (at(step), top)];
                chart.draw_series([PathElement::new(line, STEP.stroke_width(2))])?;
                let label = match (named, step) {
                    (true, _) => name.to_owned(),
                    (false, 0) => (index + 1).to_string(),
                    (false, _) => continue,
                };
                let label = Text::new(label, (0, -6), text(HPos::Center, VPos::Bottom));
                chart.draw_series([EmptyElement::at((at(step), top)) + label])?;
            }
        }
        Ok(())
    }

    fn axes<'a, 'b>(
        self,
        area: &'a Area<'b>,
        x: Range<f64>,
        y: Range<f64>,
    ) -> Drawn<Chart<'a, 'b>> {
        let chart = ChartBuilder::on(area)
            .margin_right(RIGHT)
            .margin_top(ABOVE)
            .x_label_area_size(BELOW)
            .y_label_area_size(self.left)
            .build_cartesian_2d(x, y)?;
        Ok(chart)
    }

    fn grid(
        self,
        chart: &mut Chart<'_, '_>,
        unit: &str,
        labels: usize,
        label: &dyn Fn(&f64) -> String,
    ) -> Drawn {
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(2))
            .axis_style(GRID.stroke_width(2))
            .label_style(text(HPos::Left, VPos::Top))
            .x_labels(self.time_labels)
            .x_label_formatter(&|time| format!("{} {unit}", rounded(*time)))
            .y_labels(labels)
            .y_label_formatter(label)
            .draw()?;
        Ok(())
    }
}

/// Writes a text in the middle of a plot without data.
pub(super) fn note(chart: &mut Chart<'_, '_>, words: &str) -> Drawn {
    let middle = |range: Range<f64>| (range.start + range.end) / 2.0;
    let at = (middle(chart.x_range()), middle(chart.y_range()));
    chart.draw_series([Text::new(
        words.to_owned(),
        at,
        text(HPos::Center, VPos::Center),
    )])?;
    Ok(())
}

/// Draws a filled rectangle.
pub(super) fn bar(
    (from, to): (f64, f64),
    (above, below): (f64, f64),
    color: RGBColor,
) -> Rectangle<(f64, f64)> {
    Rectangle::new([(from, above), (to, below)], color.filled())
}

fn names(rotated: &Rotated) -> impl Iterator<Item = &str> {
    rotated.steps.iter().map(|step| step.name.as_str())
}

fn text(h_pos: HPos, v_pos: VPos) -> TextStyle<'static> {
    ("sans-serif", FONT_SIZE)
        .into_font()
        .color(&INK)
        .pos(Pos::new(h_pos, v_pos))
}

/// A grid value without rounding errors.
fn rounded(figure: f64) -> String {
    format!("{}", (figure * 100.0).round() / 100.0)
}
