// The map as Plotly draws it with WebGL, and how it is moved. While it is dragged the picture moves as it is, and is drawn anew
// once the hand rests: so a frame costs the same with ten images and with 100,000.
const REST = 150; // ms
const DOT = [6, 3]; // pixels of a dot, where there are few images and where there are many
const MANY = 5000;
const CONFIG = { displayModeBar: false, scrollZoom: true, plotGlPixelRatio: 1, doubleClick: false, responsive: false };

export class View {
  constructor(plot, points) {
    this.plot = plot;
    this.points = points;
  }

  async draw(colours) {
    const { x, y } = this.points;
    const size = this.points.images > MANY ? DOT[1] : DOT[0];
    const trace = {
      type: "scattergl", mode: "markers", x, y, hoverinfo: "none", marker: { size, line: { width: 0 }, ...painted(colours) },
      selected: { marker: { opacity: 1, size: size + 2 } }, unselected: { marker: { opacity: 0.25 } },
    };
    const axis = { visible: false, fixedrange: false };
    const layout = {
      margin: { l: 0, r: 0, t: 0, b: 0 }, xaxis: { ...axis }, yaxis: { ...axis }, dragmode: false, hovermode: "closest", hoverdistance: 12,
      showlegend: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", width: this.plot.clientWidth, height: this.plot.clientHeight,
      newselection: { line: { color: "#808890", width: 2 } },
    };
    this.whole = this.around();
    Object.assign(layout.xaxis, { range: this.whole[0] });
    Object.assign(layout.yaxis, { range: this.whole[1] });
    await Plotly.newPlot(this.plot, [trace], layout, CONFIG);
    this.draggable();
    new ResizeObserver(() => this.fit()).observe(this.plot);
  }

  paint(colours) {
    const marker = painted(colours);
    return Plotly.restyle(this.plot, Object.fromEntries(Object.entries(marker).map(([name, value]) => [`marker.${name}`, [value]])), [0]);
  }

  // Show which images are chosen; null for all alike.
  mark(chosen) {
    return Plotly.update(this.plot, { selectedpoints: [chosen] }, { selections: [] }, [0]);
  }

  mode(name) {
    this.plot.classList.toggle("move", name === "move");
    this.moving = name === "move";
    return Plotly.relayout(this.plot, { dragmode: name === "move" ? false : name });
  }

  get ranges() {
    return [this.plot.layout.xaxis.range, this.plot.layout.yaxis.range].map((range) => range.map(Number));
  }

  go([x, y]) {
    return Plotly.relayout(this.plot, { "xaxis.range": x, "yaxis.range": y });
  }

  // Move the map by so many pixels.
  shift(x, y) {
    const [[left, right], [bottom, up]] = this.ranges;
    const [across, upwards] = [(x / this.plot.clientWidth) * (right - left), (y / this.plot.clientHeight) * (up - bottom)];
    return this.go([[left - across, right - across], [bottom + upwards, up + upwards]]);
  }

  zoom(factor) {
    return this.go(this.ranges.map(([low, high]) => [((1 + factor) * low + (1 - factor) * high) / 2, ((1 - factor) * low + (1 + factor) * high) / 2]));
  }

  // Where the images are, a little room around them, with a unit as long across as upwards.
  around() {
    const spans = [this.points.x, this.points.y].map((values) => {
      let [low, high] = [Infinity, -Infinity];
      for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
      return low <= high ? [(low + high) / 2, Math.max(high - low, 1e-3) * 1.06] : [0, 1];
    });
    const [wide, tall] = [this.plot.clientWidth, this.plot.clientHeight];
    const unit = Math.max(spans[0][1] / wide, spans[1][1] / tall);
    return [[spans[0][0], unit * wide], [spans[1][0], unit * tall]].map(([middle, span]) => [middle - span / 2, middle + span / 2]);
  }

  fit() {
    const [wide, tall] = [this.plot.clientWidth, this.plot.clientHeight];
    if (!wide || (wide === this.plot.layout.width && tall === this.plot.layout.height)) return;
    this.whole = this.around();
    const [x, y] = this.whole;
    Plotly.relayout(this.plot, { width: wide, height: tall, "xaxis.range": x, "yaxis.range": y });
  }

  // Where an image is, in pixels from the upper left corner.
  place(image) {
    const [[left, right], [bottom, up]] = this.ranges;
    const across = ((this.points.x[image] - left) / (right - left)) * this.plot.clientWidth;
    return [across, ((up - this.points.y[image]) / (up - bottom)) * this.plot.clientHeight];
  }

  // The images that are no farther than `radius` pixels from (across, down).
  within(across, down, radius) {
    const [[left, right], [bottom, up]] = this.ranges;
    const [wide, tall] = [this.plot.clientWidth / (right - left), this.plot.clientHeight / (up - bottom)];
    const { x, y } = this.points;
    const found = [];
    for (let image = 0; image < x.length; image += 1) {
      const [a, b] = [(x[image] - left) * wide - across, (up - y[image]) * tall - down];
      if (a * a + b * b <= radius * radius) found.push(image);
    }
    return found;
  }

  draggable() {
    let from = null;
    let resting = 0;
    const move = (x, y) => {
      for (const layer of this.plot.querySelectorAll(".gl-container")) layer.style.transform = x || y ? `translate(${x}px, ${y}px)` : "";
    };
    const settle = async (at) => {
      clearTimeout(resting);
      const [x, y] = [at.clientX - from[0], at.clientY - from[1]];
      if (!x && !y) return;
      from = from && [at.clientX, at.clientY];
      await this.shift(x, y);
      move(0, 0);
    };
    this.plot.addEventListener("pointerdown", (event) => {
      if (!this.moving || event.button || !event.isPrimary) return;
      from = [event.clientX, event.clientY];
    });
    addEventListener("pointermove", (event) => {
      if (!from || !event.isPrimary) return;
      move(event.clientX - from[0], event.clientY - from[1]);
      clearTimeout(resting);
      resting = setTimeout(() => from && settle(event), REST);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      addEventListener(end, (event) => {
        if (!from || !event.isPrimary) return;
        settle(event);
        from = null;
      });
    }
  }
}

// A marker's colours for Plotly: numbers, and steps of a scale, which is quicker than a colour for each image.
function painted({ numbers, kinds }) {
  const steps = kinds.flatMap(({ colour }, number) => [[number / kinds.length, colour], [(number + 1) / kinds.length, colour]]);
  return { color: numbers, colorscale: steps, cmin: -0.5, cmax: kinds.length - 0.5 };
}
