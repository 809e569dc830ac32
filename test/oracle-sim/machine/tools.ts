import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Server } from '../instance/backend.ts';
import { runRman } from './rman/run.ts';
import { runSqlPlus } from './sqlplus.ts';
import { runNid } from './nid.ts';
import { runExp, runImp } from './original.ts';
import { runExpdp, runImpdp } from './pump.ts';

/** A call of a command on the simulated machine. */
export interface ToolCall {
  tool: string;
  argv: string[];
  cwd: string;
  environment: Record<string, string>;
  stdin: string;
}

export interface ToolResult {
  stdout: string;
  exitCode: number;
}

type Tool = (call: ToolCall, server: Server) => Promise<ToolResult>;

const tools: Record<string, Tool> = {
  rman: runRman,
  sqlplus: runSqlPlus,
  sql: runSqlPlus,
  nid: runNid,
  expdp: runExpdp,
  impdp: runImpdp,
  exp: runExp,
  imp: runImp,
};

export interface Tools extends AsyncDisposable {
  /** ORACLE_HOME of the machine; the commands lie in its `bin`. */
  home: string;
  bin: string;
}

/**
 * Puts rman, sqlplus, nid, expdp and impdp into `folder/oracle/bin`, as programs that any shell of the machine finds. They act on the instance
 * over a Unix socket beside them; as on a real machine who can run them is SYSDBA.
 */
export async function installTools(server: Server, folder: string): Promise<Tools> {
  const home = join(folder, 'oracle');
  const bin = await writeTools(home, process.execPath);
  const listener = await serveTools(home, () => server);
  return {
    home,
    bin,
    async [Symbol.asyncDispose]() {
      await listener[Symbol.asyncDispose]();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/**
 * The programs themselves; `node` and `socketPath`: where their machine has Node.js and the socket that answers. `more`: programs
 * that only that machine has. Returns their folder.
 */
export async function writeTools(
  home: string,
  node: string,
  { more = [], socketPath = join(home, 's') }: { more?: readonly string[]; socketPath?: string } = {},
): Promise<string> {
  const bin = join(home, 'bin');
  await mkdir(bin, { recursive: true });
  for (const name of [...Object.keys(tools), ...more]) {
    const path = join(bin, name);
    await writeFile(path, program(node, name, socketPath));
    await chmod(path, 0o755);
  }
  // SQLcl lies apart, under its own name.
  await mkdir(join(home, 'sqlcl'), { recursive: true });
  await rm(join(home, 'sqlcl/bin'), { recursive: true, force: true });
  await mkdir(join(home, 'sqlcl/bin'));
  await rename(join(bin, 'sql'), join(home, 'sqlcl/bin/sql'));
  return bin;
}

/** Answers the programs of an ORACLE_HOME; `serverOf`: the instance that a call is for, or what is said instead. */
export async function serveTools(
  home: string,
  serverOf: (call: ToolCall) => Server | ToolResult | Promise<ToolResult>,
): Promise<AsyncDisposable> {
  const socketPath = join(home, 's');
  const listener = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    void answer(socket, serverOf);
  });
  await rm(socketPath, { force: true });
  listener.listen(socketPath);
  await once(listener, 'listening');
  await chmod(socketPath, 0o777);
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(listener, 'close');
      listener.close();
      await closed;
    },
  };
}

async function answer(
  socket: Socket,
  serverOf: (call: ToolCall) => Server | ToolResult | Promise<ToolResult>,
): Promise<void> {
  const call = readCall(await buffer(socket));
  const result = await run(call, serverOf).catch((error: unknown): ToolResult => {
    return { stdout: `the simulator failed: ${String(error)}\n`, exitCode: 70 };
  });
  socket.end(`${result.exitCode}\n${result.stdout}`);
}

async function run(
  call: ToolCall,
  serverOf: (call: ToolCall) => Server | ToolResult | Promise<ToolResult>,
): Promise<ToolResult> {
  const found = await serverOf(call);
  if (!('instance' in found)) return found;
  return (await tools[call.tool]?.(call, found)) ?? { stdout: '', exitCode: 127 };
}

/**
 * The program knows nothing itself: it hands everything over, prints what comes back, and ends as it is told. In Perl, which starts in a
 * fifth of the time that Node.js needs: a refresh calls SQL*Plus fifty times.
 */
function program(node: string, name: string, socketPath: string): string {
  return existsSync(perl) ? perlProgram(name, socketPath) : nodeProgram(node, name, socketPath);
}

const perl = '/usr/bin/perl';

/** Fields that hold no NUL, each ended by one: tool, folder, arguments with their number, environment with its; then stdin as it is. */
function readCall(bytes: Buffer): ToolCall {
  let at = 0;
  const field = (): string => {
    const end = bytes.indexOf(0, at);
    const value = bytes.toString('utf8', at, end);
    at = end + 1;
    return value;
  };
  const [tool, cwd] = [field(), field()];
  const argv = Array.from({ length: Number(field()) }, field);
  const environment = Object.fromEntries(
    Array.from({ length: Number(field()) }, () => {
      const pair = field();
      const cut = pair.indexOf('=');
      return [pair.slice(0, cut), pair.slice(cut + 1)];
    }),
  );
  return { tool, cwd, argv, environment, stdin: bytes.toString('utf8', at) };
}

function perlProgram(name: string, socketPath: string): string {
  return `#!${perl}
use Socket;
my $in = '';
if (!-t STDIN) { local $/; $in = <STDIN> // ''; }
my $cwd = readlink('/proc/self/cwd');
if (!defined $cwd) { require Cwd; $cwd = Cwd::getcwd(); }
my @env = map { "$_=$ENV{$_}" } keys %ENV;
my $s;
if (!socket($s, PF_UNIX, SOCK_STREAM, 0) || !connect($s, pack_sockaddr_un('${socketPath}'))) { lost(); }
else {
  select((select($s), $| = 1)[0]);
  print $s join("\\0", '${name}', $cwd, scalar @ARGV, @ARGV, scalar @env, @env), "\\0", $in;
  shutdown($s, 1);
  my $code = <$s>;
  lost() unless defined $code;
  local $/;
  my $out = <$s>;
  print $out if defined $out;
  exit $code;
}
sub lost { print "ORA-12547: TNS:lost contact\\n"; exit 1; }
`;
}

function nodeProgram(node: string, name: string, socketPath: string): string {
  return `#!${node}
const { connect } = require('node:net');
const { text } = require('node:stream/consumers');
const lost = () => { process.stdout.write('ORA-12547: TNS:lost contact\\n'); process.exit(1); };
(async () => {
  const stdin = process.stdin.isTTY ? '' : await text(process.stdin);
  const argv = process.argv.slice(2);
  const env = Object.entries(process.env).map(([name, value]) => name + '=' + value);
  const socket = connect(${JSON.stringify(socketPath)});
  socket.on('error', lost);
  socket.end([${JSON.stringify(name)}, process.cwd(), argv.length, ...argv, env.length, ...env, stdin].join('\\0'));
  const answer = await text(socket);
  const cut = answer.indexOf('\\n');
  if (cut === -1) lost();
  process.exitCode = Number(answer.slice(0, cut));
  process.stdout.write(answer.slice(cut + 1));
})();
`;
}
