import { hostname } from 'node:os';
import { ClonaError } from '../../errors.ts';

export interface StackLock {
  user: string;
  host: string;
  pid: number;
  since: string;
  file: string;
}

/**
 * Reads who holds a stack from what the engine says of a locked one (backends of the DIY kind):
 * `file:///…/x.json: created by root@vm (pid 7) at 2026-11-20T10:00:00Z`.
 */
export function readLocks(text: string): StackLock[] {
  const lines = text.matchAll(/^\s*(\S+): created by (\S+)@(\S+) \(pid (\d+)\) at (\S+)\s*$/gm);
  return Array.from(lines, ([, file = '', user = '', host = '', pid, since = '']) => ({
    file,
    user,
    host,
    pid: Number(pid),
    since,
  }));
}

/** Whether the engine refuses because of a lock, in the words of its backends. */
export function isLockedText(text: string): boolean {
  return /the stack is currently locked by|Another update is currently in progress/.test(text);
}

/** A lock whose process ran on this host and is gone. Of other hosts nothing can be known. */
export function isDeadLock(lock: StackLock): boolean {
  if (lock.host !== hostname()) return false;
  try {
    process.kill(lock.pid, 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

/** Exit 7: who holds the stack, since when, and what that means. */
export function lockedError(stack: string, locks: readonly StackLock[], cause: unknown): ClonaError {
  const [first] = locks;
  if (first === undefined) {
    return new ClonaError('locked', `the stack "${stack}" is being changed by somebody else`, { cause });
  }
  const who = `process ${first.pid} of ${first.user} on ${first.host}, since ${first.since}`;
  const dead = locks.every(isDeadLock);
  return new ClonaError('locked', `the stack "${stack}" is locked by ${who}`, {
    cause,
    hint: dead
      ? `that process is gone, a crash left its lock: clona refresh --machine ${stack} --break-lock (or clona destroy, or pulumi cancel) clears it`
      : `wait for it; clear it (clona refresh --machine ${stack} --break-lock, or pulumi cancel) only when you know that it is gone`,
    details: { locks, dead },
  });
}
