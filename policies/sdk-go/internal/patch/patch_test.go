package patch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

type item struct {
	Name string `json:"name"`
	// As in k8s.io/api: written although it is empty.
	Resources struct {
		Limits map[string]string `json:"limits,omitempty"`
	} `json:"resources"`
	Image string   `json:"image,omitempty"`
	Args  []string `json:"args,omitempty"`
}

type object struct {
	Metadata struct {
		Created *string           `json:"creationTimestamp"`
		Labels  map[string]string `json:"labels,omitempty"`
	} `json:"metadata"`
	Spec struct {
		Items  []item `json:"items"`
		Hidden *bool  `json:"hidden,omitempty"`
		Count  int    `json:"count,omitempty"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase,omitempty"`
	} `json:"status"`
}

func diff(t *testing.T, original string, edit func(object *object)) string {
	t.Helper()
	var value object
	if err := json.Unmarshal([]byte(original), &value); err != nil {
		t.Fatal(err)
	}
	before, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	edit(&value)
	after, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	operations, err := Diff([]byte(original), before, after)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(operations)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const original = `{"big": 12345678901234567890123, "spec": {"exact": 1.0, "items": [
	{"name": "a", "image": "x", "unknown": 9007199254740993},
	{"name": "b", "image": "y", "args": ["1", "2"]},
	{"name": "c", "image": "z", "unknown": 1e2}]}}`

func TestOnlyWhatWasChangedIsInThePatch(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(object *object)
		want string
	}{
		"nothing": {func(*object) {}, `null`},
		"labels where there is no metadata": {
			func(o *object) { o.Metadata.Labels = map[string]string{"a/b": "c"} },
			`[{"op":"add","path":"/metadata","value":{"labels":{"a/b":"c"}}}]`,
		},
		"a field of an element": {
			func(o *object) { o.Spec.Items[1].Image = "new" },
			`[{"op":"add","path":"/spec/items/1/image","value":"new"}]`,
		},
		"an object that the type writes and the original lacks": {
			func(o *object) { o.Spec.Items[0].Resources.Limits = map[string]string{"cpu": "1"} },
			`[{"op":"add","path":"/spec/items/0/resources","value":{"limits":{"cpu":"1"}}}]`,
		},
		"false, which is not nothing": {
			func(o *object) { o.Spec.Hidden = new(bool) },
			`[{"op":"add","path":"/spec/hidden","value":false}]`,
		},
		"the first element goes": {
			func(o *object) { o.Spec.Items = o.Spec.Items[1:] },
			`[{"op":"remove","path":"/spec/items/0"}]`,
		},
		"an element comes first, another changes": {
			func(o *object) {
				o.Spec.Items[2].Image = ""
				o.Spec.Items = append([]item{{Name: "new"}}, o.Spec.Items...)
			},
			`[{"op":"add","path":"/spec/items/0","value":{"name":"new","resources":{}}},{"op":"remove","path":"/spec/items/3/image"}]`,
		},
		"elements change places": {
			func(o *object) { o.Spec.Items[0], o.Spec.Items[2] = o.Spec.Items[2], o.Spec.Items[0] },
			`[{"op":"move","path":"/spec/items/0","from":"/spec/items/2"},{"op":"move","path":"/spec/items/1","from":"/spec/items/2"}]`,
		},
		"texts": {
			func(o *object) { o.Spec.Items[1].Args = []string{"1", "new", "2"} },
			`[{"op":"add","path":"/spec/items/1/args/1","value":"new"}]`,
		},
		"all elements go": {
			func(o *object) { o.Spec.Items = nil },
			`[{"op":"add","path":"/spec/items","value":null}]`,
		},
	} {
		if got := diff(t, original, test.edit); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, test.want)
		}
	}
}

func TestEmptyAndNullAreFilled(t *testing.T) {
	label := func(o *object) { o.Metadata.Labels = map[string]string{"a": "b"} }
	for original, want := range map[string]string{
		`{"metadata": null}`:                `[{"op":"add","path":"/metadata","value":{"labels":{"a":"b"}}}]`,
		`{"metadata": {}}`:                  `[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]`,
		`{"metadata": {"labels": {}}}`:      `[{"op":"add","path":"/metadata/labels/a","value":"b"}]`,
		`{"metadata": {"labels": null}}`:    `[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]`,
		`{"metadata":{"labels":{"~": ""}}}`: `[{"op":"add","path":"/metadata/labels/a","value":"b"},{"op":"remove","path":"/metadata/labels/~0"}]`,
	} {
		if got := diff(t, original, label); got != want {
			t.Errorf("%s:\n got %s\nwant %s", original, got, want)
		}
	}
}

