internal import HoldfastCore
internal import HoldfastReservoir

extension ServiceMetrics {
  /// The metrics at one moment. `status` is nil where the status of the reservoir could not be
  /// read.
  func text(
    _ status: ReservoirStatus?, levels: [ServiceConfiguration.Level], isHealthy: Bool,
    templates: [TemplateReading] = []
  ) -> String {
    var page = Exposition()
    page.family("up", .gauge, "Whether the status of the reservoir could be read.")
    page.sample("up", UInt64(status == nil ? 0 : 1))
    page.family("healthy", .gauge, "Whether /healthz answers 200.")
    page.sample("healthy", UInt64(isHealthy ? 1 : 0))
    page.family("start_time_seconds", .gauge, "Start time of the service, in seconds since 1970.")
    page.sample("start_time_seconds", started)
    if let status { add(status, to: &page) }
    page.family("level_files", .gauge, "Files that should be ready, by size and node.")
    for level in levels {
      page.sample(
        "level_files", ["size_bytes": "\(level.size.rawValue)", "node": name(level.node)],
        UInt64(level.count))
    }
    page.family("listening", .gauge, "Whether the service receives events of other processes.")
    page.sample("listening", UInt64(isListening ? 1 : 0))
    page.histogram("lease_seconds", "Duration of leases, without waits.", leaseSeconds)
    page.histogram(
      "lease_wait_seconds", "How long leases waited for memory or other processes.",
      leaseWaitSeconds)
    page.histogram("fill_seconds", "Duration of filling a file.", fillSeconds)
    page.histogram(
      "recycle_seconds", "Duration of recycling a lease.", recycleSeconds)
    page.histogram(
      "collect_seconds", "Duration of collections that found something.", collectSeconds)
    counters(&page)
    TemplateReading.add(templates, to: &page)
    return page.text
  }

  private func add(_ status: ReservoirStatus, to page: inout Exposition) {
    page.family("files", .gauge, "Number of files by state, size and node.")
    each(status) { labels, size, count in page.sample("files", labels, count) }
    page.family("bytes", .gauge, "Size of the files by state, size and node.")
    each(status) { labels, size, count in
      page.sample("bytes", labels, size.rawValue.multipliedReportingOverflow(by: count).0)
    }
    if let free = status.freePages {
      page.family(
        "pool_free_pages", .gauge, "Free huge pages of the host that no mapping has reserved.")
      page.sample("pool_free_pages", free.rawValue)
    }
    page.family("foreign_files", .gauge, "Files in the folders that are not the reservoir's.")
    page.sample("foreign_files", UInt64(status.foreign.count))
    page.family("oldest_lease_seconds", .gauge, "Age of the oldest lease, 0 for none.")
    page.sample(
      "oldest_lease_seconds", UInt64(max(0, status.leases.map(\.seconds).max() ?? 0)))
  }

  private func counters(_ page: inout Exposition) {
    let all: [(String, String, UInt64)] = [
      ("filled_bytes_total", "Bytes made ready by filling.", filledBytes),
      ("leased_bytes_total", "Bytes leased.", leasedBytes),
      ("recycled_bytes_total", "Bytes of leases made ready again.", recycledBytes),
      ("released_total", "Leases whose memory was returned to the host.", released),
      ("released_bytes_total", "Bytes of leases returned to the host.", releasedBytes),
      ("removed_total", "Leftovers of dead fills and recycles that were removed.", removed),
      ("collected_bytes_total", "Bytes that the service collected.", collectedBytes),
      ("invalid_messages_total", "Messages that are not events.", invalidMessages),
    ]
    for (name, help, value) in all {
      page.family(name, .counter, help)
      page.sample(name, value)
    }
    page.family("failures_total", .counter, "Failures by operation and error code.")
    for (failure, count) in failures.sorted(by: { $0.key < $1.key }) {
      page.sample(
        "failures_total", ["operation": failure.operation, "code": failure.code], count)
    }
    page.family(
      "last_success_timestamp_seconds", .gauge,
      "When an operation last succeeded, in seconds since 1970.")
    for (operation, time) in successes.sorted(by: { $0.key < $1.key }) {
      page.sample("last_success_timestamp_seconds", ["operation": operation], time)
    }
  }

  private func each(
    _ status: ReservoirStatus, _ body: (Exposition.Labels, ByteCount, UInt64) -> Void
  ) {
    for row in status.rows {
      for (state, count) in [
        ("ready", row.ready), ("leased", row.leased), ("filling", row.filling),
      ] {
        body(
          ["state": state, "size_bytes": "\(row.size.rawValue)", "node": name(row.node)], row.size,
          UInt64(count))
      }
    }
  }

  private func name(_ node: NodeID?) -> String { node.map { "\($0.rawValue)" } ?? "any" }
}
