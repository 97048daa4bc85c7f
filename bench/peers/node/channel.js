// A MessagePort has no limit.
const { MessageChannel, Worker, isMainThread, workerData } = require("worker_threads");
const assert = require("assert");
const meter = require("./meter");

// The other thread: sends so many messages when it is told to, or answers as many.
function work() {
  const { port } = workerData;
  port.on("message", ({ count, message, echo }) => {
    if (count) for (let i = 0; i < count; i++) port.postMessage(message);
    else port.postMessage(echo);
  });
}

// Asks, and takes as many messages as come of it.
function receive(port, question, count, each) {
  return new Promise((resolve) => {
    let left = count;
    const take = (message) => {
      each(message, count - left);
      if (--left > 0) return;
      port.off("message", take);
      resolve();
    };
    port.on("message", take);
    port.postMessage(question);
  });
}

async function cost(name, unit, perSecond, n, run) {
  const begin = performance.now();
  const cpu = meter.cpuSeconds();
  await run();
  meter.report(`${name}_${unit}`, ((performance.now() - begin) / 1e3 / n) * perSecond);
  meter.report(`${name}_cpu_${unit}`, ((meter.cpuSeconds() - cpu) / n) * perSecond);
}

function oneWay(port, name, n, message) {
  const check = (received) => assert(received === message);
  return cost(name, "ns", 1e9, n, () => receive(port, { count: n, message }, n, check));
}

function pingPong(port, n) {
  return cost("channel_ping", "us", 1e6, n, () =>
    receive(port, { echo: 0 }, n, (echo, i) => {
      assert(echo === i);
      if (i + 1 < n) port.postMessage({ echo: i + 1 });
    }),
  );
}

async function main() {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(__filename, { workerData: { port: port2 }, transferList: [port2] });
  await receive(port1, { echo: 0 }, 1, () => {});
  await oneWay(port1, "channel_0", meter.count(1000000), 1);
  await oneWay(port1, "channel_0_text", meter.count(1000000), "x".repeat(64));
  await pingPong(port1, meter.count(50000));
  await worker.terminate();
  port1.close();
}

if (isMainThread) main();
else work();
