package policy

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
)

// SettingError is one thing that is wrong with the settings.
type SettingError struct {
	// Path is a JSON Pointer, for example /labels/0; empty for the whole.
	Path string
	// Message says what was expected. It goes to logs: leave out values that may be secrets.
	Message string
}

func (e SettingError) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// SettingErrorf makes a [SettingError].
func SettingErrorf(path, format string, args ...any) SettingError {
	return SettingError{Path: path, Message: fmt.Sprintf(format, args...)}
}

// Pointer writes a JSON Pointer of names and indexes: Pointer("labels", 0) is /labels/0.
func Pointer(steps ...any) string {
	var path strings.Builder
	for _, step := range steps {
		path.WriteString("/" + escape(fmt.Sprint(step)))
	}
	return path.String()
}

// DecodeSettings decodes all types that encoding/json does, except that unknown fields are errors, that names are those of the
// fields in upper and lower case too, that null is no number, string or object, and that every error is a [SettingError] with its
// path, all of them joined. For UnmarshalJSON and UnmarshalText of types within settings: paths of the errors that they return are
// taken as relative to the value; an error that is no SettingError and repeats the value is replaced, since it may be a secret.
func DecodeSettings(text []byte, into any) error {
	if !json.Valid(text) {
		return SettingError{Message: "expected JSON"}
	}
	var found []error
	decode("", text, reflect.ValueOf(into).Elem(), &found)
	return errors.Join(found...)
}

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func decode(path string, text []byte, into reflect.Value, found *[]error) {
	text = bytes.TrimSpace(text)
	fail := func(err error) {
		for _, one := range settingErrors(err) {
			*found = append(*found, SettingError{Path: path + one.Path, Message: one.Message})
		}
	}
	null := string(text) == "null"
	switch kind, itself := into.Kind(), into.Addr().Type(); {
	case itself.Implements(unmarshaler):
		fail(inWords(into.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(text), into.Type(), text))
	case itself.Implements(textUnmarshaler):
		var content string
		if null || json.Unmarshal(text, &content) != nil {
			fail(expected("a string", text))
			return
		}
		fail(inWords(into.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(content)), into.Type(), text))
	case null && (kind == reflect.Pointer || kind == reflect.Slice || kind == reflect.Map || kind == reflect.Interface):
		into.SetZero()
	case kind == reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		decode(path, text, into.Elem(), found)
	case kind == reflect.Struct:
		decodeStruct(path, text, into, found)
	case kind == reflect.Array, kind == reflect.Slice && into.Type().Elem().Kind() != reflect.Uint8:
		var items []json.RawMessage
		if null || json.Unmarshal(text, &items) != nil {
			fail(expected("an array", text))
			return
		}
		if kind == reflect.Slice {
			into.Set(reflect.MakeSlice(into.Type(), len(items), len(items)))
		} else if len(items) > into.Len() {
			fail(SettingErrorf("", "expected at most %d items, got %d", into.Len(), len(items)))
			return
		}
		for i, item := range items {
			decode(path+"/"+strconv.Itoa(i), item, into.Index(i), found)
		}
	case kind == reflect.Map:
		decodeMap(path, text, into, found)
	default:
		if null || json.Unmarshal(text, into.Addr().Interface()) != nil {
			fail(expected(describe(into.Type()), text))
		}
	}
}

func decodeMap(path string, text []byte, into reflect.Value, found *[]error) {
	var items map[string]json.RawMessage
	if json.Unmarshal(text, &items) != nil {
		*found = append(*found, SettingError{Path: path, Message: expected("an object", text).Message})
		return
	}
	into.Set(reflect.MakeMapWithSize(into.Type(), len(items)))
	for _, name := range sorted(items) {
		at := path + "/" + escape(name)
		// Names can be numbers, or of a type with UnmarshalText: encoding/json knows.
		key := reflect.New(reflect.MapOf(into.Type().Key(), reflect.TypeFor[bool]()))
		one, _ := json.Marshal(map[string]bool{name: true})
		if json.Unmarshal(one, key.Interface()) != nil {
			*found = append(*found, SettingErrorf(at, "expected a name that is %s", describe(into.Type().Key())))
			continue
		}
		value := reflect.New(into.Type().Elem()).Elem()
		decode(at, items[name], value, found)
		into.SetMapIndex(key.Elem().MapKeys()[0], value)
	}
}

func decodeStruct(path string, text []byte, into reflect.Value, found *[]error) {
	var items map[string]json.RawMessage
	if string(text) == "null" || json.Unmarshal(text, &items) != nil {
		*found = append(*found, SettingError{Path: path, Message: expected("an object", text).Message})
		return
	}
	fields := fieldsOf(into.Type())
	for _, name := range sorted(items) {
		at := path + "/" + escape(name)
		field, known := fields[name]
		if !known {
			message := "unknown field; expected none"
			if len(fields) > 0 {
				message = "unknown field; expected " + strings.Join(sorted(fields), ", ")
			}
			*found = append(*found, SettingError{Path: at, Message: message})
			continue
		}
		value, settable := field.at(into)
		if !settable {
			*found = append(*found, SettingErrorf(at, "the policy cannot take it: it embeds a pointer to a type that is not exported"))
			continue
		}
		item := items[name]
		if field.quoted && string(item) != "null" {
			var content string
			if json.Unmarshal(item, &content) != nil || !json.Valid([]byte(content)) {
				*found = append(*found, SettingError{Path: at, Message: expected(describe(value.Type())+" in a string", item).Message})
				continue
			}
			item = json.RawMessage(content)
		}
		decode(at, item, value, found)
	}
}

// inWords leaves out what a type of somebody else's says if that repeats the value: time.Time and netip.Prefix do.
func inWords(err error, t reflect.Type, text []byte) error {
	var ours SettingError
	if err == nil || errors.As(err, &ours) {
		return err
	}
	value := strings.Trim(string(text), `"`)
	if len(value) >= shortestSecret && strings.Contains(err.Error(), value) {
		return expected(describe(t), text)
	}
	return err
}

// expected tells the kind of what came, never the value: settings may be secrets, and this goes to logs.
func expected(what string, text []byte) SettingError {
	return SettingErrorf("", "expected %s, got %s", what, kindOf(text))
}

func kindOf(text []byte) string {
	switch text[0] {
	case '"':
		return "a string"
	case '[':
		return "an array"
	case '{':
		return "an object"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

func describe(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	pointer := reflect.PointerTo(t)
	switch {
	case t == reflect.TypeFor[json.Number]():
		return "a number"
	case t == reflect.TypeFor[time.Duration]():
		return "an integer: nanoseconds (a type of your own with UnmarshalText can take 5s)"
	case pointer.Implements(unmarshaler), pointer.Implements(textUnmarshaler):
		return "what " + t.String() + " takes"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "a string of base64"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer that is not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return t.String()
	}
}

func sorted[V any](items map[string]V) []string {
	names := make([]string, 0, len(items))
	for name := range items {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// settingErrors takes joined errors apart.
func settingErrors(err error) []SettingError {
	var one SettingError
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []SettingError
		for _, part := range joined.Unwrap() {
			all = append(all, settingErrors(part)...)
		}
		return all
	}
	if errors.As(err, &one) {
		return []SettingError{one}
	}
	return []SettingError{{Message: err.Error()}}
}

// shortestSecret is how many bytes a value must have that no log may show.
const shortestSecret = 4
