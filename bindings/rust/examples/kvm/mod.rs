//! As much of /dev/kvm as the examples need: a machine with one processor in 32-bit protected mode.

// Each example uses a part.
#![allow(dead_code)]
#![deny(unsafe_op_in_unsafe_fn)]

use std::fs::{File, OpenOptions};
use std::io::{Error, Result};
use std::os::raw::{c_int, c_ulong};
use std::os::unix::io::{AsRawFd, FromRawFd};

// The numbers of <linux/kvm.h>.
const KVM_CREATE_VM: c_ulong = 0xAE01;
const KVM_GET_VCPU_MMAP_SIZE: c_ulong = 0xAE04;
const KVM_CREATE_VCPU: c_ulong = 0xAE41;
const KVM_SET_USER_MEMORY_REGION: c_ulong = 0x4020_AE46;
const KVM_RUN: c_ulong = 0xAE80;
const KVM_GET_REGS: c_ulong = 0x8090_AE81;
const KVM_SET_REGS: c_ulong = 0x4090_AE82;
const KVM_GET_SREGS: c_ulong = 0x8138_AE83;
const KVM_SET_SREGS: c_ulong = 0x4138_AE84;
const KVM_EXIT_IO: u32 = 2;
const KVM_EXIT_HLT: u32 = 5;

/// `struct kvm_userspace_memory_region`.
#[repr(C)]
struct MemoryRegion {
    slot: u32,
    flags: u32,
    guest_address: u64,
    size: u64,
    host_address: u64,
}

/// `struct kvm_regs`, of which the examples name a few.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Registers {
    pub rax: u64,
    pub rbx: u64,
    others: [u64; 14],
    pub rip: u64,
    pub rflags: u64,
}

/// `struct kvm_segment`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Segment {
    base: u64,
    limit: u32,
    selector: u16,
    kind: u8,
    present: u8,
    dpl: u8,
    db: u8,
    s: u8,
    l: u8,
    g: u8,
    avl: u8,
    unusable: u8,
    padding: u8,
}

/// `struct kvm_sregs`, of which the examples name the segments and cr0.
#[repr(C)]
#[derive(Clone, Copy)]
struct SpecialRegisters {
    cs: Segment,
    data: [Segment; 5],
    tr_ldt: [Segment; 2],
    gdt_idt: [[u64; 2]; 2],
    cr0: u64,
    others: [u64; 10],
}

/// Why a guest stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum Exit {
    /// It wrote a word to a port.
    Out(u16, u32),
    /// It halted.
    Halt,
    /// Another reason, by its number in <linux/kvm.h>.
    Other(u32),
}

/// A machine with one processor. Ends before the memory that it has slots for.
pub struct Machine {
    processor: File,
    run: *mut u8,
    run_size: usize,
    _vm: File,
}

/// Calls ioctl(2) with a number.
fn request(file: &File, request: c_ulong, number: c_ulong) -> Result<c_int> {
    // SAFETY: the requests that take a number access no memory of this process but the guest's.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), request, number) };
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Calls ioctl(2) with a structure, which must be the request's.
fn exchange<Structure>(file: &File, request: c_ulong, value: &mut Structure) -> Result<()> {
    // SAFETY: the number of a request has the structure's size, which is compared; the structures
    // are valid whatever their bytes are.
    let result = unsafe {
        assert_eq!((request >> 16 & 0x3FFF) as usize, std::mem::size_of::<Structure>());
        libc::ioctl(file.as_raw_fd(), request, value as *mut Structure)
    };
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(())
    }
}

/// A file of a descriptor that KVM has made.
fn made(descriptor: c_int) -> File {
    // SAFETY: the descriptor is new, and no other object's.
    unsafe { File::from_raw_fd(descriptor) }
}

/// Opens /dev/kvm.
pub fn open() -> Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/kvm")
}

