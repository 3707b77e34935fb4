internal import CHoldfastLinux
internal import Glibc
package import SystemPackage

/// A thread of Holdfast, with all signals blocked, which its owner joins or detaches.
package final class BackgroundThread: Sendable {
  private let thread: pthread_t

  private final class Work: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// Starts the thread. The corresponding C function is `pthread_create`.
  ///
  /// - Parameter name: at most 15 bytes, shown by ps(1) and top(1).
  package init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
    // SAFETY: the box is retained for the thread, which releases it.
    let box = unsafe Unmanaged.passRetained(Work(name, body))
    var every = sigset_t()
    var before = sigset_t()
    unsafe sigfillset(&every)
    // Signals shall be delivered to the program's own threads.
    unsafe pthread_sigmask(SIG_SETMASK, &every, &before)
    var made = pthread_t()
    let status = unsafe pthread_create(&made, nil, BackgroundThread.start, box.toOpaque())
    unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
    if status != 0 {
      unsafe box.release()
      throw Errno(rawValue: status)
    }
    thread = made
  }

  /// Waits until the thread has ended. Called once, by another thread, in place of `detach`. The
  /// corresponding C function is `pthread_join`.
  package func join() {
    _ = pthread_join(thread, nil)
  }

  /// Whether the caller is the thread itself, which cannot join itself.
  package var isCurrent: Bool { pthread_equal(thread, pthread_self()) != 0 }

  /// Lets the thread end on its own, in place of `join`. The corresponding C function is
  /// `pthread_detach`.
  package func detach() {
    _ = pthread_detach(thread)
  }

  private static let start: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? =
    {
      // SAFETY: the argument is the box that `init` retained for this thread.
      guard let argument = unsafe $0 else { return nil }
      let work = unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
      _ = unsafe hf_thread_set_name(work.name)
      work.body()
      return nil
    }
}
