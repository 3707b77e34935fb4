import CHoldfastLinux
import Glibc
import Testing

struct UserfaultfdTests {
  @Test func `a feature that a successful answer lacks is unsupported, whatever errno was`() {
    for stale in [0, EINVAL, ENOENT, EBADF, ENOMEM] {
      #expect(hf_userfault_problem(0, stale, 0b001, 0b011) == -ENOTSUP)
      #expect(hf_userfault_problem(0, stale, 0b111, 0b011) == 0)
    }
  }

  @Test func `a failed answer gives its own errno, and unknown features are unsupported`() {
    #expect(hf_userfault_problem(-1, EINVAL, 0b011, 0b011) == -ENOTSUP)
    #expect(hf_userfault_problem(-1, EPERM, 0b011, 0b011) == -EPERM)
    #expect(hf_userfault_problem(-1, ENOMEM, 0, 0b011) == -ENOMEM)
  }
}
