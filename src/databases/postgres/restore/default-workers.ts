import { availableParallelism } from 'node:os';

/** Threads that unpack, where nothing is said: more than four gain little against one disk. */
export function defaultWorkers(): number {
  return Math.min(4, availableParallelism());
}
