//! Plans of releases as files, for the commands and the pages: the model, and its formats.
//!
//! A plan is read as strictly in each format: an unknown field, a wrong type or a second value of a
//! field is an error with its place. What a service decides, such as whether an owner exists, is
//! not decided here.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`json`], [`yaml`], [`csv`] | the formats |
//! | [`encoding`] | text as editors and spreadsheets write it |

pub mod csv;
pub mod encoding;
pub mod json;
pub mod yaml;

use std::{fmt, path::Path, str::FromStr};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use slipway_runtime::json::whole;

/// The largest integer that every JSON parser reads exactly.
pub const MAX_ORDER_INDEX: i64 = (1 << 53) - 1;

/// Minutes before the due time at most at which an owner can be reminded: 30 days.
pub const MAX_REMINDER: i64 = 43_200;

/// Days at most by which due times can be moved.
pub const MAX_SHIFT: i64 = 36_500;

/// A release to be created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its tasks, in order.
    pub tasks: Vec<PlannedTask>,
    /// A task for later, when the release is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hotfix: Option<PlannedTask>,
}

/// A task to be created. It serializes to the JSON that the API accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
pub struct PlannedTask {
    /// Its title.
    pub title: String,
    /// Its description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The name of its owner.
    pub assignee: String,
    /// Its number in the order; without one it follows the task before it.
    #[serde(
        default,
        deserialize_with = "whole::<MAX_ORDER_INDEX, _>",
        skip_serializing_if = "Option::is_none"
    )]
    pub order_index: Option<i64>,
    /// When it is due (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
    /// How important it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How many minutes before it is due its owner is reminded.
    #[serde(
        default,
        deserialize_with = "whole::<MAX_REMINDER, _>",
        skip_serializing_if = "Option::is_none"
    )]
    pub remind_before_minutes: Option<i64>,
    /// How it recurs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<PlannedRecurrence>,
    /// The line of the file in which it stands, in formats where that names it.
    #[serde(skip)]
    pub line: Option<u64>,
}

/// How a task shall recur.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
pub struct PlannedRecurrence {
    /// The value of an RRULE of RFC 5545.
    pub rule: String,
    /// The name of its time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The release that gets the next task when this one is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_id: Option<String>,
}

/// How important a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Priority {
    /// It can wait.
    Low,
    /// The priority of a task of which nothing else is said.
    Normal,
    /// Before others.
    High,
    /// At once.
    Urgent,
}

impl Priority {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Urgent];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Normal => "NORMAL",
            Self::High => "HIGH",
            Self::Urgent => "URGENT",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// A format of a plan file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// CSV with a header: separated by commas, semicolons or tabs.
    Csv,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Json, Self::Yaml, Self::Csv];

    /// Its name, which is also the end of file names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Csv => "csv",
        }
    }

    /// The media type of such a file.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// The format that the end of a file's name says.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        let end = path.extension()?.to_str()?.to_ascii_lowercase();
        match end.as_str() {
            "yml" => Some(Self::Yaml),
            "tsv" => Some(Self::Csv),
            end => end.parse().ok(),
        }
    }

    /// The format that `text` has as it looks; `None` if it looks like none of them.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let text = text.trim_start();
        if text.starts_with(['{', '[']) {
            Some(Self::Json)
        } else if csv::has_header(text) {
            Some(Self::Csv)
        } else if yaml::has_field(text) {
            Some(Self::Yaml)
        } else {
            None
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|format| format.name() == text);
        found.ok_or("must be json, yaml or csv")
    }
}

/// What is wrong with a plan, with its place; continues a sentence that begins with the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// In JSON.
    #[error(transparent)]
    Json(#[from] json::Error),
    /// In YAML.
    #[error(transparent)]
    Yaml(#[from] yaml::Error),
    /// In CSV.
    #[error(transparent)]
    Csv(#[from] csv::Error),
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(text: &str, format: Format) -> Result<Self, Error> {
        let mut plan: Self = match format {
            Format::Json => json::read(text)?,
            Format::Yaml => yaml::read(text)?,
            Format::Csv => csv::read(text)?,
        };
        for task in plan.tasks.iter_mut().chain(&mut plan.hotfix) {
            // As in a mention.
            if let Some(name) = task.assignee.strip_prefix('@') {
                task.assignee = name.to_owned();
            }
        }
        Ok(plan)
    }

    /// Writes the plan, so that [`read`](Self::read) gives the same.
    #[must_use]
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Json => json::write(self),
            Format::Yaml => yaml::write(self),
            Format::Csv => csv::write(self),
        }
    }

    /// The same as the plan of another release: each task that is due is due `days` later. Without
    /// `days` no task is due, so none can recur or remind.
    #[must_use]
    pub fn copied(mut self, name: String, version: Option<String>, days: Option<i64>) -> Self {
        self.name = name;
        self.version = version;
        for task in &mut self.tasks {
            task.due_at = days.and_then(|days| later(task.due_at.as_deref()?, days));
            if task.due_at.is_none() {
                task.recurrence = None;
                task.remind_before_minutes = None;
            }
            // It is the release after the one that was copied.
            if let Some(recurrence) = &mut task.recurrence {
                recurrence.release_id = None;
            }
        }
        self
    }
}

/// A time so many days of 24 hours later.
fn later(time: &str, days: i64) -> Option<String> {
    let time: Timestamp = time.parse().ok()?;
    let hours = days.clamp(-MAX_SHIFT, MAX_SHIFT) * 24;
    let moved = time.checked_add(SignedDuration::from_hours(hours)).ok()?;
    Some(moved.to_string())
}

#[cfg(test)]
mod tests;
