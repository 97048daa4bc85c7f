package main

import (
	"sync"
	"time"
)

func main() {
	n := count(1000000)
	var asleep sync.WaitGroup
	rss := statusBytes("VmRSS")
	begin := cpuSeconds()
	asleep.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			asleep.Done()
			time.Sleep(time.Hour)
		}()
	}
	asleep.Wait()
	report("sleepers_cpu_us", (cpuSeconds()-begin)/float64(n)*1e6)
	report("sleepers_rss_bytes", (statusBytes("VmHWM")-rss)/float64(n))
}
