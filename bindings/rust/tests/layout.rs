//! `sys` is what holdfast.h declares: each function with the types of its arguments, each structure
//! with the offsets and sizes that a C compiler gives it, each constant with its value.

use holdfast::sys;
use std::collections::BTreeMap;
use std::mem::{size_of, MaybeUninit};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::addr_of;

const SYS: &str = include_str!("../src/sys.rs");

/// The folder of holdfast.h: that of the repository, or HOLDFAST_INCLUDE_DIR.
fn include_folder() -> PathBuf {
    match std::env::var_os("HOLDFAST_INCLUDE_DIR") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Sources/CHoldfast/include"),
    }
}

/// The header without comments, with single spaces.
fn header() -> String {
    let text = std::fs::read_to_string(include_folder().join("holdfast.h")).unwrap();
    let mut rest = text.as_str();
    let mut code = String::new();
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").expect("a comment ends").1;
    }
    code.push_str(rest);
    code
}

fn single_spaced(text: &str) -> String {
    text.replace('*', " * ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The Rust type of a C type.
fn rust_type(c: &str) -> String {
    let c = single_spaced(c);
    let is_const = c.starts_with("const ");
    let words: Vec<&str> =
        c.split(' ').filter(|word| !["const", "struct"].contains(word)).collect();
    let mut name = match words[0] {
        "uint64_t" => "u64",
        "uint32_t" => "u32",
        "int32_t" => "i32",
        "int" => "c_int",
        "char" => "c_char",
        "void" => "c_void",
        other => other,
    }
    .to_string();
    for star in 1..words.len() {
        assert_eq!(words[star], "*", "{c}");
        let access = if is_const && star == 1 { "const" } else { "mut" };
        name = format!("*{access} {name}");
    }
    name
}

/// A name and its type, of `uint64_t name` or `char **name`.
fn declared(c: &str) -> (String, String) {
    let end = c.trim_end();
    let start = end.rfind(|c: char| !c.is_alphanumeric() && c != '_').unwrap() + 1;
    (end[start..].to_string(), rust_type(&end[..start]))
}

/// `name(type, type) -> type` of the functions that the header declares.
fn functions_of_header() -> Vec<String> {
    let header = header();
    let mut found = Vec::new();
    for statement in header.split(';').filter(|text| text.contains('(')) {
        let statement = statement.rsplit(['}', '{']).next().unwrap();
        let lines: Vec<&str> =
            statement.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        let statement = lines.join(" ");
        let (result, arguments) = match statement.split_once('(') {
            Some(parts) => parts,
            // The macro before a structure has the parenthesis.
            None => continue,
        };
        if result.trim_start().starts_with("typedef") {
            continue;
        }
        let (name, result) = declared(result);
        let arguments = arguments.trim_end().trim_end_matches(')');
        let types: Vec<String> = match arguments {
            "void" => Vec::new(),
            _ => arguments.split(',').map(|argument| declared(argument).1).collect(),
        };
        found.push(format!("{name}({}) -> {result}", types.join(", ")));
    }
    found.sort();
    found
}

/// The same of `sys`.
fn functions_of_sys() -> Vec<String> {
    // The last one: a type of a function has the words too.
    let block = SYS.rsplit_once("\nextern \"C\" {").unwrap().1;
    let mut found = Vec::new();
    for statement in block.split(';').filter(|text| text.contains("pub fn ")) {
        let statement = statement.split_once("pub fn ").unwrap().1;
        let (name, rest) = statement.split_once('(').unwrap();
        let (arguments, result) = rest.split_once(')').unwrap();
        let result = result.trim().strip_prefix("-> ").unwrap_or("c_void");
        let types: Vec<&str> = arguments
            .split(',')
            .filter_map(|argument| argument.split_once(':'))
            .map(|(_, kind)| kind.trim())
            .collect();
        found.push(format!("{name}({}) -> {result}", types.join(", ")));
    }
    found.sort();
    found
}

#[test]
fn functions_have_the_types_of_the_header() {
    let header = functions_of_header();
    assert!(header.len() > 40, "{header:#?}");
    assert_eq!(header, functions_of_sys());
}

/// The layout of a structure: its size, then each member's offset and size.
macro_rules! layout {
    ($layouts:ident, $($name:ident { $($member:ident),* })*) => {$(
        let value = MaybeUninit::<sys::$name>::uninit();
        let start = value.as_ptr();
        $layouts.insert(stringify!($name).to_string(), size_of::<sys::$name>().to_string());
        $(
            // SAFETY: the member is inside the value, and is not read.
            let member = unsafe { addr_of!((*start).$member) };
            $layouts.insert(
                format!("{}.{}", stringify!($name), stringify!($member)),
                format!("{} {}", member as usize - start as usize, size_of_pointee(member)),
            );
        )*
    )*};
}

fn size_of_pointee<T>(_: *const T) -> usize {
    size_of::<T>()
}

macro_rules! constants {
    ($values:ident, $($name:ident)*) => {$(
        $values.insert(stringify!($name).to_string(), (sys::$name as i64).to_string());
    )*};
}

/// What a C compiler says of the members and constants that the header has.
fn layouts_of_header() -> BTreeMap<String, String> {
    let header = header();
    let mut lines = Vec::new();
    for part in header.split("typedef struct ").skip(1) {
        let (name, rest) = part.split_once('{').unwrap();
        let (name, members) = (name.trim(), rest.split_once('}').unwrap().0);
        lines.extend(prints(name, name, members));
    }
    for part in header.split("\nstruct ").skip(1) {
        let (name, rest) = part.split_once('{').unwrap();
        let (name, members) = (name.trim(), rest.split_once("\n}").unwrap().0);
        lines.extend(prints(&format!("struct {name}"), name, members));
    }
    for part in header.split("\nenum {").skip(1) {
        for constant in part.split_once('}').unwrap().0.split(',') {
            if let Some((name, _)) = constant.split_once('=') {
                let name = name.trim();
                lines.push(format!("printf(\"{name}=%lld\\n\", (long long){name});"));
            }
        }
    }
    let program = format!(
        "#include <stdio.h>\n#include <stddef.h>\n#include <holdfast.h>\n\
         int main(void) {{\n{}\n}}\n",
        lines.join("\n")
    );
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (source, binary) = (folder.join("layout.c"), folder.join("layout"));
    std::fs::write(&source, program).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let status = Command::new(&compiler)
        .arg("-I")
        .arg(include_folder())
        .args([&source, Path::new("-o"), &binary])
        .status()
        .unwrap_or_else(|error| panic!("{compiler} cannot be run: {error}"));
    assert!(status.success());
    let output = Command::new(&binary).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

/// Statements that print the layout of a structure.
fn prints(c: &str, name: &str, members: &str) -> Vec<String> {
    let mut lines = vec![format!("printf(\"{name}=%zu\\n\", sizeof({c}));")];
    for member in members.split(';').filter(|member| !member.trim().is_empty()) {
        let (member, _) = declared(member);
        lines.push(format!(
            "printf(\"{name}.{member}=%zu %zu\\n\", offsetof({c}, {member}), \
             sizeof((({c} *)0)->{member}));"
        ));
    }
    lines
}

#[test]
fn structures_and_constants_are_those_of_the_c_compiler() {
    let mut ours = BTreeMap::new();
    layout! { ours,
        holdfast_token { id }
        holdfast_arena { id }
        holdfast_guest { id }
        holdfast_segment { id }
        holdfast_receipt { id }
        holdfast_hold { id }
        holdfast_lease { id }
        holdfast_host { struct_size, features, available, total, free_2m, free_1g,
            processors, nodes }
        holdfast_arena_options { struct_size, size, purpose, backing, threads, reserved,
            node, progress, progress_context }
        holdfast_arena_info { struct_size, size, page_size, free, zeroed, locked,
            nanoseconds, backing, threads }
        holdfast_guest_options { struct_size, limit, wired_limit, purpose, demand_paging,
            granularity, failed_fault }
        holdfast_guest_info { struct_size, host_address, limit, is_direct, faults }
        holdfast_residency { struct_size, resident, shared }
        holdfast_receipt_info { struct_size, requested, resident, wired, locked,
            zeroed_ahead, zeroed_now, nanoseconds }
        holdfast_verification { struct_size, is_verified, present, resident, locked,
            compared_frames, problems }
        holdfast_fork_info { struct_size, resident, shared, copied, nanoseconds }
        holdfast_snapshot_info { struct_size, size, written, nanoseconds }
        holdfast_lease_options { struct_size, size, mount, socket, name, node,
            timeout_nanoseconds, is_exact, grows, is_held, reserved, token }
        holdfast_lease_info { struct_size, size, page_size, node, is_held, is_exclusive,
            nanoseconds }
    }
    constants! { ours,
        HOLDFAST_OK HOLDFAST_INVALID_ADDRESS HOLDFAST_INVALID_ARGUMENT
        HOLDFAST_PROTECTION_FAILURE HOLDFAST_NO_SPACE HOLDFAST_RESOURCE_SHORTAGE
        HOLDFAST_PAGER_FAILURE HOLDFAST_ALREADY_EXISTS HOLDFAST_BUSY HOLDFAST_CANCELLED
        HOLDFAST_NOT_PERMITTED HOLDFAST_UNSUPPORTED HOLDFAST_HOST HOLDFAST_GUEST_FAULT
        HOLDFAST_NO_RESERVOIR HOLDFAST_NO_LEASE HOLDFAST_NO_READY_MEMORY HOLDFAST_UNTRUSTED
        HOLDFAST_NO_TEMPLATE
        HOLDFAST_INVALID_HANDLE HOLDFAST_FOREIGN_PROCESS HOLDFAST_HOST_KVM
        HOLDFAST_HOST_DEMAND_PAGING HOLDFAST_HOST_SHARED_THP HOLDFAST_HOST_PRIVATE_THP
        HOLDFAST_FOR_WIRING HOLDFAST_FOR_PAGING HOLDFAST_FOR_FORKING HOLDFAST_BACKING_BEST
        HOLDFAST_BACKING_HUGETLB_1G HOLDFAST_BACKING_HUGETLB_2M HOLDFAST_BACKING_THP
        HOLDFAST_BACKING_THP_PRIVATE HOLDFAST_BACKING_BASE HOLDFAST_GUEST_ANY
        HOLDFAST_GUEST_MAPPING HOLDFAST_GUEST_WIRING HOLDFAST_FAULT_LARGE_PAGE
        HOLDFAST_FAULT_BASE_PAGE HOLDFAST_FAILED_FAULT_PAUSE HOLDFAST_FAILED_FAULT_REFUSE
        HOLDFAST_READ HOLDFAST_WRITE HOLDFAST_EXECUTE HOLDFAST_MAP_WIRED
    }
    assert_eq!(ours, layouts_of_header());
}
