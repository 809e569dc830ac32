import type { ListedMachine } from './list.ts';

/** What the staging machines of a site take of vSphere. */
export interface SiteCost {
  site: string;
  machines: number;
  /** Of those that are on. */
  cpus: number;
  memoryMb: number;
  /** Of all of them. */
  diskBytes: number;
}

/** By site, the dearest first; a machine that is off takes disk alone. */
export function sumCosts(machines: readonly ListedMachine[]): SiteCost[] {
  const sums = new Map<string, SiteCost>();
  for (const { site, power, cpus, memoryMb, diskBytes } of machines) {
    const name = site ?? '';
    const sum = sums.get(name) ?? { site: name, machines: 0, cpus: 0, memoryMb: 0, diskBytes: 0 };
    const isOn = power === 'on';
    sums.set(name, {
      site: name,
      machines: sum.machines + 1,
      cpus: sum.cpus + (isOn ? cpus : 0),
      memoryMb: sum.memoryMb + (isOn ? memoryMb : 0),
      diskBytes: sum.diskBytes + diskBytes,
    });
  }
  return Array.from(sums.values()).toSorted((left, right) => right.diskBytes - left.diskBytes);
}
