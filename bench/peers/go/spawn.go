package main

func nsPerTask(n int) float64 {
	begin := cpuSeconds()
	for i := 0; i < n; i++ {
		done := make(chan struct{})
		go func() { close(done) }()
		<-done
	}
	return (cpuSeconds() - begin) / float64(n) * 1e9
}

func main() {
	nsPerTask(count(200000))
	report("spawn_ns", nsPerTask(count(1000000)))
}
