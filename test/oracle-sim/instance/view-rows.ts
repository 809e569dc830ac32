import type { Given } from '../sql/fixtures.ts';
import { hostTime, type Instance } from './instance.ts';
import type { ControlFile } from './physical/types.ts';

export type Rows = (instance: Instance) => Iterable<Given>;

/** Rows from the control file, with the wall clock of the host; nothing without storage. */
export function fromControl(
  rows: (control: ControlFile, time: (at: number) => string, instance: Instance) => Given[],
): Rows {
  return (instance) => {
    const control = instance.database?.control ?? null;
    return control === null ? [] : rows(control, (at) => hostTime(instance, at), instance);
  };
}
