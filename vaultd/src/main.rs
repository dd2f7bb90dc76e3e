//! Arguments -> config -> server.

#[global_allocator]
static ALLOCATOR: vaultd::memory::Wiping = vaultd::memory::Wiping;

fn main() -> std::process::ExitCode {
    vaultd::command::main(std::env::args_os().collect())
}
