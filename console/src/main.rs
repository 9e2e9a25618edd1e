//! The binary `palib`.

fn main() -> std::process::ExitCode {
    palib_console::cli::main()
}
