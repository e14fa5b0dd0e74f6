// Where in the author's files something is, of positions in the one script that they were built into. `verdict build` adds
// the table: the files, and runs of lines, each with the line of the script where it begins, a file and the line in it.

/** One line of a stack, with the author's file and line. */
export const original = (line) =>
  line.replace(/componentize-qjs:user\.js:(\d+):\d+/, (whole, row) => find(globalThis.verdictPositions, row - 1) ?? whole);

function find(table, row) {
  const run = table?.runs.findLast(([first]) => first <= row);
  return run && `${table.files[run[1]]}:${run[2] + row - run[0] + 1}`;
}
