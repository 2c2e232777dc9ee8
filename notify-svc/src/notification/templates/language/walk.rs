//! The check of a template's syntax tree: what it may use, and how large values can grow.
//! Statements are here, expressions in [`values`].

mod values;

use std::collections::BTreeMap;

use minijinja::{
    machinery::{
        ast::{Call, CallType, Expr, ForLoop, IfCond, Stmt},
        parse,
    },
    syntax::SyntaxConfig,
};

use super::{Refusal, shape::Shape};
use crate::notification::templates::built_in;

/// Bytes of what is named with `set` and `with` at most, in one template.
const LONGEST_NAMED: usize = 4 * 1024 * 1024;

/// Bytes that a name costs at least.
const NAME: usize = 64;

/// Checks the tree of a template.
///
/// # Errors
/// The first thing in it that is not allowed.
pub(super) fn check(tree: &Stmt<'_>) -> Result<(), Refusal> {
    let Stmt::Template(template) = tree else {
        return Err(Refusal::new(1, "this is no template"));
    };
    let is_extends = |statement: &Stmt<'_>| matches!(statement, Stmt::Extends(_));
    let mut walk = Walk {
        scopes: vec![Scope::new()],
        named: 0,
        loops: 0,
        in_block: false,
        unseen: template.children.iter().any(is_extends),
    };
    // A layout runs the blocks after everything else.
    let (blocks, rest): (Vec<_>, Vec<_>) = template
        .children
        .iter()
        .partition(|statement| matches!(statement, Stmt::Block(_)));
    for statement in rest {
        match statement {
            Stmt::Extends(extends) => file(&extends.name, built_in::LAYOUTS, "extends")?,
            statement => walk.statement(statement)?,
        }
    }
    (walk.in_block, walk.unseen) = (true, false);
    for statement in blocks {
        if let Stmt::Block(block) = statement {
            walk.inside(|walk| walk.statements(&block.body))?;
        }
    }
    Ok(())
}

type Scope<'t> = BTreeMap<&'t str, Shape>;

struct Walk<'t> {
    /// The names that the template has given, innermost last.
    scopes: Vec<Scope<'t>>,
    /// Bytes of what they name, at most.
    named: usize,
    /// Loops around this place.
    loops: usize,
    in_block: bool,
    /// Whether what is written here is thrown away: the limit of what a template writes does
    /// not stop a loop then.
    unseen: bool,
}

