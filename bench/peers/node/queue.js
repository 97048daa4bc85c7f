// Node has no queue: this is the least that waits where it is full or empty. put() and get() are to
// be awaited; they make a promise only when they must wait.
const assert = require("assert");
const meter = require("./meter");

class Queue {
  constructor(capacity) {
    this.items = new Array(capacity);
    this.first = 0;
    this.count = 0;
    this.waiting = null; // the one side that waits: called when the other has done something
  }

  wait(what) {
    return new Promise((resolve) => (this.waiting = resolve)).then(what);
  }

  wake() {
    const waiting = this.waiting;
    this.waiting = null;
    if (waiting) waiting();
  }

  put(item) {
    if (this.count === this.items.length) return this.wait(() => this.put(item));
    this.items[(this.first + this.count++) % this.items.length] = item;
    this.wake();
    return undefined;
  }

  get() {
    if (this.count === 0) return this.wait(() => this.get());
    const item = this.items[this.first];
    this.first = (this.first + 1) % this.items.length;
    this.count--;
    this.wake();
    return item;
  }
}

async function produce(queue, n) {
  for (let i = 0; i < n; i++) await queue.put(i);
}

async function consume(queue, n) {
  for (let i = 0; i < n; i++) assert((await queue.get()) === i);
}

async function nsPerItem(capacity, n) {
  const queue = new Queue(capacity);
  const begin = meter.cpuSeconds();
  await Promise.all([produce(queue, n), consume(queue, n)]);
  return ((meter.cpuSeconds() - begin) / n) * 1e9;
}

(async () => {
  for (const capacity of [1, 128]) {
    await nsPerItem(capacity, meter.count(100000));
    meter.report(`queue_${capacity}_ns`, await nsPerItem(capacity, meter.count(1000000)));
  }
})();
