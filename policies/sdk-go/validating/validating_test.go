package validating

import (
	"strings"
	"testing"

	"verdict.dev/policy"
)

type thing struct{ Name string }

func TestForDecodesWhatEachOperationHas(t *testing.T) {
	var seen []string
	Export(For[thing]{
		Create: func(_ *policy.AdmissionRequest, object *thing) (Validation, error) {
			seen = append(seen, "create "+object.Name)
			return Allow(), nil
		},
		Update: func(_ *policy.AdmissionRequest, old, object *thing) (Validation, error) {
			seen = append(seen, "update "+old.Name+" "+object.Name)
			return Deny(policy.Deny("no")), nil
		},
		Delete: func(_ *policy.AdmissionRequest, old *thing) (answer Validation, err error) {
			seen = append(seen, "delete "+old.Name)
			return
		},
	}.Validate)
	old, object := policy.JSON(`{"name": "old"}`), policy.JSON(`{"name": "new"}`)
	created, err := Ask(&policy.AdmissionRequest{Operation: policy.Create, Object: object})
	if err != nil || !created.Allowed() {
		t.Error(created, err)
	}
	updated, err := Ask(&policy.AdmissionRequest{Operation: policy.Update, Object: object, OldObject: old})
	if err != nil || updated.Allowed() || updated.Denial() == nil {
		t.Error(updated, err)
	}
	// It forgets to answer.
	if _, err := Ask(&policy.AdmissionRequest{Operation: policy.Delete, OldObject: old}); err == nil || !strings.Contains(err.Error(), "gave no answer") {
		t.Error(err)
	}
	if _, err := Ask(&policy.AdmissionRequest{Operation: policy.Connect, Object: object}); err == nil || !strings.Contains(err.Error(), "no function for CONNECT") {
		t.Error(err)
	}
	if _, err := Ask(&policy.AdmissionRequest{Operation: policy.Create, Object: policy.JSON(`{"name": 1}`)}); err == nil {
		t.Error("a wrong type was taken")
	}
	if got := strings.Join(seen, ", "); got != "create new, update old new, delete old" {
		t.Error(got)
	}
}

func TestCausesMakeADenial(t *testing.T) {
	if answer := FromCauses("no"); !answer.Allowed() {
		t.Error(answer)
	}
	answer := FromCauses("100% no", policy.Path("a").Required("is missing"))
	if answer.Allowed() || answer.Denial().Message != "100% no" || len(answer.Denial().Causes) != 1 {
		t.Error(answer.Denial())
	}
}
