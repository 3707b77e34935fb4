import Testing

/// Situations that hosts, containers and supervisors make: a missing or partial /proc, cgroups that
/// leave less than the host has, system calls that a filter refuses, limits, closed streams.
///
/// Each is real, made by Tests/Field/situation for a process of its own, and most require root.
struct FieldTests {}
