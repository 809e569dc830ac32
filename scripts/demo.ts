#!/usr/bin/env node
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { playStory } from './demo/story.ts';
import { summarize } from './demo/report.ts';
import { silent } from '../src/progress.ts';
import { printProgress } from '../src/cli/progress.ts';

const help = `npm run demo [-- options]: the whole story of clona on this machine, nothing mocked

  --json      one document on stdout
  --keep      leave the machines, the archive and the site folder to look around
  --verbose   every step inside an act
  --help      this text`;

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(`${help}\n`);
} else {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => stop.abort(new Error(`ended by ${signal}`)));
  const tell = (line: string): void => void process.stderr.write(`${line}\n`);
  tell('clona: the whole story on this machine\n');
  const { report, folder } = await playStory({
    signal: stop.signal,
    toolsFolder: fileURLToPath(new URL('..', import.meta.url)),
    keep: values.keep,
    tell,
    onProgress: values.verbose ? printProgress(process.stderr) : silent,
  });
  process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : `${summarize(report, folder)}\n`);
  process.exitCode = report.ok ? 0 : 1;
}
