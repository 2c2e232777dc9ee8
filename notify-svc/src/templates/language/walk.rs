//! The check of a template's syntax tree: what it may use, and how large values can grow.

use std::collections::BTreeMap;

use minijinja::{
    machinery::{
        ast::{
            BinOpKind, Call, CallArg, CallType, CompareOpKind, Expr, ForLoop, IfCond, Stmt,
            UnaryOpKind,
        },
        parse,
    },
    syntax::SyntaxConfig,
};

use super::{
    Refusal,
    shape::{LONGEST_TEXT, Shape},
};
use crate::templates::{
    built_in,
    filters::{self, Makes},
};

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

    /// The bytes of a value that is no list of the template's own.
    fn plain(&mut self, expr: &'t Expr<'t>, what: &str) -> Result<usize, Refusal> {
        match self.value(expr)? {
            Shape::List { .. } => refused(
                expr.span().start_line,
                format!("a list {what}: write its items in a for loop, or with list|join(\", \")"),
            ),
            shape => Ok(shape.size()),
        }
    }

    fn value(&mut self, expr: &'t Expr<'t>) -> Result<Shape, Refusal> {
        let line = expr.span().start_line;
        match expr {
            Expr::Const(constant) => Ok(match constant.value.as_str() {
                Some(text) => Shape::Plain(text.len()),
                None => Shape::Number,
            }),
            Expr::Var(var) => {
                let known = self.scopes.iter().rev().find_map(|scope| scope.get(var.id));
                match (var.id, known) {
                    ("loop", Some(_)) => {
                        refused(line, "loop is used with a field, such as loop.index")
                    }
                    (_, known) => Ok(known.cloned().unwrap_or(Shape::DATA)),
                }
            }
            Expr::GetAttr(attribute) => match (&attribute.expr, attribute.name) {
                (Expr::Var(var), name) if var.id == "loop" => Ok(self.of_loop(name)),
                (expr, _) => Ok(self.value(expr)?.item()),
            },
            Expr::GetItem(item) => {
                self.plain(&item.subscript_expr, "is no index")?;
                Ok(self.value(&item.expr)?.item())
            }
            Expr::UnaryOp(unary) => {
                match unary.op {
                    UnaryOpKind::Not => self.value(&unary.expr)?.size(),
                    UnaryOpKind::Neg => self.plain(&unary.expr, "has no sign")?,
                };
                Ok(Shape::Number)
            }
            Expr::BinOp(operation) => {
                self.operation(operation.op, &operation.left, &operation.right, line)
            }
            Expr::Compare(compare) => {
                self.plain(&compare.expr, "is compared")?;
                for operand in &compare.ops {
                    match operand.op {
                        CompareOpKind::In | CompareOpKind::NotIn => {
                            self.container(&operand.expr)?;
                        }
                        CompareOpKind::Eq
                        | CompareOpKind::Ne
                        | CompareOpKind::Lt
                        | CompareOpKind::Lte
                        | CompareOpKind::Gt
                        | CompareOpKind::Gte => {
                            self.plain(&operand.expr, "is compared")?;
                        }
                    }
                }
                Ok(Shape::Number)
            }
            Expr::IfExpr(condition) => {
                self.value(&condition.test_expr)?;
                let shape = self.value(&condition.true_expr)?;
                match &condition.false_expr {
                    Some(other) => Ok(shape.or(self.value(other)?)),
                    None => Ok(shape),
                }
            }
            Expr::Filter(filter) => {
                self.filter(filter.name, filter.expr.as_ref(), &filter.args, line)
            }
            Expr::Test(test) => {
                if !filters::TESTS.contains(&test.name) {
                    let tests = filters::TESTS.join(", ");
                    return refused(
                        line,
                        format!("there is no test {}; there are {tests}", test.name),
                    );
                }
                self.value(&test.expr)?;
                self.arguments(&test.args, line)?;
                Ok(Shape::Number)
            }
            Expr::List(list) => self.list(&list.items, line),
            Expr::Tuple(tuple) => self.list(&tuple.items, line),
            Expr::Slice(_) => refused(
                line,
                "a part of a text or list cannot be taken with [:]: write text|truncate(20)",
            ),
            Expr::Map(_) => refused(line, "{} cannot be used: choose with if and elif"),
            Expr::Call(call) => refused(line, no_call(&call.identify_call())),
        }
    }

    fn of_loop(&self, field: &str) -> Shape {
        let item = self.scopes.iter().rev().find_map(|scope| scope.get("loop"));
        match (field, item) {
            ("previtem" | "nextitem", Some(item)) => item.clone(),
            (_, Some(_)) => Shape::Number,
            (_, None) => Shape::DATA,
        }
    }

    fn list(&mut self, items: &'t [Expr<'t>], line: u16) -> Result<Shape, Refusal> {
        let items: Result<Vec<_>, _> = items.iter().map(|item| self.value(item)).collect();
        Shape::list(items?).map_err(|message| Refusal::new(line, message))
    }

    /// What is to the right of `in`.
    fn container(&mut self, expr: &'t Expr<'t>) -> Result<(), Refusal> {
        match self.value(expr)?.depth() {
            0 | 1 => Ok(()),
            _ => refused(
                expr.span().start_line,
                "in looks into lists of plain values only",
            ),
        }
    }

    fn operation(
        &mut self,
        kind: BinOpKind,
        left: &'t Expr<'t>,
        right: &'t Expr<'t>,
        line: u16,
    ) -> Result<Shape, Refusal> {
        match kind {
            BinOpKind::ScAnd | BinOpKind::ScOr => Ok(self.value(left)?.or(self.value(right)?)),
            BinOpKind::In => {
                self.plain(left, "is looked for")?;
                self.container(right)?;
                Ok(Shape::Number)
            }
            BinOpKind::Concat => {
                let size = self.plain(left, "is joined")? + self.plain(right, "is joined")?;
                if size > LONGEST_TEXT {
                    return refused(
                        line,
                        "this text can become too long: join fewer variables with ~",
                    );
                }
                Ok(Shape::Plain(size))
            }
            BinOpKind::Add | BinOpKind::Mul => {
                let numbers = [left, right].map(|side| self.value(side));
                let [left, right] = numbers;
                let (left, right) = (left? == Shape::Number, right? == Shape::Number);
                match kind {
                    BinOpKind::Add if !left && !right => refused(
                        line,
                        "+ adds numbers only: write a|int + b|int, or a ~ b to join texts",
                    ),
                    BinOpKind::Mul if !left || !right => {
                        refused(line, "* multiplies numbers only: write a|int * b|int")
                    }
                    _ => Ok(Shape::Number),
                }
            }
            BinOpKind::Pow => refused(line, "** cannot be used"),
            BinOpKind::Eq
            | BinOpKind::Ne
            | BinOpKind::Lt
            | BinOpKind::Lte
            | BinOpKind::Gt
            | BinOpKind::Gte => {
                self.plain(left, "is compared")?;
                self.plain(right, "is compared")?;
                Ok(Shape::Number)
            }
            BinOpKind::Sub | BinOpKind::Div | BinOpKind::FloorDiv | BinOpKind::Rem => {
                self.plain(left, "is no number")?;
                self.plain(right, "is no number")?;
                Ok(Shape::Number)
            }
        }
    }

    fn filter(
        &mut self,
        name: &str,
        expr: Option<&'t Expr<'t>>,
        args: &'t [CallArg<'t>],
        line: u16,
    ) -> Result<Shape, Refusal> {
        let Some((_, makes)) = filters::FILTERS.iter().find(|(filter, _)| *filter == name) else {
            let names: Vec<_> = filters::FILTERS.iter().map(|(name, _)| *name).collect();
            let message = format!("there is no filter {name}; there are {}", names.join(", "));
            return Err(Refusal::new(line, message));
        };
        let Some(expr) = expr else {
            return refused(line, "a filter needs a value");
        };
        let other = self.arguments(args, line)?;
        match makes {
            Makes::Text => {
                self.plain(expr, &format!("cannot be given to {name}"))?;
                Ok(Shape::FILTERED)
            }
            Makes::Joined => {
                self.value(expr)?;
                Ok(Shape::FILTERED)
            }
            Makes::Number => {
                self.plain(expr, &format!("cannot be given to {name}"))?;
                // Or what is given for a value that is no number.
                Ok(Shape::Number.or(other.unwrap_or(Shape::Number)))
            }
            Makes::Length => {
                self.value(expr)?;
                Ok(Shape::Number)
            }
            Makes::Item => Ok(self.value(expr)?.item()),
            Makes::Either => Ok(self.value(expr)?.or(other.unwrap_or(Shape::Number))),
            Makes::Pairs => {
                self.plain(expr, "has no fields, so it")?;
                Ok(Shape::List {
                    item: Box::new(Shape::List {
                        item: Box::new(Shape::DATA),
                        size: Shape::DATA.size(),
                    }),
                    size: Shape::DATA.size(),
                })
            }
        }
    }

    /// What the arguments of a filter or test can be.
    fn arguments(&mut self, args: &'t [CallArg<'t>], line: u16) -> Result<Option<Shape>, Refusal> {
        let mut shape: Option<Shape> = None;
        for arg in args {
            let expr = match arg {
                CallArg::Pos(expr) | CallArg::Kwarg(_, expr) => expr,
                CallArg::PosSplat(_) | CallArg::KwargSplat(_) => {
                    return refused(line, "* and ** cannot be used in arguments");
                }
            };
            let plain = match self.value(expr)? {
                Shape::List { .. } => return refused(line, "an argument must not be a list"),
                plain => plain,
            };
            shape = Some(match shape {
                Some(shape) => shape.or(plain),
                None => plain,
            });
        }
        Ok(shape)
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
