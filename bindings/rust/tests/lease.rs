//! Leases of a reservoir on a tmpfs that the program at HOLDFAST_PROGRAM makes, as root.

use holdfast::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// A tmpfs with a reservoir of two files of 4 MiB, unmounted at the end.
struct Reservoir {
    mount: PathBuf,
}

impl Reservoir {
    /// None, and a line that says why, where it cannot be made.
    fn new(name: &str) -> Option<Reservoir> {
        let program = match std::env::var_os("HOLDFAST_PROGRAM") {
            Some(program) => program,
            None => {
                println!("skipped: HOLDFAST_PROGRAM does not name the holdfast program");
                return None;
            }
        };
        // SAFETY: no preconditions.
        if unsafe { libc::geteuid() } != 0 {
            println!("skipped: only root may mount a tmpfs");
            return None;
        }
        let folder = format!("holdfast-rust-{name}-{}", std::process::id());
        let mount = std::env::temp_dir().join(folder);
        std::fs::create_dir(&mount).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=32M,mode=0700", "none"];
        run(Command::new("mount").args(options).arg(&mount));
        let reservoir = Reservoir { mount };
        let path = reservoir.mount.as_path();
        run(Command::new(&program).args(["reservoir", "init", "--mount"]).arg(path));
        run(Command::new(&program).args(["reservoir", "fill", "2x4M", "--mount"]).arg(path));
        Some(reservoir)
    }

    fn place(&self) -> Place {
        Place::mount(self.mount.to_str().unwrap())
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

impl Drop for Reservoir {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.mount).status();
        let _ = std::fs::remove_dir(&self.mount);
    }
}

#[test]
fn a_lease_is_released_by_its_name() {
    let reservoir = match Reservoir::new("name") {
        Some(reservoir) => reservoir,
        None => return,
    };
    let place = reservoir.place();
    let options = LeaseOptions::new(4 * MIB).place(&place);
    let lease = options.clone().name("vm1").create().unwrap();
    let info = lease.info().unwrap();
    assert_eq!((info.size, info.is_held, info.is_exclusive), (4 * MIB, false, true));
    assert_eq!(lease.name().unwrap(), "vm1");
    let path = lease.path().unwrap();
    lease.close().unwrap();
    assert!(Path::new(&path).exists());
    place.release("vm1").unwrap();
    assert!(!Path::new(&path).exists());
    assert_eq!(place.release("vm1").unwrap_err().code(), Code::NoLease);

    let large = LeaseOptions::new(1024 * MIB).place(&place).timeout(Duration::from_millis(1));
    assert_eq!(large.create().unwrap_err().code(), Code::NoReadyMemory);
    let token = Token::new().unwrap();
    token.cancel().unwrap();
    let waiting = large.timeout(Duration::MAX).create_until(&token);
    assert_eq!(waiting.unwrap_err().code(), Code::Cancelled);
}

#[test]
fn an_arena_is_made_of_a_held_lease() {
    let reservoir = match Reservoir::new("arena") {
        Some(reservoir) => reservoir,
        None => return,
    };
    let lease = LeaseOptions::new(4 * MIB).place(&reservoir.place()).held().create().unwrap();
    let arena = lease.adopt().unwrap();
    assert_eq!(lease.descriptor().unwrap_err().code(), Code::Busy);
    drop(lease);
    let guest = GuestOptions::new(4 * MIB).create(&arena).unwrap();
    let ram = guest.segment("ram", 4 * MIB).unwrap();
    guest.map(&ram, 0, 0, 4 * MIB, Protection::ALL, Map::Wired).unwrap();
    guest.write(MIB, b"leased").unwrap();
}

#[cfg(feature = "vm-memory")]
#[test]
fn a_lease_is_guest_memory_of_vm_memory() {
    use vm_memory::{Bytes, GuestAddress, GuestMemory, GuestMemoryRegion};
    let reservoir = match Reservoir::new("vm-memory") {
        Some(reservoir) => reservoir,
        None => return,
    };
    let lease = LeaseOptions::new(4 * MIB).place(&reservoir.place()).held().create().unwrap();
    let path = lease.path().unwrap();
    let half = 2 * MIB as usize;
    // As a monitor has it, with a hole for devices.
    let ranges = [(GuestAddress(0), half), (GuestAddress(1 << 32), half)];
    let memory = lease.vm_memory(&ranges).unwrap();
    drop(lease);
    memory.write_obj(7u64, GuestAddress(8)).unwrap();
    memory.write_obj(9u64, GuestAddress((1 << 32) + 8)).unwrap();
    let region = memory.find_region(GuestAddress(1 << 32)).unwrap();
    assert_eq!(region.file_offset().unwrap().start(), 2 * MIB);
    // The file has the bytes, one range after another.
    let bytes = std::fs::read(path).unwrap();
    assert_eq!((bytes[8], bytes[half + 8]), (7, 9));
    assert!(memory.write_obj(1u64, GuestAddress(3 << 30)).is_err());
}
