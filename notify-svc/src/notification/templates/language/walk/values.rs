//! What the expressions of a template are: which are allowed, and how large their values can
//! be.

use minijinja::machinery::ast::{BinOpKind, CallArg, CompareOpKind, Expr, UnaryOpKind};

use super::{Walk, no_call, refused};
use crate::notification::templates::{
    filters::{self, Makes},
    language::{
        Refusal,
        shape::{LONGEST_TEXT, Shape},
    },
};

impl<'t> Walk<'t> {
    /// The bytes of a value that is no list of the template's own.
    pub(super) fn plain(&mut self, expr: &'t Expr<'t>, what: &str) -> Result<usize, Refusal> {
        match self.value(expr)? {
            Shape::List { .. } => refused(
                expr.span().start_line,
                format!("a list {what}: write its items in a for loop, or with list|join(\", \")"),
            ),
            shape => Ok(shape.size()),
        }
    }

    pub(super) fn value(&mut self, expr: &'t Expr<'t>) -> Result<Shape, Refusal> {
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
