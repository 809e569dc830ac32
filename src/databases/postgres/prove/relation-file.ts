/** Segments of a relation have this many bytes (RELSEG_SIZE, fixed in every packaged server). */
const relationSegmentBytes = 2 ** 30;

const relationPath =
  /^(?:base\/\d+|global|(?:pg_tblspc\/\d+\/)?PG_\d+_\d+\/\d+)\/\d+(?:_(?:fsm|vm|init))?(?:\.(\d+))?$/;

/**
 * Which block of its relation stands at an offset of a file, by the file's path in the cluster or in a tablespace's tar;
 * undefined where the file is no relation's.
 */
export function blockAt(path: string, offset: number, blockSizeBytes: number): number | undefined {
  const found = relationPath.exec(path);
  if (found === null) return undefined;
  return (Number(found[1] ?? 0) * relationSegmentBytes + offset) / blockSizeBytes;
}
