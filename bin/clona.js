#!/usr/bin/env node
// Plain JavaScript on purpose: it must still speak on a Node.js that is too old for everything else.
import { existsSync } from 'node:fs';
import { spawn } from 'node:child_process';
import nodeModule from 'node:module';
import { constants, homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const file = (path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * What Node.js compiled once is kept in the user's own folder, for our child processes, too: its usual place is below
 * the temporary folder, where somebody else could lay down code for a root to run.
 */
function keepCompiled() {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  if (process.env.NODE_COMPILE_CACHE === undefined) {
    process.env.NODE_COMPILE_CACHE = join(cache, 'clona', 'compiled');
  }
  nodeModule.enableCompileCache();
}

async function run() {
  keepCompiled();
  // Until main() listens itself there is nothing half done that could be kept from ending.
  const exits = { SIGINT: () => process.exit(130), SIGTERM: () => process.exit(143) };
  for (const [signal, exit] of Object.entries(exits)) process.once(signal, exit);
  // A checkout runs its sources; a packed clona has no src/ (Node.js strips no types under node_modules).
  const fromSource = existsSync(file('../src/cli/main.ts'));
  const { main } = await import(fromSource ? '../src/cli/main.ts' : '../dist/src/cli/main.js');
  for (const [signal, exit] of Object.entries(exits)) process.off(signal, exit);
  await main(process.argv.slice(2));
  // A connection or timer that a library leaves, or a pipe that nobody opens, must not keep the command line waiting: a
  // release that waits for people would do so after every verb.
  setTimeout(end, 250).unref();
}

/** Only the signal itself ends a process that waits for a disk, a pipe or a name: process.exit() would wait with it. */
function end() {
  const signal = { 130: 'SIGINT', 143: 'SIGTERM' }[process.exitCode];
  const isStuck = process.getActiveResourcesInfo().some((name) => /^(FSReq|GetAddrInfo)/.test(name));
  if (isStuck && signal !== undefined) process.kill(process.pid, signal);
  else process.exit();
}

/** The npm package `node` may have brought a Node.js that is new enough. */
function findNewerNode() {
  const places = ['../node_modules/node/bin/node', '../../node/bin/node'];
  return places.map(file).find((place) => existsSync(place));
}

function runWith(node) {
  const env = { ...process.env, CLONA_NODE_TRIED: '1' };
  const child = spawn(node, [file('clona.js'), ...process.argv.slice(2)], { stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

if (Number(process.versions.node.split('.')[0]) >= 24) {
  await run();
} else {
  const newer = process.env.CLONA_NODE_TRIED === undefined ? findNewerNode() : undefined;
  if (newer !== undefined) {
    runWith(newer);
  } else {
    console.error(`clona: needs Node.js 24 or newer, this is ${process.versions.node} [CLONA-0100]`);
    console.error('  hint: install Node.js 24 from nodejs.org, or beside clona with: npm install node@24');
    process.exitCode = 2;
  }
}
