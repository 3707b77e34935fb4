//! A guest as rust-vmm's GuestMemoryMmap.
#![cfg(feature = "vm-memory")]

use holdfast::*;
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress, GuestMemory as _, GuestMemoryRegion};

const MIB: u64 = 1 << 20;

fn wired_guest() -> (Arena, Arc<Guest>) {
    let arena = ArenaOptions::new(8 * MIB).backing(Backing::Base).create().unwrap();
    let guest = Arc::new(GuestOptions::new(8 * MIB).create(&arena).unwrap());
    let ram = guest.segment("ram", 8 * MIB).unwrap();
    guest.map(&ram, 0, 0, 8 * MIB, Protection::ALL, Map::Wired).unwrap();
    (arena, guest)
}

#[test]
fn bytes_are_the_guests() {
    let (_arena, guest) = wired_guest();
    let ranges = [(GuestAddress(0), MIB as usize), (GuestAddress(4 * MIB), 4 * MIB as usize)];
    let memory = guest.vm_memory(&ranges).unwrap();
    assert_eq!(memory.num_regions(), 2);
    memory.write_slice(b"holdfast", GuestAddress(4 * MIB + 3)).unwrap();
    let mut bytes = [0; 8];
    guest.read(4 * MIB + 3, &mut bytes).unwrap();
    assert_eq!(&bytes, b"holdfast");
    guest.write(100, &7u32.to_le_bytes()).unwrap();
    assert_eq!(memory.read_obj::<u32>(GuestAddress(100)).unwrap(), 7);
    // Between the regions, and beyond the last one.
    assert!(memory.read_obj::<u32>(GuestAddress(2 * MIB)).is_err());
    assert!(memory.read_obj::<u32>(GuestAddress(8 * MIB)).is_err());
    let region = memory.find_region(GuestAddress(0)).unwrap();
    let pointer = region.get_host_address(vm_memory::MemoryRegionAddress(0)).unwrap();
    assert_eq!(pointer as u64, guest.info().unwrap().host_address);
}

#[test]
fn a_region_keeps_its_guest() {
    let (arena, guest) = wired_guest();
    let memory = guest.vm_memory(&[(GuestAddress(0), 8 * MIB as usize)]).unwrap();
    let copy = memory.clone();
    drop((guest, memory));
    copy.write_obj(7u64, GuestAddress(8)).unwrap();
    assert_eq!(copy.read_obj::<u64>(GuestAddress(8)).unwrap(), 7);
    assert_eq!(arena.info().unwrap().free, 0);
    drop(copy);
    assert_eq!(arena.info().unwrap().free, 8 * MIB);
}

#[test]
fn ranges_have_to_be_the_guests() {
    let (_arena, guest) = wired_guest();
    for ranges in [
        vec![(GuestAddress(4 * MIB), 8 * MIB as usize)],
        vec![(GuestAddress(u64::MAX - 4095), 4096)],
        vec![(GuestAddress(1), 4096)],
        vec![(GuestAddress(0), 8192), (GuestAddress(4096), 4096)],
        vec![(GuestAddress(4096), 4096), (GuestAddress(0), 4096)],
        vec![],
    ] {
        assert!(guest.vm_memory(&ranges).is_err(), "{ranges:?}");
    }
}
