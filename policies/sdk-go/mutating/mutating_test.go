package mutating

import (
	"errors"
	"testing"

	"verdict.dev/policy"
)

type pod struct {
	Metadata struct {
		Created *string           `json:"creationTimestamp"`
		Labels  map[string]string `json:"labels,omitempty"`
	} `json:"metadata"`
}

func label(object *pod) error {
	if object.Metadata.Labels == nil {
		object.Metadata.Labels = map[string]string{}
	}
	object.Metadata.Labels["team"] = "a"
	return nil
}

func TestAnEditKeepsWhatItDoesNotTouch(t *testing.T) {
	request := &policy.AdmissionRequest{Object: policy.JSON(`{"n": 12345678901234567890123, "f": 1.0, "metadata": {"x": 1e3}}`)}
	change, err := Edit(request, label)
	if err != nil || change.form != jsonPatch {
		t.Fatal(change, err)
	}
	if want := `[{"op":"add","path":"/metadata/labels","value":{"team":"a"}}]`; string(change.text) != want {
		t.Errorf("%s", change.text)
	}
	object, err := change.Apply(request.Object)
	if want := `{"f":1.0,"metadata":{"labels":{"team":"a"},"x":1e3},"n":12345678901234567890123}`; string(object) != want || err != nil {
		t.Errorf("%s %v", object, err)
	}
	again, err := Edit(&policy.AdmissionRequest{Object: object}, label)
	if err != nil || !again.IsNone() {
		t.Errorf("%s %v", again.text, err)
	}
}

func TestAnEditOfNothingChangesNothing(t *testing.T) {
	change, err := Edit(&policy.AdmissionRequest{Operation: policy.Delete}, label)
	if err != nil || !change.IsNone() {
		t.Error(change, err)
	}
}

func TestAnEditFailsWithItsError(t *testing.T) {
	refused := errors.New("no")
	request := &policy.AdmissionRequest{Object: policy.JSON(`{}`)}
	if _, err := Edit(request, func(*pod) error { return refused }); !errors.Is(err, refused) {
		t.Error(err)
	}
	if _, err := Edit(&policy.AdmissionRequest{Object: policy.JSON(`[]`)}, label); err == nil {
		t.Error("a list is no pod")
	}
}

func TestEveryFormOfAChangeIsApplied(t *testing.T) {
	object := policy.JSON(`{"a":1}`)
	for want, change := range map[string]Change{
		`{"a":1}`:       {},
		`{"a":1,"b":2}`: MergePatch(policy.JSON(`{"b":2}`)),
		`{}`:            JSONPatch(policy.JSON(`[{"op":"remove","path":"/a"}]`)),
		`{"c":3}`:       Full(policy.JSON(`{"c":3}`)),
	} {
		if got, err := change.Apply(object); string(got) != want || err != nil {
			t.Errorf("got %s, want %s: %v", got, want, err)
		}
	}
}

func TestWordsAreCollected(t *testing.T) {
	var mutation Mutation
	mutation.Warn("%d lines", 2)
	mutation.Annotate("key", "value")
	if mutation.Warnings[0] != "2 lines" || mutation.AuditAnnotations[0] != (policy.Annotation{Key: "key", Value: "value"}) {
		t.Errorf("%+v", mutation)
	}
}
