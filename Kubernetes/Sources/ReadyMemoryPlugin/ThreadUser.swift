internal import CThreadUser
internal import Glibc

/// The user that the plugin leases as, which must not be root or the reservoir's owner: for these the
/// service ends a lease also while a process has the file open.
package struct ThreadUser: Hashable, Sendable {
  package var user: UInt32
  package var group: UInt32

  package init(user: UInt32, group: UInt32) {
    self.user = user
    self.group = group
  }

  /// Makes the calling thread act as this user. The other threads stay root, which owns the
  /// kubelet's folders.
  ///
  /// - Returns: the reason why that failed, or nil.
  func apply() -> String? {
    let error = hf_become_thread_user(user, group)
    guard error != 0 else { return nil }
    return "cannot lease as user \(user) and group \(group): error \(error) of errno(3)"
  }
}
