//! Reads and writes CSV as spreadsheets do: a header, and a row for each task.
//!
//! Separators are commas, semicolons or tabs, whichever the header has most of; a first line such
//! as `sep=;` says so as well. Headings are compared without regard to case, blanks and dashes.
//! The name, version and description of the release stand in columns of their own, in one row or
//! the same in several. A row without any text is skipped.
//!
//! A spreadsheet takes a text for a formula if it begins with one of some characters. An apostrophe
//! is written before such a text, and left out again when it is read.

use std::{borrow::Cow, fmt};

use ::csv::{ReaderBuilder, StringRecord, Terminator, WriterBuilder};
use slipway_runtime::{
    json::unknown_name,
    text::{shortened, written_out},
};

use crate::{MAX_ORDER_INDEX, MAX_REMINDER, Plan, PlannedRecurrence, PlannedTask, Priority};

/// The separators, from the most to the least likely of those that a header has equally often.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// The characters at the beginning of what a spreadsheet takes for a formula.
const OF_FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Characters of a text of the file that an error shows.
const LONGEST: usize = 80;

/// The separator of tags in a cell, which is itself written as a row.
const BETWEEN_TAGS: u8 = b',';

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Release,
    Version,
    ReleaseDescription,
    Title,
    Description,
    Assignee,
    OrderIndex,
    DueAt,
    Priority,
    Tags,
    RemindBeforeMinutes,
    Rule,
    TimeZone,
    NextRelease,
    Hotfix,
}

/// All columns in the order in which they are written, with the headings that are read; the first
/// is the one that is written.
const COLUMNS: [(Column, &[&str]); 15] = [
    (Column::Title, &["title", "task"]),
    (Column::Assignee, &["assignee", "owner"]),
    (Column::Description, &["description"]),
    (Column::OrderIndex, &["orderIndex", "order"]),
    (Column::DueAt, &["dueAt", "due"]),
    (Column::Priority, &["priority"]),
    (Column::Tags, &["tags"]),
    (Column::RemindBeforeMinutes, &["remindBeforeMinutes"]),
    (Column::Rule, &["recurrenceRule", "rule"]),
    (Column::TimeZone, &["recurrenceTimeZone", "timeZone"]),
    (Column::NextRelease, &["recurrenceReleaseId"]),
    (Column::Hotfix, &["hotfix"]),
    (Column::Release, &["release", "name"]),
    (Column::Version, &["version"]),
    (Column::ReleaseDescription, &["releaseDescription"]),
];

/// Why CSV is not as expected.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    what: String,
    line: u64,
    /// The heading of the column, if it is in one.
    column: Option<String>,
}

impl Error {
    fn at(line: u64, column: Option<&str>, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            line,
            column: column.map(str::to_owned),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, line) = (&self.what, self.line);
        match &self.column {
            Some(column) => write!(f, "{column} {what} (line {line}, column {column})"),
            None => write!(f, "{what} (line {line})"),
        }
    }
}

impl std::error::Error for Error {}

/// A column of a file: what it holds, and its heading there.
type Heading = (Column, String);

/// A row below its headings.
struct Row<'a> {
    headings: &'a [Heading],
    record: &'a StringRecord,
    line: u64,
}

/// Reads a plan. Its name is empty if the file has none.
///
/// # Errors
/// What is wrong, and where.
pub(crate) fn read(text: &str) -> Result<Plan, Error> {
    let (text, separator, before) = separated(text);
    check_quotes(text, separator, before)?;
    let mut reader = ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut headings: Option<Vec<Heading>> = None;
    let mut plan = Plan::default();
    for record in reader.records() {
        let record = record.map_err(|error| Error::at(before + 1, None, error.to_string()))?;
        let line = before + record.position().map_or(1, ::csv::Position::line);
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        match &headings {
            None => headings = Some(header(&record, line)?),
            Some(headings) => {
                let record = &record;
                add(
                    &mut plan,
                    &Row {
                        headings,
                        record,
                        line,
                    },
                )?;
            }
        }
    }
    match headings {
        Some(_) => Ok(plan),
        None => Err(Error::at(1, None, "it is empty")),
    }
}

