// Package mutating answers AdmissionReview and may change the object.
package mutating

import (
	"encoding/json"

	"verdict.dev/policy"
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

// Mutation is the answer. The zero value allows the object as it is.
type Mutation struct {
	// Denial is nil to allow.
	Denial *policy.Denial
	// Change counts when Denial is nil.
	Change Change
	// Warnings are shown to the user, whether allowed or denied. One line each, at most 256 characters.
	Warnings         []string
	AuditAnnotations []policy.Annotation
}

// Func decides. Applied to its own result it must answer with no change. An error means that it could not decide: the
// operator's failurePolicy decides, and the text goes to the log.
type Func func(request *policy.AdmissionRequest) (Mutation, error)

var mutate Func

// Export makes f what the component exports. Call it once, from func init of package main.
func Export(f Func) { mutate = f }

// Ask calls what was exported, as the server does. For unit tests.
func Ask(request *policy.AdmissionRequest) (Mutation, error) { return mutate(request) }
