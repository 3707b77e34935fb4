//! What the safe types do, on base pages, as an ordinary user.

use holdfast::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

const MIB: u64 = 1 << 20;

fn arena(purpose: Purpose) -> Arena {
    ArenaOptions::new(32 * MIB).purpose(purpose).backing(Backing::Base).create().unwrap()
}

fn paging() -> GuestOptions {
    GuestOptions::new(8 * MIB).demand_paging(Granularity::BasePage, FailedFault::Refuse)
}

/// Whether a test of demand paging can be run; says if not.
fn has_paging() -> bool {
    let has = Host::probe().unwrap().has_demand_paging;
    if !has {
        println!("skipped: this host or user has no demand paging");
    }
    has
}

#[test]
fn handles_may_be_sent_and_shared() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Arena>();
    check::<Guest>();
    check::<Segment>();
    check::<Receipt>();
    check::<Hold>();
    check::<Lease>();
    check::<Token>();
    check::<Error>();
}

#[test]
fn the_library_is_of_the_crates_version() {
    let (major, minor, patch) = version();
    assert_eq!(format!("{major}.{minor}.{patch}"), env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_host_is_probed() {
    let host = Host::probe().unwrap();
    assert!(host.total > 0 && host.processors > 0 && host.nodes > 0);
    assert!(Host::json().unwrap().contains("\"processors\""));
}

#[test]
fn wired_memory_is_zero_and_what_was_written() {
    let arena = arena(Purpose::Wiring);
    let info = arena.info().unwrap();
    assert_eq!((info.size, info.free, info.backing), (32 * MIB, 32 * MIB, Backing::Base));
    let guest = GuestOptions::new(16 * MIB).create(&arena).unwrap();
    let ram = guest.segment("ram", 8 * MIB).unwrap();
    let receipt = guest.map(&ram, 0, 0, 8 * MIB, Protection::ALL, Map::Wired).unwrap();
    let obtained = receipt.info().unwrap();
    assert_eq!((obtained.wired, obtained.zeroed_ahead), (8 * MIB, 8 * MIB));
    assert!(receipt.verify().unwrap().is_verified);
    assert!(receipt.json().unwrap().contains("\"wiredBytes\":8388608"));
    assert!(receipt.verify_json().unwrap().contains("\"verified\":true"));

    let mut bytes = [1; 9];
    guest.read(4 * MIB + 5, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 9]);
    guest.write(4 * MIB + 5, b"holdfast").unwrap();
    let pointer = guest.host_address(4 * MIB + 5, 8).unwrap();
    // SAFETY: the range is mapped, and nothing else writes it.
    assert_eq!(unsafe { std::slice::from_raw_parts(pointer, 8) }, b"holdfast");
    guest.protect(MIB, 4096, Protection::READ).unwrap();
    assert_eq!(guest.write(MIB, b"x").unwrap_err().code(), Code::ProtectionFailure);

    let hold = guest.hold(2 * MIB, MIB, Protection::WRITE).unwrap();
    let again = guest.wire(0, MIB).unwrap();
    assert_eq!(again.info().unwrap().requested, MIB);
    guest.unwire(0, MIB).unwrap();
    guest.unmap(2 * MIB, MIB).unwrap();
    assert_eq!(guest.residency(0, 16 * MIB).unwrap().resident, 7 * MIB);
    drop((guest, ram));
    // The held pages are not free yet.
    assert!(arena.info().unwrap().free <= 31 * MIB);
    hold.close().unwrap();
    assert_eq!(arena.info().unwrap().free, 32 * MIB);
    assert_eq!(receipt.verify().unwrap_err().code(), Code::InvalidAddress);
    arena.scrub().unwrap();
    assert_eq!(arena.info().unwrap().zeroed, 32 * MIB);
    arena.close().unwrap();
}

#[test]
fn errors_say_what_is_wrong() {
    let arena = arena(Purpose::Wiring);
    let guest = GuestOptions::new(8 * MIB).create(&arena).unwrap();
    let error = guest.segment("ram", 4097).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("4097"), "{error}");
    assert_eq!(error.message(), error.to_string());
    assert!(error.json().contains("\"code\":\"invalidArgument\""));
    assert_eq!(guest.segment("a\0b", 4096).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(guest.read(0, &mut [0]).unwrap_err().code(), Code::InvalidAddress);
    assert_eq!(guest.fork().unwrap_err().code(), Code::InvalidArgument);
    let none = GuestOptions::new(4097).create(&arena).unwrap_err();
    assert_eq!(none.code(), Code::InvalidArgument);
}

#[test]
fn progress_is_reported_and_its_panic_goes_on() {
    let most = AtomicU64::new(0);
    let options = ArenaOptions::new(32 * MIB).backing(Backing::Base);
    options.create_with(|done, _| drop(most.fetch_max(done, Ordering::Relaxed))).unwrap();
    assert_eq!(most.into_inner(), 32 * MIB);
    let caught = std::panic::catch_unwind(|| {
        ArenaOptions::new(MIB).backing(Backing::Base).create_with(|_, _| panic!("from a callback"))
    });
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"from a callback"));
}

