import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { ClonaError } from '../../errors.ts';
import type { CommandOptions, CommandResult, Guest } from '../../guest/guest.ts';
import type { Kit } from '../check.ts';
import type { KitStep } from '../manifest.ts';
import { readTree } from '../tree.ts';
import type { StepOutput } from './output.ts';
import * as windows from './windows-step.ts';

/** The machine as its guest sees it. */
export interface KitPlace {
  systemDisk: string;
  dataDisk: string;
}

/** Steps that are a command of the guest and nothing else. */
export type GuestStep = Exclude<KitStep, { kind: 'sql' | 'sqlplus' }>;

export interface GuestWork {
  guest: Guest;
  kit: Kit;
  place: KitPlace;
  /** Variables for `run` steps, beside those of clona. */
  env: Readonly<Record<string, string>>;
  output: StepOutput;
  signal: AbortSignal;
}

/** On the system disk, so that program files are only renamed from there. */
export function kitFolder({ guest, place, kit }: Pick<GuestWork, 'guest' | 'place' | 'kit'>): string {
  return joinGuest(place.systemDisk, `.clona-kit-${kit.hash.slice(0, 16)}`, guest.platform);
}

/** A path of the kit (with slashes) in a folder of the guest. */
export function joinGuest(folder: string, path: string, platform: Guest['platform'] = 'linux'): string {
  return platform === 'windows'
    ? `${folder.replace(/[\\/]+$/, '')}\\${path.replaceAll('/', '\\')}`
    : `${folder.replace(/\/+$/, '')}/${path}`;
}

/** Brings the kit's files into the guest; what an earlier run left there is replaced. */
export async function uploadKit(work: GuestWork): Promise<void> {
  const { guest, kit, signal } = work;
  const folder = kitFolder(work);
  if (guest.platform === 'windows') return windows.uploadToWindows(guest, kit, folder, signal);
  await mustRun(guest, ['rm', '-rf', '--', folder], { signal });
  await mustRun(guest, ['mkdir', '-p', '--', folder], { signal });
  const packer = pack();
  const stream = new PassThrough();
  const sending = mustRun(guest, ['tar', '-x', '-o', '-f', '-', '-C', folder], { signal, stdin: stream });
  const packing = packTree(packer, kit, signal);
  const results = await Promise.allSettled([sending, packing, pipeline(packer, stream, { signal })]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

async function packTree(packer: ReturnType<typeof pack>, kit: Kit, signal: AbortSignal): Promise<void> {
  try {
    for (const { path, mode, sizeBytes, link } of (await readTree(kit.directory, signal)).entries) {
      if (link !== undefined) {
        await new Promise<void>((resolve, reject) => {
          const done = (error?: Error | null): void => (error ? reject(error) : resolve());
          packer.entry({ name: path, type: 'symlink', linkname: link }, done).end(undefined);
        });
        continue;
      }
      const entry = packer.entry({ name: path, size: sizeBytes, mode: mode === '100755' ? 0o755 : 0o644 });
      await pipeline(createReadStream(join(kit.directory, path)), entry, { signal });
    }
    packer.finalize();
  } catch (error) {
    packer.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

export async function removeKit(work: GuestWork): Promise<void> {
  if (work.guest.platform === 'windows')
    return windows.removeFromWindows(work.guest, kitFolder(work), work.signal);
  await mustRun(work.guest, ['rm', '-rf', '--', kitFolder(work)], { signal: work.signal });
}

/** For our own helpers: a command that fails is a failure of the guest. */
async function mustRun(guest: Guest, argv: readonly string[], options: CommandOptions): Promise<void> {
  const { exitCode, stderr } = await guest.run(argv, options);
  if (exitCode === 0) return;
  throw new ClonaError(
    'guestFailed',
    `${argv[0]} in the guest ended with ${exitCode}: ${stderr.trim().slice(0, 500)}`,
  );
}

/** Runs a step by SSH and gives its exit code; throws `kitStepFailed` past its timeout. */
export async function runGuestStep(step: GuestStep, work: GuestWork): Promise<number | null> {
  const { guest, kit, place, output, signal } = work;
  const folder = kitFolder(work);
  const options: CommandOptions = {
    signal,
    timeoutMs: step.timeoutMs,
    cwd: folder,
    env: {
      ...work.env,
      CLONA_KIT: folder,
      CLONA_KIT_NAME: kit.manifest.name,
      CLONA_KIT_VERSION: kit.manifest.version,
      CLONA_SYSTEM_DISK: place.systemDisk,
      CLONA_DATA_DISK: place.dataDisk,
    },
    onOutput: (chunk) => output.add(chunk),
    // What is kept is kept by `output`; a talkative step must not fill our memory.
    stdoutTo: new Writable({
      write: (chunk: Buffer | string, _encoding, done) => {
        output.add(chunk.toString());
        done();
      },
    }),
  };
  const result = await withinTime(step, () => startStep(step, guest, place, folder, options));
  if (result.signal !== null) output.line(`ended by signal ${result.signal}`);
  return result.exitCode;
}

async function startStep(
  step: GuestStep,
  guest: Guest,
  place: KitPlace,
  folder: string,
  options: CommandOptions,
): Promise<CommandResult> {
  switch (step.kind) {
    case 'run':
      return 'argv' in step.command
        ? guest.run(inKit(step.command.argv, folder, guest.platform), options)
        : guest.runShell(step.command.script, options);
    case 'service':
      if (guest.platform === 'windows')
        return guest.runShell(windows.serviceScript(step.action, step.service), options);
      return guest.run(serviceCommand(step, place), options);
    case 'files': {
      const from = joinGuest(folder, step.from, guest.platform);
      const to = joinGuest(place.systemDisk, step.to, guest.platform);
      if (guest.platform === 'windows') {
        const write = step.replace ? windows.replaceScript : windows.mergeScript;
        return guest.runShell(write(from, to), options);
      }
      return guest.run(['sh', '-c', step.replace ? replaceScript : mergeScript, 'sh', from, to], options);
    }
    default:
      return step satisfies never;
  }
}

/** "bin/post.sh" means the kit's file: a shell would look for it there, exec would not. */
function inKit(
  [program = '', ...rest]: readonly string[],
  folder: string,
  platform: Guest['platform'],
): string[] {
  const relative = program.includes('/') && !/^(?:\/|[A-Za-z]:)/.test(program);
  const inside = program.replace(/^(?:\.\/)+/, '');
  return [relative ? joinGuest(folder, inside, platform) : program, ...rest];
}

/** A machine that has the whole disk has systemd; one that lives in a folder of a host has init scripts in it. */
function serviceCommand(step: KitStep & { kind: 'service' }, { systemDisk }: KitPlace): string[] {
  if (systemDisk === '/') return ['systemctl', step.action, step.service];
  return [joinGuest(systemDisk, `etc/init.d/${step.service}`), step.action];
}

async function withinTime(step: GuestStep, work: () => Promise<CommandResult>): Promise<CommandResult> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ClonaError) || error.details?.['timeoutMs'] === undefined) throw error;
    throw new ClonaError('kitStepFailed', `it did not end within ${step.timeoutMs / 1000} s`, {
      cause: error,
    });
  }
}

