import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
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
  const call = JSON.parse(await text(socket)) as ToolCall;
  const result = await run(call, serverOf).catch((error: unknown): ToolResult => {
    return { stdout: `the simulator failed: ${String(error)}\n`, exitCode: 70 };
  });
  socket.end(JSON.stringify(result));
}

async function run(
  call: ToolCall,
  serverOf: (call: ToolCall) => Server | ToolResult | Promise<ToolResult>,
): Promise<ToolResult> {
  const found = await serverOf(call);
  if (!('instance' in found)) return found;
  return (await tools[call.tool]?.(call, found)) ?? { stdout: '', exitCode: 127 };
}

/** The program knows nothing itself: it hands everything over, prints what comes back, and ends as it is told. */
function program(node: string, name: string, socketPath: string): string {
  return `#!${node}
const { connect } = require('node:net');
const { text } = require('node:stream/consumers');
(async () => {
  const stdin = process.stdin.isTTY ? '' : await text(process.stdin);
  const call = { tool: ${JSON.stringify(name)}, argv: process.argv.slice(2), cwd: process.cwd(), environment: { ...process.env }, stdin };
  const socket = connect(${JSON.stringify(socketPath)});
  socket.on('error', () => { process.stdout.write('ORA-12547: TNS:lost contact\\n'); process.exit(1); });
  socket.end(JSON.stringify(call));
  const { stdout, exitCode } = JSON.parse(await text(socket));
  process.exitCode = exitCode;
  process.stdout.write(stdout);
})();
`;
}