func TestElementsWithoutNamesGoByPosition(t *testing.T) {
	for _, test := range []struct{ before, after, want string }{
		{`[{"a":1},{"a":2}]`, `[{"a":1},{"a":3}]`, `[{"op":"add","path":"/1/a","value":3}]`},
		{`[{"a":1},{"a":2}]`, `[{"a":2}]`, `[{"op":"remove","path":"/0"}]`},
		{`[{"name":"x","a":1},{"name":"x","a":2}]`, `[{"name":"x","a":0},{"name":"x","a":2}]`, `[{"op":"add","path":"/0/a","value":0}]`},
		{`[1,2]`, `[1,5,2,6]`, `[{"op":"remove","path":"/1"},{"op":"add","path":"/1","value":5},{"op":"add","path":"/2","value":2},{"op":"add","path":"/3","value":6}]`},
		{`"a"`, `{"a":1}`, `[{"op":"replace","path":"","value":{"a":1}}]`},
	} {
		operations, err := Diff([]byte(test.before), []byte(test.before), []byte(test.after))
		text, _ := json.Marshal(operations)
		if err != nil || string(text) != test.want {
			t.Errorf("%s to %s: %v\n got %s\nwant %s", test.before, test.after, err, text, test.want)
		}
	}
}

// Where the type has everything, the patch gives exactly what the author made.
func TestAnyChangeArrives(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var value func(depth int) any
	value = func(depth int) any {
		switch kind := random.IntN(6); {
		case kind < 2 && depth > 0:
			members := map[string]any{}
			for range random.IntN(4) {
				members[[]string{"a", "b/c", "~", "name"}[random.IntN(4)]] = value(depth - 1)
			}
			return members
		case kind < 4 && depth > 0:
			items := []any{}
			for index := range random.IntN(5) {
				if depth == 2 {
					items = append(items, map[string]any{"name": fmt.Sprint(random.IntN(6)), "at": float64(index)})
				} else {
					items = append(items, value(depth-1))
				}
			}
			return items
		case kind == 4:
			return nil
		}
		return float64(random.IntN(3))
	}
	for range 20000 {
		before, _ := json.Marshal(value(4))
		wanted := value(4)
		after, _ := json.Marshal(wanted)
		operations, err := Diff(before, before, after)
		if err != nil {
			t.Fatal(err)
		}
		patch, _ := json.Marshal(operations)
		if operations == nil {
			patch = []byte("[]")
		}
		applied, err := Apply(before, patch)
		if err != nil {
			t.Fatalf("%s to %s by %s: %v", before, after, patch, err)
		}
		var got any
		if err := json.Unmarshal(applied, &got); err != nil || !reflect.DeepEqual(got, wanted) {
			t.Fatalf("%s to %s by %s: %s", before, after, patch, applied)
		}
	}
}

func TestPatchesAreApplied(t *testing.T) {
	for patch, want := range map[string]string{
		`[{"op": "test", "path": "/a/0", "value": 1.0}, {"op": "copy", "from": "/a", "path": "/b"}, {"op": "add", "path": "/b/-", "value": 3}]`: `{"a":[1.0,2],"b":[1.0,2,3],"c~":{"d/":null}}`,
		`[{"op": "move", "from": "/a/1", "path": "/a/0"}, {"op": "remove", "path": "/c~0/d~1"}]`:                                                `{"a":[2,1.0],"c~":{}}`,
		`[{"op": "replace", "path": "/x", "value": 1}]`:                                                                                         ``,
		`[{"op": "test", "path": "/a/0", "value": 2}]`:                                                                                          ``,
		`[{"op": "remove", "path": "/a/2"}]`:                                                                                                    ``,
		`[{"op": "add", "path": "/a/3", "value": 1}]`:                                                                                           ``,
	} {
		got, err := Apply([]byte(`{"a": [1.0, 2], "c~": {"d/": null}}`), []byte(patch))
		if string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s %v", patch, got, err)
		}
	}
	got, err := Merge([]byte(`{"a": {"b": 1, "c": 2.0}, "d": [1]}`), []byte(`{"a": {"b": null, "e": {"f": null, "g": 1}}, "d": 2}`))
	if string(got) != `{"a":{"c":2.0,"e":{"g":1}},"d":2}` || err != nil {
		t.Errorf("%s %v", got, err)
	}
}
