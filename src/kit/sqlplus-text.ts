import { readSqlPlusScript, type ScriptPart } from './sqlplus-script.ts';

export interface ScriptProblem {
  /** Path in the kit. */
  file: string;
  line: number | null;
  message: string;
}

export interface ScriptFindings {
  problems: ScriptProblem[];
  warnings: string[];
}

export interface ScriptFiles {
  /** Whether the kit holds a file. */
  has: (path: string) => boolean;
  read: (path: string) => Promise<string>;
}

interface Walk extends ScriptFindings {
  files: ScriptFiles;
  /** Scripts that are being read, the outermost first. */
  stack: string[];
  seen: Set<string>;
  /** Variables that have a value, in capitals. */
  defined: Set<string>;
  /** & is a variable at this place. */
  substitutes: boolean;
  /** Where a script goes on after errors, and where it shows nothing. */
  passesOver: ScriptProblem | null;
  silent: ScriptProblem | null;
}

/**
 * What can be seen to go wrong in a script of SQL*Plus, and in all that it calls, before a machine is asked: what would wait for somebody
 * to type, what would end it early, what would not be run, what nobody could judge.
 */
export async function checkSqlPlusScript(
  file: string,
  define: boolean,
  files: ScriptFiles,
): Promise<ScriptFindings> {
  const walk: Walk = {
    files,
    problems: [],
    warnings: [],
    stack: [],
    seen: new Set(),
    defined: new Set([
      '_DATE',
      '_CONNECT_IDENTIFIER',
      '_USER',
      '_PRIVILEGE',
      '_SQLPLUS_RELEASE',
      '_EDITOR',
      '_O_VERSION',
      '_O_RELEASE',
    ]),
    substitutes: define,
    passesOver: null,
    silent: null,
  };
  await checkFile(file, [], walk);
  const { passesOver, silent } = walk;
  if (passesOver !== null && silent !== null) {
    const message = `TERMOUT is OFF (${silent.file}:${silent.line}) and errors are passed over here: nobody would ever hear of one`;
    walk.problems.push({ ...passesOver, message });
  }
  return { problems: walk.problems, warnings: walk.warnings };
}

async function checkFile(file: string, args: readonly string[], walk: Walk): Promise<void> {
  const text = await walk.files.read(file);
  const problem = (message: string, line: number | null = null): void => {
    walk.problems.push({ file, line, message });
  };
  if (text.includes('\uFFFD')) return problem('is not valid UTF-8');
  const parts = readSqlPlusScript(text);
  if (parts.length === 0) return problem('holds no statement');
  walk.seen.add(file);
  walk.stack.push(file);
  for (const index of args.keys()) walk.defined.add(String(index + 1));
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1 && walk.stack.length === 1;
    if (part.kind === 'command') await checkCommand(part, file, isLast, walk);
    else checkStatement(part, file, walk);
  }
  walk.stack.pop();
}

function checkStatement(part: ScriptPart, file: string, walk: Walk): void {
  checkVariables(part, file, walk);
  if (part.ended) return;
  const end = part.kind === 'block' ? 'a slash alone in its line' : 'a semicolon or a slash';
  walk.problems.push({ file, line: part.line, message: `it has no end (${end}), so it would never be run` });
}

