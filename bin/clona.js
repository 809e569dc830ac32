#!/usr/bin/env node
// Plain JavaScript on purpose: it must still speak on a Node.js that is too old for everything else.
import { existsSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const file = (path) => fileURLToPath(new URL(path, import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= 24) {
  // A checkout runs its sources; a packed clona has no src/ (Node.js strips no types under node_modules).
  const fromSource = existsSync(file('../src/cli/main.ts'));
  const { main } = await import(fromSource ? '../src/cli/main.ts' : '../dist/src/cli/main.js');
  await main(process.argv.slice(2));
} else {
  // The npm package `node` may have brought a Node.js that is new enough.
  const bundled = file('../node_modules/node/bin/node');
  if (existsSync(bundled) && process.env.CLONA_NODE_TRIED === undefined) {
    const env = { ...process.env, CLONA_NODE_TRIED: '1' };
    const child = spawn(bundled, [file('clona.js'), ...process.argv.slice(2)], { stdio: 'inherit', env });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('exit', (code) => process.exit(code ?? 1));
  } else {
    console.error(`clona: needs Node.js 24 or newer, this is ${process.versions.node}`);
    process.exitCode = 2;
  }
}
