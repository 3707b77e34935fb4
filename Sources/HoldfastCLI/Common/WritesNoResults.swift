/// A command that writes no results to standard output, which may therefore be closed: supervisors
/// start services and monitors so.
protocol WritesNoResults {}
