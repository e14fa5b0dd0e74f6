//go:build !wasip1

package policy

import (
	"fmt"
	"os"
)

// In unit tests there is no server: log and audit go to standard error, and there is no raw review.

func writeLog(level Level, message string) { fmt.Fprintf(os.Stderr, "log %d: %s\n", level, message) }

func writeAudit(key, value string) { fmt.Fprintf(os.Stderr, "audit %s: %s\n", key, value) }

func rawReview() JSON { return nil }
