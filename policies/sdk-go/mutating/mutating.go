// Package mutating answers AdmissionReview and may change the object.
package mutating

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"verdict.dev/policy"
	"verdict.dev/policy/internal/patch"
)

// Change is a change of the request's object. The zero value changes nothing.
type Change struct {
	form change
	text policy.JSON
}

type change uint8

const (
	unchanged change = iota
	jsonPatch
	mergePatch
	full
)

// JSONPatch is RFC 6902, an array of operations.
func JSONPatch(patch policy.JSON) Change { return Change{jsonPatch, patch} }

// MergePatch is RFC 7386.
func MergePatch(patch policy.JSON) Change { return Change{mergePatch, patch} }

// Full is the whole new object. Numbers that were not changed stay as they were.
func Full(object policy.JSON) Change { return Change{full, object} }

// MarshalMergePatch is [MergePatch] of any value.
func MarshalMergePatch(value any) (Change, error) {
	text, err := json.Marshal(value)
	return MergePatch(text), err
}

// Edit changes the object as a value of type T: one of k8s.io/api, or one of your own with only the fields that matter.
//
// The patch is made of the difference between T as it was decoded and T after edit. What T does not have, or what edit
// leaves alone, stays exactly as it came: unknown fields, numbers of any size, `1.0`. What T writes although the object
// does not have it (`status: {}`, `creationTimestamp: null`) is no change.
//
// The elements of a list are told apart by their field name, where each has one of its own; else by their position, if
// the list keeps its length. So give T the names of list elements that edit adds, removes or moves.
//
// Without an object (a delete) edit is not called, and nothing changes.
func Edit[T any](request *policy.AdmissionRequest, edit func(object *T) error) (Change, error) {
	return editAt(request.Object, nil, edit)
}

// EditPodSpec is [Edit] of the PodSpec of the request's object, whatever workload that is; see [policy.PodSpec]. Where there is none,
// edit is not called, and nothing changes.
func EditPodSpec[T any](request *policy.AdmissionRequest, edit func(spec *T) error) (Change, error) {
	fields := request.PodSpecFields()
	text, err := policy.At(request.Object, fields)
	if err != nil {
		return Change{}, err
	}
	return editAt(text, fields, edit)
}

// editAt edits what lies at these fields of an object, in the text of it.
func editAt[T any](text policy.JSON, fields []string, edit func(object *T) error) (Change, error) {
	if text == nil {
		return Change{}, nil
	}
	var object T
	if err := json.Unmarshal(text, &object); err != nil {
		return Change{}, fmt.Errorf("%s: does not decode: %w", strings.Join(append([]string{"object"}, fields...), "."), err)
	}
	before, err := json.Marshal(&object)
	if err != nil {
		return Change{}, err
	}
	if err := edit(&object); err != nil {
		return Change{}, err
	}
	after, err := json.Marshal(&object)
	if err != nil {
		return Change{}, err
	}
	operations, err := patch.Diff(text, before, after)
	if err != nil || len(operations) == 0 {
		return Change{}, err
	}
	for i := range operations {
		// Names of Kubernetes' own fields need no escapes.
		operations[i].Path = strings.Join(append([]string{""}, fields...), "/") + operations[i].Path
	}
	written, err := json.Marshal(operations)
	return JSONPatch(written), err
}

// IsNone tells whether nothing changes.
func (c Change) IsNone() bool { return c.form == unchanged }

// Apply gives the object as the server will change it. For unit tests.
func (c Change) Apply(object policy.JSON) (policy.JSON, error) {
	switch c.form {
	case jsonPatch:
		return patch.Apply(object, c.text)
	case mergePatch:
		return patch.Merge(object, c.text)
	case full:
		return c.text, nil
	default:
		return object, nil
	}
}

// Mutation is the answer: made by [Allow], [Unchanged] or [Deny]. The zero value is none, which is an error of the policy's.
type Mutation struct {
	allowed bool
	denial  *policy.Denial
	// Change counts where the object may enter.
	Change Change
	// Warnings are shown to the user, whether allowed or denied. One line each, at most 256 characters.
	Warnings         []string
	AuditAnnotations []policy.Annotation
}

// Allow lets the object enter with this change.
func Allow(change Change) Mutation { return Mutation{allowed: true, Change: change} }

// Unchanged lets the object enter as it is.
func Unchanged() Mutation { return Allow(Change{}) }

// Deny does not let it enter: Deny(policy.Deny("…")).
func Deny(denial *policy.Denial) Mutation { return Mutation{denial: denial} }

// Denial is why the object may not enter, if it may not.
func (m Mutation) Denial() *policy.Denial { return m.denial }

// Warn adds a warning.
func (m *Mutation) Warn(format string, args ...any) {
	m.Warnings = append(m.Warnings, fmt.Sprintf(format, args...))
}

// Annotate adds an audit annotation.
func (m *Mutation) Annotate(key, value string) {
	m.AuditAnnotations = append(m.AuditAnnotations, policy.Annotation{Key: key, Value: value})
}

// Func decides. Applied to its own result it must answer with no change. An error means that it could not decide: the
// operator's failurePolicy decides, and the text goes to the log.
type Func func(request *policy.AdmissionRequest) (Mutation, error)

var mutate Func

// Export makes f what the component exports. Call it once, from func init of package main.
func Export(f Func) { mutate = f }

// Ask calls what was exported, as the server does. For unit tests.
func Ask(request *policy.AdmissionRequest) (Mutation, error) {
	answer, err := mutate(request)
	if err == nil && !answer.allowed && answer.denial == nil {
		err = errors.New("the policy gave no answer: return mutating.Allow(change), mutating.Unchanged() or mutating.Deny(policy.Deny(…))")
	}
	return answer, err
}
