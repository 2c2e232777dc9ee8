//! The program under test: nothing but `slipway`'s own entry point.

use std::process::ExitCode;

fn main() -> ExitCode {
    slipway::main()
}
