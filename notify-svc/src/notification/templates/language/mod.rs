//! The language of templates: the part of the template engine's language whose memory,
//! stack and time are bounded for every template and every event.
//!
//! Fuel alone bounds neither: one step can double a text, and the parser needs stack for
//! every nested expression. So a template is checked before it is used, in two steps:
//!
//! 1. [`tokens`] counts what is nested, before the recursive parser sees the source.
//! 2. [`walk`] goes through the syntax tree and refuses what makes values grow: it knows of
//!    each expression how large its value can be.
//!
//! What a filter makes is bounded while it runs ([`filters`](super::filters)), and so is
//! what a template writes ([`limited`](super::limited)).

mod shape;
mod slips;
mod tokens;
mod walk;

use minijinja::{Error, machinery::parse, syntax::SyntaxConfig};

use super::{RenderError, told};

/// Names, numbers, texts and signs in one tag at most.
pub(crate) const PARTS: usize = 250;

/// Brackets inside each other at most.
pub(crate) const BRACKETS: usize = 10;

/// Tags inside each other at most; `elif` counts as one.
pub(crate) const NESTED: usize = 20;

/// What a template may not do, and where.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    line: u16,
    message: String,
}

impl Refusal {
    fn new(line: u16, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

/// Whether the template `name` with this source keeps to the language.
///
/// # Errors
/// The first thing in it that is malformed or not allowed, with its line.
pub(super) fn check(name: &str, source: &str) -> Result<(), RenderError> {
    let refused =
        |Refusal { line, message }| RenderError(format!("{message} ({name}, line {line})"));
    let malformed = |error: Error| {
        let RenderError(told) = told(&error, Vec::new);
        RenderError(match slips::advice(&error, source) {
            Some(advice) => format!("{told}: {advice}"),
            None => told,
        })
    };
    tokens::check(name, source)
        .map_err(malformed)?
        .map_or(Ok(()), |refusal| Err(refused(refusal)))?;
    let tree = parse(source, name, SyntaxConfig::default()).map_err(malformed)?;
    walk::check(&tree).map_err(refused)
}

#[cfg(test)]
mod tests;