/// The text without a line that says what its separator is, the separator, and how many lines were
/// left out.
fn separated(text: &str) -> (&str, u8, u64) {
    let line = text.lines().next().unwrap_or_default();
    if let Some(&[separator]) = line.strip_prefix("sep=").map(str::as_bytes)
        && SEPARATORS.contains(&separator)
    {
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        return (rest, separator, 1);
    }
    let header = text.lines().find(|line| !line.trim().is_empty());
    let count = |separator: &u8| {
        let bytes = header.unwrap_or_default().bytes();
        bytes.filter(|byte| byte == separator).count()
    };
    // The first one of several that are equally frequent.
    let separator = SEPARATORS
        .iter()
        .rev()
        .max_by_key(|separator| count(separator));
    (text, separator.copied().unwrap_or(b','), 0)
}

/// Refuses quotes that are not closed, or closed within a cell: the rest of the file would become
/// part of it.
fn check_quotes(text: &str, separator: u8, before: u64) -> Result<(), Error> {
    #[derive(PartialEq)]
    enum State {
        Start,
        Plain,
        Quoted,
        Closed,
    }
    let (mut state, mut line, mut opened) = (State::Start, before + 1, 0);
    for byte in text.bytes() {
        state = match (state, byte) {
            (State::Start, b'"') => {
                opened = line;
                State::Quoted
            }
            (State::Quoted, b'"') => State::Closed,
            // Two quotes stand for one.
            (State::Closed, b'"') | (State::Quoted, _) => State::Quoted,
            (_, byte) if byte == separator || matches!(byte, b'\n' | b'\r') => State::Start,
            (State::Closed, _) => {
                let what = "text follows the closing quote of a cell";
                return Err(Error::at(line, None, what));
            }
            (State::Start | State::Plain, _) => State::Plain,
        };
        line += u64::from(byte == b'\n');
    }
    match state {
        State::Quoted => {
            let what = "a quote that begins a cell is not closed";
            Err(Error::at(opened, None, what))
        }
        _ => Ok(()),
    }
}

/// A heading as it is compared.
fn comparable(heading: &str) -> String {
    let letters = heading.chars().filter(|c| !matches!(c, ' ' | '_' | '-'));
    letters.flat_map(char::to_lowercase).collect()
}

fn column(heading: &str) -> Option<Column> {
    let name = comparable(heading.trim());
    let found = COLUMNS
        .iter()
        .find(|(_, names)| names.iter().any(|one| comparable(one) == name));
    found.map(|(column, _)| *column)
}

/// The columns that the header has.
fn header(record: &StringRecord, line: u64) -> Result<Vec<Heading>, Error> {
    let mut headings: Vec<Heading> = Vec::new();
    for (at, heading) in record.iter().enumerate() {
        let heading = heading.trim();
        // Spreadsheets write empty columns behind the last one.
        if heading.is_empty() && record.iter().skip(at).all(|rest| rest.trim().is_empty()) {
            break;
        }
        let shown = written_out(&shortened(heading, LONGEST)).into_owned();
        let Some(column) = column(heading) else {
            let known = COLUMNS.iter().flat_map(|(_, names)| names.iter().copied());
            let what = unknown_name(heading, known);
            let place = if shown.is_empty() {
                "an empty heading"
            } else {
                &shown
            };
            return Err(Error::at(line, None, format!("{place} {what}")));
        };
        if headings.iter().any(|(other, _)| *other == column) {
            return Err(Error::at(line, Some(&shown), "is given more than once"));
        }
        headings.push((column, shown));
    }
    if !headings.iter().any(|(column, _)| *column == Column::Title) {
        let what = "title is required: the first row names the columns";
        return Err(Error::at(line, None, what));
    }
    Ok(headings)
}

