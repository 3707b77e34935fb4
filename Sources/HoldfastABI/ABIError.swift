internal import CHoldfast
internal import HoldfastCore

/// Why a call failed: the library's error, or one of the interface's own.
enum ABIError: Error {
  case failed(HoldfastError)
  case invalidHandle(String)
  case invalidArgument(String)

  /// The status that the call returns.
  var status: holdfast_status {
    switch self {
    case .failed(let error): error.code.status
    case .invalidHandle: holdfast_status(HOLDFAST_INVALID_HANDLE)
    case .invalidArgument: holdfast_status(HOLDFAST_INVALID_ARGUMENT)
    }
  }

  /// The line for people. A name that the caller gave may have the ends of lines.
  var message: String {
    switch self {
    case .failed(let error): error.description.printable
    case .invalidHandle(let text), .invalidArgument(let text): text
    }
  }

  /// The details, with the same keys for every error.
  var details: JSONValue {
    var error: HoldfastError?
    if case .failed(let found) = self { error = found }
    let name = unsafe String(cString: holdfast_status_name(status))
    return .object([
      ("code", .string(name)),
      ("operation", optional(error?.operation) { .string($0) }),
      ("reason", .string(error?.reason ?? message)),
      (
        "range",
        optional(error?.range) { range in
          .object([
            ("address", .number("\(range.start.rawValue)")),
            ("length", .number("\(range.length.rawValue)")),
          ])
        }
      ),
      ("address", optional(error?.address) { .number("\($0.rawValue)") }),
      ("errno", optional(error?.errno) { .number("\($0)") }),
      ("advice", optional(error?.advice) { .string("\($0)") }),
    ])
  }

  private func optional<Value>(
    _ value: Value?, _ convert: (Value) -> JSONValue
  ) -> JSONValue {
    guard let value else { return .null }
    return convert(value)
  }
}

extension HoldfastError.Code {
  /// The status of the C interface.
  var status: holdfast_status {
    let value =
      switch self {
      case .invalidAddress: HOLDFAST_INVALID_ADDRESS
      case .invalidArgument: HOLDFAST_INVALID_ARGUMENT
      case .protectionFailure: HOLDFAST_PROTECTION_FAILURE
      case .noSpace: HOLDFAST_NO_SPACE
      case .resourceShortage: HOLDFAST_RESOURCE_SHORTAGE
      case .pagerFailure: HOLDFAST_PAGER_FAILURE
      case .alreadyExists: HOLDFAST_ALREADY_EXISTS
      case .busy: HOLDFAST_BUSY
      case .cancelled: HOLDFAST_CANCELLED
      case .notPermitted: HOLDFAST_NOT_PERMITTED
      case .unsupported: HOLDFAST_UNSUPPORTED
      case .host: HOLDFAST_HOST
      case .guestFault: HOLDFAST_GUEST_FAULT
      case .noReservoir: HOLDFAST_NO_RESERVOIR
      case .noLease: HOLDFAST_NO_LEASE
      case .noReadyMemory: HOLDFAST_NO_READY_MEMORY
      case .untrusted: HOLDFAST_UNTRUSTED
      case .noTemplate: HOLDFAST_NO_TEMPLATE
      }
    return holdfast_status(value)
  }
}
