package changes

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"verdict.dev/policy"
)

func TestActionsAreWrittenAsTheServerWritesThem(t *testing.T) {
	web := Key{"apps/v1", "Deployment", "shop", "web"}
	const head = `"apiVersion":"apps/v1","kind":"Deployment","namespace":"shop","name":"web"`
	remove := []map[string]string{{"op": "remove", "path": "/a"}}
	for _, one := range []struct {
		action Action
		want   string
	}{
		{AgainAfter(5 * time.Second), `{"againAfter":5}`},
		{Event("Seen", "%d seen", 2), `{"event":{"note":"2 seen","reason":"Seen","type":"Normal"}}`},
		{Warning("Bad", "bad"), `{"event":{"note":"bad","reason":"Bad","type":"Warning"}}`},
		{Apply(policy.JSON(`{"n":1.0}`)), `{"apply":{"n":1.0}}`},
		{MergePatch(web, map[string]any{"a": nil}), `{"patch":{` + head + `,"type":"MergePatch","patch":{"a":null}}}`},
		{MergePatchStatus(web, struct{}{}), `{"patch":{` + head + `,"type":"MergePatch","subresource":"status","patch":{}}}`},
		{JSONPatch(web, remove), `{"patch":{` + head + `,"type":"JsonPatch","patch":[{"op":"remove","path":"/a"}]}}`},
		{JSONPatchStatus(web, remove), `{"patch":{` + head + `,"type":"JsonPatch","subresource":"status","patch":[{"op":"remove","path":"/a"}]}}`},
		{Delete(web), `{"delete":{` + head + `}}`},
		{Delete(Key{"v1", "Namespace", "", "shop"}), `{"delete":{"apiVersion":"v1","kind":"Namespace","name":"shop"}}`},
	} {
		if got, err := json.Marshal(one.action); err != nil || string(got) != one.want {
			t.Errorf("got %s %v, want %s", got, err, one.want)
		}
	}
}

func TestWaitsAreWholeSecondsUpToADay(t *testing.T) {
	for wait, want := range map[time.Duration]uint32{
		-time.Hour: 1, 0: 1, time.Millisecond: 1, time.Second: 1, time.Second + 1: 2, 24 * time.Hour: 86_400, math.MaxInt64: 86_400,
	} {
		if got := AgainAfter(wait); got.seconds != want {
			t.Errorf("%v: %d", wait, got.seconds)
		}
	}
}

func TestWhatIsNoActionIsSaid(t *testing.T) {
	pod := Key{"v1", "Pod", "", "a"}
	for _, one := range []struct {
		actions []Action
		words   string
	}{
		{make([]Action, 65), "65 actions are more than the 64"},
		{[]Action{AgainAfter(0), {}}, "action 1: it is none: make it by changes.Apply"},
		{[]Action{Apply(math.Inf(1))}, "action 0: json: unsupported value"},
		{[]Action{Event("two words", "")}, `the reason of an event must be a word of at most 128 letters and digits, got "two words"`},
		{[]Action{Delete(Key{APIVersion: "v1", Kind: "Pod"})}, "its name is missing"},
		{[]Action{MergePatch(Key{Kind: "Pod", Name: "a"}, struct{}{})}, "its apiVersion is missing"},
		{[]Action{MergePatch(pod, []int{})}, "a merge patch must be an object"},
		{[]Action{JSONPatch(pod, struct{}{})}, "a JSON patch must be a list of operations"},
	} {
		Export(func(*Change) ([]Action, error) { return one.actions, nil })
		if _, err := Ask(&Change{}); err == nil || !strings.Contains(err.Error(), one.words) {
			t.Errorf("got %v, want %s", err, one.words)
		}
	}
	Export(func(*Change) ([]Action, error) { return nil, nil })
	if actions, err := Ask(&Change{}); len(actions) != 0 || err != nil {
		t.Error(actions, err)
	}
}

func TestAChangeNamesItsObject(t *testing.T) {
	change := Change{Object: policy.JSON(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "a", "name": "b"}}`)}
	if key, err := change.Key(); err != nil || key != (Key{"v1", "Pod", "a", "b"}) {
		t.Error(key, err)
	}
	var object struct{ Kind int }
	if err := change.DecodeObject(&object); err == nil || !strings.HasPrefix(err.Error(), "object: does not decode: ") {
		t.Error(err)
	}
	if err := change.DecodeOldObject(&object); err == nil || err.Error() != "the change has no old object" {
		t.Error(err)
	}
	change.Object = policy.JSON(`{"apiVersion": "v1", "kind": "Pod", "metadata": {}}`)
	if _, err := change.Key(); err == nil || err.Error() != "object: its name is missing" {
		t.Error(err)
	}
}
