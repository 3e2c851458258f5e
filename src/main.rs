//! The `adjutant` binary: everything is in the library, and the command line says what to do.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    adjutant::cli::main()
}
