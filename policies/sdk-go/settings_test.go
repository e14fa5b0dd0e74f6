package policy

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
)

type inner struct {
	Key   string `json:"key"`
	Count *int   `json:"count"`
}

// either is a string or an object.
type either struct{ inner }

func (e *either) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &e.Key) == nil {
		return nil
	}
	return DecodeSettings(text, &e.inner)
}

type settings struct {
	List  []either         `json:"list"`
	Map   map[string]inner `json:"map"`
	Plain bool             `json:"plain"`
}

func TestEveryErrorNamesItsSetting(t *testing.T) {
	for text, want := range map[string][]string{
		`{}`:                                  nil,
		`{"list": ["a", {"key": "b"}]}`:       nil,
		`{"list": null, "map": null}`:         nil,
		`{"plain": 1, "list": 2}`:             {"/list", "/plain"},
		`{"list": ["a", {"key": 1}]}`:         {"/list/1/key"},
		`{"list": [{"other": 1}]}`:            {"/list/0/other"},
		`{"map": {"a/b": {"count": "x"}}}`:    {"/map/a~1b/count"},
		`{"Plain": true}`:                     {"/Plain"},
		`[]`:                                  {""},
		`{"map": {"a": {"count": 1.5}}}`:      {"/map/a/count"},
		`{"plain": null}`:                     {"/plain"},
		`{"list": [{"key": "a"}, 7, "b", 8]}`: {"/list/1", "/list/3"},
	} {
		var into settings
		var got []string
		for _, one := range settingErrors(DecodeSettings([]byte(text), &into)) {
			got = append(got, one.Path)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestJoinedErrorsKeepTheirPaths(t *testing.T) {
	err := errors.Join(SettingErrorf("/a", "wrong"), errors.Join(errors.New("plain"), SettingErrorf("/b", "%d", 1)))
	want := []SettingError{{"/a", "wrong"}, {"", "plain"}, {"/b", "1"}}
	if got := settingErrors(err); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestPointersAreEscaped(t *testing.T) {
	if got := Pointer("labels", "a/b~c", 2); got != "/labels/a~1b~0c/2" {
		t.Error(got)
	}
}
