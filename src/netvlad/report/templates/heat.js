// An explanation over two photos, wherever it is drawn: heat, the cells of its table, and moving among them.
const SIDES = ["query", "match"];
const HUES = { agrees: [255, 96, 0], disagrees: [40, 110, 255] };

const largest = (...maps) => maps.flat(2).reduce((most, value) => Math.max(most, Math.abs(value)), 0);

// A map in full colour where it reaches `most`.
function paintHeat(canvas, map, most) {
  canvas.width = map[0].length;
  canvas.height = map.length;
  const context = canvas.getContext("2d"),
    image = context.createImageData(canvas.width, canvas.height);
  map.flat().forEach((value, i) => {
    const strength = most > 0 ? Math.min(1, Math.abs(value) / most) : 0;
    image.data.set([...HUES[value < 0 ? "disagrees" : "agrees"], 225 * strength ** 0.8], 4 * i);
  });
  context.putImageData(image, 0, 0);
}

// Cells of a photo: rows and columns of the table that belong to it.
function cells(table, side) {
  const inner = side === "query" ? table : table[0][0];
  return [inner.length, inner[0].length];
}

// What a cell adds with each cell of the other photo.
function counterparts(table, { side, row, column }) {
  return side === "query" ? table[row][column] : table.map((line) => line.map((there) => there[row][column]));
}

// The cell that an arrow key leads to from `from`; undefined for another key.
function moved(key, { side, row, column }, table) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[key];
  if (!step) return undefined;
  const [rows, columns] = cells(table, side),
    inside = (value, count) => Math.min(count - 1, Math.max(0, value));
  return { side, row: inside(row + step[0], rows), column: inside(column + step[1], columns) };
}
