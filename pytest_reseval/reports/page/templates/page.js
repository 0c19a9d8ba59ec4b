"use strict";
(async () => {
  const PRINT_WIDTH = 660;
  const NARROW = 500; // in CSS pixels, as all lengths
  const ROOM_FOR_LEGEND = 70;
  const OUTCOMES = ["passed", "failed", "infra-error"];
  const SYMBOLS = ["✓", "✗", "⚠"];
  const byId = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(byId(id).textContent);

  async function inflate(text, format) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let place = 0; place < binary.length; place++) bytes[place] = binary.charCodeAt(place);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format));
    return new Response(stream).text();
  }

  function tell(obstacle) {
    byId("obstacle").textContent = obstacle;
    byId("obstacle").hidden = false;
  }

  if (typeof DecompressionStream === "undefined") {
    tell("This browser is too old for the charts; the tables hold all figures.");
    return;
  }
  const script = document.createElement("script");
  script.textContent = await inflate(byId("plotly").textContent, "gzip");
  document.head.append(script);

  const figures = read("figures");
  const coarse = matchMedia("(pointer: coarse)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map(); // element → data and layout it was drawn from

  function themed(layout) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const result = {
      ...layout,
      autosize: true,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      dragmode: coarse.matches ? false : "zoom",
      font: {...layout.font, color: colour("--text"), family: getComputedStyle(document.body).fontFamily},
      legend: {...layout.legend, bgcolor: "rgba(0,0,0,0)"},
      hoverlabel: {align: "left", bgcolor: colour("--panel"), font: {color: colour("--text")}},
    };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
      result[name] = {
        ...layout[name], title: {...layout[name].title, font: {size: 13}}, gridcolor: colour("--grid"), linecolor: colour("--rule"), zerolinecolor: colour("--rule"),
      };
    }
    return result;
  }

  function draw(element, data, layout) {
    drawn.set(element, [data, layout]);
    element.dataset.height ??= element.clientHeight;
    const legend = element.clientWidth < NARROW && !element.closest(".grid") ? ROOM_FOR_LEGEND : 0;
    element.style.height = `${Number(element.dataset.height) + legend}px`;
    const done = Plotly.react(element, data, themed(layout), {responsive: true, displayModeBar: false});
    return done.then(() => { element.dataset.drawn = "true"; });
  }

  function drawFigure(element) {
    if (drawn.has(element)) return Promise.resolve();
    const {data, layout} = figures[element.dataset.figure];
    const done = draw(element, data, layout);
    const trials = element.dataset.trials;
    if (trials) {
      element.on("plotly_click", (event) => {
        const trial = event.points[0].customdata;
        if (trial !== undefined) views.get(trials).show(trial, true);
      });
    }
    return done;
  }

  const memoryText = (bytes) => {
    if (bytes === null) return "—";
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (bytes >= 1024 && unit < 4) { bytes /= 1024; unit++; }
    return `${Number(bytes.toPrecision(4))} ${units[unit]}`;
  };
  const secondsText = (seconds) => (seconds === null ? "—" : `${seconds} s`);

  function trialFigure(trial) {
    const lasting = Math.max(1, ...trial.phases.map((one) => one.started + one.seconds),
      ...trial.series.flatMap((one) => one.time));
    const from = Math.min(...trial.series.flatMap((one) => one.time.slice(0, 1)), lasting,
      ...trial.phases.map((one) => one.started));
    const highest = Math.max(trial.memoryGuarantee, trial.memoryLimit ?? 0, ...trial.phases.map((one) => one.peak ?? 0));
    const [unit, kib] = highest >= 2 ** 31 ? ["GiB", 2 ** 20] : ["MiB", 2 ** 10];
    const amount = (bytes) => bytes / 1024 / kib;
    const line = (x, y, name, colour, more) => ({
      type: "scatter", mode: "lines", x, y, name, line: {color: colour, width: 2, ...more?.line}, ...more?.trace,
    });
    const across = [from, lasting];
    const second = {yaxis: "y2"};
    const data = [];
    trial.series.forEach((one, place) => {
      const whose = place ? " (verifier's sandbox)" : "";
      data.push(
        line(one.time, one.total.map((value) => value / kib), `memory${whose}`, place ? "#56B4E9" : "#0072B2"),
        line(one.time, one.need.map((value) => value / kib), `not reclaimable${whose}`, place ? "#56B4E9" : "#0072B2", {line: {dash: "dot"}}),
      );
    });
    trial.phases.filter((one) => one.peak !== null).forEach((one, place) => data.push(
      line([one.started, one.started + one.seconds], [amount(one.peak), amount(one.peak)], "peak of the phase", "#CC79A7",
        {line: {width: 3}, trace: {showlegend: !place, legendgroup: "peak"}}),
    ));
    data.push(line(across, across.map(() => amount(trial.memoryGuarantee)), "guarantee", "#009E73", {line: {dash: "dash"}}));
    if (trial.memoryLimit !== null) {
      data.push(line(across, across.map(() => amount(trial.memoryLimit)), "limit", "#D55E00"));
    }
    trial.series.forEach((one, place) => {
      data.push(
        line(one.cpuTime, one.cores, "cores in use", "#56B4E9", {line: {shape: "vh"}, trace: {...second, showlegend: !place}}),
        line(one.cpuTime, one.throttled, "throttled (s per s)", "#E69F00", {line: {shape: "vh", dash: "dot"}, trace: {...second, showlegend: !place}}),
      );
    });
    data.push(line(across, [trial.cpuGuarantee, trial.cpuGuarantee], "guarantee", "#009E73", {line: {dash: "dash"}, trace: {...second, showlegend: false}}));
    if (trial.cpuLimit !== null) {
      data.push(line(across, [trial.cpuLimit, trial.cpuLimit], "limit", "#D55E00", {trace: {...second, showlegend: false}}));
    }
    if (trial.kills.length) {
      data.push({
        type: "scatter", mode: "markers", name: "OOM kill",
        x: trial.kills.map((one) => one.time),
        y: trial.kills.map(() => amount(trial.memoryLimit ?? highest)),
        marker: {symbol: "x", size: 13, color: "#d00000", line: {width: 1, color: "white"}},
      });
    }
    const shapes = trial.phases.map((one, place) => ({
      type: "rect", xref: "x", yref: "paper", x0: one.started, x1: one.started + one.seconds, y0: 0, y1: 1,
      fillcolor: place % 2 ? "#E69F00" : "#0072B2", opacity: 0.08, line: {width: 0}, layer: "below",
    }));
    const annotations = trial.phases.map((one, place) => ({
      text: one.name, x: one.started, xanchor: "left", xref: "x", yref: "paper", y: place % 2 ? 0.94 : 1,
      yanchor: "top", showarrow: false, font: {size: 12},
    }));
    const layout = {
      margin: {l: 60, r: 12, t: 16, b: 44}, hovermode: "x", font: {size: 13}, shapes, annotations,
      legend: {orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: {size: 12}},
      xaxis: {title: {text: "seconds since the trial began"}, zeroline: false, anchor: "y2"},
      yaxis: {domain: [0.42, 1], title: {text: `memory (${unit})`}, rangemode: "tozero", automargin: true},
      yaxis2: {domain: [0, 0.34], title: {text: "cores"}, rangemode: "tozero", automargin: true},
    };
    return [data, layout];
  }

  function trialView(section) {
    let trials = null;
    const form = section.querySelector("form");
    const [task, configuration, sample] = ["task", "configuration", "sample"].map((name) => form.elements.namedItem(name));
    const plot = section.querySelector(".plot");
    let current = Number(section.dataset.first);
    const fill = (select, options) => select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));

    function offer() {
      const [ofTask, ofConfiguration, ofSample] = trials.index[current];
      const same = trials.index.filter((one) => one[0] === ofTask);
      const configurations = [...new Set(same.map((one) => one[1]))].sort((a, b) => a - b);
      fill(configuration, configurations.map((place) => [place, trials.configurations[place]]));
      const samples = trials.index.map((one, place) => [...one, place])
        .filter((one) => one[0] === ofTask && one[1] === ofConfiguration).sort((a, b) => a[2] - b[2]);
      fill(sample, samples.map((one) => [one[3], `${one[2]} ${SYMBOLS[trials.outcomes[one[3]]]}`]));
      task.value = ofTask;
      configuration.value = ofConfiguration;
      sample.value = current;
    }

    async function show(place, go = false) {
      if (trials === null) {
        trials = read(`${section.dataset.run}-trials`);
        fill(task, trials.tasks.map((name, order) => [order, name]));
      }
      current = place;
      offer();
      const trial = JSON.parse(await inflate(trials.packed[place], "deflate"));
      if (current !== place) return;
      const verdict = section.querySelector(".verdict");
      const badge = document.createElement("span");
      badge.className = trial.outcome;
      badge.textContent = `${SYMBOLS[OUTCOMES.indexOf(trial.outcome)]} ${trial.outcome} · ${trial.cause}`;
      verdict.replaceChildren(badge, ` ${trial.label}: ${trial.message}`);
      const notes = [`Started ${trial.started}, waited ${trial.waited} s for admission, took ${trial.seconds} s in all.`];
      if (trial.attempts > 1) notes.push(`This is attempt ${trial.attempts}.`);
      for (const kill of trial.kills) {
        notes.push(kill.seen
          ? `OOM kill in the ${kill.phase} phase: the counter rose in this phase; the mark is where sampled memory fell the most.`
          : `OOM kill in the ${kill.phase} phase: the counter rose in this phase, no sample shows when; the mark is at its end.`);
      }
      if (trial.problem !== null) notes.push(`No curve: ${trial.problem}.`);
      section.querySelector(".notes").textContent = notes.join(" ");
      section.querySelector("tbody").replaceChildren(...trial.phases.map((one) => {
        const row = document.createElement("tr");
        const cells = [
          one.name + (one.timedOut ? " (stopped at its timeout)" : ""), secondsText(one.started), secondsText(one.seconds),
          memoryText(one.peak), memoryText(one.need), one.kills ?? "—", secondsText(one.cpu), secondsText(one.throttled),
        ];
        cells.forEach((text, column) => {
          const cell = document.createElement(column ? "td" : "th");
          if (column) cell.className = "number"; else cell.scope = "row";
          cell.textContent = text;
          row.append(cell);
        });
        return row;
      }));
      plot.setAttribute("aria-label", `Memory and CPU of ${trial.label} over time; ${trial.outcome}, ${trial.cause}.`);
      await draw(plot, ...trialFigure(trial));
      plot.dataset.trial = place;
      if (go) section.scrollIntoView();
    }

    const first = (wanted) => trials.index.findIndex(wanted);
    task.addEventListener("change", () => {
      const [, ofConfiguration] = trials.index[current];
      const same = first((one) => one[0] === Number(task.value) && one[1] === ofConfiguration);
      show(same >= 0 ? same : first((one) => one[0] === Number(task.value)));
    });
    configuration.addEventListener("change", () => {
      const [ofTask] = trials.index[current];
      show(first((one) => one[0] === ofTask && one[1] === Number(configuration.value)));
    });
    sample.addEventListener("change", () => show(Number(sample.value)));
    form.elements.namedItem("next").addEventListener("click", () => {
      const places = trials.outcomes.map((outcome, place) => (outcome ? place : -1)).filter((place) => place >= 0);
      const next = places.find((place) => place > current) ?? places[0];
      if (next !== undefined) show(next);
    });
    return {show, open: () => (drawn.has(plot) ? Promise.resolve() : show(current))};
  }

  const views = new Map([...document.querySelectorAll(".trial")].map((section) => [section.dataset.run, trialView(section)]));

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-trial]");
    if (!link) return;
    event.preventDefault();
    views.get(link.closest(".run").id).show(Number(link.dataset.trial), true);
  });

  // What is far below is drawn when it comes near or when there is time, so that it can be printed.
  const plots = [...document.querySelectorAll(".plot")];
  const open = (plot) => (plot.dataset.figure ? drawFigure(plot) : views.get(plot.closest(".trial").dataset.run).open());
  const whenIdle = window.requestIdleCallback ?? ((work) => setTimeout(work, 50));
  function drawRest([plot, ...rest]) {
    if (plot) whenIdle(() => open(plot).then(() => drawRest(rest)));
  }
  const watch = new IntersectionObserver((entries) => {
    const near = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
    near.forEach((plot) => watch.unobserve(plot));
    Promise.all(near.map(open)).then(() => {
      if (document.documentElement.dataset.drawn) return;
      document.documentElement.dataset.drawn = "true";
      drawRest(plots);
    });
  }, {rootMargin: "300px"});
  plots.forEach((plot) => watch.observe(plot));

  dark.addEventListener("change", () => drawn.forEach(([data, layout], plot) => draw(plot, data, layout)));

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => { details.open = true; });
    plots.forEach((plot) => open(plot));
    drawn.forEach(([data, layout], plot) => Plotly.react(plot, data, {...themed(layout), width: plot.closest(".grid") ? PRINT_WIDTH / 2 - 10 : PRINT_WIDTH}));
  });
  addEventListener("afterprint", () => {
    closed.forEach((details) => { details.open = false; });
    drawn.forEach(([data, layout], plot) => draw(plot, data, layout));
  });
})();
