// Runs the official Node SDK, unchanged: one JSON line [method, ...arguments] in, one line {value} or {error} out.
// What it sends to the real service goes to RINGBACK_URL: the SDK offers no way to say so for voice requests.
'use strict';

const http = require('http');
const https = require('https');
const readline = require('readline');

const target = new URL(process.env.RINGBACK_URL);

https.request = (options, done) =>
  http.request(
    { ...options, protocol: 'http:', hostname: target.hostname, host: target.hostname, port: target.port, agent: undefined, agents: undefined },
    done,
  );

// The SDK writes to the console now and then; answers alone belong on the standard output.
const answer = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);

const plivo = require('plivo');

const client = new plivo.Client(process.env.PLIVO_AUTH_ID, process.env.PLIVO_AUTH_TOKEN);

function plain(value) {
  if (Array.isArray(value)) {
    const objects = value.map(plain);
    return value.meta ? { meta: value.meta, objects } : objects;
  }
  if (value && typeof value === 'object') {
    return Object.fromEntries(
      Object.keys(value).filter((name) => typeof value[name] !== 'function').map((name) => [name, plain(value[name])]),
    );
  }
  return value;
}

// What a resource can be asked: by its own class, and by those behind it.
function methodsOf(resource) {
  const names = (prototype) => Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor');
  const own = Object.getPrototypeOf(client[resource]);
  const inherited = [];
  for (let each = Object.getPrototypeOf(own); each !== Object.prototype; each = Object.getPrototypeOf(each)) {
    inherited.push(...names(each));
  }
  return { own: names(own), inherited };
}

async function run([path, ...parameters]) {
  if (path === 'describe') return { value: methodsOf(parameters[0]) };
  const [resource, method] = path.split('.');
  try {
    const value = await client[resource][method](...parameters);
    // The SDK returns, and does not throw, what its own validation finds.
    return value instanceof Error ? { error: value.message } : { value: plain(value) };
  } catch (error) {
    return { error: String(error.message || error) };
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    answer(JSON.stringify(await run(JSON.parse(line))) + '\n');
  }
  process.exit(0);
})();
