extension GuestProgram {
  /// The machine code, in pieces that run one after another. It uses no stack.
  ///
  /// At the start: RDI is the first address, RSI the number of steps, RDX the stride, RCX the odd
  /// seed, R8 the address of the stop word. For walks, R9 is a power of two minus 1 and at least
  /// RSI - 1, R10 a multiplier of the form 4n+1, R15 the first number. At the end: RAX is the
  /// number of wrong words (RBP in dense programs), RBX the address of the first one or all ones,
  /// R12 the number of passes.
  enum Code {
    /// Odd, so that no two addresses have the same product: 2 to the 64th over the golden ratio.
    static let multiplier: UInt64 = 0x9E37_79B9_7F4A_7C15

    // MARK: Pieces

    private static let prologue: [UInt8] =
      [
        0x31, 0xC0,  // xor eax, eax
        0x48, 0xC7, 0xC3, 0xFF, 0xFF, 0xFF, 0xFF,  // mov rbx, -1
        0x45, 0x31, 0xE4,  // xor r12d, r12d
        0x48, 0xBD,  // mov rbp, multiplier
      ] + (0..<8).map { UInt8(truncatingIfNeeded: multiplier >> ($0 * 8)) }

    /// Sets R13 to the address and R14 to the steps left.
    private static let begin: [UInt8] = [
      0x49, 0x89, 0xFD,  // mov r13, rdi
      0x49, 0x89, 0xF6,  // mov r14, rsi
    ]

    /// Sets R11 to the pattern of the first address.
    private static let firstPattern: [UInt8] = [
      0x4C, 0x8D, 0x1C, 0x0F,  // lea r11, [rdi + rcx]
      0x4C, 0x0F, 0xAF, 0xDD,  // imul r11, rbp
    ]

    /// Sets R9 to the increment of the pattern from step to step.
    private static let growth: [UInt8] = [
      0x49, 0x89, 0xD1,  // mov r9, rdx
      0x4C, 0x0F, 0xAF, 0xCD,  // imul r9, rbp
    ]

    private static let grow: [UInt8] = [
      0x4D, 0x01, 0xCB,  // add r11, r9
    ]

    private static let step: [UInt8] = [
      0x49, 0x01, 0xD5,  // add r13, rdx
    ]

    private static let store: [UInt8] = [
      0x4D, 0x89, 0x5D, 0x00,  // mov [r13], r11
    ]

    private static let comparePattern: [UInt8] = [
      0x4D, 0x39, 0x5D, 0x00,  // cmp [r13], r11
    ]

    private static let compareZero: [UInt8] = [
      0x49, 0x83, 0x7D, 0x00, 0x00,  // cmp qword [r13], 0
    ]

    /// Counts the word as wrong if the comparison before found a difference.
    private static let judge: [UInt8] = [
      0x74, 0x0C,  // je past this piece
      0x48, 0xFF, 0xC0,  // inc rax
      0x48, 0x83, 0xFB, 0xFF,  // cmp rbx, -1
      0x75, 0x03,  // jne past this piece
      0x4C, 0x89, 0xEB,  // mov rbx, r13
    ]

    private static let endPass: [UInt8] = [
      0x49, 0xFF, 0xC4,  // inc r12
    ]

    private static let halt: [UInt8] = [
      0xF4  // hlt
    ]

    /// Repeats `body` until no step is left.
    private static func loop(_ body: [UInt8]) -> [UInt8] {
      let down: [UInt8] = [
        0x49, 0xFF, 0xCE,  // dec r14
      ]
      return body + down + jump([0x0F, 0x85], by: -(body.count + down.count + 6))  // jnz body
    }

    /// A jump with a 32-bit distance from its own first byte.
    private static func jump(_ code: [UInt8], by distance: Int) -> [UInt8] {
      let distance = UInt32(bitPattern: Int32(distance))
      return code + (0..<4).map { UInt8(truncatingIfNeeded: distance >> ($0 * 8)) }
    }

    // MARK: In order

    private static let scanPass = begin + loop(compareZero + judge + step) + endPass
    private static let fillPass =
      begin + firstPattern + growth + loop(store + grow + step) + endPass
    private static let checkPass =
      begin + firstPattern + growth + loop(comparePattern + judge + grow + step) + endPass

