// The chart of the first page: drawn from the table below it, which is what screen readers read.

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const yuan = (fen) => `¥${(fen / 100).toLocaleString("en-US", { maximumFractionDigits: 0 })}`;

let drawn = null;

function rows(table) {
  return [...table.tBodies[0].rows].map((row) => ({
    at: Number(row.dataset.at),
    now: "future" in row.dataset ? null : Number(row.dataset.now),
    before: Number(row.dataset.before),
  }));
}

function draw() {
  const place = document.querySelector("[data-chart]");
  drawn?.destroy();
  drawn = null;
  if (!place) return;
  const points = rows(document.getElementById(place.dataset.chart));
  const isByDay = points.length > 1 && points[1].at - points[0].at > 3600;
  const axis = { stroke: style("--muted"), grid: { stroke: style("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const label = (at) => {
    const date = new Date((at + 8 * 3600) * 1000);
    return isByDay ? `${date.getUTCMonth() + 1}-${date.getUTCDate()}` : `${date.getUTCHours()}:00`;
  };
  drawn = new uPlot(
    {
      width: place.clientWidth,
      height: 220,
      legend: { show: false },
      cursor: { y: false, points: { show: false } },
      scales: { x: { time: false }, y: { range: (_, __, most) => [0, Math.max(most * 1.1, 100)] } },
      axes: [
        { ...axis, size: 30, grid: { show: false }, values: (_, ats) => ats.map(label), incrs: isByDay ? [86400, 172800, 432000] : [3600, 7200, 10800, 14400, 21600], space: 48 },
        { ...axis, values: (_, fens) => fens.map(yuan), size: 64, space: 44 },
      ],
      series: [
        {},
        { stroke: style("--accent"), fill: style("--accent-soft"), width: 2, points: { show: false } },
        // The time before is drawn last, or the area would hide it.
        { stroke: style("--muted"), width: 1.5, dash: [4, 4], points: { show: false } },
      ],
    },
    [points.map((each) => each.at), points.map((each) => each.now), points.map((each) => each.before)],
    place,
  );
}

for (const select of document.querySelectorAll("[data-submits]")) select.addEventListener("change", () => select.form.submit());
document.body.addEventListener("htmx:afterSwap", draw);
window.addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
