// Scripts/snippets writes Snippets.swift beside this file: every block of Swift in README.md and
// docs/library.md, each in a separate function, so that `make examples` compiles them.
