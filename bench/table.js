/** Tables as text with aligned columns, or as Markdown, which is the same with bars. */

/** @param words how many columns, from the left, are words; the others are figures */
export function renderTable(rows, { words, isMarkdown }) {
  const widths = rows[0].map((_, column) => Math.max(3, ...rows.map((row) => row[column].length)));
  const lines = rows.map((row) =>
    row.map((text, column) => (column < words ? text.padEnd(widths[column]) : text.padStart(widths[column]))),
  );
  if (!isMarkdown) return lines.map((cells) => `  ${cells.join('   ')}`.trimEnd()).join('\n');
  const rule = widths.map((width, column) => (column < words ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [lines[0], rule, ...lines.slice(1)].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Two or three significant digits, thousands with a comma; a dash for what was not measured. */
export function figure(value) {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1000) return Number(value.toPrecision(3)).toLocaleString('en-US');
  return `${Number(value.toPrecision(value < 10 ? 2 : 3))}`;
}

/** Two significant digits. */
export function ratio(value) {
  if (!Number.isFinite(value)) return '–';
  return value >= 100 ? `${Number(value.toPrecision(2))}` : value.toPrecision(2);
}

/** Two decimals, without a minus before zero. */
export function count(value) {
  return (Math.abs(value) < 0.005 ? 0 : value).toFixed(2);
}
