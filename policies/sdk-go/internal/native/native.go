// Package native stands in for the server in unit tests.
package native

import (
	"fmt"
	"os"
	"sync"
)

// Line is one of the log.
type Line struct {
	Level   uint8
	Message string
}

// Fact is one of the audit log.
type Fact struct{ Key, Value string }

var (
	lock  sync.Mutex
	raw   []byte
	lines *[]Line
	facts *[]Fact
)

// SetRaw sets the raw review, and gives the one before.
func SetRaw(text []byte) (before []byte) {
	lock.Lock()
	defer lock.Unlock()
	before, raw = raw, text
	return before
}

// Raw is the raw review.
func Raw() []byte {
	lock.Lock()
	defer lock.Unlock()
	return raw
}

// Record keeps what is logged and audited from now on; nil: it goes to standard error again.
func Record(log *[]Line, audit *[]Fact) {
	lock.Lock()
	defer lock.Unlock()
	lines, facts = log, audit
}

// Log writes a line.
func Log(level uint8, message string) {
	lock.Lock()
	defer lock.Unlock()
	if lines != nil {
		*lines = append(*lines, Line{level, message})
	} else {
		fmt.Fprintf(os.Stderr, "log %d: %s\n", level, message)
	}
}

// Audit writes a fact.
func Audit(key, value string) {
	lock.Lock()
	defer lock.Unlock()
	if facts != nil {
		*facts = append(*facts, Fact{key, value})
	} else {
		fmt.Fprintf(os.Stderr, "audit %s: %s\n", key, value)
	}
}
