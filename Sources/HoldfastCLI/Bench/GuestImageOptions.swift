internal import ArgumentParser
internal import HoldfastBench

/// The guest that benchmarks boot in QEMU.
struct GuestImageOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The Linux kernel of a guest that QEMU boots, with a serial console.", valueName: "file"))
  var guestKernel: String?

  @Option(
    help: ArgumentHelp(
      "The guest's initial file system. Its init prints `ready 1` when it is ready, then `ready 2` "
        + "and so on, every 10 ms for example.", valueName: "file"))
  var guestInitrd: String?

  @Option(
    help: ArgumentHelp(
      "The word before the numbers that the guest prints. (default: \(GuestImage.defaultMarker))",
      valueName: "word"))
  var guestMarker: String?

  /// The guest; nil if none was named.
  var image: GuestImage? {
    guard let guestKernel, let guestInitrd else { return nil }
    return GuestImage(
      kernel: guestKernel, initrd: guestInitrd, marker: guestMarker ?? GuestImage.defaultMarker)
  }

  func validate() throws {
    for (file, option) in [(guestKernel, "--guest-kernel"), (guestInitrd, "--guest-initrd")] {
      if file?.isEmpty == true { throw ValidationError("the file for '\(option)' is empty") }
    }
    if (guestKernel == nil) != (guestInitrd == nil) {
      throw ValidationError("'--guest-kernel' and '--guest-initrd' need each other")
    }
    guard let guestMarker else { return }
    if guestKernel == nil { throw ValidationError("'--guest-marker' needs '--guest-kernel'") }
    let isWord = !guestMarker.isEmpty && guestMarker.unicodeScalars.allSatisfy { $0.value > 32 }
    guard isWord, guestMarker.utf8.count <= 100 else {
      throw ValidationError(
        "the word for '--guest-marker' is empty, has spaces, or is longer than 100 bytes")
    }
  }
}

/// `--accel`, for benchmarks of QEMU.
struct AcceleratorOption: ParsableArguments {
  @Option(help: ArgumentHelp("QEMU's accelerator, such as tcg or kvm.", valueName: "name"))
  var accel = "tcg"

  func validate() throws {
    guard !accel.isEmpty, accel.allSatisfy({ $0.isLetter || $0.isNumber || $0 == ":" }) else {
      throw ValidationError(
        "'\(accel)' is not the name of an accelerator, use a name such as kvm or tcg for '--accel'")
    }
  }
}
