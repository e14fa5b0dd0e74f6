//go:build !wasip1

package policy

import "verdict.dev/policy/internal/native"

// In unit tests there is no server: package policytest keeps the log and sets the raw review.

func writeLog(level Level, message string) { native.Log(uint8(level), message) }

func writeAudit(key, value string) { native.Audit(key, value) }

func rawReview() JSON { return native.Raw() }
