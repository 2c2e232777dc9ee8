//! Prints the results, as a table or as JSON.

use serde_json::{Map, Value, json};

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// What was measured.
    pub(crate) what: String,
    /// The target; empty if there is none.
    pub(crate) target: &'static str,
    /// The result for people.
    pub(crate) measured: String,
    /// Whether the target is met, if there is one.
    pub(crate) met: Option<bool>,
    /// The numbers for programs.
    pub(crate) figures: Vec<(&'static str, f64)>,
}

impl Line {
    /// A line without a target.
    pub(crate) fn new(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            target: "",
            measured: measured.into(),
            met: None,
            figures: Vec::new(),
        }
    }

    /// Adds a target, and whether it is met.
    pub(crate) fn target(mut self, target: &'static str, met: bool) -> Self {
        self.target = target;
        self.met = Some(met);
        self
    }

    /// Removes the target, for conditions it was not set for.
    pub(crate) fn without_target(self) -> Self {
        Self {
            target: "",
            met: None,
            ..self
        }
    }

    /// Adds numbers.
    pub(crate) fn figures(mut self, figures: &[(&'static str, f64)]) -> Self {
        self.figures.extend_from_slice(figures);
        self
    }

    fn verdict(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        }
    }
}

/// Prints a Markdown table with aligned columns.
pub(crate) fn print(lines: &[Line]) {
    let head = ["what", "target", "measured", ""].map(str::to_owned);
    let rows = lines.iter().map(|line| {
        [
            line.what.clone(),
            line.target.to_owned(),
            line.measured.clone(),
            line.verdict().to_owned(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths = [0, 1, 2, 3].map(|column| width(column).unwrap_or_default());
    for (n, row) in rows.iter().enumerate() {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        println!("| {} |", cells.join(" | "));
        if n == 0 {
            println!("|{}|", widths.map(|width| "-".repeat(width + 2)).join("|"));
        }
    }
}

/// The results as JSON.
pub(crate) fn to_json(machine: &str, lines: &[Line]) -> Value {
    let rows: Vec<_> = lines
        .iter()
        .map(|line| {
            let figures: Map<_, _> = line
                .figures
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            json!({
                "what": line.what,
                "target": line.target,
                "measured": line.measured,
                "met": line.met,
                "figures": figures,
            })
        })
        .collect();
    json!({"machine": machine, "rows": rows})
}