#[test]
fn a_fork_has_the_bytes_and_an_image_too() {
    if !has_paging() {
        return;
    }
    let arena = arena(Purpose::Forking);
    let guest = paging().create(&arena).unwrap();
    let ram = guest.segment("ram", 8 * MIB).unwrap();
    let access = Protection::READ | Protection::WRITE;
    guest.map(&ram, 0, 0, 8 * MIB, access, Map::OnDemand).unwrap();
    let pointer = guest.host_address(4096, 1).unwrap();
    // SAFETY: the range is mapped, and its fault is served.
    unsafe { pointer.write_volatile(7) };
    assert!(guest.info().unwrap().faults > 0);
    let (child, info) = guest.fork().unwrap();
    assert_eq!((info.resident, info.shared, info.copied), (4096, 4096, 0));
    child.write(4096, &[8]).unwrap();
    let mut byte = [0];
    guest.read(4096, &mut byte).unwrap();
    assert_eq!(byte, [7]);
    drop(guest);

    let path = std::env::temp_dir().join(format!("holdfast-rust-{}", std::process::id()));
    let mut most = 0;
    let saved = child.save_with(0, 8 * MIB, &path, |done, _| most = done).unwrap();
    assert_eq!((saved.size, most), (8 * MIB, 8 * MIB));
    let restored = paging().create(&arena).unwrap();
    let image = restored.restore("ram", &path, 1).unwrap();
    restored.map(&image, 0, 0, 8 * MIB, access, Map::OnDemand).unwrap();
    restored.read(4096, &mut byte).unwrap();
    assert_eq!(byte, [8]);
    restored.retry_faults().unwrap();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn threads_share_a_guest() {
    let arena = arena(Purpose::Wiring);
    let guest = Arc::new(GuestOptions::new(8 * MIB).create(&arena).unwrap());
    let ram = guest.segment("ram", 8 * MIB).unwrap();
    guest.map(&ram, 0, 0, 8 * MIB, Protection::ALL, Map::Wired).unwrap();
    let threads: Vec<_> = (0..4u64)
        .map(|number| {
            let guest = Arc::clone(&guest);
            std::thread::spawn(move || {
                for page in 0..256 {
                    guest.write((number * 256 + page) * 4096, &[number as u8 + 1]).unwrap();
                }
                guest.read(16 * MIB, &mut [0]).unwrap_err().code()
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Code::InvalidAddress);
    }
    let mut byte = [0];
    guest.read(1023 * 4096, &mut byte).unwrap();
    assert_eq!(byte, [4]);
}

#[test]
fn a_child_process_may_drop_its_handles() {
    let arena = arena(Purpose::Wiring);
    // SAFETY: the child calls the library, which does nothing there, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = arena.info().map_err(|error| error.code());
        drop(arena);
        let is_foreign = code == Err(Code::ForeignProcess);
        // SAFETY: ends the child without the parent's handlers.
        unsafe { libc::_exit(if is_foreign { 0 } else { 1 }) };
    }
    let mut status = -1;
    // SAFETY: the pointer is valid for the call.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    arena.info().unwrap();
}
