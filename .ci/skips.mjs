// Tests that may be skipped in CI, each with the reason. Whatever else is skipped there counts as failed: a tool that
// has gone missing must not turn a test into silence.
export const allowedSkips = [
  {
    test: /^(?:backups of server 18 pg_verifybackup accepts|a cold backup of server 18 is accepted by pg_verifybackup)/,
    why: 'the embedded server package has no pg_verifybackup, and Debian has that of 15 only',
  },
  {
    test: /^systemd understands every such line/,
    why: 'systemd is not on every image; the lines are compared as text everywhere',
  },
  {
    test: /^killed -9 once in every step, and started again each time (?:before the effect|after the ledger has it)/,
    why: 'a minute or two each, with CLONA_LONG_TESTS=1; the third variant of the same story runs here',
  },
  {
    test: /^runs on vSphere that were killed/,
    why: 'some minutes, with CLONA_LONG_TESTS=1; the same pipeline is killed in every step by the story above',
  },
  {
    test: /^faults of vSphere (?:the vCenter drops every connection|somebody deletes the machine)/,
    why: 'much like others that run, ten seconds each, with CLONA_LONG_TESTS=1',
  },
  {
    test: /^a staging machine that people work on in vCenter renamed and moved/,
    why: 'much like the one before it, fifteen seconds, with CLONA_LONG_TESTS=1',
  },
  {
    test: /^by https and ftps a kit comes by implicit ftps, the port of which is 990/,
    why: 'the port is below 1024: only root may listen there, and only where nobody does',
  },
  {
    test: /^npm-groovy-lint/,
    why: 'it needs Java, which is not on every image',
  },
];

/** Of a report of vitest: how many were skipped, and the names of those that nobody allowed. */
export function checkSkips(report, allowed = allowedSkips) {
  const names = report.testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(
      ({ status }) =>
        status === 'skipped' || status === 'pending' || status === 'todo' || status === 'disabled',
    )
    .map(({ fullName }) => fullName);
  const unexpected = names.filter((name) => !allowed.some(({ test }) => test.test(name)));
  return { skipped: names.length - unexpected.length, unexpected };
}
