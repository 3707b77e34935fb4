internal import HoldfastCore
internal import HoldfastReservoir

extension ServiceFigures {
  /// The metrics of one moment. `status` is nil where the reservoir could not be looked at.
  func text(_ status: ReservoirStatus?, levels: [ServiceConfiguration.Level]) -> String {
    var page = Exposition()
    page.family("up", .gauge, "Whether the reservoir could be looked at.")
    page.sample("up", UInt64(status == nil ? 0 : 1))
    page.family("start_time_seconds", .gauge, "When the service started, since 1970.")
    page.sample("start_time_seconds", started)
    if let status { add(status, to: &page) }
    page.family("level_files", .gauge, "Files that are to be ready, by size and node.")
    for level in levels {
      page.sample(
        "level_files", ["size_bytes": "\(level.size.rawValue)", "node": name(level.node)],
        UInt64(level.count))
    }
    page.family("listening", .gauge, "Whether other processes tell of their operations.")
    page.sample("listening", UInt64(isListening ? 1 : 0))
    page.histogram("lease_seconds", "What leases took, without waiting.", leaseSeconds)
    page.histogram(
      "lease_wait_seconds", "What leases waited for memory or for others.", leaseWaitSeconds)
    page.histogram("fill_seconds", "What it took to make a file ready.", fillSeconds)
    page.histogram(
      "recycle_seconds", "What it took to make a lease's memory ready again.", recycleSeconds)
    page.histogram(
      "collect_seconds", "What collections took that found something.", collectSeconds)
    counters(&page)
    return page.text
  }

  private func add(_ status: ReservoirStatus, to page: inout Exposition) {
    page.family("files", .gauge, "Files by state, size and node.")
    each(status) { labels, size, count in page.sample("files", labels, count) }
    page.family("bytes", .gauge, "Bytes of files by state, size and node.")
    each(status) { labels, size, count in
      page.sample("bytes", labels, size.rawValue.multipliedReportingOverflow(by: count).0)
    }
    if let free = status.freePages {
      page.family("pool_free_pages", .gauge, "Huge pages of the host that are promised to nobody.")
      page.sample("pool_free_pages", free.rawValue)
    }
    page.family("foreign_files", .gauge, "Files in its folders that are not the reservoir's.")
    page.sample("foreign_files", UInt64(status.foreign.count))
    page.family("oldest_lease_seconds", .gauge, "The age of the oldest lease, 0 for none.")
    page.sample(
      "oldest_lease_seconds", UInt64(max(0, status.leases.map(\.seconds).max() ?? 0)))
  }

  private func counters(_ page: inout Exposition) {
    let all: [(String, String, UInt64)] = [
      ("filled_bytes_total", "Bytes made ready by filling.", filledBytes),
      ("leased_bytes_total", "Bytes leased.", leasedBytes),
      ("recycled_bytes_total", "Bytes of leases made ready again.", recycledBytes),
      ("released_total", "Leases given back to the host.", released),
      ("released_bytes_total", "Bytes of leases given back to the host.", releasedBytes),
      ("removed_total", "Left-overs of dead fills and recycles taken away.", removed),
      ("collected_bytes_total", "Bytes of all that the service collected.", collectedBytes),
      ("nonsense_messages_total", "Messages that are no reservoir's.", nonsense),
    ]
    for (name, help, value) in all {
      page.family(name, .counter, help)
      page.sample(name, value)
    }
    page.family("failures_total", .counter, "Failures by operation and kind.")
    for (failure, count) in failures.sorted(by: { $0.key < $1.key }) {
      page.sample(
        "failures_total", ["operation": failure.operation, "code": failure.code], count)
    }
    page.family(
      "last_success_timestamp_seconds", .gauge, "When an operation last succeeded, since 1970.")
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
