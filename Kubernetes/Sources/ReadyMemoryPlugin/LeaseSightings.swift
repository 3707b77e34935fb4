/// Decides which leases have ended, from what the kubelet says about its pods.
///
/// The kubelet announces no end of a pod. It lists the devices in use, and a device may be missing
/// there before the end too: the kubelet answers before it has noted an allocation, and after its
/// own start before it knows its pods again. So:
///
/// - A lease whose device has a later lease has ended: the kubelet gives a device to a pod only when
///   the last pod is done with it. But one that is later by at most the time of an admission may be
///   the same pod's: the kubelet gives the devices of its init containers to its other containers
///   too, and asks for all of them at the pod's admission. Such leases are in use as long as the
///   device, unless a list lacked the first one before the second.
/// - A lease that was seen in use has ended when two lists in turn lack it, both of the kubelet
///   that listed it.
/// - A lease that was never seen in use, of a pod that was admitted and perhaps never started, has
///   ended when all lists of a grace time lack it.
///
/// What is noted here delays an end, and nothing else: the plugin may be killed at any moment and
/// starts without notes. That a lease has ended means that its release is tried; the service
/// refuses that while a process has the file open.
package struct LeaseSightings: Sendable {
  private struct Notes {
    var wasInUse = false
    var absentSince: ContinuousClock.Instant?
    var absentLists = 0
    /// Whether it has ended without its device's next lease.
    var hasEnded = false
    /// When a release that was refused is tried again, and the last delay.
    var retry: (at: ContinuousClock.Instant, delay: Duration)?
  }

  private var notes: [LeaseTag: Notes] = [:]
  private let grace: Duration

  package init(grace: Duration) { self.grace = grace }

  /// Forgets what the kubelet listed: another one runs, or it does not answer.
  package mutating func forgetPods() {
    for tag in notes.keys {
      notes[tag]?.wasInUse = false
      notes[tag]?.absentSince = nil
      notes[tag]?.absentLists = 0
      notes[tag]?.hasEnded = false
    }
  }

  /// Notes a list of the kubelet, which has to be later than `leases`.
  ///
  /// - Returns: the leases that have ended.
  package mutating func observe(
    leases: Set<LeaseTag>, isInUse: (LeaseTag) -> Bool, at now: ContinuousClock.Instant
  ) -> Set<LeaseTag> {
    notes = notes.filter { leases.contains($0.key) }
    let latest = Dictionary(
      leases.map { (Place(resource: $0.resource, device: $0.device), $0.generation) },
      uniquingKeysWith: max)
    var ended: Set<LeaseTag> = []
    for tag in leases {
      var note = notes[tag] ?? Notes()
      let last = latest[Place(resource: tag.resource, device: tag.device)] ?? tag.generation
      let isSuperseded =
        last > tag.generation
        && (note.hasEnded || note.wasInUse && note.absentLists > 0
          || last - tag.generation >= Self.longestAdmission)
      if isSuperseded {
        ended.insert(tag)
      } else if isInUse(tag) {
        note.wasInUse = true
        note.absentSince = nil
        note.absentLists = 0
        note.hasEnded = false
      } else {
        let since = note.absentSince ?? now
        note.absentSince = since
        note.absentLists += 1
        note.hasEnded = note.wasInUse ? note.absentLists >= 2 : now - since >= grace
        if note.hasEnded { ended.insert(tag) }
      }
      notes[tag] = note
    }
    return ended
  }

  /// The longest time between the allocations of a pod, in the unit of ``LeaseTag/generation``.
  private static let longestAdmission: UInt64 = 10_000_000

  /// Whether the release of a lease that has ended is tried now.
  package func mayRelease(_ tag: LeaseTag, at now: ContinuousClock.Instant) -> Bool {
    notes[tag]?.retry.map { $0.at <= now } ?? true
  }

  /// Notes that a release was refused. The service waits for 250 ms before it does, so the next one
  /// is later each time, up to 10 seconds: the lease is said to have no pod as long.
  package mutating func wasRefused(_ tag: LeaseTag, at now: ContinuousClock.Instant) {
    let delay = min((notes[tag]?.retry?.delay ?? .milliseconds(500)) * 2, .seconds(10))
    notes[tag]?.retry = (now + delay, delay)
  }

  private struct Place: Hashable {
    var resource: String
    var device: DeviceID
  }
}
