//! A template and its fork, with vm-memory: a guest whose pages come on demand fills 64 of them;
//! then the guest and its fork go on with the same program, and each changes all of them, unseen by
//! the other.
//!
//! Ends with status 77 where /dev/kvm cannot be opened or page faults cannot be served.

mod kvm;

use holdfast::{
    ArenaOptions, FailedFault, Granularity, Guest, GuestMemory, GuestOptions, Host, Map,
    Protection, Purpose,
};
use kvm::{Exit, Machine};
use std::error::Error;
use std::fs::File;
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress, GuestMemory as _};

const MEMORY_SIZE: u64 = 16 << 20;
const CODE: GuestAddress = GuestAddress(0x1000);
const PATTERN: u64 = 0x10_0000;
const PAGES: u64 = 64;

/// Fills the pages and halts. What follows is for both sides, which have different numbers in ebx.
const PROGRAM: [u8; 44] = [
    0xBF, 0x00, 0x00, 0x10, 0x00, // mov edi, 0x100000   the first page
    0xB9, 0x40, 0x00, 0x00, 0x00, // mov ecx, 64         the pages to fill
    0x89, 0x3F, // fill: mov [edi], edi
    0x81, 0xC7, 0x00, 0x10, 0x00, 0x00, // add edi, 4096
    0x49, // dec ecx
    0x75, 0xF5, // jnz fill
    0xF4, // hlt
    0xBF, 0x00, 0x00, 0x10, 0x00, // mov edi, 0x100000
    0xB9, 0x40, 0x00, 0x00, 0x00, // mov ecx, 64
    0x01, 0x1F, // change: add [edi], ebx
    0x81, 0xC7, 0x00, 0x10, 0x00, 0x00, // add edi, 4096
    0x49, // dec ecx
    0x75, 0xF5, // jnz change
    0xF4, // hlt
];

fn main() -> Result<(), Box<dyn Error>> {
    let kvm = match kvm::open() {
        Ok(_) if !Host::probe()?.has_demand_paging => {
            println!("fork: skipped: page faults cannot be served here");
            std::process::exit(77);
        }
        Ok(kvm) => kvm,
        Err(error) => {
            println!("fork: skipped: /dev/kvm cannot be opened: {error}");
            std::process::exit(77);
        }
    };
    let arena = ArenaOptions::new(4 * MEMORY_SIZE).purpose(Purpose::Forking).create()?;
    let template = Arc::new(
        GuestOptions::new(MEMORY_SIZE)
            .demand_paging(Granularity::LargePage, FailedFault::Pause)
            .create(&arena)?,
    );
    let ram = template.segment("ram", MEMORY_SIZE)?;
    let receipt = template.map(&ram, 0, 0, MEMORY_SIZE, Protection::ALL, Map::OnDemand)?;
    println!("{}", receipt.json()?);

    let (memory, mut machine) = machine(&kvm, &template)?;
    memory.write_slice(&PROGRAM, CODE)?;
    run_until_halt(&mut machine)?;
    check(&template, &memory, 0, "the template")?;

    let (child, info) = template.fork()?;
    let child = Arc::new(child);
    println!(
        "forked in {:?}: {} KiB resident, of which {} KiB shared and {} KiB copied",
        info.duration,
        info.resident >> 10,
        info.shared >> 10,
        info.copied >> 10
    );
    // Where the template's processor stands, the fork's goes on.
    let (child_memory, mut child_machine) = self::machine(&kvm, &child)?;
    let mut registers = machine.registers()?;
    registers.rbx = 1;
    machine.set_registers(registers)?;
    registers.rbx = 2;
    child_machine.set_registers(registers)?;
    run_until_halt(&mut child_machine)?;
    run_until_halt(&mut machine)?;
    check(&template, &memory, 1, "the template")?;
    check(&child, &child_memory, 2, "its fork")?;
    // The processors end before the memory that they access.
    drop((machine, child_machine));
    Ok(())
}

/// A guest's memory for vm-memory, and a machine with it.
fn machine(kvm: &File, guest: &Arc<Guest>) -> Result<(GuestMemory, Machine), Box<dyn Error>> {
    let memory = guest.vm_memory(&[(GuestAddress(0), MEMORY_SIZE as usize)])?;
    let pointer = memory.get_host_address(GuestAddress(0))?;
    // SAFETY: the caller drops the memory, which keeps the guest, after the machine.
    let machine = unsafe { Machine::new(kvm, &[(0, MEMORY_SIZE, pointer)], CODE.0)? };
    Ok((memory, machine))
}

fn run_until_halt(machine: &mut Machine) -> Result<(), Box<dyn Error>> {
    match machine.run()? {
        Exit::Halt => Ok(()),
        exit => Err(format!("a guest stopped: {exit:?}").into()),
    }
}

/// Each page has its address and the side's number.
fn check(
    guest: &Guest,
    memory: &GuestMemory,
    number: u32,
    side: &str,
) -> Result<(), Box<dyn Error>> {
    for page in 0..PAGES {
        let address = PATTERN + page * 4096;
        let word: u32 = memory.read_obj(GuestAddress(address))?;
        if word != u32::try_from(address)? + number {
            return Err(format!("{side}: {address:#x} has {word:#x}").into());
        }
    }
    let residency = guest.residency(0, MEMORY_SIZE)?;
    println!(
        "{side}: {} KiB resident, {} KiB shared, {} faults served",
        residency.resident >> 10,
        residency.shared >> 10,
        guest.info()?.faults
    );
    Ok(())
}
