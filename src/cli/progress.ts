import type { OnProgress } from '../progress.ts';
import { printable } from './printable.ts';

/** Progress for people on stderr: a line when a step begins on a terminal, a line with its time when it ends. */
export function printProgress(stream: NodeJS.WriteStream): OnProgress {
  const startedAt = new Map<string, number>();
  return ({ step: name, state, doneBytes, totalBytes, detail }) => {
    const step = printable(name);
    const now = performance.now();
    if (state === 'started') startedAt.set(step, now);
    const since = startedAt.get(step);
    const seconds = since === undefined ? '' : ` ${((now - since) / 1000).toFixed(1)} s`;
    const said = detail === undefined ? '' : ` · ${printable(detail)}`;
    if (state === 'done') stream.write(`${erase(stream)}✔ ${step}${seconds}${said}\n`);
    else if (state === 'failed') stream.write(`${erase(stream)}✖ ${step}${seconds}${said}\n`);
    else if (state === 'skipped') stream.write(`${erase(stream)}- ${step}${said}\n`);
    else if (stream.isTTY) stream.write(`${erase(stream)}◌ ${step}${share(doneBytes, totalBytes)}${said}`);
  };
}

function erase(stream: NodeJS.WriteStream): string {
  return stream.isTTY ? '\r\u001B[2K' : '';
}

function share(doneBytes: number | undefined, totalBytes: number | undefined): string {
  if (doneBytes === undefined) return '';
  const done = `${(doneBytes / 2 ** 20).toFixed(0)} MiB`;
  return totalBytes === undefined || totalBytes === 0
    ? ` ${done}`
    : ` ${done} of ${(totalBytes / 2 ** 20).toFixed(0)} MiB`;
}
