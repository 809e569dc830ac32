import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { runsAsRoot } from './reach.ts';

const execute = promisify(execFile);

/**
 * Loopback of a new network namespace is down. Where neither `ip` nor `ifconfig` is installed the kernel takes
 * the flag (IFF_UP) through a sysfs of that namespace, mounted where nobody else sees it.
 */
const raiseLoopback = [
  'PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin;',
  '{ ip link set lo up || ifconfig lo 127.0.0.1 up; } 2>/dev/null ||',
  "unshare -m /bin/sh -c 'mount --make-rprivate / && mount -t sysfs sysfs /sys && echo 0x1 > /sys/class/net/lo/flags'",
].join(' ');

/**
 * The command that starts `argv` in a network of its own with nothing but loopback. The same process all the
 * way, so that its number is known from the start.
 */
export function isolatedCommand(argv: readonly string[]): string[] {
  return [
    'unshare',
    '--net',
    '--',
    '/bin/sh',
    '-c',
    `${raiseLoopback} || exit 125\nexec "$@"`,
    'sh',
    ...argv,
  ];
}

/** Whether this host gives a machine a network of its own; if not, why. */
export async function canIsolateNetwork(): Promise<{ possible: true } | { possible: false; reason: string }> {
  if (process.platform !== 'linux') return { possible: false, reason: 'network namespaces are Linux only' };
  if (!runsAsRoot()) return { possible: false, reason: 'only root may make a network namespace' };
  const [program = 'unshare', ...rest] = isolatedCommand(['/bin/true']);
  try {
    await execute(program, rest);
    return { possible: true };
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return { possible: false, reason: `this host makes no network namespace: ${reason}` };
  }
}
