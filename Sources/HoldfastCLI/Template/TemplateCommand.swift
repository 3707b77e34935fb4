internal import ArgumentParser

/// `holdfast template`; its subcommands do the work.
struct TemplateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "template",
    abstract: "Keep booted machines as templates, of which clones start in milliseconds.",
    discussion: """
      A template is a machine that was stopped: its memory, and the state of its devices. Clones of \
      it go on from that moment. They share the memory and copy only what they write, on hugetlbfs \
      2 MiB at a time.

      As root or the owner of a reservoir, start the machine, let it boot, seal it and start clones:

        holdfast template create base -m 2G -- qemu-system-x86_64 -m {size} \\
          -machine q35,memory-backend=ram -device vmgenid,guid=auto \\
          -object memory-backend-file,id=ram,mem-path={memory},\\
        size={size},share={share} ...
        holdfast template seal base
        holdfast run --template base --count 10 -- qemu-system-x86_64 ...

      The arguments of the clones are those of `create`; {share} is on for the machine and off for \
      clones. Clones begin with equal random numbers, clocks and addresses, also those that make \
      keys: docs/templates.md says for how long, and what a guest has to do.

      Commands may be killed at any time. Each one completes or removes what others have left.
      """,
    subcommands: [
      TemplateCreateCommand.self,
      TemplateSealCommand.self,
      TemplateListCommand.self,
      TemplateShowCommand.self,
      TemplateRemoveCommand.self,
    ])
}
