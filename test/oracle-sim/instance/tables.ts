import type { View } from '../sql/scope.ts';
import type { User } from './accounts.ts';
import type { Instance } from './instance.ts';

/** Tables of schemas; null is ORA-00942. */
export function findTable(
  _instance: Instance,
  _user: User,
  _schema: string | null,
  _name: string,
): View | null {
  return null;
}
