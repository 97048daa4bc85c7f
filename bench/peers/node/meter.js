// What the programs of this folder measure themselves with.
const fs = require("fs");

const scale = Number(process.env.BENCH_SCALE || 1);

exports.count = (n) => Math.max(1, Math.floor(n * scale));

exports.cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

exports.statusBytes = (key) => {
  const status = fs.readFileSync("/proc/self/status", "latin1");
  return Number(status.match(new RegExp(`^${key}:\\s*(\\d+) kB`, "m"))[1]) * 1024;
};

exports.report = (name, value) => console.log(`${name} ${value.toFixed(3)}`);
