//! `/auth/…` and the tokens that every other route asks for.

mod cookie;
mod login;
mod register;
mod throttle;
mod tokens;
