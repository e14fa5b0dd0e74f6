// Package validating answers AdmissionReview without changing the object: may it enter?
package validating

import (
	"fmt"

	"verdict.dev/policy"
)

// Validation is the answer. The zero value allows.
type Validation struct {
	// Denial is nil to allow.
	Denial *policy.Denial
	// Warnings are shown to the user, whether allowed or denied. One line each, at most 256 characters.
	Warnings         []string
	AuditAnnotations []policy.Annotation
}

// Warn adds a warning.
func (v *Validation) Warn(format string, args ...any) {
	v.Warnings = append(v.Warnings, fmt.Sprintf(format, args...))
}

// Annotate adds an audit annotation.
func (v *Validation) Annotate(key, value string) {
	v.AuditAnnotations = append(v.AuditAnnotations, policy.Annotation{Key: key, Value: value})
}

// Func decides. An error means that it could not: the operator's failurePolicy decides, and the text goes to the log.
type Func func(request *policy.AdmissionRequest) (Validation, error)

var validate Func

// Export makes f what the component exports. Call it once, from func init of package main.
func Export(f Func) { validate = f }

// Ask calls what was exported, as the server does. For unit tests.
func Ask(request *policy.AdmissionRequest) (Validation, error) { return validate(request) }
