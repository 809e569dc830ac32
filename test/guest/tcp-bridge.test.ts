import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTcpBridge } from '../../src/guest/tcp-bridge.ts';
import { createHostGuest } from '../support/host-guest.ts';

const { signal } = new AbortController();
/** Says everything twice. */
const server = createServer((socket) =>
  socket.on('data', (data) => socket.write(`${String(data)}${String(data)}`)),
);
let port = 0;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo); // it listens on TCP
});
afterAll(() => server.close());

async function say(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [data] = (await once(socket, 'data')) as [Buffer];
  return data.toString();
}

test('carries connections into the guest, and ends them with itself', async () => {
  const guest = createHostGuest(tmpdir());
  const bridge = await openTcpBridge(async () => guest, { host: '127.0.0.1', port }, signal);
  const near = connect(bridge.port, bridge.host);
  expect(await say(near, 'a')).toBe('aa');
  const closed = once(near, 'close');
  await bridge[Symbol.asyncDispose]();
  await closed;
  const late = connect(bridge.port, bridge.host);
  await expect(once(late, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('closes a connection that nobody answers, and takes the next', async () => {
  let isAway = true;
  const guest = createHostGuest(tmpdir());
  const open = async (): Promise<typeof guest> => (isAway ? Promise.reject(new Error('away')) : guest);
  await using bridge = await openTcpBridge(open, { host: '127.0.0.1', port }, signal);
  await once(connect(bridge.port, bridge.host), 'close');
  isAway = false;
  const near = connect(bridge.port, bridge.host);
  expect(await say(near, 'b')).toBe('bb');
  near.destroy();
});

test('a guest of the connection is closed with it', async () => {
  const disposed = Promise.withResolvers<void>();
  const open = async () => ({
    ...createHostGuest(tmpdir()),
    [Symbol.asyncDispose]: async () => disposed.resolve(),
  });
  await using bridge = await openTcpBridge(open, { host: '127.0.0.1', port }, signal, true);
  const near = connect(bridge.port, bridge.host);
  expect(await say(near, 'c')).toBe('cc');
  near.destroy();
  await disposed.promise;
});
