// Package validating answers AdmissionReview without changing the object: may it enter?
package validating

import (
	"errors"
	"fmt"

	"verdict.dev/policy"
)

// Validation is the answer: made by [Allow], [Deny] or [FromCauses]. The zero value is none, which is an error of the policy's.
type Validation struct {
	allowed bool
	denial  *policy.Denial
	// Warnings are shown to the user, whether allowed or denied. One line each, at most 256 characters.
	Warnings         []string
	AuditAnnotations []policy.Annotation
}

// Allow lets the object enter.
func Allow() Validation { return Validation{allowed: true} }

// Deny does not: Deny(policy.Deny("…")).
func Deny(denial *policy.Denial) Validation { return Validation{denial: denial} }

// FromCauses allows if there is no cause, else denies with the message and all of them.
func FromCauses(message string, causes ...policy.Cause) Validation {
	if len(causes) == 0 {
		return Allow()
	}
	return Deny(policy.Deny("%s", message).Because(causes...))
}

// Allowed tells whether the object may enter.
func (v Validation) Allowed() bool { return v.allowed }

// Denial is why the object may not enter, if it may not.
func (v Validation) Denial() *policy.Denial { return v.denial }

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

// For is a validator of objects that are a T, one function for each operation: T is one of k8s.io/api, or a type of your own
// with the fields that matter. An operation without a function is an error, never an allow: match only what you answer, and only
// resources whose objects are a T. What is deleted was a T, too.
//
//	validating.Export(validating.For[corev1.Pod]{Create: create, Update: update}.Validate)
type For[T any] struct {
	Create func(request *policy.AdmissionRequest, object *T) (Validation, error)
	Update func(request *policy.AdmissionRequest, old, object *T) (Validation, error)
	Delete func(request *policy.AdmissionRequest, old *T) (Validation, error)
}

// Validate asks the function of the request's operation.
func (f For[T]) Validate(request *policy.AdmissionRequest) (Validation, error) {
	var old, object T
	switch {
	case request.Operation == policy.Create && f.Create != nil:
		if err := request.DecodeObject(&object); err != nil {
			return Validation{}, err
		}
		return f.Create(request, &object)
	case request.Operation == policy.Update && f.Update != nil:
		if err := errors.Join(request.DecodeOldObject(&old), request.DecodeObject(&object)); err != nil {
			return Validation{}, err
		}
		return f.Update(request, &old, &object)
	case request.Operation == policy.Delete && f.Delete != nil:
		if err := request.DecodeOldObject(&old); err != nil {
			return Validation{}, err
		}
		return f.Delete(request, &old)
	}
	return Validation{}, fmt.Errorf("the policy has no function for %s: give it one, or match other operations only", request.Operation)
}

var validate Func

// Export makes f what the component exports. Call it once, from func init of package main.
func Export(f Func) { validate = f }

// Ask calls what was exported, as the server does. For unit tests.
func Ask(request *policy.AdmissionRequest) (Validation, error) {
	answer, err := validate(request)
	if err == nil && !answer.allowed && answer.denial == nil {
		err = errors.New("the policy gave no answer: return validating.Allow() or validating.Deny(policy.Deny(…))")
	}
	return answer, err
}
