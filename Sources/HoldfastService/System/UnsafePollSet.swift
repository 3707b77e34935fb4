internal import Glibc
internal import HoldfastCore

/// Descriptors that a thread waits for. The corresponding C function is `poll`.
package struct PollSet {
  package enum Event {
    case reading, writing
  }

  private var files: [pollfd] = []

  package init() {}

  /// Adds a descriptor; the first one has the index 0.
  package mutating func add(_ descriptor: Int32, for event: Event) {
    files.append(
      pollfd(
        fd: descriptor, events: Int16(event == .reading ? POLLIN : POLLOUT), revents: 0))
  }

  /// Waits until one of them is ready or has an error, a signal arrives, or the time is over.
  package mutating func wait(_ duration: Duration) {
    let milliseconds = duration.nanoseconds / 1_000_000
    // SAFETY: the array lives through the call and has that many elements.
    let count = unsafe files.withUnsafeMutableBufferPointer {
      unsafe poll($0.baseAddress, nfds_t($0.count), Int32(min(milliseconds + 1, 1 << 30)))
    }
    // The kernel may have set some before a failure.
    if count < 0 { for index in files.indices { files[index].revents = 0 } }
  }

  /// Whether a descriptor is ready or has an error.
  package func isReady(_ index: Int) -> Bool { files[index].revents != 0 }
}
