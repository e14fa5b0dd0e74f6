// Package provider answers events: anything that is JSON, with anything that is.
package provider

import (
	"encoding/json"
	"errors"
	"fmt"

	"verdict.dev/policy"
)

var handle func(event policy.JSON) (policy.JSON, error)

// Export makes f what the component exports. Call it once, from func init of package main.
func Export[Event, Answer any](f func(event Event) (Answer, error)) {
	handle = func(text policy.JSON) (policy.JSON, error) {
		var event Event
		if err := json.Unmarshal(text, &event); err != nil {
			return nil, fmt.Errorf("the event does not decode: %w", err)
		}
		answer, err := f(event)
		if err != nil {
			return nil, err
		}
		reply, err := json.Marshal(answer)
		if err == nil && string(reply) == "null" {
			err = errors.New("the policy gave no answer: the function returned nil, expected any other JSON")
		}
		return reply, err
	}
}

// Ask calls what was exported, as the server does. For unit tests.
func Ask(event policy.JSON) (policy.JSON, error) { return handle(event) }
