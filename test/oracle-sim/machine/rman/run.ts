import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Server } from '../../instance/backend.ts';
import type { ToolCall, ToolResult } from '../tools.ts';
import { readCommand } from './commands.ts';
import { RmanCursor, RmanSyntaxError } from './lexer.ts';
import { BlockFailure, linesOf, now, openChannel, rmanTime, type RmanSession } from './session.ts';
import { connectTarget } from './lifecycle.ts';

interface Arguments {
  target: string | null;
  commandFile: string | null;
  log: string | null;
  append: boolean;
  wrong: string | null;
}

const bar = 'RMAN-00571: ===========================================================';
const head = 'RMAN-00569: =============== ERROR MESSAGE STACK FOLLOWS ===============';

/** `rman TARGET / [NOCATALOG] [CMDFILE f] [LOG f [APPEND]]`, in any of the ways in which RMAN takes them. */
function readArguments(argv: readonly string[]): Arguments {
  const found: Arguments = { target: null, commandFile: null, log: null, append: false, wrong: null };
  const words = argv
    .flatMap((one) =>
      one.includes('=') ? [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)] : [one],
    )
    .filter((one) => one !== '');
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index]!;
    const value = (): string => unquote(words[(index += 1)] ?? '');
    if (/^target$/i.test(word)) found.target = value();
    else if (/^(?:cmdfile|@)$/i.test(word)) found.commandFile = value();
    else if (word.startsWith('@')) found.commandFile = unquote(word.slice(1));
    else if (/^(?:log|msglog)$/i.test(word)) found.log = value();
    else if (/^append$/i.test(word)) found.append = true;
    else if (!/^(?:nocatalog|msgno|checksyntax|using|trace)$/i.test(word)) found.wrong ??= word;
  }
  return found;
}

function unquote(text: string): string {
  return text.replaceAll(/^['"]|['"]$/g, '');
}

export async function runRman({ argv, cwd, stdin }: ToolCall, server: Server): Promise<ToolResult> {
  const given = readArguments(argv);
  const at = (path: string): string => (isAbsolute(path) ? path : join(cwd, path));
  const { version } = server.instance.settings;
  const number = `${version.join('.')}.0.0`;
  const output = [
    '',
    `Recovery Manager: Release ${version[0]}.0.0.0.0 - Production on Sun Mar 1 10:00:00 2026`,
    `Version ${number}`,
    '',
    'Copyright (c) 1982, 2019, Oracle and/or its affiliates.  All rights reserved.',
    '',
  ];
  const session: RmanSession = {
    server,
    output,
    connected: false,
    dbid: null,
    block: null,
    configured: new Map(),
    channel: openChannel(server),
  };
  let exitCode = 0;
  if (given.wrong !== null) {
    output.push(
      bar,
      head,
      bar,
      'RMAN-00552: syntax error in command line arguments',
      `RMAN-01009: syntax error: found "identifier": expecting one of: "append, at, auxiliary, catalog, checksyntax, cmdfile, clone, debug, log, msglog, msgno, nocatalog, pipe, rcvcat, script, slaxdebug, send, target, timeout, using, @, ;"`,
      `RMAN-01008: the bad identifier was: ${given.wrong}`,
    );
    exitCode = 1;
  } else {
    try {
      if (given.target !== null) connectTarget(session, given.target);
      const program = given.commandFile === null ? stdin : readFileSync(at(given.commandFile), 'utf8');
      exitCode = await runProgram(session, program, given.commandFile !== null);
    } catch (error) {
      output.push(bar, head, bar, ...linesOf(error));
      exitCode = 1;
    }
  }
  server.instance.sessions.delete(session.channel.id);
  output.push('', '', 'Recovery Manager complete.', '');
  const text = output.join('\n');
  if (given.log === null) return { stdout: text, exitCode };
  if (given.append) appendFileSync(at(given.log), text);
  else writeFileSync(at(given.log), text);
  return { stdout: '', exitCode };
}

/** A command file ends at the first error; what is typed goes on, and the exit code tells of it. */
async function runProgram(session: RmanSession, program: string, isFile: boolean): Promise<number> {
  let failed = 0;
  let cursor: RmanCursor;
  try {
    cursor = new RmanCursor(program);
  } catch (error) {
    if (!(error instanceof RmanSyntaxError)) throw error;
    session.output.push(...parseError(error));
    return 1;
  }
  while (cursor.token.kind !== 'end') {
    if (cursor.accept(';')) continue;
    const { at } = cursor.token;
    try {
      const command = readCommand(cursor, session);
      if (command === 'exit') return failed;
      session.output.push('', `RMAN> ${program.slice(at, cursor.token.at).trim()}`, '');
      await runNamed(session, command.name, command.run);
    } catch (error) {
      session.block = null;
      failed = 1;
      if (error instanceof RmanSyntaxError) session.output.push(...parseError(error));
      if (isFile || error instanceof RmanSyntaxError) return 1;
    }
  }
  return failed;
}

async function runNamed(session: RmanSession, name: string, run: () => void | Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (error instanceof NamedFailure) throw error;
    const [command, cause] = error instanceof BlockFailure ? [error.command, error.cause] : [name, error];
    const failure = `RMAN-03002: failure of ${command} command at ${rmanTime(session, now(session))}`;
    session.output.push(bar, head, bar, failure, ...linesOf(cause));
    throw new NamedFailure();
  }
}

/** Already told. */
class NamedFailure extends Error {}

function parseError({ found }: RmanSyntaxError): string[] {
  const kind =
    found.kind === 'word'
      ? 'identifier'
      : found.kind === 'text'
        ? 'single-quoted-string'
        : found.kind === 'number'
          ? 'integer'
          : found.text;
  return [
    bar,
    head,
    bar,
    'RMAN-00558: error encountered while parsing input commands',
    `RMAN-01009: syntax error: found "${kind}": expecting one of: "advise, allocate, alter, backup, catalog, change, configure, …"`,
    ...(found.kind === 'word' ? [`RMAN-01008: the bad identifier was: ${found.text}`] : []),
    `RMAN-01007: at line ${found.line} column ${found.column} file: standard input`,
  ];
}
