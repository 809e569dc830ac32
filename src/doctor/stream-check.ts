import { failed, ok, type Finding, type Patient } from './check.ts';

/** A receiver at work is never so far behind for long. */
const lateSeconds = 60;

/** R7, R14: each destination has the log by its stream, where the site wants that (archive.receiver). */
export async function logStreams({ site, signal, now }: Patient): Promise<Finding[]> {
  if (!site.archive.receiver) return [];
  const { listStreamPlaces, readLogStreams } = await import('../pipeline/log-streams.ts');
  const streams = await readLogStreams(site, signal, now);
  return listStreamPlaces(site).map(({ destination, folder }) => {
    const found = streams.find((stream) => stream.destination === destination);
    const mend = `is clona serve running, and can ${folder} be written?`;
    if (found === undefined) return failed(`nothing was streamed to the ${destination} yet`, mend, 6);
    const seconds = Math.ceil(found.loseAtMostSeconds);
    const said = `the log streamed to the ${destination} is at most ${seconds} s behind`;
    return seconds > lateSeconds ? failed(said, mend, 6) : ok(said);
  });
}
