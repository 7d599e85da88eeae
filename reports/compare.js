"use strict";
(() => {
  const { encoders, suites, languages } = JSON.parse(document.getElementById("payload").textContent);
  const { address, remember, save } = globalThis.xlir;
  const $ = (id) => document.getElementById(id);
  const make = (tag, text, properties = {}) => Object.assign(document.createElement(tag), { textContent: text ?? "", ...properties });
  const MISSING = "–";
  const key = (at) => encoders[at][2].replace(/^encoder-|\.html$/g, "");
  const name = (at) => {
    const [title, subtitle, , origin] = encoders[at];
    return `${title}${subtitle ? ` · ${subtitle}` : ""}${origin === "imported" ? " (imported)" : ""}`;
  };
  const byName = new Map(encoders.map((_, at) => [name(at), at]));
  const byKey = new Map(encoders.map((_, at) => [key(at), at]));
  $("encoders").append(...encoders.map((_, at) => make("option", "", { value: name(at) })));

  const figure = (value, places, signed = false) => {
    if (value === null || value === undefined) return MISSING;
    const text = Math.abs(value).toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
    return `${value < 0 ? "−" : signed && value > 0 ? "+" : ""}${text}`;
  };
  const probability = (p) => (p < 0.001 ? "< .001" : p.toFixed(3).replace(/^0/, ""));

  // What was tested of a pair, in the order that was asked for: turned round where it was stored the other way.
  const tested = (suite, a, b) => {
    const straight = suite.tested[`${a}:${b}`];
    if (straight) return straight;
    const turned = suite.tested[`${b}:${a}`];
    return turned && Object.fromEntries(Object.entries(turned).map(([what, [d, low, high, p]]) => [what, [-d, -high, -low, p]]));
  };

  const HEADS = ["setting", "measure", "queries in", "A", "B", "B − A", "95 % interval", "adjusted p", "better"];
  const line = (what, x, y, column, test) => {
    const [, label, group, ascending, places] = column;
    const difference = x === null || y === null ? null : y - x;
    const level = difference === null || Number(difference.toFixed(places)) === 0;
    const better = level ? "" : (difference > 0) !== ascending ? "B" : "A";
    return { group, label, what, x, y, difference, test, places, better };
  };
  const linesOf = (suite, a, b) => {
    const left = suite.rows[a], right = suite.rows[b], tests = tested(suite, a, b) ?? {};
    const overall = [], single = [];
    suite.columns.forEach((column, at) => {
      if (left[at] === null && right[at] === null) return;
      overall.push(line("all", left[at], right[at], column, tests[`${column[0]}/*`]));
      const by = suite.by[column[0]];
      if (by?.[a] && by?.[b]) suite.languages.forEach((code, n) => {
        const x = by[a][n], y = by[b][n];
        if (x !== null || y !== null) single.push(line(code, x, y, column, tests[`${column[0]}/${code}`]));
      });
    });
    return [overall, single];
  };

  const tableOf = (lines, caption, id) => {
    const table = make("table", "", { className: "list" });
    table.append(make("caption", caption, { className: "unseen" }));
    const head = table.createTHead().insertRow();
    for (const text of HEADS) head.append(make("th", text, { scope: "col", className: ["measure", "queries in"].includes(text) ? "text" : "" }));
    const body = table.createTBody();
    for (const one of lines) {
      const row = body.insertRow();
      const first = make("th", "", { scope: "row" });
      first.append(make("bdi", one.group));
      const language = one.what === "all" ? "all" : `${languages[one.what] ?? one.what} (${one.what})`;
      row.append(first, make("td", one.label, { className: "text" }), make("td", language, { className: "text" }));
      for (const value of [one.x, one.y]) row.append(make("td", figure(value, one.places)));
      row.append(make("td", figure(one.difference, one.places, true)));
      row.append(make("td", one.test ? `${figure(one.test[1], one.places, true)} to ${figure(one.test[2], one.places, true)}` : MISSING, { className: "interval" }));
      const clear = one.test && one.test[3] < 0.05;
      row.append(make("td", one.test ? probability(one.test[3]) : MISSING, { className: clear ? "clear" : "" }));
      const better = make("td");
      if (one.better) better.append(make("span", one.better, { className: `${one.better === "B" ? "gain" : "loss"}${clear || !one.test ? "" : " unsure"}` }));
      row.append(better);
    }
    const box = make("div", "", { className: "box", tabIndex: 0 });
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", caption);
    box.append(table);
    const group = make("p", "", { className: "downloads" });
    for (const format of ["csv", "json"]) {
      const button = make("button", format.toUpperCase(), { type: "button" });
      const rows = () => lines.map((one) => [one.group, one.label, one.what, one.x, one.y, one.difference, one.test?.[1] ?? null, one.test?.[2] ?? null, one.test?.[3] ?? null, one.better || null]);
      button.addEventListener("click", () => save(id, format, ["setting", "measure", "queries in", "A", "B", "B - A", "low", "high", "adjusted p", "better"], rows()));
      group.append(button);
    }
    return [box, group];
  };

  const draw = () => {
    const [a, b] = ["a", "b"].map((side) => byName.get($(side).value));
    const result = $("result");
    for (const [side, at] of [["a", a], ["b", b]]) $(side).setAttribute("aria-invalid", String($(side).value !== "" && at === undefined));
    if (a === undefined || b === undefined || a === b) {
      result.replaceChildren();
      $("status").textContent = a !== undefined && a === b ? "Choose two different encoders." : "Choose two encoders; a part of the name finds them.";
      return;
    }
    remember({ a: key(a), b: key(b) });
    const shared = suites.filter((suite) => suite.rows[a] && suite.rows[b]);
    $("status").textContent = shared.length ? `${shared.length} table${shared.length === 1 ? "" : "s"} with both.` : "No suite has both of them.";
    result.replaceChildren(...shared.map((suite, number) => {
      const section = make("section", "", { className: "suite" });
      const head = make("h2");
      const link = make("a", "", { href: suite.page });
      link.append(make("bdi", suite.name));
      head.append(link, " ", make("small", suite.edition));
      section.append(head);
      if (suite.stale) section.append(make("p", "An older revision of the data.", { className: "note" }));
      if (!tested(suite, a, b)) section.append(make("p", "Not tested: one of them left no ranks, or is not among the best that were.", { className: "note" }));
      const [overall, single] = linesOf(suite, a, b);
      section.append(...tableOf(overall, `${suite.name}: differences by setting`, `compare-${number}`));
      if (single.length) {
        const details = make("details");
        details.append(make("summary", `By language of the queries (${single.length} rows)`));
        details.append(...tableOf(single, `${suite.name}: differences by query language`, `compare-languages-${number}`));
        section.append(details);
      }
      return section;
    }));
  };

  const restore = () => {
    for (const side of ["a", "b"]) {
      const at = byKey.get(address().get(side));
      if (at !== undefined) $(side).value = name(at);
    }
    draw();
  };
  for (const side of ["a", "b"]) $(side).addEventListener("change", draw);
  $("swap").addEventListener("click", () => { [$("a").value, $("b").value] = [$("b").value, $("a").value]; draw(); });
  document.querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); draw(); });
  addEventListener("hashchange", restore);
  restore();
})();
