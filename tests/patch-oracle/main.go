// Command patch-oracle tells what kube-apiserver's own library makes of JSON Patches: one JSON line in, one JSON line out.
//
// As kube-apiserver calls it for mutating webhooks (k8s.io/apiserver/pkg/admission/plugin/webhook/mutating/dispatcher.go).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
)

// Question is an object and a patch of it.
type Question struct {
	Object json.RawMessage `json:"object"`
	Patch  json.RawMessage `json:"patch"`
}

// Answer is the changed object, or why there is none.
type Answer struct {
	Object json.RawMessage `json:"object,omitempty"`
	Error  string          `json:"error,omitempty"`
	// Panic says that the library panicked, which is no answer.
	Panic string `json:"panic,omitempty"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	for in.More() {
		var question Question
		if err := in.Decode(&question); err != nil {
			return err
		}
		if err := encoder.Encode(answer(question)); err != nil {
			return err
		}
	}
	return nil
}

func answer(question Question) (answer Answer) {
	defer func() {
		if reason := recover(); reason != nil {
			answer = Answer{Panic: fmt.Sprint(reason)}
		}
	}()
	patch, err := jsonpatch.DecodePatch(question.Patch)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	changed, err := patch.Apply(question.Object)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	return Answer{Object: changed}
}
