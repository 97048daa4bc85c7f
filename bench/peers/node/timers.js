const { setTimeout: sleep } = require("timers/promises");
const meter = require("./meter");

async function nap(ms) {
  await sleep(ms);
}

(async () => {
  const n = meter.count(100000);
  const begin = meter.cpuSeconds();
  await Promise.all(Array.from({ length: n }, () => nap(Math.random() * 1000)));
  meter.report("timers_cpu_us", ((meter.cpuSeconds() - begin) / n) * 1e6);
})();