impl<'t> Walk<'t> {
    fn statements(&mut self, statements: &'t [Stmt<'t>]) -> Result<(), Refusal> {
        statements
            .iter()
            .try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &'t Stmt<'t>) -> Result<(), Refusal> {
        match statement {
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::EmitExpr(emit) => match &emit.expr {
                Expr::Call(call) => self.call(call, call.span().start_line),
                expr => self.plain(expr, "is written").map(|_| ()),
            },
            Stmt::IfCond(condition) => self.condition(condition),
            Stmt::ForLoop(body) => self.for_loop(body, body.span().start_line),
            Stmt::WithBlock(with) => self.inside(|walk| {
                for (target, expr) in &with.assignments {
                    walk.assign(target, expr, with.span().start_line)?;
                }
                walk.statements(&with.body)
            }),
            Stmt::Set(set) => {
                let line = set.span().start_line;
                if self.loops > 0 {
                    let message = "set cannot be used in a for loop: use with";
                    return Err(Refusal::new(line, message));
                }
                self.assign(&set.target, &set.expr, line)
            }
            Stmt::Include(include) => {
                file(&include.name, built_in::INCLUDES, "include")?;
                self.include(&include.name)
            }
            Stmt::Extends(extends) => refused(
                extends.span().start_line,
                "extends must not stand inside another tag",
            ),
            Stmt::Block(block) => refused(
                block.span().start_line,
                "a block must not stand inside another tag",
            ),
            Stmt::SetBlock(set) => refused(
                set.span().start_line,
                "set needs a value: write set name = value, or write the text where it belongs",
            ),
            Stmt::AutoEscape(escape) => refused(
                escape.span().start_line,
                "autoescape cannot be used: HTML is always escaped, plain text never",
            ),
            Stmt::FilterBlock(filter) => refused(
                filter.span().start_line,
                "filter cannot be used on a block: write the filter at each value, as in name|upper",
            ),
            Stmt::Import(import) => refused(import.span().start_line, NO_IMPORT),
            Stmt::FromImport(import) => refused(import.span().start_line, NO_IMPORT),
            Stmt::Do(call) => refused(call.span().start_line, "do cannot be used"),
            Stmt::Template(_) => refused(1, "this is no template"),
        }
    }

    /// Runs `walk` in a scope of its own.
    fn inside(
        &mut self,
        walk: impl FnOnce(&mut Self) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.scopes.push(Scope::new());
        let walked = walk(self);
        self.scopes.pop();
        walked
    }

    fn condition(&mut self, condition: &'t IfCond<'t>) -> Result<(), Refusal> {
        self.value(&condition.expr)?;
        let before = self.scopes.clone();
        self.statements(&condition.true_body)?;
        let after = std::mem::replace(&mut self.scopes, before);
        self.statements(&condition.false_body)?;
        // What is named in one branch only may be the event's where the other was taken.
        for (scope, other) in self.scopes.iter_mut().zip(after) {
            for (name, shape) in other {
                let here = scope.remove(name).unwrap_or(Shape::DATA);
                scope.insert(name, here.or(shape));
            }
        }
        Ok(())
    }

    fn for_loop(&mut self, body: &'t ForLoop<'t>, line: u16) -> Result<(), Refusal> {
        if self.unseen {
            let message = "with extends, for stands inside a block: nothing else is written";
            return refused(line, message);
        }
        if body.recursive {
            return refused(
                line,
                "a loop cannot be recursive: write one for inside another",
            );
        }
        let item = self.value(&body.iter)?.item();
        self.inside(|walk| {
            walk.name(&body.target, &item, line)?;
            walk.scope().insert("loop", item);
            if let Some(condition) = &body.filter_expr {
                walk.value(condition)?;
            }
            walk.loops += 1;
            let walked = walk.statements(&body.body);
            walk.loops -= 1;
            walked
        })?;
        self.statements(&body.else_body)
    }

    fn include(&mut self, name: &Expr<'_>) -> Result<(), Refusal> {
        let line = name.span().start_line;
        let Some((name, source)) = built_in::FILES
            .iter()
            .find(|(file, _)| text(name) == Some(file))
        else {
            return refused(line, "include names no file");
        };
        let unusable = |what: String| Refusal::new(line, format!("in {name}, {what}"));
        let tree = parse(source, name, SyntaxConfig::default());
        let tree = tree.map_err(|error| unusable(error.to_string()))?;
        let Stmt::Template(template) = &tree else {
            return refused(line, "include names no template");
        };
        let mut included = Walk {
            scopes: self.scopes.clone(),
            named: 0,
            loops: self.loops,
            in_block: false,
            unseen: self.unseen,
        };
        included
            .statements(&template.children)
            .map_err(|refusal| unusable(refusal.message))
    }

    fn scope(&mut self) -> &mut Scope<'t> {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::new());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// Names the value of `expr`.
    fn assign(
        &mut self,
        target: &'t Expr<'t>,
        expr: &'t Expr<'t>,
        line: u16,
    ) -> Result<(), Refusal> {
        let shape = self.value(expr)?;
        self.named += shape.size().max(NAME);
        if self.named > LONGEST_NAMED {
            return refused(line, "set and with name too much in this template");
        }
        self.name(target, &shape, line)
    }

    fn name(&mut self, target: &'t Expr<'t>, shape: &Shape, line: u16) -> Result<(), Refusal> {
        match target {
            Expr::Var(var) => {
                self.scope().insert(var.id, shape.clone());
                Ok(())
            }
            Expr::List(list) => list
                .items
                .iter()
                .try_for_each(|target| self.name(target, &shape.item(), line)),
            _ => refused(line, "only names can be assigned to"),
        }
    }

    /// A call as a statement.
    fn call(&mut self, call: &'t Call<'t>, line: u16) -> Result<(), Refusal> {
        match call.identify_call() {
            CallType::Function("super") if self.in_block && call.args.is_empty() => Ok(()),
            kind => refused(line, no_call(&kind)),
        }
    }
}

const NO_IMPORT: &str = "import cannot be used: include facts.html, button.html or quote.html";

fn refused<T>(line: u16, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(line, message))
}

fn no_call(call: &CallType<'_, '_>) -> String {
    match call {
        CallType::Function("range") => {
            "range() cannot be called: loop over a field of the event".to_owned()
        }
        CallType::Function("super") => {
            "super() stands alone in a block, without arguments: {{ super() }}".to_owned()
        }
        CallType::Function(name) => {
            format!("{name}() cannot be called: there are no functions, only filters and super()")
        }
        CallType::Block(name) => {
            format!("self.{name}() cannot be called: write the text again")
        }
        CallType::Method(_, name) => {
            format!("{name}() cannot be called: values have no functions, use a filter")
        }
        CallType::Object(_) => "a value cannot be called".to_owned(),
    }
}

fn text<'e>(expr: &'e Expr<'_>) -> Option<&'e str> {
    match expr {
        Expr::Const(constant) => constant.value.as_str(),
        _ => None,
    }
}

/// Whether a tag names one of these files.
fn file(name: &Expr<'_>, files: &[&str], tag: &str) -> Result<(), Refusal> {
    if text(name).is_some_and(|name| files.contains(&name)) {
        return Ok(());
    }
    let files: Vec<_> = files.iter().map(|file| format!("\"{file}\"")).collect();
    let message = format!("{tag} takes only {}", files.join(", "));
    refused(name.span().start_line, message)
}
