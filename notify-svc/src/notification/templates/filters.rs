//! The filters and tests of templates: those that are needed, each with a bounded result.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use jiff::Timestamp;
use minijinja::{
    Environment, Error, ErrorKind, State, Value, filters,
    functions::Function,
    tests,
    value::{FunctionArgs, FunctionResult, Kwargs, Rest},
};
use slipway_runtime::zone::Zone;

/// Bytes of a text at most that a filter makes.
pub(super) const LONGEST: usize = 32 * 1024;

/// The variable with the name of the recipient's time zone, for [`when`]. Templates cannot use it:
/// its name has spaces.
pub(super) const ZONE: &str = "zone of the recipient";

/// What a filter makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Makes {
    /// A text, of a plain value.
    Text,
    /// A text, of a list.
    Joined,
    /// A number, of a plain value.
    Number,
    /// A number, of anything.
    Length,
    /// What is found in a list.
    Item,
    /// The value, or the argument.
    Either,
    /// Names and values of an object.
    Pairs,
}

/// The filters.
pub(super) const FILTERS: &[(&str, Makes)] = &[
    ("abs", Makes::Number),
    ("capitalize", Makes::Text),
    ("count", Makes::Length),
    ("d", Makes::Either),
    ("default", Makes::Either),
    ("e", Makes::Text),
    ("escape", Makes::Text),
    ("first", Makes::Item),
    ("float", Makes::Number),
    ("int", Makes::Number),
    ("items", Makes::Pairs),
    ("join", Makes::Joined),
    ("last", Makes::Item),
    ("length", Makes::Length),
    ("lower", Makes::Text),
    ("replace", Makes::Text),
    ("round", Makes::Number),
    ("string", Makes::Text),
    ("title", Makes::Text),
    ("trim", Makes::Text),
    ("truncate", Makes::Text),
    ("upper", Makes::Text),
    ("when", Makes::Text),
];

/// The tests.
pub(super) const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "endingwith",
    "even",
    "false",
    "float",
    "integer",
    "iterable",
    "lower",
    "mapping",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
    "upper",
];

/// Adds them to an environment that has none.
pub(super) fn add_to(env: &mut Environment<'static>) {
    add(env, "abs", filters::abs);
    add(env, "capitalize", filters::capitalize);
    add(env, "count", filters::length);
    add(env, "d", filters::default);
    add(env, "default", filters::default);
    add(env, "e", filters::escape);
    add(env, "escape", filters::escape);
    add(env, "first", filters::first);
    add(env, "float", filters::float);
    add(env, "int", filters::int);
    add(env, "items", filters::items);
    add(env, "join", join);
    add(env, "last", filters::last);
    add(env, "length", filters::length);
    add(env, "lower", filters::lower);
    add(env, "replace", replace);
    add(env, "round", filters::round);
    add(env, "string", filters::string);
    add(env, "title", filters::title);
    add(env, "trim", filters::trim);
    add(env, "truncate", truncate);
    add(env, "upper", filters::upper);
    add(env, "when", when);
    env.add_test("boolean", tests::is_boolean);
    env.add_test("defined", tests::is_defined);
    env.add_test("endingwith", tests::is_endingwith);
    env.add_test("even", tests::is_even);
    env.add_test("false", tests::is_false);
    env.add_test("float", tests::is_float);
    env.add_test("integer", tests::is_integer);
    env.add_test("iterable", tests::is_iterable);
    env.add_test("lower", tests::is_lower);
    env.add_test("mapping", tests::is_mapping);
    env.add_test("none", tests::is_none);
    env.add_test("number", tests::is_number);
    env.add_test("odd", tests::is_odd);
    env.add_test("sequence", tests::is_sequence);
    env.add_test("startingwith", tests::is_startingwith);
    env.add_test("string", tests::is_string);
    env.add_test("true", tests::is_true);
    env.add_test("undefined", tests::is_undefined);
    env.add_test("upper", tests::is_upper);
}

/// Adds a filter whose result is refused if it is too long.
fn add<F, Rv, Args>(env: &mut Environment<'static>, name: &'static str, filter: F)
where
    F: Function<Rv, Args>,
    Rv: FunctionResult,
    Args: for<'a> FunctionArgs<'a>,
{
    let filter = Value::from_function(filter);
    let bounded = move |state: &mut State, args: Rest<Value>| {
        let made = filter.call(state, &args)?;
        match made.as_str() {
            Some(text) if text.len() > LONGEST => Err(too_long(name)),
            _ => Ok(made),
        }
    };
    env.add_filter(name, bounded);
}

fn too_long(filter: &str) -> Error {
    let message = format!("{filter} makes a text of more than {} KiB", LONGEST / 1024);
    Error::new(ErrorKind::InvalidOperation, message)
}

/// A text that does not become longer than [`LONGEST`].
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LONGEST {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// The filter `join`: the items of a list, or one field of each, with a text in between.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the engine hands arguments over"
)]
fn join(
    list: &Value,
    between: Option<Cow<'_, str>>,
    attribute: Option<Cow<'_, str>>,
    named: Kwargs,
) -> Result<String, Error> {
    let attribute = match attribute {
        Some(attribute) => Some(attribute),
        None => named.get::<Option<Cow<'_, str>>>("attribute")?,
    };
    named.assert_all_used()?;
    let between = between.unwrap_or_default();
    let mut text = Bounded(String::new());
    for (n, item) in list.try_iter()?.enumerate() {
        let item = match &attribute {
            Some(attribute) => item.get_attr(attribute)?,
            None => item,
        };
        let before = if n > 0 { &*between } else { "" };
        write!(text, "{before}{item}").map_err(|_| too_long("join"))?;
    }
    Ok(text.0)
}

/// The filter `replace`: the engine's, unless the result would be too long.
fn replace(state: &mut State, text: Value, from: Value, to: Value) -> Result<Value, Error> {
    if let (Some(text), Some(from), Some(to)) = (text.as_str(), from.as_str(), to.as_str()) {
        let found = text.matches(from).count();
        if found.saturating_mul(to.len()).saturating_add(text.len()) > 2 * LONGEST {
            return Err(too_long("replace"));
        }
    }
    Value::from_function(filters::replace).call(state, &[text, from, to])
}

/// The filter `truncate`: the beginning of a text, at most `length` characters.
fn truncate(text: Cow<'_, str>, length: Option<usize>) -> String {
    let length = length.unwrap_or(255);
    if text.chars().count() <= length {
        return text.into_owned();
    }
    let begin = text.chars().take(length.saturating_sub(1));
    begin.chain(['…']).take(length).collect()
}

/// The filter `when`: a time for people, in the recipient's time zone. What is no time stays as it
/// is.
fn when(state: &mut State, text: Cow<'_, str>) -> String {
    let Ok(time) = text.parse::<Timestamp>() else {
        return text.into_owned();
    };
    let zone = state.lookup(ZONE);
    let zone = zone.as_ref().and_then(|zone| zone.as_str());
    let zone: Zone = zone.and_then(|zone| zone.parse().ok()).unwrap_or_default();
    let time = time.to_zoned(zone.rules().clone());
    let text = time.strftime("%A, %-d %B %Y, %H:%M");
    match zone.name() {
        "UTC" => format!("{text} UTC"),
        name => format!("{text} ({name})"),
    }
}
