package main

import (
	"fmt"
	"net"
	"os"
	"time"
)

const (
	chunkBytes = 64 * 1024
	limit      = 120 * time.Second
)

func echo(conn net.Conn) {
	defer conn.Close()
	chunk := make([]byte, chunkBytes)
	for {
		n, err := conn.Read(chunk)
		if err != nil {
			return
		}
		if _, err := conn.Write(chunk[:n]); err != nil {
			return
		}
	}
}

func main() {
	time.AfterFunc(limit, func() { os.Exit(0) })
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(server.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := server.Accept()
		if err != nil {
			panic(err)
		}
		go echo(conn)
	}
}
