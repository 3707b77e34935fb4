internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastTemplate

/// The options of `holdfast run` for clones of a template.
struct CloneOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The name of a template, of which clones are started instead of leasing memory.",
      valueName: "name"),
    transform: { try templateName($0) })
  var template: TemplateName?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "How many clones are started, at most 1000. With a name they are NAME-0, NAME-1 and so on.",
      valueName: "number"),
    transform: { try wholeNumber($0, in: 1...1000) })
  var count = 1

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "How much private memory a clone is promised, with a unit: 512M. (default: the template's "
        + "size)",
      valueName: "size"),
    transform: { try Size($0) })
  var promise: Size?

  @Flag(help: "Bring no pages in that earlier clones have touched, and watch no clone.")
  var noPrefetch = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Write a receipt of each clone that runs, a line of JSON, to this file.", valueName: "file"))
  var receipts: String?

  /// Checks that the options fit the others.
  func check(memory: [RunMemory], _ request: LeaseRequestOptions) throws {
    guard template != nil else {
      for (isGiven, option) in [
        (count != 1, "--count"), (promise != nil, "--promise"), (noPrefetch, "--no-prefetch"),
        (receipts != nil, "--receipts"),
      ] where isGiven {
        throw ValidationError("'\(option)' needs '--template'")
      }
      return
    }
    for (isGiven, option) in [
      (!memory.isEmpty, "--memory"), (request.exact, "--exact"), (request.missing.grow, "--grow"),
      (request.missing.wait != nil, "--wait"), (request.hostNumaNode != nil, "--host-numa-node"),
    ] where isGiven {
      throw ValidationError("'--template' and '\(option)' cannot be combined")
    }
    if let promise, promise.bytes == .zero { throw ValidationError("'--promise' must not be 0") }
  }
}
