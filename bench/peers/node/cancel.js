const { setTimeout: sleep, setImmediate: giveWay } = require("timers/promises");
const meter = require("./meter");

async function sleeper(signal) {
  await sleep(3600e3, undefined, { signal });
}

(async () => {
  const n = meter.count(100000);
  const begin = meter.cpuSeconds();
  const aborts = Array.from({ length: n }, () => new AbortController());
  const sleepers = aborts.map((abort) => sleeper(abort.signal));
  await giveWay();
  const made = meter.cpuSeconds();
  for (const abort of aborts) abort.abort();
  const results = await Promise.allSettled(sleepers);
  const ended = meter.cpuSeconds();
  if (!results.every((result) => result.status === "rejected")) process.exit(1);
  meter.report("cancel_make_cpu_us", ((made - begin) / n) * 1e6);
  meter.report("cancel_cpu_us", ((ended - made) / n) * 1e6);
  meter.report("cancel_whole_cpu_us", ((ended - begin) / n) * 1e6);
})();
