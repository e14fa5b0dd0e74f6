// Package policytest calls a policy from its unit tests as the server would.
package policytest

import (
	"encoding/json"
	"os"
	"testing"

	"verdict.dev/policy"
	"verdict.dev/policy/authentication"
	"verdict.dev/policy/authorization"
	"verdict.dev/policy/changes"
	"verdict.dev/policy/internal/native"
)

// Init gives the policy its settings, a JSON object, and fails the test when it refuses them.
func Init(t testing.TB, settings string) {
	t.Helper()
	if err := policy.Start([]byte(settings)); err != nil {
		t.Fatal(err)
	}
}

// InitErrors gives the policy settings, and returns what it finds wrong with them.
func InitErrors(settings string) error { return policy.Start([]byte(settings)) }

// Request reads an AdmissionReview from a file, which is also the raw review until the test ends.
func Request(t testing.TB, file string) *policy.AdmissionRequest {
	t.Helper()
	var review struct {
		Request struct {
			UID                string                       `json:"uid"`
			Operation          policy.Operation             `json:"operation"`
			Kind               policy.GroupVersionKind      `json:"kind"`
			Resource           policy.GroupVersionResource  `json:"resource"`
			SubResource        string                       `json:"subResource"`
			RequestKind        *policy.GroupVersionKind     `json:"requestKind"`
			RequestResource    *policy.GroupVersionResource `json:"requestResource"`
			RequestSubResource string                       `json:"requestSubResource"`
			Namespace          string                       `json:"namespace"`
			Name               string                       `json:"name"`
			UserInfo           policy.UserInfo              `json:"userInfo"`
			Object             policy.JSON                  `json:"object"`
			OldObject          policy.JSON                  `json:"oldObject"`
			Options            policy.JSON                  `json:"options"`
			DryRun             bool                         `json:"dryRun"`
		} `json:"request"`
	}
	read(t, file, &review)
	given := func(text policy.JSON) policy.JSON {
		if string(text) == "null" {
			return nil
		}
		return text
	}
	r := review.Request
	named := policy.Requested{Kind: r.Kind, Resource: r.Resource, SubResource: r.SubResource}
	requested := named
	if r.RequestKind != nil {
		requested.Kind = *r.RequestKind
	}
	if r.RequestResource != nil {
		// Who names it names its subresource too, by leaving it out if there is none.
		requested.Resource, requested.SubResource = *r.RequestResource, r.RequestSubResource
	}
	request := &policy.AdmissionRequest{
		UID: r.UID, Operation: r.Operation, Kind: r.Kind, Resource: r.Resource, SubResource: r.SubResource,
		Namespace: r.Namespace, Name: r.Name, User: r.UserInfo,
		Object: given(r.Object), OldObject: given(r.OldObject), Options: given(r.Options), DryRun: r.DryRun,
	}
	if requested != named {
		request.Requested = &requested
	}
	return request
}

// TokenReview reads a TokenReview from a file, which is also the raw review until the test ends.
func TokenReview(t testing.TB, file string) *authentication.Review {
	t.Helper()
	var review struct{ Spec authentication.Review }
	read(t, file, &review)
	return &review.Spec
}

// SubjectAccessReview reads a SubjectAccessReview from a file, which is also the raw review until the test ends.
func SubjectAccessReview(t testing.TB, file string) *authorization.Review {
	t.Helper()
	type selector struct {
		Requirements []struct {
			Key, Operator string
			Values        []string
		}
	}
	var review struct {
		Spec struct {
			User, UID             string
			Groups                []string
			Extra                 map[string][]string
			NonResourceAttributes *authorization.NonResourceAttributes
			ResourceAttributes    *struct {
				Verb, Group, Version, Resource, Subresource, Namespace, Name string
				FieldSelector, LabelSelector                                 selector
			}
		}
	}
	read(t, file, &review)
	spec := review.Spec
	asked := &authorization.Review{
		User:        policy.UserInfo{Username: spec.User, UID: spec.UID, Groups: spec.Groups, Extra: spec.Extra},
		NonResource: spec.NonResourceAttributes,
	}
	operators := map[string]authorization.Operator{
		"In": authorization.In, "NotIn": authorization.NotIn,
		"Exists": authorization.Exists, "DoesNotExist": authorization.DoesNotExist,
	}
	requirements := func(selector selector) []authorization.Requirement {
		var all []authorization.Requirement
		for _, one := range selector.Requirements {
			operator, known := operators[one.Operator]
			if !known {
				t.Fatalf("%s: there is no operator %q", file, one.Operator)
			}
			all = append(all, authorization.Requirement{Key: one.Key, Operator: operator, Values: one.Values})
		}
		return all
	}
	if at := spec.ResourceAttributes; at != nil {
		asked.Resource = &authorization.ResourceAttributes{
			Verb: at.Verb, Group: at.Group, Version: at.Version, Resource: at.Resource, Subresource: at.Subresource,
			Namespace: at.Namespace, Name: at.Name,
			FieldSelector: requirements(at.FieldSelector), LabelSelector: requirements(at.LabelSelector),
		}
	}
	return asked
}

// Event reads an event for a provider from a file. It is also the raw review until the test ends.
func Event(t testing.TB, file string) policy.JSON {
	t.Helper()
	var event policy.JSON
	read(t, file, &event)
	return event
}

// Change reads a change of an object from a file: {"type": "ADDED", "object": {...}}, with oldObject and replayed where they are known. It
// is also the raw review until the test ends.
func Change(t testing.TB, file string) *changes.Change {
	t.Helper()
	change := new(changes.Change)
	read(t, file, change)
	switch change.Type {
	case changes.Added, changes.Modified, changes.Deleted:
	default:
		t.Fatalf("%s: a change has a type: ADDED, MODIFIED or DELETED, got %q", file, change.Type)
	}
	if change.Object == nil {
		t.Fatalf("%s: a change has an object", file)
	}
	if string(change.OldObject) == "null" {
		change.OldObject = nil
	}
	return change
}

// RawReview sets what policy.RawReview gives until the test ends.
func RawReview(t testing.TB, text policy.JSON) {
	before := native.SetRaw(text)
	t.Cleanup(func() { native.SetRaw(before) })
}

// Recorded is what a policy wrote.
type Recorded struct {
	lines []native.Line
	facts []native.Fact
}

// Record keeps what the policy logs and audits until the test ends. One test of a package at a time.
func Record(t testing.TB) *Recorded {
	recorded := new(Recorded)
	native.Record(&recorded.lines, &recorded.facts)
	t.Cleanup(func() { native.Record(nil, nil) })
	return recorded
}

// Logged gives the lines of this level.
func (r *Recorded) Logged(level policy.Level) []string {
	var lines []string
	for _, line := range r.lines {
		if line.Level == uint8(level) {
			lines = append(lines, line.Message)
		}
	}
	return lines
}

// Audited gives the facts, in their order.
func (r *Recorded) Audited() []policy.Annotation {
	var facts []policy.Annotation
	for _, fact := range r.facts {
		facts = append(facts, policy.Annotation(fact))
	}
	return facts
}

func read(t testing.TB, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	RawReview(t, text)
}
