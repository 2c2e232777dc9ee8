//! How much is nested in a template, counted on its tokens.
//!
//! The parser calls itself for every sign before a number, every bracket and every `elif`,
//! so this is counted before it runs. The engine's own tokenizer is used, which is a loop:
//! the parser sees the same tokens.

use minijinja::{
    Error,
    machinery::{Token, Tokenizer},
    syntax::SyntaxConfig,
};

use super::{BRACKETS, NESTED, PARTS, Refusal};

/// What is nested too deep or too long, if anything is.
///
/// # Errors
/// If a token is malformed.
pub(super) fn check(name: &str, source: &str) -> Result<Option<Refusal>, Error> {
    let mut tokens = Tokenizer::new(source, name, false, SyntaxConfig::default());
    let (mut tag, mut open) = (Tag::default(), Open::default());
    while let Some((token, span)) = tokens.next_token()? {
        let flaw = match token {
            Token::TemplateData(_) | Token::VariableEnd => None,
            Token::VariableStart | Token::BlockStart => {
                tag = Tag::default();
                None
            }
            Token::BlockEnd => open.follow(&tag),
            token => tag.add(&token),
        };
        if let Some(message) = flaw {
            return Ok(Some(Refusal::new(span.start_line, message)));
        }
    }
    Ok(None)
}

/// The tag that is being read.
#[derive(Default)]
struct Tag<'s> {
    keyword: Option<&'s str>,
    assigns: bool,
    parts: usize,
    brackets: usize,
}

impl<'s> Tag<'s> {
    /// Adds a part; what is wrong with the tag then.
    fn add(&mut self, token: &Token<'s>) -> Option<String> {
        if self.parts == 0
            && let Token::Ident(word) = token
        {
            self.keyword = Some(word);
        }
        self.parts += 1;
        match token {
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => self.brackets += 1,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                self.brackets = self.brackets.saturating_sub(1);
            }
            Token::Assign => self.assigns = true,
            _ => {}
        }
        if self.parts > PARTS {
            return Some(format!("an expression may have at most {PARTS} parts"));
        }
        (self.brackets > BRACKETS)
            .then(|| format!("brackets may be nested at most {BRACKETS} deep"))
    }
}

/// The tags that are open, each with the levels it takes.
#[derive(Default)]
struct Open(Vec<usize>);

impl Open {
    /// Follows a tag that is complete; what is wrong then.
    fn follow(&mut self, tag: &Tag<'_>) -> Option<String> {
        match tag.keyword.unwrap_or_default() {
            "for" | "if" | "with" | "block" | "filter" | "autoescape" | "macro" | "call" => {
                self.0.push(1);
            }
            "set" if !tag.assigns => self.0.push(1),
            "elif" => match self.0.last_mut() {
                Some(levels) => *levels += 1,
                None => self.0.push(1),
            },
            word if word.starts_with("end") => {
                self.0.pop();
            }
            _ => {}
        }
        (self.0.iter().sum::<usize>() > NESTED)
            .then(|| format!("tags may be nested at most {NESTED} deep, each elif being one more"))
    }
}
