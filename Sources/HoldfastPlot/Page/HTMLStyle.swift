/// The style sheet of pages.
enum HTMLStyle {
  /// The colors of the page are those of the pictures.
  static let sheet = """

    :root { color-scheme: light dark; }
    body { margin: 0; background: \(SVGColor.page.light); color: \(SVGColor.ink.light);
      font: 16px/1.5 "DejaVu Sans", Helvetica, Arial, sans-serif; overflow-wrap: break-word; }
    main { box-sizing: border-box; max-width: 1000px; margin: 0 auto; padding: 8px 15px 40px; }
    h1 { font-size: 1.6em; line-height: 1.25; } h2 { font-size: 1.25em; margin-top: 2em; }
    a { color: \(SVGColor.blue.light); }
    code, pre { font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 0.88em; }
    pre, .table { overflow-x: auto; max-width: 100%; }
    pre { border: 1px solid \(SVGColor.grid.light); padding: 8px; }
    table { border-collapse: collapse; font-size: 0.92em; }
    caption { text-align: left; font-weight: bold; padding: 4px 0; }
    th, td { text-align: left; vertical-align: top; padding: 4px 14px 4px 0;
      border-bottom: 1px solid \(SVGColor.grid.light); }
    th { font-weight: normal; } thead th { color: \(SVGColor.faint.light); vertical-align: bottom; }
    .number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
    thead .number { white-space: normal; }
    .missing { text-align: right; color: \(SVGColor.faint.light); }
    figure { margin: 1.5em 0; } figcaption { color: \(SVGColor.faint.light); font-size: 0.92em; }
    svg { display: block; height: auto; }
    /* The text of pictures begins where that of the page does. */
    .wide svg { margin-left: -12px; max-width: calc(100% + 24px); }
    .narrow svg { margin-left: -6px; }
    .narrow { display: none; }
    @media (max-width: 719px) {
      .wide { display: none; } .narrow { display: block; }
      td.text { min-width: 9em; }
      .narrow svg { width: calc(100% + 12px); max-width: 480px; }
    }
    \(SVGColor.styles)
    @media screen and (prefers-color-scheme: dark) {
      body { background: \(SVGColor.page.dark); color: \(SVGColor.ink.dark); }
      a { color: \(SVGColor.blue.dark); }
      thead th, .missing, figcaption { color: \(SVGColor.faint.dark); }
      th, td, pre { border-color: \(SVGColor.grid.dark); }
    }
    @media print {
      :root { color-scheme: light; }
      main { max-width: none; padding: 0; }
      .wide { display: block; } .narrow { display: none; }
      .wide svg { margin-left: 0; max-width: 100%; }
      pre, .table { overflow: visible; } pre { white-space: pre-wrap; }
      figure, tr { break-inside: avoid; } h1, h2, caption { break-after: avoid; }
    }

    """
}
