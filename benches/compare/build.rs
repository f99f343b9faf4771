//! Compiles the C++ rivals that are installed, each behind a cfg of its own.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=src/rivals/cpp");
    for name in ["boost", "moodycamel"] {
        println!("cargo::rustc-check-cfg=cfg({name})");
        let source = Path::new("src/rivals/cpp").join(name).with_extension("cpp");
        let mut build = cc::Build::new();
        build.cpp(true).std("c++17").opt_level(3).define("NDEBUG", None).warnings(false).file(source);
        match build.try_compile(name) {
            Ok(()) => println!("cargo::rustc-cfg={name}"),
            Err(error) => println!(
                "cargo::warning={name} is left out: {}",
                error.to_string().lines().next().unwrap_or("")
            ),
        }
    }
}
