/** Remarks behind a key begin in one column. */
export function alignRemark(line: string): string {
  const [, before, comment] = /^(.*?\S) {2,}(# .*)$/.exec(line) ?? [];
  return before === undefined || /^\s*#$/.test(before) ? line : `${before.padEnd(35)} ${comment}`;
}

/** A list of items, each its lines; where there are none, one as an example in comments. */
export function list(
  key: string,
  comment: string,
  items: readonly (readonly string[])[],
  example: readonly string[],
): string[] {
  const indent = /^ */.exec(key)?.[0] ?? '';
  const shown = items.length > 0 ? items : [example];
  const lines = [
    `${key.trimStart()}  ${comment}`,
    ...shown.flatMap((item) => item.map((line, index) => `  ${index === 0 ? '- ' : '  '}${line}`)),
  ];
  return lines.map((line) => (items.length > 0 ? `${indent}${line}` : `${indent}# ${line}`));
}

/** A YAML scalar: plain where that is the same text in every reading, quoted otherwise. */
export function quote(text: string): string {
  const plain =
    /^[A-Za-z./_][\w./@-]*$/.test(text) && !/^(?:true|false|null|yes|no|on|off|\.inf|\.nan)$/i.test(text);
  return plain || /^(?:env|file):[\w./-]+$/.test(text) ? text : JSON.stringify(text);
}
