//! Finds libholdfast: in the folder HOLDFAST_LIB_DIR, or where pkg-config says.

use std::env;
use std::process::Command;

fn main() {
    for name in [
        "HOLDFAST_LIB_DIR",
        "PKG_CONFIG",
        "PKG_CONFIG_PATH",
        "PKG_CONFIG_LIBDIR",
        "PKG_CONFIG_SYSROOT_DIR",
    ] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    if let Ok(folder) = env::var("HOLDFAST_LIB_DIR") {
        println!("cargo:rustc-link-search=native={folder}");
        println!("cargo:rustc-link-lib=dylib=holdfast");
        return;
    }
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    match libraries(&program) {
        Ok(flags) => flags.split_whitespace().for_each(tell),
        Err(problem) => {
            eprintln!(
                "libholdfast is not found: {problem}; install libholdfast-dev, set \
                 PKG_CONFIG_PATH to the folder of holdfast.pc, or HOLDFAST_LIB_DIR to the \
                 folder of libholdfast.so"
            );
            std::process::exit(1);
        }
    }
}

/// What `pkg-config --libs holdfast` prints.
fn libraries(program: &str) -> Result<String, String> {
    let output = Command::new(program)
        .args(["--libs", "holdfast >= 0.2"])
        .output()
        .map_err(|error| format!("{program} cannot be run: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', " "))
    }
}

/// Passes a flag of the linker on to cargo.
fn tell(flag: &str) {
    if let Some(folder) = flag.strip_prefix("-L") {
        println!("cargo:rustc-link-search=native={folder}");
    } else if let Some(name) = flag.strip_prefix("-l") {
        println!("cargo:rustc-link-lib=dylib={name}");
    }
}
