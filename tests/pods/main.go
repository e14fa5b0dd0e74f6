// Command pause is the first process of every Pod: it keeps the Pod's namespaces until it is told to end.
// With an address it is a relay instead: it hands on what is accepted on the socket that is its standard input. The socket may be of
// another network than its own, so that whoever is outside the cluster's reaches kube-apiserver.
package main

import (
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 {
		log.Fatal(relay(os.Args[1]))
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
}

func relay(address string) error {
	listener, err := net.FileListener(os.Stdin)
	if err != nil {
		return err
	}
	for {
		caller, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer caller.Close()
			server, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer server.Close()
			done := make(chan struct{}, 2)
			pass := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				// Whoever has no more to say may still listen.
				_ = to.(*net.TCPConn).CloseWrite()
				done <- struct{}{}
			}
			go pass(server, caller)
			go pass(caller, server)
			<-done
			<-done
		}()
	}
}
