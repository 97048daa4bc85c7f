const { setTimeout: sleep } = require("timers/promises");
const meter = require("./meter");

async function sleeper() {
  await sleep(3600e3);
}

const n = meter.count(1000000);
const rss = meter.statusBytes("VmRSS");
const begin = meter.cpuSeconds();
for (let i = 0; i < n; i++) sleeper();
setImmediate(() => {
  meter.report("sleepers_cpu_us", ((meter.cpuSeconds() - begin) / n) * 1e6);
  meter.report("sleepers_rss_bytes", (meter.statusBytes("VmHWM") - rss) / n);
  process.exit(0);
});
