// Command rego-oracle tells what OPA's own code makes of calls of its builtin functions: one JSON line in, one JSON line
// out. `rego-oracle FOLDER NAME...` with the folder of OPA's test cases prints the calls of these builtins that the cases
// make instead, one question a line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	// Zones of its own, so that the answers are the same on every machine.
	_ "time/tzdata"
)

// Question is one line of the input.
type Question struct {
	// Call of a builtin with constant arguments, in Rego.
	Call string `json:"call"`
	// Origin is the note of the case that makes the call.
	Origin string `json:"origin,omitempty"`
}

// Answer is one line of the output. No value: undefined.
type Answer struct {
	Name string `json:"name"`
	// Arguments in the spelling of canonical.go.
	Arguments []string `json:"arguments"`
	// Value in the spelling of canonical.go.
	Value string `json:"value,omitempty"`
	// Error says why it is undefined, where OPA tells.
	Error string `json:"error,omitempty"`
	// Panic says that OPA's own code panicked, which is no answer.
	Panic string `json:"panic,omitempty"`
}

func main() {
	time.Local = time.UTC
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if len(os.Args) > 1 {
		questions, err := calls(os.Args[1], os.Args[2:])
		if err != nil {
			return err
		}
		for _, question := range questions {
			if err := encoder.Encode(question); err != nil {
				return err
			}
		}
		return nil
	}
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	for in.More() {
		var question Question
		if err := in.Decode(&question); err != nil {
			return err
		}
		answer, err := ask(question)
		if err != nil {
			return fmt.Errorf("%s: %w", question.Call, err)
		}
		if err := encoder.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}
