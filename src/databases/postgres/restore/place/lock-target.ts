import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { ClonaError } from '../../../../errors.ts';

/**
 * One restore at a time to a target on this host. A socket in Linux' abstract name space (unix(7)) is no
 * file: the system gives the name back when its process ends, however it ends. Elsewhere the marker beside the target is all there
 * is, which two processes that begin in the same moment could both miss.
 */
export async function lockTarget(target: string): Promise<AsyncDisposable> {
  if (process.platform !== 'linux') return { [Symbol.asyncDispose]: async () => {} };
  const mark = createHash('sha256')
    .update(`${process.getuid?.() ?? 0}\0${target}`)
    .digest('hex');
  const server = createServer((socket) => socket.destroy());
  server.listen(`\0clona-restore-${mark.slice(0, 32)}`);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new ClonaError('locked', `another restore to ${target} is at work`, {
      cause: error,
      hint: 'wait for it to end',
    });
  }
  server.unref();
  return {
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}
