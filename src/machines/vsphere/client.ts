import { request } from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import { ClonaError } from '../../errors.ts';
import { silent, type OnProgress } from '../../progress.ts';
import {
  buildEnvelope,
  child,
  children,
  moRef,
  parseEnvelope,
  text,
  xsiType,
  type MoRef,
  type VimFault,
  type VimObject,
  type XmlNode,
} from './soap.ts';

export interface VimAddress {
  /** `vcenter.example.com` or `host:port`. */
  server: string;
  user: string;
  password: string;
  /** PEM of the authority that signed the server's certificate; without it the system's authorities decide. */
  authority?: string | undefined;
  /** Only for simulators and for the first look at a self-signed host. */
  allowUnverifiedTls?: boolean | undefined;
  /** One call; default 60 s. Tasks are followed without this limit. */
  timeoutMs?: number | undefined;
}

export interface Vim extends AsyncDisposable {
  readonly content: ServiceContent;
  /** One call of the vSphere Web Services API; a fault is thrown as `machineFailed` with `details.fault`. */
  call: (method: string, target: MoRef, args: VimObject, signal: AbortSignal) => Promise<XmlNode[]>;
  /** Properties of one object by path (PropertyCollector.RetrievePropertiesEx); missing ones are left out. */
  read: (target: MoRef, paths: readonly string[], signal: AbortSignal) => Promise<Map<string, XmlNode>>;
  /** Waits for a task to end, tells its progress, and gives its result. */
  follow: (task: MoRef, signal: AbortSignal, onProgress?: OnProgress) => Promise<XmlNode | undefined>;
}

interface ServiceContent {
  rootFolder: MoRef;
  propertyCollector: MoRef;
  searchIndex: MoRef;
  sessionManager: MoRef;
  authorizationManager: MoRef;
  eventManager: MoRef;
  viewManager: MoRef;
  /** A vCenter has them, a lone host has not. */
  customFieldsManager: MoRef | undefined;
  customizationSpecManager: MoRef | undefined;
}

const serviceInstance: MoRef = { type: 'ServiceInstance', moref: 'ServiceInstance' };

/** Logs in to a vCenter or ESXi host. A session that expired on the way is renewed once per call. */
export async function openVim(address: VimAddress, signal: AbortSignal): Promise<Vim> {
  const session = { cookie: '' };
  const send = (method: string, target: MoRef, args: VimObject, signal: AbortSignal): Promise<XmlNode[]> =>
    callOnce(address, session, method, target, args, signal);
  const [answer] = await send('RetrieveServiceContent', serviceInstance, {}, signal);
  const content = readContent(answer);
  const login = async (): Promise<void> => {
    session.cookie = '';
    await send(
      'Login',
      content.sessionManager,
      { userName: address.user, password: address.password },
      signal,
    ).catch((error: unknown) => {
      // A site may have two users: which one it is has to be said.
      throw isFault(error, 'InvalidLogin') ? strangerError(address) : error;
    });
  };
  await login();

  const call: Vim['call'] = async (method, target, args, signal) => {
    try {
      return await send(method, target, args, signal);
    } catch (error) {
      // The server refused before doing anything, so the same call may be made again.
      if (!isFault(error, 'NotAuthenticated')) throw error;
      await login();
      return send(method, target, args, signal);
    }
  };
  const read: Vim['read'] = async (target, paths, signal) => {
    const retrieve = (): Promise<XmlNode[]> =>
      call('RetrievePropertiesEx', content.propertyCollector, oneObject(target, paths), signal);
    let [result] = await retrieve();
    // Some servers answer an expired session by withholding every property instead of refusing the call.
    if (withheld(result) === 'NotAuthenticated') {
      await login();
      [result] = await retrieve();
    }
    const fault = withheld(result);
    if (fault !== undefined) throw faultError(`to read ${target.moref}`, { kind: fault, message: '' });
    const sets = children(child(result, 'objects'), 'propSet');
    return new Map(sets.map((set) => [text(child(set, 'name')), child(set, 'val') ?? '']));
  };
  return {
    content,
    call,
    read,
    follow: (task, signal, onProgress = silent) => followTask(read, task, signal, onProgress),
    async [Symbol.asyncDispose]() {
      // Best effort: a server that is gone has no session to end.
      await send('Logout', content.sessionManager, {}, AbortSignal.timeout(5000)).catch(() => {});
    },
  };
}

function strangerError({ server, user }: VimAddress): ClonaError {
  return new ClonaError(
    'machineFailed',
    `the vSphere server ${server} does not let ${user} in: InvalidLogin`,
    {
      hint: hints['InvalidLogin'],
      details: { fault: 'InvalidLogin', method: 'Login', user },
    },
  );
}

/** Whether `error` is the API's refusal of that kind. */
export function isFault(error: unknown, kind: string): boolean {
  return error instanceof ClonaError && error.details?.['fault'] === kind;
}

