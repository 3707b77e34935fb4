internal import HoldfastCore
internal import HoldfastReservoir
internal import HoldfastService

/// What a view of a reservoir shows at one moment.
struct TopState: Equatable {
  /// What the service of the reservoir says.
  enum Service: Equatable {
    /// Its metrics, and what changed in them in a period.
    case read(MetricsSource.Contents, from: MetricsSource, ReadingChange)
    /// Why nothing is known of it.
    case unknown(String)
  }

  /// What the period of the rates is.
  enum Period: Equatable {
    /// The first view has no other to compare with, so its rates are those since the service's
    /// start.
    case sinceStart
    case interval(Duration)
  }

  /// How many leases began and ended in a period, by their names. A lease that did both in between
  /// is not seen.
  struct LeaseChange: Equatable {
    var begun = 0
    var ended = 0
  }

  /// The seconds since 1970.
  var time: Double
  /// The time of the day, such as `14:03:07`.
  var clock: String
  /// The interval between two views.
  var interval: Duration
  var period = Period.sinceStart
  /// The files; nil where they could not be read.
  var status: ReservoirStatus?
  /// Why the status could not be read.
  var problem: String?
  /// The files by size and node: those of the status, or else those that the service counts.
  var rows: [ReservoirStatus.Row] = []
  var levels: [LevelRow] = []
  /// Where the numbers of wanted files come from, if not from the service.
  var levelSource: String?
  var service: Service
  /// Nil in the first view.
  var leases: LeaseChange?
}

extension TopState.LeaseChange {
  /// Compares the leases of two statuses.
  ///
  /// - Complexity: O(leases)
  init(from before: [ReservoirStatus.LeaseEntry], to after: [ReservoirStatus.LeaseEntry]) {
    struct Key: Hashable {
      let user: UInt32
      let name: String
    }
    let old = Dictionary(before.map { (Key(user: $0.user, name: $0.name), $0.seconds) }) { $1 }
    var kept = 0
    for lease in after {
      let seconds = old[Key(user: lease.user, name: lease.name)]
      // A younger lease of the same name is another one.
      if let seconds, lease.seconds >= seconds { kept += 1 }
    }
    begun = after.count - kept
    ended = before.count - kept
  }
}
