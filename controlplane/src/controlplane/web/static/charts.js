// Draw the last day. Times run from left to right in every language.
"use strict";

(() => {
  const language = document.documentElement.lang;
  const BINARY = Array.from({ length: 60 }, (_, power) => 2 ** power);
  const RENEW_MS = 60000;
  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hour12: false });
  const numbers = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });
  const amounts = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
  const UNITS = language === "fa" ? ["بایت", "ک‌ب", "م‌ب", "گ‌ب", "ت‌ب"] : ["B", "KiB", "MiB", "GiB", "TiB"];

  function format(unit, value) {
    if (unit === "seconds") return amounts.format(value);
    if (unit !== "bytes") return numbers.format(value);
    let step = 0;
    while (value >= 1024 && step < UNITS.length - 1) { value /= 1024; step += 1; }
    return `${amounts.format(value)} ${UNITS[step]}`;
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function draw(place, history) {
    const lines = JSON.parse(place.dataset.lines);
    const unit = place.dataset.unit;
    const data = [history.times_seconds];
    for (const line of lines) data.push(history.figures[line.figure] ?? history.times_seconds.map(() => null));
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const options = {
      width: place.clientWidth,
      height: place.clientHeight,
      legend: { show: false },
      cursor: { y: false },
      scales: { y: { range: (plot, low, high) => [0, Math.max(high * 1.1, unit === "seconds" ? 0.01 : 1)] } },
      axes: [
        { ...axis, values: (plot, times) => times.map((time) => clock.format(new Date(time * 1000))), space: 70 },
        { ...axis, ...(unit === "bytes" ? { incrs: BINARY } : {}), values: (plot, values) => values.map((value) => format(unit, value)), size: 64, space: 36 },
      ],
      series: [{}, ...lines.map((line, index) => ({
        label: line.name, stroke: colour(`--series-${index + 1}`), width: 2, points: { show: false, size: 4 },
        fill: index === 0 ? colour("--series-fill") : undefined,
      }))],
    };
    place.plot?.destroy();
    place.replaceChildren();
    place.plot = new uPlot(options, data, place);
    place.dataset.drawn = "yes";
  }

  async function renew() {
    const places = [...document.querySelectorAll(".plot")];
    for (const source of new Set(places.map((place) => place.dataset.source))) {
      try {
        const answer = await fetch(source);
        if (!answer.ok) continue;
        const history = await answer.json();
        for (const place of places) if (place.dataset.source === source) { place.history = history; draw(place, history); }
      } catch { /* the page says when the control plane does not answer */ }
    }
  }

  const again = () => {
    for (const place of document.querySelectorAll(".plot")) if (place.history) draw(place, place.history);
  };
  let timer = 0;
  addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(again, 150); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  setInterval(renew, RENEW_MS);
  renew();
})();
