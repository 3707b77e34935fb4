/// The columns of `vmtable.csv`, which has no header line.
package enum TraceColumn: Int, CaseIterable, Sendable {
  /// Identifiers, which are not used.
  case vmid, subscriptionid, deploymentid
  /// Seconds since the trace began.
  case vmcreated, vmdeleted
  /// Percentages of the processors, which are not used.
  case maxcpu, avgcpu, p95maxcpu
  /// The kind of workload, which is not used.
  case vmcategory
  /// The number of processors, which is not used, and the memory in GiB.
  case vmcorecountbucket, vmmemorybucket
}
