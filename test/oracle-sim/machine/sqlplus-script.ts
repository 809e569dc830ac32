/** A script in the pieces in which SQL*Plus takes it. */
export interface ScriptPart {
  /** command: of SQL*Plus itself, one line; sql: one statement; block: PL/SQL up to the slash. */
  kind: 'command' | 'sql' | 'block';
  text: string;
}

const commandWords =
  /^(?:@@?|set|whenever|conn(?:ect)?|disc(?:onnect)?|startup|shutdown|recover|spo(?:ol)?|pro(?:mpt)?|exit|quit|start|col(?:umn)?|tti(?:tle)?|bti(?:tle)?|def(?:ine)?|undef(?:ine)?|var(?:iable)?|print|exec(?:ute)?|show|desc(?:ribe)?|rem(?:ark)?|host|!|archive|pause|accept|clear|timing|store)\b|^[@!]/i;
const blockStart =
  /^\s*(?:declare|begin)\b|^\s*create\s+(?:or\s+replace\s+)?(?:(?:non)?editionable\s+)?(?:procedure|function|package|trigger|type)\b/i;

/** Statements end with a semicolon at the end of a line, blocks with a slash alone. */
export function splitScript(script: string): ScriptPart[] {
  const parts: ScriptPart[] = [];
  let open: string[] = [];
  for (const line of script.split(/\r?\n/)) {
    const trimmed = line.trim();
    const isBlock = open.length > 0 && blockStart.test(open.join('\n'));
    if (open.length === 0) {
      if (trimmed === '' || trimmed.startsWith('--')) continue;
      if (trimmed === '/') {
        const last = parts.findLast(({ kind }) => kind !== 'command');
        if (last !== undefined) parts.push({ ...last });
        continue;
      }
      if (commandWords.test(trimmed)) {
        parts.push({ kind: 'command', text: trimmed.replace(/;$/, '') });
        continue;
      }
    } else if (trimmed === '/') {
      parts.push({ kind: isBlock ? 'block' : 'sql', text: open.join('\n').trim() });
      open = [];
      continue;
    }
    open.push(line);
    if (!blockStart.test(open.join('\n')) && trimmed.endsWith(';')) {
      parts.push({ kind: 'sql', text: open.join('\n').trim().slice(0, -1) });
      open = [];
    }
  }
  // What stands open at the end of a script is not run: SQL*Plus waits for more of it.
  return parts;
}
