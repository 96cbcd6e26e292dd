// What can be downloaded: CSV, GeoJSON, GPX, and XMP sidecars in a ZIP file.
const xml = (text) =>
  String(text)
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/g, "")
    .replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

// A table program takes cells that begin so for formulas.
const cell = (value) => {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? "'" + value : String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

// photos: {name, lat, lon, radius, confidence, verdict, checked, map, match}, lat and lon null for none.
export function csv(photos) {
  const columns = ["photo", "lat", "lon", "radius", "confidence", "verdict", "checked", "map", "match"];
  return [columns, ...photos.map((photo) => columns.map((name) => photo[name === "photo" ? "name" : name]))]
    .map((row) => row.map(cell).join(",") + "\r\n")
    .join("");
}

export function geojson(photos) {
  const features = placed(photos).map(({ lat, lon, name, ...rest }) => ({
    type: "Feature",
    geometry: { type: "Point", coordinates: [lon, lat] },
    properties: { photo: name, ...rest },
  }));
  return JSON.stringify({ type: "FeatureCollection", features }, null, 1);
}

export function gpx(photos) {
  const points = placed(photos).map(
    (photo) => `<wpt lat="${photo.lat}" lon="${photo.lon}"><name>${xml(photo.name)}</name><desc>${xml(photo.verdict)}</desc></wpt>\n`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n<gpx version="1.1" creator="netvlad" xmlns="http://www.topografix.com/GPX/1/1">\n${points.join("")}</gpx>\n`;
}

// The same properties as netvlad.export.photos.xmp writes, and the same namespace of our own.
export function xmp(photo) {
  const byHand = photo.checked === "corrected", // the position of a person, of which the answer says nothing
    own = byHand ? "" : ["confidence", "verdict", "map", "match"]
    .filter((name) => photo[name] !== null && photo[name] !== undefined && photo[name] !== "")
    .map((name) => ` netvlad:${name}="${xml(photo[name])}"`)
    .join("");
  return `<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:netvlad="urn:x-netvlad:answer:1.0:" exif:GPSVersionID="2.3.0.0" exif:GPSLatitude="${degrees(photo.lat, "N", "S")}" exif:GPSLongitude="${degrees(photo.lon, "E", "W")}" exif:GPSMapDatum="WGS-84" exif:GPSProcessingMethod="${byHand ? "MANUAL" : "netvlad"}"${own}/></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>
`;
}

// Degrees and minutes as XMP has them: 31,15.717989N
function degrees(value, plus, minus) {
  const minutes = (Math.abs(value) * 60).toFixed(6),
    whole = Math.floor(minutes / 60);
  return `${whole},${(minutes - 60 * whole).toFixed(6)}${value < 0 ? minus : plus}`;
}

export const placed = (photos) => photos.filter((photo) => photo.lat !== null && photo.checked !== "rejected");

// Sidecars are found by their names, photo.jpg.xmp; two photos of one name get folders of their own.
export function sidecars(photos) {
  const seen = new Map();
  return zip(
    placed(photos).map((photo) => {
      const name = photo.name.replace(/[\\/:*?"<>|\u0000-\u001f]/g, "_").replace(/^\.+/, "_"),
        n = (seen.get(name) ?? 0) + 1;
      seen.set(name, n);
      return [(n > 1 ? n + "/" : "") + name + ".xmp", new TextEncoder().encode(xmp(photo))];
    }),
  );
}

// A ZIP file without compression (APPNOTE 6.3.3): for each file a head and its bytes, then a directory.
function zip(files) {
  const parts = [],
    directory = [];
  let offset = 0;
  for (const [name, bytes] of files) {
    const path = new TextEncoder().encode(name),
      shared = [[20, 2], [0x0800, 2], [0, 2], [0, 2], [0x21, 2], [crc32(bytes), 4], [bytes.length, 4], [bytes.length, 4], [path.length, 2], [0, 2]];
    const head = packed([[0x04034b50, 4], ...shared]);
    directory.push(packed([[0x02014b50, 4], [20, 2], ...shared, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]]), path);
    parts.push(head, path, bytes);
    offset += head.length + path.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = packed([[0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [size, 4], [offset, 4], [0, 2]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

function packed(fields) {
  const bytes = [];
  for (const [value, width] of fields) for (let i = 0; i < width; i++) bytes.push((value >>> (8 * i)) & 255);
  return new Uint8Array(bytes);
}

function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

export function save(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
