const { setImmediate: giveWay } = require("timers/promises");
const meter = require("./meter");

async function give(turns) {
  for (let i = 0; i < turns; i++) await giveWay();
}

async function nsPerSwitch(tasks, turns) {
  const begin = meter.cpuSeconds();
  await Promise.all(Array.from({ length: tasks }, () => give(turns)));
  return ((meter.cpuSeconds() - begin) / (tasks * turns)) * 1e9;
}

(async () => {
  await nsPerSwitch(1000, meter.count(100));
  meter.report("switch_ns", await nsPerSwitch(1000, meter.count(2000)));
  meter.report("switch_alone_ns", await nsPerSwitch(1, meter.count(1000000)));
})();
