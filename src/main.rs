//! The `bursar` program: one call into the library, which decides the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    bursar::cli::main()
}
