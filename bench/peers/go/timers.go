package main

import (
	"math/rand"
	"sync"
	"time"
)

func main() {
	n := count(100000)
	var all sync.WaitGroup
	begin := cpuSeconds()
	all.Add(n)
	for i := 0; i < n; i++ {
		go func(s float64) {
			defer all.Done()
			time.Sleep(time.Duration(s * float64(time.Second)))
		}(rand.Float64())
	}
	all.Wait()
	report("timers_cpu_us", (cpuSeconds()-begin)/float64(n)*1e6)
}
