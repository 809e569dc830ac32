/** The rules of Microsoft's C reference, written down the other way round than the quoting. */
export function parseWindowsArguments(line: string): string[] {
  const found: string[] = [];
  let current: string | undefined;
  let quoted = false;
  for (let index = 0; index < line.length; index += 1) {
    const slashes = /^\\*/.exec(line.slice(index))?.[0].length ?? 0;
    if (slashes > 0) {
      const before = line[index + slashes] === '"';
      current = (current ?? '') + '\\'.repeat(before ? Math.floor(slashes / 2) : slashes);
      index += slashes - 1;
      if (before && slashes % 2 === 1) {
        current += '"';
        index += 1;
      }
    } else if (line[index] === '"') {
      quoted = !quoted;
      current ??= '';
    } else if (!quoted && /\s/.test(line[index] ?? '')) {
      if (current !== undefined) found.push(current);
      current = undefined;
    } else {
      current = (current ?? '') + (line[index] ?? '');
    }
  }
  if (current !== undefined) found.push(current);
  return found;
}
