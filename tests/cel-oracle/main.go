// Command cel-oracle tells what Kubernetes' own code makes of match conditions: one JSON line in, one JSON line out.
//
// Lines that name a review keep it for the lines that follow; all others ask. `cel-oracle FOLDER` with the folder of
// cel-spec's conformance files prints the expressions in there instead, one JSON string a line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	// Zones of its own, so that the answers are the same on every machine.
	_ "time/tzdata"
)

// Question is one line of the input.
type Question struct {
	// Review names Body, a whole AdmissionReview or SubjectAccessReview, for later lines.
	Review string          `json:"review,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`

	// Expression of any type.
	Expression string `json:"expression,omitempty"`
	// Reviews that it is asked about.
	Reviews []string `json:"reviews,omitempty"`
}

// Answer is one line of the output.
type Answer struct {
	// Refused says why it does not compile as a match condition.
	Refused string `json:"refused,omitempty"`
	// Invalid says why it does not compile, whatever its type.
	Invalid string `json:"invalid,omitempty"`
	// Panic says that Kubernetes' own code panicked, which is no answer.
	Panic string `json:"panic,omitempty"`
	// Results are in the order of the question's reviews.
	Results []Result `json:"results,omitempty"`
}

// Result is what one review gives: a value or an error.
type Result struct {
	// Value in the spelling of canonical.go.
	Value string `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
	// Cost as Kubernetes counts it; left out where that is not always the same.
	Cost int64 `json:"cost,omitempty"`
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
	if len(os.Args) > 1 {
		expressions, err := conformance(os.Args[1])
		if err != nil {
			return err
		}
		for _, expression := range expressions {
			if err := encoder.Encode(expression); err != nil {
				return err
			}
		}
		return nil
	}
	oracle := newOracle()
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	for in.More() {
		var question Question
		if err := in.Decode(&question); err != nil {
			return err
		}
		if question.Review != "" {
			if err := oracle.keep(question.Review, question.Body); err != nil {
				return fmt.Errorf("review %s: %w", question.Review, err)
			}
			continue
		}
		answer, err := askSafely(oracle, question)
		if err != nil {
			return fmt.Errorf("%q: %w", question.Expression, err)
		}
		if err := encoder.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}

// askSafely gives a panic as an answer: cel-go 0.26 panics on a list whose only elements are optional.
func askSafely(oracle *oracle, question Question) (answer *Answer, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			answer, err = &Answer{Panic: fmt.Sprint(reason)}, nil
		}
	}()
	return oracle.ask(question)
}
