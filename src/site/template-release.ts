import type { SiteAnswers } from './answers.ts';
import { list, quote } from './yaml-text.ts';

export function releaseText({ kitSource }: SiteAnswers): string[] {
  return [
    '# Upgrade kits of the vendor.',
    kitSource === undefined ? '# kit:' : 'kit:',
    kitSource === undefined
      ? '#   source: https://vendor.example.com/kits/erp-2.1.zip   # or a folder, http, ftp'
      : `  source: ${quote(kitSource)}`,
    ...[
      '  sha256: …                      # the hash expected; http and ftp need it',
      "  publicKey: vendor.pem          # the vendor's ed25519 key; then kits must be signed",
      '  user: erp',
      '  password: env:KIT_PASSWORD',
      '  timeout: 30m',
    ].map((line) => (kitSource === undefined ? `# ${line}` : `  # ${line.trimStart()}`)),
    '',
    "# The site's smoke tests: *.smoke.ts and *.sql.",
    'smoke:',
    '  directory: smoke',
    '  # timeout: 10m',
    "  # httpBase: http://127.0.0.1:8080   # what http('/path') of a test counts from, inside the machine",
    '',
  ];
}

export function peopleText({ departments, dba }: SiteAnswers): string[] {
  return [
    ...list(
      'departments:',
      '# who must confirm a release',
      departments.map(({ name, keyUsers, checks }) => [
        `name: ${quote(name)}`,
        `keyUsers: [${keyUsers.map(quote).join(', ')}]`,
        '# delegates: []',
        ...(checks.length === 0
          ? ['# checks: []']
          : ['checks:', ...checks.map((check) => `  - ${quote(check)}`)]),
      ]),
      [
        'name: accounting',
        'keyUsers: [amra@example.com]',
        'delegates: [boris@example.com]',
        'checks: [post an invoice]',
      ],
    ),
    '',
    'dba:',
    dba === undefined ? '  # name: dba@example.com' : `  name: ${quote(dba)}`,
    '  # checklist: [read the job log]  # done before key users are asked',
    '',
  ];
}

export const scheduleText = [
  '# The change of LIVE.',
  'promotion:',
  '  # window:                        # without it: always',
  '  #   days: [sat, sun]',
  "  #   from: '18:00'",
  "  #   to: '23:00'",
  '  #   zone: Europe/Sarajevo',
  '  # rollback:',
  '  #   rehearse: true               # rehearse the way back on staging first',
  '  # closeForUsers:                 # steps, each run (a command on the machine) or sql',
  '  #   - run: systemctl stop erp',
  '  #     timeout: 60s',
  '  # openForUsers:',
  '  #   - run: systemctl start erp',
  '  # drainTimeout: 5m               # transactions still running then stop the promotion',
  '  # confirmationsExpire: 7d',
  '',
  '# What clona serve (or timers, see clona schedule) does: minute hour day-of-month month day-of-week.',
  'schedule:',
  "  backup: '0 1 * * *'",
  "  refresh: '0 3 * * *'",
  "  # prove: '0 5 * * *'",
  "  # retention: '0 7 * * *'",
  "  # destroy: '0 6 * * *'           # staging machines whose time has passed",
  '  # zone: UTC',
  '',
  '# Who is told: a webhook, or a command that gets JSON on standard input.',
  '# notify:',
  '#   - on: [gateOpen, gateClosed, rolledBack]',
  '#     webhook: env:CHAT_WEBHOOK      # or run: /usr/local/bin/tell-people',
  '',
  "# clona's own state. Never in the production database.",
  '# control:',
  '#   directory: .clona',
  '#   url: env:CONTROL_DATABASE_URL    # default: an embedded PostgreSQL in directory',
  '',
  '# State of the staging machines.',
  '# pulumi:',
  '#   backend: s3://bucket             # default: .clona/pulumi',
  '#   passphrase: env:PULUMI_PASSPHRASE',
  '',
  '# clona serve.',
  '# serve:',
  '#   listen: 127.0.0.1:8020',
  '#   token: env:CLONA_TOKEN           # without it the HTTP trigger is off',
  '',
];