/**
 * Every file is first copied beside its place, then all are renamed: a copy that fails (no space, no right)
 * changes nothing. Names hold no newlines (the kit's paths were checked).
 */
const mergeScript = `set -eu
from=$1 to=$2 new=.clona-new
each() { if [ -d "$from" ]; then cd "$from" && find . ! -type d; else cd "$(dirname "$from")" && echo "./$(basename "$from")"; fi; }
target() { if [ -d "$from" ]; then printf '%s\\n' "$to/$1"; else printf '%s\\n' "$to"; fi; }
source=$from; [ -d "$from" ] || source=$(dirname "$from")
undo() { each | while IFS= read -r f; do rm -f -- "$(target "$f")$new"; done; }
trap 'undo' EXIT
each | while IFS= read -r f; do
  t=$(target "$f")
  if [ -d "$t" ] && [ ! -L "$t" ]; then echo "$t is a folder, the kit has a file there" >&2; exit 1; fi
  mkdir -p -- "$(dirname "$t")"
  rm -f -- "$t$new"
  cp -P -- "$source/$f" "$t$new"
done
each | while IFS= read -r f; do t=$(target "$f"); mv -f -- "$t$new" "$t"; done
each | wc -l | { read -r count; echo "$count files put into $to"; }`;

/** The whole folder (or file) is put in place of the old one by two renames; a run in between is mended by the next. */
const replaceScript = `set -eu
from=$1 to=$2
if [ ! -e "$to" ] && [ -e "$to.clona-old" ]; then mv -- "$to.clona-old" "$to"; fi
rm -rf -- "$to.clona-new" "$to.clona-old"
mkdir -p -- "$(dirname "$to")"
cp -PR -- "$from" "$to.clona-new"
if [ -e "$to" ]; then mv -- "$to" "$to.clona-old"; fi
if ! mv -- "$to.clona-new" "$to"; then mv -- "$to.clona-old" "$to"; exit 1; fi
rm -rf -- "$to.clona-old"
echo "$to replaced"`;