impl Machine {
    /// Makes a machine that starts at `start`, with memory slots of guest address, size and address
    /// in this process.
    ///
    /// # Safety
    /// The memory must stay mapped for as long as the machine exists.
    pub unsafe fn new(kvm: &File, slots: &[(u64, u64, *mut u8)], start: u64) -> Result<Machine> {
        let vm = made(request(kvm, KVM_CREATE_VM, 0)?);
        for (slot, &(guest_address, size, pointer)) in (0..).zip(slots) {
            let host_address = pointer as u64;
            let mut region = MemoryRegion { slot, flags: 0, guest_address, size, host_address };
            exchange(&vm, KVM_SET_USER_MEMORY_REGION, &mut region)?;
        }
        let processor = made(request(&vm, KVM_CREATE_VCPU, 0)?);
        let run_size = request(kvm, KVM_GET_VCPU_MMAP_SIZE, 0)? as usize;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping of the processor's state, at an address that the kernel chooses.
        let run = unsafe {
            let file = processor.as_raw_fd();
            libc::mmap(std::ptr::null_mut(), run_size, protection, libc::MAP_SHARED, file, 0)
        };
        if run == libc::MAP_FAILED {
            return Err(Error::last_os_error());
        }
        let machine = Machine { processor, run: run.cast(), run_size, _vm: vm };
        machine.set_protected_mode()?;
        let mut registers = Registers { rip: start, rflags: 2, ..Registers::default() };
        exchange(&machine.processor, KVM_SET_REGS, &mut registers)?;
        Ok(machine)
    }

    /// Protected mode without paging: segments of 4 GiB from address 0.
    fn set_protected_mode(&self) -> Result<()> {
        // SAFETY: integers alone, which may be zero.
        let mut special: SpecialRegisters = unsafe { std::mem::zeroed() };
        exchange(&self.processor, KVM_GET_SREGS, &mut special)?;
        special.cr0 = 0x11; // ET, PE
        let code = Segment {
            base: 0,
            limit: u32::MAX,
            selector: 8,
            kind: 11,
            present: 1,
            dpl: 0,
            db: 1,
            s: 1,
            l: 0,
            g: 1,
            avl: 0,
            unusable: 0,
            padding: 0,
        };
        special.cs = code;
        special.data = [Segment { selector: 16, kind: 3, ..code }; 5];
        exchange(&self.processor, KVM_SET_SREGS, &mut special)
    }

    /// The processor's registers.
    pub fn registers(&self) -> Result<Registers> {
        let mut registers = Registers::default();
        exchange(&self.processor, KVM_GET_REGS, &mut registers)?;
        Ok(registers)
    }

    /// Sets the processor's registers.
    pub fn set_registers(&self, mut registers: Registers) -> Result<()> {
        exchange(&self.processor, KVM_SET_REGS, &mut registers)
    }

    /// Runs the guest until it stops.
    pub fn run(&mut self) -> Result<Exit> {
        while let Err(error) = request(&self.processor, KVM_RUN, 0) {
            if error.kind() != std::io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        // `struct kvm_run` has the reason at 8 and, for a port, direction, size, port, count and
        // the offset of the data from 32 on.
        Ok(match self.word(8) {
            KVM_EXIT_HLT => Exit::Halt,
            // Direction out, 4 bytes.
            KVM_EXIT_IO if self.word(32) & 0xFFFF == 0x0401 => {
                Exit::Out((self.word(32) >> 16) as u16, self.word(self.word(40) as usize))
            }
            reason => Exit::Other(reason),
        })
    }

    /// A word of the processor's state.
    fn word(&self, offset: usize) -> u32 {
        assert!(offset + 4 <= self.run_size);
        // SAFETY: inside the mapping, which KVM changes only while the processor runs.
        unsafe { self.run.add(offset).cast::<u32>().read_unaligned() }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: the mapping is this object's.
        unsafe { libc::munmap(self.run.cast(), self.run_size) };
    }
}
