// Go's own client, which kube-apiserver is made of: asks one URL many times with a body, and prints the status of each answer.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

// refusals CA URL CONTENT-TYPE BYTES TIMES HTTP2 EXPECT
func main() {
	ca, err := os.ReadFile(os.Args[1])
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	size, err := strconv.Atoi(os.Args[4])
	check(err)
	times, err := strconv.Atoi(os.Args[5])
	check(err)
	transport := &http.Transport{
		TLSClientConfig:       &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2:     os.Args[6] == "true",
		ExpectContinueTimeout: time.Second,
	}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	body := bytes.Repeat([]byte("x"), size)
	for range times {
		request, err := http.NewRequest(http.MethodPost, os.Args[2], bytes.NewReader(body))
		check(err)
		// As for a stream: never sent a second time behind our back.
		request.GetBody = nil
		request.Header.Set("Content-Type", os.Args[3])
		if os.Args[7] == "true" {
			request.Header.Set("Expect", "100-continue")
		}
		answer, err := client.Do(request)
		if err != nil {
			fmt.Println(err)
			continue
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(answer.ProtoMajor, answer.StatusCode, len(text) > 0)
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
