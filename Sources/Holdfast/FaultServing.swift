/// The threads that serve a guest's page faults.
public enum FaultServing: String, Hashable, Sendable, CaseIterable, Codable {
  /// Handler threads, while the faulting thread waits. Any thread may access the memory.
  case handlerThreads
  /// The guest's processors serve the first access to each page on their own threads, which for
  /// base pages takes two thirds of the time or less; handler threads serve all other faults. For
  /// guests whose memory only the processors of a `VirtualMachine` access, and devices through
  /// `GuestMemory.read` and `write`.
  ///
  /// It is a wish. Handler threads serve all faults
  /// - of transparent huge pages, of restored and shared segments, and of what is held;
  /// - of ranges in which pages were removed or write-protected;
  /// - of the whole guest once it has been forked or its host address has been asked for, and where
  ///   the host's KVM does not report every fault to the processor's thread.
  case processors
}