/** Why a property was withheld, if one was. A property without a value is simply absent. */
function withheld(result: XmlNode | undefined): string | undefined {
  const [missing] = children(child(result, 'objects'), 'missingSet');
  return missing === undefined ? undefined : (xsiType(child(missing, 'fault.fault')) ?? 'Fault');
}

async function followTask(
  read: Vim['read'],
  task: MoRef,
  signal: AbortSignal,
  onProgress: OnProgress,
): Promise<XmlNode | undefined> {
  for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 1.5, 2000)) {
    const info = (await read(task, ['info'], signal)).get('info');
    const state = text(child(info, 'state'));
    const step = text(child(info, 'descriptionId'));
    if (state === 'success') return child(info, 'result');
    if (state === 'error') throw taskError(step, child(info, 'error'));
    const percent = text(child(info, 'progress'));
    onProgress({ step, state: 'running', detail: percent === '' ? state : `${percent} %` });
    await wait(pauseMs, undefined, { signal });
  }
}

function taskError(step: string, error: XmlNode | undefined): ClonaError {
  const kind = xsiType(child(error, 'fault')) ?? 'Fault';
  return faultError(step, { kind, message: text(child(error, 'localizedMessage')) });
}

function oneObject(target: MoRef, paths: readonly string[]): VimObject {
  return {
    specSet: {
      propSet: { type: target.type, all: false, pathSet: paths },
      objectSet: { obj: target, skip: false },
    },
    options: {},
  };
}

function readContent(answer: XmlNode | undefined): ServiceContent {
  const get = (name: string): MoRef => {
    const found = moRef(child(answer, name));
    if (found === undefined) throw new ClonaError('machineFailed', `the vSphere server offers no ${name}`);
    return found;
  };
  return {
    rootFolder: get('rootFolder'),
    propertyCollector: get('propertyCollector'),
    searchIndex: get('searchIndex'),
    sessionManager: get('sessionManager'),
    authorizationManager: get('authorizationManager'),
    eventManager: get('eventManager'),
    viewManager: get('viewManager'),
    customFieldsManager: moRef(child(answer, 'customFieldsManager')),
    customizationSpecManager: moRef(child(answer, 'customizationSpecManager')),
  };
}

async function callOnce(
  address: VimAddress,
  session: { cookie: string },
  method: string,
  target: MoRef,
  args: VimObject,
  signal: AbortSignal,
): Promise<XmlNode[]> {
  const answer = await post(address, session, buildEnvelope(method, target, args), signal);
  const parsed = parseEnvelope(answer);
  if ('values' in parsed) return parsed.values;
  throw faultError(method, parsed.fault);
}

const hints: Readonly<Record<string, string>> = {
  InvalidLogin: 'check user and password of the vSphere server in the site file',
  NoPermission: 'clona doctor lists the vSphere privileges that are needed',
  NotAuthenticated: 'the session ended twice in a row: look at the session limits of the vSphere server',
  ManagedObjectNotFound: 'somebody removed the object meanwhile: run the same command again',
  NoDiskSpace: 'free space on the datastore or name another one',
};

function faultError(method: string, fault: VimFault): ClonaError {
  return new ClonaError(
    'machineFailed',
    `vSphere refused ${method}: ${fault.kind}${fault.message === '' ? '' : ` (${fault.message})`}`,
    {
      hint: hints[fault.kind],
      details: { fault: fault.kind, method },
    },
  );
}

/** node:https and not fetch: fetch cannot be told to trust a site's own authority without a further library. */
function post(
  address: VimAddress,
  session: { cookie: string },
  body: string,
  signal: AbortSignal,
): Promise<string> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(address.timeoutMs ?? 60_000)]);
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => {
      reject(
        signal.aborted
          ? signal.reason
          : new ClonaError('machineFailed', `cannot talk to the vSphere server ${address.server}`, {
              cause,
              hint: 'check its name, that it runs, and that its certificate is trusted (`authority` in the site file)',
            }),
      );
    };
    const sent = request(
      `https://${address.server}/sdk`,
      {
        method: 'POST',
        signal: limit,
        headers: {
          'content-type': 'text/xml; charset=utf-8',
          'content-length': Buffer.byteLength(body),
          soapaction: 'urn:vim25/6.5',
          ...(session.cookie === '' ? {} : { cookie: session.cookie }),
        },
        ...(address.authority === undefined ? {} : { ca: address.authority }),
        rejectUnauthorized: address.allowUnverifiedTls !== true,
      },
      (answer) => {
        const cookie = answer.headers['set-cookie']?.[0]?.split(';')[0];
        if (cookie !== undefined) session.cookie = cookie;
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', fail);
        answer.on('end', () => {
          const answered = Buffer.concat(chunks).toString('utf8');
          // 500 is how SOAP sends faults.
          if (answer.statusCode === 200 || answer.statusCode === 500) resolve(answered);
          else fail(new Error(`HTTP status ${answer.statusCode}: ${answered.slice(0, 200)}`));
        });
      },
    );
    sent.on('error', fail);
    sent.end(body);
  });
}