/** Each variable that nobody gives a value is a question, and SQL*Plus takes the next line of what it reads as the answer. */
function checkVariables({ text, line }: ScriptPart, file: string, walk: Walk): void {
  if (!walk.substitutes) return;
  for (const [found, name = ''] of text.matchAll(/&&?([A-Za-z_][\w$#]*|\d+)/g)) {
    if (walk.defined.has(name.toUpperCase())) continue;
    walk.problems.push({
      file,
      line,
      message: `nobody is there to give ${found} a value: DEFINE it, or leave define off where & is only a letter`,
    });
    walk.defined.add(name.toUpperCase());
  }
}

async function checkCommand(part: ScriptPart, file: string, isLast: boolean, walk: Walk): Promise<void> {
  const { text, line } = part;
  checkVariables(part, file, walk);
  const problem = (message: string): void => void walk.problems.push({ file, line, message });
  const call = readCall(text);
  if (call !== null) return checkCall(call, { file, line, message: '' }, walk);
  const [word = '', ...rest] = text.split(/\s+/);
  const is = (pattern: RegExp): boolean => pattern.test(word);
  if (is(/^(?:exit|quit)$/i) && !isLast)
    problem('EXIT in the middle ends SQL*Plus before it is known that all of it ran: leave it out');
  else if (is(/^(?:conn(?:ect)?|disc(?:onnect)?)$/i))
    problem('CONNECT needs a password in the kit: clona has logged on already');
  else if (is(/^(?:acc(?:ept)?|pau(?:se)?|passw(?:ord)?|ed(?:it)?|i(?:nput)?|get)$/i))
    problem(`nobody is there to answer ${word.toUpperCase()}`);
  else if (is(/^(?:ho(?:st)?)$/i) || text.startsWith('!'))
    walk.warnings.push(
      `${file}:${line}: SQL*Plus does not see whether HOST fails: make it a step of its own (run)`,
    );
  else if (is(/^def(?:ine)?$/i)) addName(/^(\w+)\s*=/.exec(rest.join(' '))?.[1], walk);
  else if (is(/^undef(?:ine)?$/i)) for (const name of rest) walk.defined.delete(name.toUpperCase());
  else if (is(/^col(?:umn)?$/i)) addName(/\bnew_v(?:alue)?\s+(\w+)/i.exec(text)?.[1], walk);
  else if (is(/^whenever$/i)) notePassingOver(text, { file, line, message: '' }, walk);
  else if (is(/^set$/i)) noteSettings(rest, { file, line, message: '' }, walk);
}

function addName(name: string | undefined, { defined }: Walk): void {
  if (name !== undefined) defined.add(name.toUpperCase());
}

/** EXIT with a code that may be 0, or with none: SQL.SQLCODE keeps eight bits, and ORA-01280 is 5 times 256. */
function notePassingOver(text: string, at: ScriptProblem, walk: Walk): void {
  const passes =
    /^whenever\s+sqlerror\s+continue\b/i.test(text) ||
    /^whenever\s+sqlerror\s+exit\s*(?:(?:success|0+|sql\.sqlcode|commit|rollback)\b|$)/i.test(text);
  if (passes) walk.passesOver ??= at;
}

function noteSettings(words: readonly string[], at: ScriptProblem, walk: Walk): void {
  for (const [index, word] of words.entries()) {
    const value = (words[index + 1] ?? '').replaceAll(/['"]/g, '').toUpperCase();
    if (/^(?:def(?:ine)?|scan)$/i.test(word)) walk.substitutes = value !== 'OFF';
    if (/^term(?:out)?$/i.test(word) && value === 'OFF') walk.silent ??= at;
    if (/^pau(?:se)?$/i.test(word) && value !== 'OFF')
      walk.problems.push({ ...at, message: 'nobody is there to turn the pages: SET PAUSE ON' });
  }
}

interface Call {
  /** @@: from where the calling script lies; @ and START: from where SQL*Plus runs, which is where the step's file lies. */
  relative: boolean;
  name: string;
  args: string[];
}

function readCall(text: string): Call | null {
  const [, sign, rest = ''] = /^(@@?|sta(?:rt)?\s)\s*(.*)$/i.exec(text) ?? [];
  if (sign === undefined) return null;
  const [name = '', ...args] = rest.match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
  return { relative: sign === '@@', name: name.replaceAll(/["']/g, ''), args };
}

async function checkCall({ relative, name, args }: Call, at: ScriptProblem, walk: Walk): Promise<void> {
  const problem = (message: string): void => void walk.problems.push({ ...at, message });
  if (name.startsWith('?')) {
    walk.warnings.push(
      `${at.file}:${at.line}: ${name} is the server's own script: the kit's hash says nothing about it`,
    );
    return;
  }
  if (/^(?:[/\\~]|[A-Za-z]:|\w+:\/\/)/.test(name)) {
    return problem(`${name} is not part of the kit: its hash would say nothing about it`);
  }
  if (name.includes('&')) return problem(`nobody can say which script ${name} is`);
  const folder = (relative ? at.file : (walk.stack[0] ?? at.file)).split('/').slice(0, -1);
  const path = resolvePath([...folder, ...name.replaceAll('\\', '/').split('/')]);
  const found = path === null ? undefined : [path, `${path}.sql`].find((one) => walk.files.has(one));
  if (found === undefined) return problem(`the kit holds no script ${name}`);
  if (walk.stack.includes(found)) return problem(`${found} calls itself without an end`);
  if (!walk.seen.has(found)) await checkFile(found, args, walk);
}

/** null: it leaves the kit. */
function resolvePath(words: readonly string[]): string | null {
  const path: string[] = [];
  for (const word of words) {
    if (word === '' || word === '.') continue;
    if (word !== '..') path.push(word);
    else if (path.pop() === undefined) return null;
  }
  return path.join('/');
}

/** Many scripts end with EXIT: then nothing after them can say that they came to their end. */
export function endsItself(text: string): boolean {
  const last = readSqlPlusScript(text).at(-1);
  return last?.kind === 'command' && /^(?:exit|quit)\b/i.test(last.text);
}
