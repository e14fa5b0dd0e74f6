package policy

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
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

// wait is a duration as people write it.
type wait struct{ time.Duration }

func (w *wait) UnmarshalText(text []byte) (err error) {
	w.Duration, err = time.ParseDuration(string(text))
	return err
}

type level string

func (l *level) UnmarshalText(text []byte) error {
	*l = level(strings.ToLower(string(text)))
	return nil
}

type (
	Names  []string
	Common struct {
		Team string `json:"team"`
		Both string
	}
	Deeper struct {
		Common
		Both string
		Deep int `json:"deep"`
	}
	hidden struct{ Shown string }
	// Left and Right have a name in common, which is then neither's.
	Left  struct{ Same, OfLeft string }
	Right struct{ Same, OfRight string }
	Self  struct {
		*Self
		Name string
	}
)

func TestEveryTypeIsDecodedAsByEncodingJSON(t *testing.T) {
	for _, one := range []struct {
		into any
		text string
	}{
		{new(struct{ Wait wait }), `{"Wait": "1h30m"}`},
		{new(struct{ Wait *wait }), `{"Wait": "5s"}`},
		{new(struct{ Wait *wait }), `{"Wait": null}`},
		{new(struct{ Waits []wait }), `{"Waits": ["5s", "6s"]}`},
		{new(struct{ Wait time.Duration }), `{"Wait": 5000000000}`},
		{new(struct{ At time.Time }), `{"At": "2026-03-02T09:00:00+01:00"}`},
		{new(struct{ Expression *regexp.Regexp }), `{"Expression": "a+"}`},
		{new(struct{ Net []netip.Prefix }), `{"Net": ["10.0.0.0/8", "::/0"]}`},
		{new(struct{ Level slog.Level }), `{"Level": "WARN"}`},
		{new(map[netip.Addr]wait), `{"10.0.0.1": "5s"}`},
		{new(map[level][]level), `{"HIGH": ["Low"]}`},
		{new(map[int]bool), `{"-7": true}`},
		{new(map[string]any), `{"a": [1, {"b": null}], "c": 1.5}`},
		{new([2]string), `["a", "b"]`},
		{new([2]string), `["a"]`},
		{new([]byte), `"aGVsbG8="`},
		{new(json.Number), `1.50`},
		{new(struct{ Raw json.RawMessage }), `{"Raw": {"a":  1}}`},
		{new(struct {
			Count int64  `json:"count,string"`
			Name  string `json:",string"`
			Maybe *bool  `json:"maybe,string"`
		}), `{"count": "7", "Name": "\"a\"", "maybe": "true"}`},
		{new(struct {
			Dash string `json:"-,"`
			Odd  string `json:"a\"b"`
			None string `json:"-"`
		}), `{"-": "a", "Odd": "b"}`},
		{new(struct{ Common }), `{"team": "a", "Both": "b"}`},
		{new(struct{ *Common }), `{"team": "a"}`},
		{new(struct{ *Common }), `{}`},
		{new(struct{ *Deeper }), `{"team": "a", "deep": 1, "Both": "outer"}`},
		{new(struct {
			Common `json:"common"`
		}), `{"common": {"team": "a"}}`},
		{new(struct{ hidden }), `{"Shown": "a"}`},
		{new(struct{ Names }), `{"Names": ["a"]}`},
		{new(struct {
			Left
			Right
		}), `{"OfLeft": "a", "OfRight": "b"}`},
		{new(Self), `{"Name": "a"}`},
	} {
		want := reflect.New(reflect.TypeOf(one.into).Elem()).Interface()
		if err := json.Unmarshal([]byte(one.text), want); err != nil {
			t.Fatalf("%s: encoding/json: %v", one.text, err)
		}
		if err := DecodeSettings([]byte(one.text), one.into); err != nil {
			t.Errorf("%s into %T: %v", one.text, one.into, err)
		} else if !reflect.DeepEqual(one.into, want) {
			t.Errorf("%s: got %+v, want %+v", one.text, one.into, want)
		}
	}
}

func TestWhatNoTypeTakesIsToldWithItsPathAndWithoutTheValue(t *testing.T) {
	for _, one := range []struct {
		into       any
		text, want string
	}{
		{new(struct{ Wait wait }), `{"Wait": "secret-word"}`, "/Wait: expected what policy.wait takes, got a string"},
		{new(struct{ Wait wait }), `{"Wait": 5}`, "/Wait: expected a string, got a number"},
		{new(struct{ Wait wait }), `{"Wait": null}`, "/Wait: expected a string, got null"},
		{new(struct{ Wait time.Duration }), `{"Wait": "5s"}`, "/Wait: expected an integer: nanoseconds (a type of your own with UnmarshalText can take 5s), got a string"},
		{new(struct{ At time.Time }), `{"At": "secret-word"}`, "/At: expected what time.Time takes, got a string"},
		{new([]netip.Prefix), `["::/0", "10.0.0.0/99"]`, "/1: expected what netip.Prefix takes, got a string"},
		{new(map[netip.Addr]bool), `{"10.0": true}`, "/10.0: expected a name that is what netip.Addr takes"},
		{new(map[int]bool), `{"a": true}`, "/a: expected a name that is an integer"},
		{new(map[level]Common), `{"a": {"tem": ""}}`, "/a/tem: unknown field; expected Both, team"},
		{new([1]Common), `[{"tem": ""}]`, "/0/tem: unknown field; expected Both, team"},
		{new([1]string), `["a", "b"]`, "expected at most 1 items, got 2"},
		{new([]byte), `"?"`, "expected a string of base64, got a string"},
		{new(struct {
			Count int `json:"count,string"`
		}), `{"count": 7}`, "/count: expected an integer in a string, got a number"},
		{new(struct{ *hidden }), `{"Shown": "a"}`, "/Shown: the policy cannot take it: it embeds a pointer to a type that is not exported"},
		{new(struct {
			None string `json:"-"`
		}), `{"None": "a", "-": "b"}`, "/-: unknown field; expected none\n/None: unknown field; expected none"},
		{new(struct {
			Left
			Right
		}), `{"Same": "a"}`, "/Same: unknown field; expected OfLeft, OfRight"},
	} {
		err := DecodeSettings([]byte(one.text), one.into)
		if err == nil || err.Error() != one.want {
			t.Errorf("%s into %T:\n got %v\nwant %s", one.text, one.into, err, one.want)
		}
	}
}
