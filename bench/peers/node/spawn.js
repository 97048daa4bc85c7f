// An async function that does not wait runs inline, at its call: no task is made.
const meter = require("./meter");

async function nothing() {}

async function nsPerTask(n) {
  const begin = meter.cpuSeconds();
  for (let i = 0; i < n; i++) await nothing();
  return ((meter.cpuSeconds() - begin) / n) * 1e9;
}

(async () => {
  await nsPerTask(meter.count(200000));
  meter.report("spawn_ns", await nsPerTask(meter.count(2000000)));
})();
