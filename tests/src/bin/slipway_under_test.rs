//! The program under test: only `slipway`'s own entry point.

use std::process::ExitCode;

fn main() -> ExitCode {
    slipway::main()
}
