import { spawn } from 'node:child_process';
import { resolveSecret } from '../site/secret.ts';
import type { Site } from '../site/site.ts';

export type NotifyEvent = Site['notify'][number]['on'][number];

export interface Message {
  event: NotifyEvent;
  site: string;
  at: string;
  /** One sentence for people; chat webhooks show a key of this name. */
  text: string;
  details: unknown;
}

const patienceMs = 15_000;

/** Tells everyone who wants to know of this event. A message that does not get through stops nothing: it is noted. */
export async function notify(
  site: Pick<Site, 'notify' | 'folder'>,
  message: Message,
  note: (line: string) => void,
): Promise<void> {
  const wanted = site.notify.filter(({ on }) => on.includes(message.event));
  await Promise.all(
    wanted.map(async ({ webhook, run }, index) => {
      try {
        if (webhook !== undefined) await post(await resolveSecret(webhook), message);
        if (run !== undefined) await runCommand(run, site.folder, message);
      } catch (error) {
        // An address can be a secret: its host is not named either.
        const reason = error instanceof Error ? error.message : String(error);
        note(
          `notify[${index}] did not get "${message.event}": ${webhook === undefined ? reason : 'the webhook failed'}`,
        );
      }
    }),
  );
}

async function post(address: string, message: Message): Promise<void> {
  const response = await fetch(address, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(message),
    redirect: 'error',
    signal: AbortSignal.timeout(patienceMs),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`status ${response.status}`);
}

/** The site's own command, in its own shell on this host; the message comes on standard input, never in argv. */
async function runCommand(command: string, folder: string, message: Message): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const child = spawn(command, {
      shell: true,
      cwd: folder,
      stdio: ['pipe', 'ignore', 'ignore'],
      timeout: patienceMs,
    });
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`it ended with ${code ?? 'a signal'}`)),
    );
    child.stdin.on('error', () => {});
    child.stdin.end(`${JSON.stringify(message)}\n`);
  });
}
