// Channels of Go have a limit always.
package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

func sendAll[T any](channel chan T, n int, message T) {
	for i := 0; i < n; i++ {
		channel <- message
	}
}

// cost runs work while another goroutine runs other, and reports what that costs for each of the n.
func cost(name, unit string, perSecond float64, n int, work, other func()) {
	begin, cpu := time.Now(), cpuSeconds()
	go other()
	work()
	report(fmt.Sprintf("%s_%s", name, unit), time.Since(begin).Seconds()/float64(n)*perSecond)
	report(fmt.Sprintf("%s_cpu_%s", name, unit), (cpuSeconds()-cpu)/float64(n)*perSecond)
}

func oneWay[T comparable](name string, capacity, n int, message T) {
	channel := make(chan T, capacity)
	cost(name, "ns", 1e9, n, func() {
		for i := 0; i < n; i++ {
			if <-channel != message {
				panic("not what was sent")
			}
		}
	}, func() { sendAll(channel, n, message) })
}

func pingPong(n int) {
	there, back := make(chan int, 1), make(chan int, 1)
	cost("channel_ping", "us", 1e6, n, func() {
		for i := 0; i < n; i++ {
			there <- i
			if <-back != i {
				panic("out of order")
			}
		}
	}, func() {
		for i := 0; i < n; i++ {
			back <- <-there
		}
	})
}

func main() {
	runtime.GOMAXPROCS(2)
	oneWay("channel_128", 128, count(1000000), 1)
	oneWay("channel_128_text", 128, count(1000000), strings.Repeat("x", 64))
	pingPong(count(50000))
}
