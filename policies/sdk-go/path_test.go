package policy

import (
	"slices"
	"testing"
)

func TestPathsReadAsKubernetesWritesThem(t *testing.T) {
	containers := Path("spec", "template", "spec").Child("containers")
	for path, want := range map[FieldPath]string{
		containers.Index(2).Child("image"):                     "spec.template.spec.containers[2].image",
		Path("metadata.labels").Key("example.org/team"):        "metadata.labels[example.org/team]",
		Path().Child("data"):                                   "data",
		containers.Index(0).Child("ports").Index(1).Child("x"): "spec.template.spec.containers[0].ports[1].x",
	} {
		if string(path) != want {
			t.Errorf("got %s, want %s", path, want)
		}
	}
}

func TestADenialHasItsCauses(t *testing.T) {
	path := Path("spec", "replicas")
	denial := Deny("%d is too many", 3).Because(path.Invalid("at most %d", 2)).Because(path.Required("a"), path.Forbidden("b"))
	want := []Cause{
		{"spec.replicas", "FieldValueInvalid", "at most 2"},
		{"spec.replicas", "FieldValueRequired", "a"},
		{"spec.replicas", "FieldValueForbidden", "b"},
	}
	if denial.Message != "3 is too many" || !slices.Equal(denial.Causes, want) {
		t.Errorf("%+v", denial)
	}
}