impl Row<'_> {
    /// The text of a cell; `None` if it is blank or there is none.
    fn text(&self, column: Column) -> Option<String> {
        let at = self.headings.iter().position(|(one, _)| *one == column)?;
        let text = self.record.get(at)?;
        let text = without_mark(text);
        (!text.trim().is_empty()).then(|| text.to_owned())
    }

    /// The same without blanks at its ends.
    fn word(&self, column: Column) -> Option<String> {
        Some(self.text(column)?.trim().to_owned())
    }

    fn whole(&self, column: Column, most: i64) -> Result<Option<i64>, Error> {
        let Some(text) = self.word(column) else {
            return Ok(None);
        };
        let has_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| has_digits);
        let wrong = || {
            let bounds = format!("from 0 to {most}, without a point or an exponent");
            self.wrong(column, format!("must be a whole number {bounds}"))
        };
        number.map(Some).ok_or_else(wrong)
    }

    fn wrong(&self, column: Column, what: impl Into<String>) -> Error {
        let heading = self.headings.iter().find(|(one, _)| *one == column);
        Error::at(self.line, heading.map(|(_, name)| &**name), what)
    }

    /// Whether it has anything of a task.
    fn has_task(&self) -> bool {
        let of_release = |column: &Column| {
            matches!(
                column,
                Column::Release | Column::Version | Column::ReleaseDescription
            )
        };
        let mut headings = self.headings.iter();
        headings.any(|(column, _)| !of_release(column) && self.text(*column).is_some())
    }

    fn task(&self) -> Result<PlannedTask, Error> {
        let required = |column| {
            let text = self.text(column);
            text.ok_or_else(
                || match self.headings.iter().any(|(one, _)| *one == column) {
                    true => self.wrong(column, "is required"),
                    false => Error::at(self.line, None, "assignee is required"),
                },
            )
        };
        let priority = match self.word(Column::Priority) {
            None => None,
            Some(name) => Some(Priority::named(&name).ok_or_else(|| {
                self.wrong(Column::Priority, "must be LOW, NORMAL, HIGH or URGENT")
            })?),
        };
        Ok(PlannedTask {
            title: required(Column::Title)?,
            description: self.text(Column::Description),
            assignee: required(Column::Assignee)?.trim().to_owned(),
            order_index: self.whole(Column::OrderIndex, MAX_ORDER_INDEX)?,
            due_at: self.word(Column::DueAt),
            priority,
            tags: self.tags()?,
            remind_before_minutes: self.whole(Column::RemindBeforeMinutes, MAX_REMINDER)?,
            recurrence: self.recurrence()?,
            line: Some(self.line),
        })
    }

    fn recurrence(&self) -> Result<Option<PlannedRecurrence>, Error> {
        let time_zone = self.word(Column::TimeZone);
        let release_id = self.word(Column::NextRelease);
        match self.word(Column::Rule) {
            Some(rule) => Ok(Some(PlannedRecurrence {
                rule,
                time_zone,
                release_id,
            })),
            None if time_zone.is_some() => {
                Err(self.wrong(Column::TimeZone, "is possible only with a recurrenceRule"))
            }
            None if release_id.is_some() => Err(self.wrong(
                Column::NextRelease,
                "is possible only with a recurrenceRule",
            )),
            None => Ok(None),
        }
    }

    fn tags(&self) -> Result<Vec<String>, Error> {
        let Some(text) = self.text(Column::Tags) else {
            return Ok(Vec::new());
        };
        let wrong = || self.wrong(Column::Tags, "must be words with commas between them");
        check_quotes(&text, BETWEEN_TAGS, 0).map_err(|_| wrong())?;
        // The reader leaves out one byte order mark.
        let text = format!("\u{feff}{text}");
        let mut reader = ReaderBuilder::new()
            .delimiter(BETWEEN_TAGS)
            .has_headers(false)
            .from_reader(text.as_bytes());
        let mut rows = reader.records();
        match (rows.next(), rows.next()) {
            (Some(Ok(tags)), None) => Ok(tags.iter().map(|tag| tag.trim().to_owned()).collect()),
            _ => Err(wrong()),
        }
    }

    fn is_hotfix(&self) -> Result<bool, Error> {
        match self
            .word(Column::Hotfix)
            .as_deref()
            .map(str::to_lowercase)
            .as_deref()
        {
            None | Some("no" | "false" | "0") => Ok(false),
            Some("yes" | "true" | "1" | "x") => Ok(true),
            Some(_) => Err(self.wrong(Column::Hotfix, "must be yes or no")),
        }
    }
}

/// Adds what a row says to the plan.
fn add(plan: &mut Plan, row: &Row<'_>) -> Result<(), Error> {
    let behind = row.record.iter().skip(row.headings.len());
    if behind.into_iter().any(|cell| !cell.trim().is_empty()) {
        let what = "has more cells than the header";
        return Err(Error::at(row.line, None, format!("a row {what}")));
    }
    let name = (!plan.name.is_empty()).then(|| plan.name.clone());
    plan.name = same(row, Column::Release, name)?.unwrap_or_default();
    plan.version = same(row, Column::Version, plan.version.take())?;
    plan.description = same(row, Column::ReleaseDescription, plan.description.take())?;
    if !row.has_task() {
        return Ok(());
    }
    let task = row.task()?;
    match (row.is_hotfix()?, &plan.hotfix) {
        (false, _) => plan.tasks.push(task),
        (true, None) => plan.hotfix = Some(task),
        (true, Some(_)) => {
            let what = "is possible for one task: a plan has one hotfix";
            return Err(row.wrong(Column::Hotfix, what));
        }
    }
    Ok(())
}

