import type { Guest } from '../guest/guest.ts';
import { createDeviceReader, type DeviceReader } from './device-reader.ts';

/** The devices of a Linux guest, by its own /proc and /sys, over SSH. A guest that does not answer throws. */
export function guestDevices(guest: Guest, signal: AbortSignal): DeviceReader {
  const ask = async (argv: readonly string[]): Promise<string | undefined> => {
    const { exitCode, stdout } = await guest.run(argv, { signal });
    return exitCode === 0 ? stdout.trim() : undefined;
  };
  return createDeviceReader({
    read: async (path) => ask(['cat', '--', path]),
    list: async (folder) => ((await ask(['ls', '-1', '--', folder])) ?? '').split('\n').filter(Boolean),
    // -e: every part of it must be there.
    realPath: async (path) => ask(['readlink', '-e', '--', path]),
    fileSystemNumber: async (path) => Number((await ask(['stat', '-c', '%d', '--', path])) ?? Number.NaN),
  });
}
