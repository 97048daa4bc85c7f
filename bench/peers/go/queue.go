package main

import (
	"fmt"
	"sync"
)

func produce(queue chan int, n int) {
	for i := 0; i < n; i++ {
		queue <- i
	}
}

func consume(queue chan int, n int) {
	for i := 0; i < n; i++ {
		if <-queue != i {
			panic("out of order")
		}
	}
}

func nsPerItem(capacity, n int) float64 {
	queue := make(chan int, capacity)
	var both sync.WaitGroup
	begin := cpuSeconds()
	both.Add(2)
	go func() { defer both.Done(); produce(queue, n) }()
	go func() { defer both.Done(); consume(queue, n) }()
	both.Wait()
	return (cpuSeconds() - begin) / float64(n) * 1e9
}

func main() {
	for _, capacity := range []int{1, 128} {
		nsPerItem(capacity, count(100000))
		report(fmt.Sprintf("queue_%d_ns", capacity), nsPerItem(capacity, count(1000000)))
	}
}