/// What is said of the release, which must be the same in all rows that say it.
fn same(row: &Row<'_>, column: Column, before: Option<String>) -> Result<Option<String>, Error> {
    match (row.text(column), before) {
        (Some(text), Some(before)) if text != before => {
            Err(row.wrong(column, "is not the same as in the rows above"))
        }
        (text, before) => Ok(text.or(before)),
    }
}

/// Writes the plan.
pub(crate) fn write(plan: &Plan) -> String {
    let tasks = plan.tasks.iter().map(|task| (task, false));
    let tasks = tasks.chain(plan.hotfix.iter().map(|task| (task, true)));
    let mut rows: Vec<Vec<String>> = tasks.map(|(task, hotfix)| cells(task, hotfix)).collect();
    if rows.is_empty() {
        rows.push(vec![String::new(); COLUMNS.len()]);
    }
    let of_release = [
        (Column::Release, Some(&plan.name)),
        (Column::Version, plan.version.as_ref()),
        (Column::ReleaseDescription, plan.description.as_ref()),
    ];
    for (column, text) in of_release {
        let at = COLUMNS.iter().position(|(one, _)| *one == column);
        if let (Some(at), Some(text)) = (at, text) {
            rows[0][at] = text.clone();
        }
    }
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    let headings = COLUMNS
        .iter()
        .map(|(_, names)| names[0].to_owned())
        .collect();
    for row in [headings].into_iter().chain(rows) {
        let row = row.iter().map(|text| marked(text));
        let written = writer.write_record(row.map(Cow::into_owned));
        written.expect("all rows are of one length, and memory can be written");
    }
    let bytes = writer.into_inner().expect("memory can be written");
    String::from_utf8(bytes).expect("only text was written")
}

/// The cells of a task, in the order of [`COLUMNS`].
fn cells(task: &PlannedTask, hotfix: bool) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let number = |number: Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
    let recurrence = task.recurrence.clone().unwrap_or_default();
    let cell = |column| match column {
        Column::Title => task.title.clone(),
        Column::Assignee => task.assignee.clone(),
        Column::Description => text(&task.description),
        Column::OrderIndex => number(task.order_index),
        Column::DueAt => text(&task.due_at),
        Column::Priority => task.priority.map_or("", Priority::name).to_owned(),
        Column::Tags => joined(&task.tags),
        Column::RemindBeforeMinutes => number(task.remind_before_minutes),
        Column::Rule => recurrence.rule.clone(),
        Column::TimeZone => text(&recurrence.time_zone),
        Column::NextRelease => text(&recurrence.release_id),
        Column::Hotfix => if hotfix { "yes" } else { "" }.to_owned(),
        Column::Release | Column::Version | Column::ReleaseDescription => String::new(),
    };
    COLUMNS.iter().map(|(column, _)| cell(*column)).collect()
}

/// Tags in one cell.
fn joined(tags: &[String]) -> String {
    if tags.is_empty() {
        return String::new();
    }
    let mut writer = WriterBuilder::new()
        .delimiter(BETWEEN_TAGS)
        .from_writer(Vec::new());
    let written = writer.write_record(tags);
    written.expect("memory can be written");
    let bytes = writer.into_inner().expect("memory can be written");
    let text = String::from_utf8(bytes).expect("only text was written");
    text.trim_end_matches('\n').to_owned()
}

/// Whether a spreadsheet takes `text` for a formula, behind any number of marks.
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(OF_FORMULAS)
}

/// `text` as it is written: with a mark, if it must not be taken for a formula.
fn marked(text: &str) -> Cow<'_, str> {
    match is_formula(text) {
        true => format!("'{text}").into(),
        false => text.into(),
    }
}

/// The text of a cell without that mark.
fn without_mark(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(text) if is_formula(text) => text,
        _ => cell,
    }
}

/// Whether the first line of `text` has the heading of a title beside another column.
pub(crate) fn has_header(text: &str) -> bool {
    let (text, separator, _) = separated(text);
    let header = text.lines().find(|line| !line.trim().is_empty());
    let cells = header.unwrap_or_default().split(char::from(separator));
    let columns: Vec<_> = cells.map(|cell| column(cell.trim_matches('"'))).collect();
    columns.len() > 1 && columns.contains(&Some(Column::Title))
}
