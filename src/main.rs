//! The `adjutant` binary: everything is in the library, and the command line says what to do.

use std::process::ExitCode;

fn main() -> ExitCode {
    adjutant::cli::main()
}
