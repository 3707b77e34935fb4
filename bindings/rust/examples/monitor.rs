//! A monitor with wired memory, which it accesses by vm-memory: the guest writes to 256 of its
//! pages, reports at a port how many, and halts; the monitor checks them.
//!
//! Ends with status 77 where /dev/kvm cannot be opened.

mod kvm;

use holdfast::{ArenaOptions, GuestOptions, Map, Protection};
use kvm::{Exit, Machine};
use std::error::Error;
use std::fs::File;
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress, GuestMemory, GuestMemoryRegion};

const MEMORY_SIZE: u64 = 64 << 20;
const CODE: GuestAddress = GuestAddress(0x1000);
const PATTERN: u64 = 0x10_0000;
const PAGES: u32 = 256;

const PROGRAM: [u8; 27] = [
    0xBF, 0x00, 0x00, 0x10, 0x00, // mov edi, 0x100000   the first page
    0xB9, 0x00, 0x01, 0x00, 0x00, // mov ecx, 256        the pages to write
    0x31, 0xC0, // xor eax, eax
    0x89, 0x3F, // next: mov [edi], edi
    0x81, 0xC7, 0x00, 0x10, 0x00, 0x00, // add edi, 4096
    0x40, // inc eax
    0x49, // dec ecx
    0x75, 0xF4, // jnz next
    0xE7, 0x10, // out 0x10, eax       the pages that were written
    0xF4, // hlt
];

fn main() -> Result<(), Box<dyn Error>> {
    match kvm::open() {
        Ok(kvm) => monitor(&kvm),
        Err(error) => {
            println!("monitor: skipped: /dev/kvm cannot be opened: {error}");
            std::process::exit(77);
        }
    }
}

fn monitor(kvm: &File) -> Result<(), Box<dyn Error>> {
    let arena = ArenaOptions::new(MEMORY_SIZE).create()?;
    let guest = Arc::new(GuestOptions::new(MEMORY_SIZE).create(&arena)?);
    let ram = guest.segment("ram", MEMORY_SIZE)?;
    let receipt = guest.map(&ram, 0, 0, MEMORY_SIZE, Protection::ALL, Map::Wired)?;
    println!("{}", receipt.json()?);
    let found = receipt.verify()?;
    println!("the kernel has {} MiB of it in its page tables", found.present >> 20);
    if !found.is_verified {
        return Err(receipt.verify_json()?.into());
    }

    // The memory keeps the guest. Any device model that takes a vm_memory::GuestMemory can have it.
    let memory = guest.vm_memory(&[(GuestAddress(0), MEMORY_SIZE as usize)])?;
    memory.write_slice(&PROGRAM, CODE)?;
    let mut slots = Vec::new();
    for region in memory.iter() {
        let pointer = region.get_host_address(vm_memory::MemoryRegionAddress(0))?;
        slots.push((region.start_addr().0, region.len(), pointer));
    }
    // SAFETY: `memory` is dropped after the machine.
    let mut machine = unsafe { Machine::new(kvm, &slots, CODE.0)? };
    let mut reported = 0;
    loop {
        match machine.run()? {
            Exit::Out(0x10, count) => reported = count,
            Exit::Halt => break,
            exit => return Err(format!("the guest stopped: {exit:?}").into()),
        }
    }
    drop(machine);
    println!("the guest wrote to {reported} pages");
    check(&memory, reported)
}

/// Each page of the pattern begins with its address, and the memory behind it is zero.
fn check(memory: &impl GuestMemory, reported: u32) -> Result<(), Box<dyn Error>> {
    if reported != PAGES {
        return Err("the guest wrote to another number of pages".into());
    }
    let mut page = [0; 4096];
    for address in (PATTERN..MEMORY_SIZE).step_by(page.len()) {
        let mut expected = [0; 4096];
        if address < PATTERN + u64::from(PAGES) * 4096 {
            expected[..4].copy_from_slice(&u32::try_from(address)?.to_le_bytes());
        }
        memory.read_slice(&mut page, GuestAddress(address))?;
        if page != expected {
            return Err(format!("the page at {address:#x} has other bytes").into());
        }
    }
    Ok(())
}