    static let scan = prologue + scanPass + halt
    static let fill = prologue + fillPass + halt
    static let check = prologue + checkPass + halt
    static let fillAndCheck = prologue + fillPass + checkPass + halt

    static let scanAll: [UInt8] =
      prologue + [
        0x31, 0xED,  // xor ebp, ebp: the count, as RAX is what SCAS compares with
        0x48, 0x89, 0xF1,  // mov rcx, rsi
        0xFC,  // cld
        0x48, 0x85, 0xC9,  // again: test rcx, rcx
        0x74, 0x14,  // jz done
        0xF3, 0x48, 0xAF,  // repe scasq
        0x74, 0x0F,  // je done: the last word was zero too
        0x48, 0xFF, 0xC5,  // inc rbp
        0x48, 0x83, 0xFB, 0xFF,  // cmp rbx, -1
        0x75, 0xED,  // jne again
        0x48, 0x8D, 0x5F, 0xF8,  // lea rbx, [rdi - 8]
        0xEB, 0xE7,  // jmp again
        0x48, 0x89, 0xE8,  // done: mov rax, rbp
      ] + endPass + halt

    // MARK: In pseudorandom order

    /// One pass that runs `body` once for each step. R15 is a number below the power of two;
    /// numbers that are not a step are skipped.
    private static func walk(_ body: [UInt8]) -> [UInt8] {
      let all: [UInt8] = [
        0x4D, 0x89, 0xCE,  // mov r14, r9
        0x49, 0xFF, 0xC6,  // inc r14
      ]
      let next: [UInt8] = [
        0x4D, 0x0F, 0xAF, 0xFA,  // imul r15, r10
        0x49, 0x01, 0xCF,  // add r15, rcx
        0x4D, 0x21, 0xCF,  // and r15, r9
        0x49, 0x39, 0xF7,  // cmp r15, rsi
      ]
      let place: [UInt8] = [
        0x4D, 0x89, 0xFD,  // mov r13, r15
        0x4C, 0x0F, 0xAF, 0xEA,  // imul r13, rdx
        0x49, 0x01, 0xFD,  // add r13, rdi
        0x4D, 0x8D, 0x5C, 0x0D, 0x00,  // lea r11, [r13 + rcx]
        0x4C, 0x0F, 0xAF, 0xDD,  // imul r11, rbp
      ]
      let skip = jump([0x0F, 0x83], by: place.count + body.count)  // jae past the body
      return all + loop(next + skip + place + body) + endPass
    }

    static let walkScan = prologue + walk(compareZero + judge) + halt
    static let walkFill = prologue + walk(store) + halt
    static let walkCheck = prologue + walk(comparePattern + judge) + halt

    // MARK: Endless

    static let touch: [UInt8] = {
      let first = begin + firstPattern + growth + loop(store + grow + step)
      // R9 is the increment from a pass's pattern to that of the next pass, R10 the one from there
      // to the old pattern of the next step.
      let growths: [UInt8] = [
        0x4C, 0x8D, 0x4C, 0x2D, 0x00,  // lea r9, [rbp + rbp]
        0x49, 0x89, 0xD2,  // mov r10, rdx
        0x4C, 0x0F, 0xAF, 0xD5,  // imul r10, rbp
        0x4D, 0x29, 0xCA,  // sub r10, r9
      ]
      let back: [UInt8] = [
        0x4D, 0x01, 0xD3,  // add r11, r10
      ]
      let pass =
        begin + firstPattern + loop(comparePattern + judge + grow + store + back + step)
        + [
          0x48, 0x83, 0xC1, 0x02,  // add rcx, 2
        ] + endPass + [
          0x4D, 0x89, 0x60, 0x08,  // mov [r8 + 8], r12
          0x49, 0x89, 0x40, 0x10,  // mov [r8 + 16], rax
          0x49, 0x83, 0x38, 0x00,  // cmp qword [r8], 0
        ]
      return prologue + first + growths + pass
        + jump([0x0F, 0x84], by: -(pass.count + 6)) + halt  // je the next pass
    }()

    static let spin: [UInt8] = [
      0xEB, 0xFE,  // jmp to itself
    ]
  }
}
