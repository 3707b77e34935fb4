// Scripts/snippets writes Snippets.swift beside this file: every block of Swift in README.md and
// docs/library.md, each in a function of its own, so that `make examples` compiles them.
