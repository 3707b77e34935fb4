/// The name of a lease that the plugin has made: `kube_ready-2m-2gi_n0-3_81764523`. It has all that
/// the plugin has to know after its end and start, so the reservoir is the plugin's database.
package struct LeaseTag: Hashable, Sendable {
  /// The name of the resource, without its domain.
  package var resource: String
  package var device: DeviceID
  /// Tells apart the leases of a device: its next pod gets another file, also while the last one's
  /// is still open. It is the time of the lease in microseconds since the boot.
  package var generation: UInt64

  package init(resource: String, device: DeviceID, generation: UInt64) {
    self.resource = resource
    self.device = device
    self.generation = generation
  }

  package var text: String { "kube_\(resource)_\(device.text)_\(generation)" }

  /// Reads ``text``; nil for the lease of another program.
  package init?(_ text: String) {
    let words = text.split(separator: "_", omittingEmptySubsequences: false).map(String.init)
    guard words.count == 4, words[0] == "kube", !words[1].isEmpty,
      let device = DeviceID(words[2]), let generation = UInt64(words[3])
    else { return nil }
    self.init(resource: words[1], device: device, generation: generation)
    guard self.text == text else { return nil }
  }
}
