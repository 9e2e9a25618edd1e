//! The binary `palib`.

/// What one thread allocates is freed by another with each call: a request is made on the thread that serves, and dropped by
/// the one that commits. The C library's allocator lets the two wait for each other, which takes a tenth of all calls.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    palib_console::cli::main()
}
