//! `cargo xtask bench NAME` and plain `cargo bench`: both run the same.

fn main() -> anyhow::Result<()> {
    bluegreen_benches::main()
}
