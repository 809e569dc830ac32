/** One line of /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export interface Mount {
  /** "major:minor" of what is mounted; major 0: no block device of its own. */
  device: string;
  mountPoint: string;
  fileSystem: string;
  source: string;
  /** Options of the file system itself: overlay's upperdir stands here. */
  options: ReadonlyMap<string, string>;
}

export function parseMounts(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    const [left, right] = line.split(' - ', 2);
    const [, , device, , mountPoint] = left?.split(' ') ?? [];
    const [fileSystem, source, options] = right?.split(' ') ?? [];
    if (device === undefined || mountPoint === undefined || fileSystem === undefined) continue;
    mounts.push({
      device,
      mountPoint: unescape(mountPoint),
      fileSystem,
      source: unescape(source ?? ''),
      options: new Map((options ?? '').split(',').map(splitOption)),
    });
  }
  return mounts;
}

function splitOption(option: string): [string, string] {
  const at = option.indexOf('=');
  return at === -1 ? [option, ''] : [option.slice(0, at), unescape(option.slice(at + 1))];
}

/** Blanks and the like stand as octal numbers. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_whole, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** The mount a path lies on: the longest mount point, of equal ones the one mounted last, which covers the others. */
export function findMount(mounts: readonly Mount[], path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    const { mountPoint } = mount;
    const holds = mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`);
    if (holds && mountPoint.length >= (found?.mountPoint.length ?? 0)) found = mount;
  }
  return found;
}
