package main

import (
	"context"
	"sync"
	"time"
)

func sleeper(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func main() {
	n := count(100000)
	cancels := make([]context.CancelFunc, n)
	var asleep, ended sync.WaitGroup
	begin := cpuSeconds()
	asleep.Add(n)
	ended.Add(n)
	for i := range cancels {
		var ctx context.Context
		ctx, cancels[i] = context.WithCancel(context.Background())
		go func() {
			defer ended.Done()
			asleep.Done()
			sleeper(ctx)
		}()
	}
	asleep.Wait()
	made := cpuSeconds()
	for _, cancel := range cancels {
		cancel()
	}
	ended.Wait()
	end := cpuSeconds()
	report("cancel_make_cpu_us", (made-begin)/float64(n)*1e6)
	report("cancel_cpu_us", (end-made)/float64(n)*1e6)
	report("cancel_whole_cpu_us", (end-begin)/float64(n)*1e6)
}
