import { setTimeout as wait } from 'node:timers/promises';
import type { Client, ClientChannel } from 'ssh2';

/** A server allows ten sessions on a connection by default (sshd_config, MaxSessions). */
const attempts = 20;

/**
 * Ends a command: TERM to its process group, KILL to what is left of it 0.3 s later, then the channel is closed.
 * `group` is the number the command told of itself; the signal request of SSH is not enough, OpenSSH refuses it
 * for root (session.c, session_signal_req) and other servers ignore it. Never throws.
 */
export async function endCommand(
  client: Client,
  channel: ClientChannel,
  group: Promise<number | undefined>,
): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    if (channel.closed) resolve();
    else channel.once('close', () => resolve());
  });
  const limit = AbortSignal.timeout(3000);
  const number = await Promise.race([group, closed.then(() => undefined), wait(1000)]);
  if (!channel.closed) {
    if (typeof number === 'number') await runOnce(client, killScript(number), limit);
    else signalChannel(channel);
  }
  channel.close();
  await Promise.race([closed, wait(500)]);
}

function killScript(group: number): string {
  const alive = `kill -s 0 -- -${group} 2>/dev/null`;
  const script = [
    `kill -s TERM -- -${group} 2>/dev/null || exit 0`,
    `for i in 1 2 3; do ${alive} || exit 0; sleep 0.1; done`,
    `kill -s KILL -- -${group} 2>/dev/null; exit 0`,
  ].join('\n');
  return `exec /bin/sh -c '${script}'`;
}

/** Runs a helper command and waits until it ended; a full connection is tried again. */
async function runOnce(client: Client, command: string, limit: AbortSignal): Promise<void> {
  for (let attempt = 0; attempt < attempts && !limit.aborted; attempt += 1) {
    const outcome = await new Promise<'done' | 'busy'>((resolve) => {
      limit.addEventListener('abort', () => resolve('done'), { once: true });
      try {
        client.exec(command, (error, channel) => {
          if (error !== undefined) {
            resolve('busy');
            return;
          }
          channel.on('error', () => {});
          channel.once('close', () => resolve('done'));
          channel.resume();
          channel.stderr.resume();
          channel.end();
        });
      } catch {
        resolve('done'); // the connection has gone, and with it every channel
      }
    });
    if (outcome === 'done') return;
    await wait(50);
  }
}

function signalChannel(channel: ClientChannel): void {
  try {
    channel.signal('KILL');
  } catch {
    // the channel is already closing
  }
}
