package policy

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
)

// Level is how severe a line of the log is.
type Level uint8

// From least to most severe.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

// Log writes one line to the server's log, under the policy's name. It is capped per review, and what an authenticator
// writes is dropped unless the operator grants `log`.
func Log(level Level, format string, args ...any) {
	writeLog(level, fmt.Sprintf(format, args...))
}

// Audit keeps a fact about this review: a structured line of the server's log. For the audit log of the API server, annotate
// the answer.
func Audit(key, value string) { writeAudit(key, value) }

// RawReview needs review among the imports of verdict.yaml. It is the whole review as it came, for what the typed requests lack; for a provider the event, for package changes the change. Empty in init.
// In a chain of mutators the object as changed so far is in the request, not here.
func RawReview() JSON { return rawReview() }

// NewRand is a generator with a seed of its own. The functions of math/rand/v2 are seeded when the policy is
// initialised, so they may give the same numbers in every review; call NewRand in the review, or use crypto/rand.
func NewRand() *mathrand.Rand {
	var seed [16]byte
	// It never fails: it ends the program instead.
	_, _ = rand.Read(seed[:])
	return mathrand.New(mathrand.NewPCG(binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:])))
}
