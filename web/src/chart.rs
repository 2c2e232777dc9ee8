//! Charts: bars in SVG, drawn on the server. Every chart has its numbers as a table, for screen readers
//! and for everybody who wants to know exactly.

use maud::{Markup, html};

/// Width of a bar with the gap behind it, in units of the drawing.
const STEP: usize = 10;

/// Height of the drawing.
const HEIGHT: u64 = 100;

/// A series of numbers.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    /// The head of the first column of the table, such as Day.
    pub(crate) by: &'a str,
    /// The points, each with its label; `None`: there is no number.
    pub(crate) points: Vec<(String, Option<u64>)>,
    /// A number as text.
    pub(crate) format: fn(u64) -> String,
    /// What to say if all numbers are missing or 0.
    pub(crate) empty: &'a str,
}

/// A number as it is.
pub(crate) fn plain(number: u64) -> String {
    number.to_string()
}

/// The chart as bars, from left to right.
pub(crate) fn bars(chart: &Chart<'_>) -> Markup {
    let numbers = || chart.points.iter().filter_map(|(_, number)| *number);
    let most = numbers().max().unwrap_or(0);
    let label = |point: Option<&(String, Option<u64>)>| {
        point.map(|(label, _)| label.clone()).unwrap_or_default()
    };
    let width = chart.points.len() * STEP;
    html! {
        figure.chart {
            figcaption { (chart.title) }
            @if most == 0 {
                p.empty { (chart.empty) }
            } @else {
                p.most aria-hidden="true" { "most: " (( chart.format)(most)) }
                svg viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" aria-hidden="true" focusable="false" {
                    @for (n, (_, number)) in chart.points.iter().enumerate() {
                        @let height = height(number.unwrap_or(0), most);
                        @if height > 0 {
                            rect x=(n * STEP + 1) y=(HEIGHT - height) width=(STEP - 2) height=(height) {}
                        }
                    }
                }
                p.axis aria-hidden="true" {
                    span { (label(chart.points.first())) } span { (label(chart.points.last())) }
                }
                details.numbers {
                    summary { "As a table" span.sr { ": " (chart.title) } }
                    table {
                        thead { tr { th scope="col" { (chart.by) } th scope="col" { (chart.title) } } }
                        tbody {
                            @for (label, number) in &chart.points {
                                tr {
                                    th scope="row" { (label) }
                                    td { (number.map_or_else(|| "none".to_owned(), chart.format)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The height of a bar: what is not 0 can be seen.
fn height(number: u64, most: u64) -> u64 {
    match number {
        0 => 0,
        number => {
            let height = u128::from(number) * u128::from(HEIGHT) / u128::from(most.max(1));
            u64::try_from(height).unwrap_or(HEIGHT).clamp(2, HEIGHT)
        }
    }
}

/// Figures with their names, in a row.
pub(crate) fn figures(figures: &[(&str, String)]) -> Markup {
    html! {
        dl.figures {
            @for (name, figure) in figures {
                div { dt { (name) } dd { (figure) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(numbers: &[Option<u64>]) -> String {
        let points = numbers.iter().enumerate();
        let points = points.map(|(n, number)| (format!("day {n}"), *number));
        bars(&Chart {
            title: "Tasks <completed>",
            by: "Day",
            points: points.collect(),
            format: plain,
            empty: "Nothing yet.",
        })
        .into_string()
    }

    #[test]
    fn bars_are_as_high_as_their_numbers_and_the_table_has_all_of_them() {
        let drawn = chart(&[Some(0), Some(50), None, Some(200), Some(1)]);
        assert_eq!(drawn.matches("<rect").count(), 3);
        assert!(
            drawn.contains(r#"<rect x="11" y="75" width="8" height="25">"#),
            "{drawn}"
        );
        assert!(drawn.contains(r#"<rect x="31" y="0" width="8" height="100">"#));
        assert!(
            drawn.contains(r#"<rect x="41" y="98" width="8" height="2">"#),
            "it can be seen"
        );
        assert_eq!(drawn.matches("<tr>").count(), 6);
        assert!(drawn.contains("<td>none</td>") && drawn.contains("Tasks &lt;completed&gt;"));
    }

    #[test]
    fn a_chart_without_numbers_says_so() {
        for numbers in [&[][..], &[None], &[Some(0), Some(0)]] {
            let drawn = chart(numbers);
            assert!(
                drawn.contains("Nothing yet.") && !drawn.contains("<svg"),
                "{drawn}"
            );
        }
    }

    #[test]
    fn a_height_never_overflows() {
        assert_eq!(height(u64::MAX, u64::MAX), HEIGHT);
        assert_eq!(
            (height(1, u64::MAX), height(0, 0), height(1, 0)),
            (2, 0, 100)
        );
    }
}
