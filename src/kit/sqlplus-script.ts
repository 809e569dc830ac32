/** A script in the pieces in which SQL*Plus takes it (SQL*Plus User's Guide and Reference, Running Commands). */
export interface ScriptPart {
  /** command: of SQL*Plus itself; sql: a statement; block: PL/SQL, up to a slash alone. */
  kind: 'command' | 'sql' | 'block';
  text: string;
  /** Its first line, from 1. */
  line: number;
  /** false: the script ends before it does, so that it is never run. */
  ended: boolean;
}

const commandWords =
  /^(?:@@?|!|(?:a(?:ppend)?|acc(?:ept)?|archive|attr(?:ibute)?|bre(?:ak)?|bti(?:tle)?|c(?:hange)?|cl(?:ear)?|col(?:umn)?|comp(?:ute)?|conn(?:ect)?|copy|def(?:ine)?|del|desc(?:ribe)?|disc(?:onnect)?|ed(?:it)?|exec(?:ute)?|exit|get|help|hist(?:ory)?|ho(?:st)?|i(?:nput)?|l(?:ist)?|passw(?:ord)?|pau(?:se)?|pri(?:nt)?|pro(?:mpt)?|quit|recover|rem(?:ark)?|repf(?:ooter)?|reph(?:eader)?|r(?:un)?|sav(?:e)?|set|sho(?:w)?|shutdown|spo(?:ol)?|sta(?:rt)?|startup|store|timi(?:ng)?|tti(?:tle)?|undef(?:ine)?|var(?:iable)?|whenever|xquery)(?:\s|;|$))/i;
// SET is SQL in front of these three alone, and what belongs to them.
const setOfSql = /^set\s+(?:transaction|role|constraints?)\b/i;
const blockStart =
  /^(?:declare\b|begin\b|<<|with\s+(?:function|procedure)\b|create\s+(?:or\s+replace\s+)?(?:and\s+(?:resolve|compile)\s+)?(?:(?:non)?editionable\s+)?(?:procedure|function|package|trigger|type|library|java)\b)/i;

/** Cuts a script into its parts; comments and empty lines between them are none. */
export function readSqlPlusScript(script: string): ScriptPart[] {
  const parts: ScriptPart[] = [];
  let open: { text: string[]; line: number } | null = null;
  let comment = false;
  const close = (kind: 'sql' | 'block', ended: boolean): void => {
    if (open !== null) parts.push({ kind, text: open.text.join('\n').trim(), line: open.line, ended });
    open = null;
  };
  for (const [index, raw] of script
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trim();
    if (open === null) {
      if (comment || line.startsWith('/*')) {
        comment = !line.includes('*/');
        continue;
      }
      if (line === '' || line.startsWith('--') || line === '/') continue;
      const last: ScriptPart | undefined = parts.at(-1);
      if (last?.kind === 'command' && !last.ended) {
        addCommand(parts, line, index + 1, last);
        continue;
      }
      if (commandWords.test(line) && !setOfSql.test(line)) {
        addCommand(parts, line, index + 1);
        continue;
      }
      open = { text: [], line: index + 1 };
    }
    const isBlock: boolean = blockStart.test([...open.text, line].join('\n').trim());
    if (line === '/' || line === '.') {
      close(isBlock ? 'block' : 'sql', true);
      continue;
    }
    open.text.push(raw);
    if (!isBlock && /;\s*(?:--.*|\/\*.*\*\/\s*)?$/.test(line)) close('sql', true);
  }
  const isBlock = open !== null && blockStart.test((open as { text: string[] }).text.join('\n').trim());
  close(isBlock ? 'block' : 'sql', false);
  return parts;
}

/** A line that ends with a hyphen goes on in the next one. */
function addCommand(parts: ScriptPart[], line: string, number: number, before?: ScriptPart): void {
  const goesOn = line.endsWith('-');
  const text = (goesOn ? line.slice(0, -1) : line.replace(/;$/, '')).trim();
  if (before === undefined) parts.push({ kind: 'command', text, line: number, ended: !goesOn });
  else Object.assign(before, { text: `${before.text} ${text}`, ended: !goesOn });
}
