internal import Glibc

/// The program: keeps the arguments of main(), runs the command, and returns the exit status.
@c(holdfast_main)
public func holdfastMain(
  _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> CInt {
  unsafe Arguments.set(count: count, arguments)
  return Program.main()
}
