import { execFile, spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ClonaError } from '../../errors.ts';

const execute = promisify(execFile);

/** Set in the environment of everything that runs in a machine. */
export const machineMarker = 'CLONA_MACHINE';

/** Whose processes are meant: those of the machine's own user, else those that are marked or work in its folder. */
export interface ProcessOwner {
  folder: string;
  uid: number | null;
}

/**
 * What tells a process from a later one with the same number: the boot and the moment it started. Undefined
 * where there is none (a zombie has already ended).
 */
export async function processStamp(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const fields = readStat(pid);
    return fields === undefined || fields.state === 'Z' ? undefined : `${bootId()}/${fields.startTicks}`;
  }
  try {
    const { stdout } = await execute('ps', ['-o', 'lstart=', '-p', String(pid)], { env: { LC_ALL: 'C' } });
    return stdout.trim() === '' ? undefined : stdout.trim();
  } catch {
    return undefined;
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function readStat(pid: number): { state: string; parent: number; startTicks: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in brackets may itself hold spaces and brackets (proc_pid_stat(5)).
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', parent: Number(fields[1]), startTicks: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

/** Every running process of a machine, with its parent; zombies are not running. */
export async function listProcesses(owner: ProcessOwner): Promise<{ pid: number; parent: number }[]> {
  if (process.platform !== 'linux') return listWithoutProc(owner);
  const found: { pid: number; parent: number }[] = [];
  for (const name of await readdir('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid || !belongs(pid, owner)) continue;
    const facts = readStat(pid);
    if (facts !== undefined && facts.state !== 'Z') found.push({ pid, parent: facts.parent });
  }
  return found;
}

function belongs(pid: number, { folder, uid }: ProcessOwner): boolean {
  try {
    if (uid !== null) {
      const line = /^Uid:\t(\d+)\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      return line !== null && (Number(line[1]) === uid || Number(line[2]) === uid);
    }
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    if (environment.includes(`${machineMarker}=${folder}`)) return true;
    // PostgreSQL writes its title over its environment; its working folder still tells.
    return isInside(readlinkSync(`/proc/${pid}/cwd`), folder);
  } catch {
    // it ended, or is somebody else's
    return false;
  }
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

async function listWithoutProc({ folder }: ProcessOwner): Promise<{ pid: number; parent: number }[]> {
  const user = String(process.getuid?.() ?? 0);
  const [{ stdout: all }, { stdout: folders }] = await Promise.all([
    execute('ps', ['-E', '-ww', '-U', user, '-o', 'pid=,ppid=,command='], { maxBuffer: 2 ** 26 }),
    execute('lsof', ['-a', '-d', 'cwd', '-u', user, '-Fpn']).catch(() => ({ stdout: '' })),
  ]);
  const inside = new Set<number>();
  let pid = 0;
  for (const line of folders.split('\n')) {
    if (line.startsWith('p')) pid = Number(line.slice(1));
    else if (line.startsWith('n') && isInside(line.slice(1), folder)) inside.add(pid);
  }
  return all.split('\n').flatMap((line) => {
    const [, id, parent, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    const marked = command.includes(`${machineMarker}=${folder}`) || inside.has(Number(id));
    return marked && Number(id) !== process.pid ? [{ pid: Number(id), parent: Number(parent) }] : [];
  });
}

/** Ends every process of a machine at once, as when the power goes, and returns when none is left. */
export async function killProcesses(owner: ProcessOwner, signal: AbortSignal): Promise<void> {
  for (let round = 0; round < 200; round += 1) {
    signal.throwIfAborted();
    const running = await listProcesses(owner);
    if (running.length === 0) return;
    // As the user itself, to -1: nothing can escape by forking in between (kill(2)).
    if (owner.uid !== null) await signalUser(owner.uid, 'KILL');
    else for (const { pid } of running) sendSignal(pid, 'SIGKILL');
    await wait(Math.min(5 * (round + 1), 100));
  }
  const left = await listProcesses(owner);
  if (left.length === 0) return;
  throw new ClonaError('machineFailed', `processes of ${owner.folder} cannot be ended`, {
    details: { pids: left.map(({ pid }) => pid) },
    hint: 'a process that waits for a disk or network file system ends only when that answers',
  });
}

async function signalUser(uid: number, signalName: 'KILL' | 'STOP' | 'CONT'): Promise<void> {
  const child = spawn('/bin/sh', ['-c', `kill -${signalName} -1`], {
    uid,
    gid: uid,
    cwd: '/',
    env: {},
    stdio: 'ignore',
  });
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => resolve());
  });
}

export function sendSignal(pid: number, signalName: NodeJS.Signals): void {
  try {
    process.kill(pid, signalName);
  } catch {
    // it has already ended
  }
}

/**
 * Stops every process of a machine in its tracks while `work` copies its disks, so that the copy is what a power
 * cut would leave. A helper holds them; it lets them go when we are done, and also when we die.
 */
export async function whileFrozen<Result>(owner: ProcessOwner, work: () => Promise<Result>): Promise<Result> {
  const running = await listProcesses(owner);
  if (running.length === 0) return work();
  const targets = owner.uid === null ? running.map(({ pid }) => pid).join(' ') : '-1';
  const script = `kill -STOP ${targets}; echo frozen; read -r answer; kill -CONT ${targets}`;
  const helper = spawn('/bin/sh', ['-c', script], {
    ...(owner.uid === null ? {} : { uid: owner.uid, gid: owner.uid }),
    cwd: '/',
    env: {},
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const released = new Promise<void>((resolve) => {
    helper.once('close', () => resolve());
  });
  helper.stdin.on('error', () => {});
  try {
    await new Promise<void>((resolve, reject) => {
      helper.once('error', reject);
      helper.stdout.once('data', () => resolve());
      helper.once('close', () => reject(new ClonaError('machineFailed', 'the machine cannot be held still')));
    });
    await untilStopped(owner, helper.pid);
    return await work();
  } finally {
    helper.stdin.end('\n');
    await released;
  }
}

/** A process stops when it next leaves the kernel, which a long write delays. */
async function untilStopped(owner: ProcessOwner, helper: number | undefined): Promise<void> {
  if (process.platform !== 'linux') return;
  for (let round = 0; round < 500; round += 1) {
    const running = await listProcesses(owner);
    if (running.every(({ pid }) => pid === helper || isStopped(pid))) return;
    await wait(10);
  }
  throw new ClonaError('machineFailed', `processes of ${owner.folder} cannot be held still`, {
    hint: 'a process that waits for a disk stops only when that answers',
  });
}

/**
 * Stopped, ended, or waiting in vfork(2) for a child that is itself stopped before its exec: such a parent never
 * becomes "stopped", and writes nothing until the child goes on (seen with dash and a loop of commands).
 */
function isStopped(pid: number): boolean {
  const state = readStat(pid)?.state ?? 'Z';
  if (/^[TtZX]$/.test(state)) return true;
  if (state !== 'D') return false;
  try {
    return /clone|fork/.test(readFileSync(`/proc/${pid}/wchan`, 'utf8'));
  } catch {
    return false;
  }
}
