/** Draws the charts of a report; runs in the page, after uPlot. */
/* global uPlot */
(() => {
  const { charts, distillationFrom } = JSON.parse(document.getElementById('report-data').textContent);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const HEIGHT = 300;
  let drawn = [];

  /** Marks the step from which the peers teach each other. */
  function drawMark(u) {
    const step = distillationFrom;
    if (!step || step >= u.scales.x.max) return;
    const x = u.valToPos(step, 'x', true);
    const { top, height } = u.bbox;
    const { ctx } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = color('--muted');
    ctx.fillStyle = color('--muted');
    ctx.lineWidth = ratio;
    ctx.setLineDash([2 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, top + height);
    ctx.stroke();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'top';
    ctx.fillText('teaching starts', x + 5 * ratio, top + 2 * ratio);
    ctx.restore();
  }

  /** Where no pointer chooses a step, the legend shows the values at the last one. */
  function showEnd(u) {
    if (u.legend.idx == null) u.setLegend({ idx: u.data[0].length - 1 });
  }

  function draw(chart) {
    const target = document.getElementById(`chart-${chart.id}`);
    const show = (value) => {
      if (value == null) return '–';
      return chart.percent ? `${(value * 100).toFixed(1)} %` : value.toFixed(3);
    };
    const axis = {
      stroke: color('--muted'),
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    };
    const font = { font: '12px system-ui, sans-serif' };
    const lines = chart.lines.map((line) => ({
      label: line.label,
      stroke: color(`--series-${line.color % 8}`),
      width: 2,
      dash: line.dash,
      spanGaps: true,
      points: { show: false },
      value: (_, value) => show(value),
    }));
    const options = {
      width: target.clientWidth,
      height: HEIGHT,
      cursor: { drag: { x: false, y: false }, points: { size: 7 } },
      legend: {
        markers: { width: 1, dash: (_, i) => (chart.lines[i - 1]?.dash.length ? 'dashed' : 'solid') },
      },
      scales: { x: { time: false } },
      axes: [
        { ...axis, ...font, size: 34 },
        {
          ...axis,
          ...font,
          size: 56,
          values: (_, ticks) =>
            ticks.map((tick) => (chart.percent ? `${Math.round(tick * 100)} %` : String(tick))),
        },
      ],
      series: [{ label: 'Step' }, ...lines],
      hooks: { draw: [drawMark], ready: [showEnd], setLegend: [showEnd] },
    };
    target.replaceChildren();
    const u = new uPlot(options, chart.data, target);
    u.ctx.canvas.setAttribute('role', 'img');
    u.ctx.canvas.setAttribute('aria-label', chart.description);
    return { u, target };
  }

  function drawAll() {
    for (const { u } of drawn) u.destroy();
    drawn = charts.map(draw);
  }

  drawAll();
  dark.addEventListener('change', drawAll);
  addEventListener('resize', () => {
    for (const { u, target } of drawn) u.setSize({ width: target.clientWidth, height: HEIGHT });
  });
  // Paper is white: charts are drawn again in light colours, narrow enough for a page.
  const paper = (on) => () => {
    document.documentElement.classList.toggle('paper', on);
    drawAll();
  };
  addEventListener('beforeprint', paper(true));
  addEventListener('afterprint', paper(false));
})();
