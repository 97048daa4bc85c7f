package main

import (
	"runtime"
	"sync"
)

func giveWay(turns int) {
	for i := 0; i < turns; i++ {
		runtime.Gosched()
	}
}

func nsPerSwitch(tasks, turns int) float64 {
	var all sync.WaitGroup
	begin := cpuSeconds()
	all.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() {
			defer all.Done()
			giveWay(turns)
		}()
	}
	all.Wait()
	return (cpuSeconds() - begin) / float64(tasks*turns) * 1e9
}

func main() {
	nsPerSwitch(1000, count(500))
	report("switch_ns", nsPerSwitch(1000, count(5000)))
	report("switch_alone_ns", nsPerSwitch(1, count(5000000)))
}
