//! The `slipway` program. Everything it does is in the library, so that other programs
//! of the workspace can start the very same.

use std::process::ExitCode;

fn main() -> ExitCode {
    slipway::main()
}
